"""Download of the public data sets of the tasks."""
