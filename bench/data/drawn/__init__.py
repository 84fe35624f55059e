"""Embedded samples: small data sets drawn by code, the same on every machine."""
