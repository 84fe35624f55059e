"""Whole nets."""
