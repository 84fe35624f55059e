"""From a data folder or a drawing routine to examples, splits and pixels."""
