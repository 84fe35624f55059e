"""Cells on disk: written and read in one place, saved models, exports."""
