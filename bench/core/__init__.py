"""Cells: identity, protocol, predictions; errors, files and tables."""
