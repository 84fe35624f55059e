"""Remedies for imbalance, missing and wrong labels: the grammar, the registry, the steps."""
