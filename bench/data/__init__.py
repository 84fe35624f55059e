"""Folders, tables and synthetic samples: examples, splits, pixels, task cards."""
