"""messybench: which backbone and which remedy help when image labels are imbalanced, missing or wrong."""

__version__ = "0.1.0"
