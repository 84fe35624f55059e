"""Numbers from predictions: metrics, intervals, resampling."""
