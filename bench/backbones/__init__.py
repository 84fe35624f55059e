"""Backbones by name: Keras models with their preprocessing, and their cached features."""
