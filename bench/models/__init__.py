"""Backbones, their features, and the heads and nets trained on them."""
