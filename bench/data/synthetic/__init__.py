"""Synthetic samples: small data sets made by code, the same on every machine."""
