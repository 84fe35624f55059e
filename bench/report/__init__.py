"""Tables, plots and pages of results and data."""
