"""Baseline files: search, reader, pinning."""
