"""Class priors and margins that losses share."""

from __future__ import annotations

import numpy as np

EMPTY_CLASS = 0.5
"""Count of an empty class in a prior, so that its logarithm is finite."""


def margins(counts: np.ndarray, largest: float) -> np.ndarray:
    """Return the margin between each class and the others: (k,) counts -> (k,) float64.

    C / count^(1/4), with C so that the largest is `largest` (Cao et al. 2019, as in their program); 0 for an
    empty class, which has no training row.

    >>> margins(np.array([16, 1, 0]), 0.5).tolist()
    [0.25, 0.5, 0.0]
    """
    present = counts > 0
    roots = np.where(present, np.maximum(counts, 1).astype(np.float64) ** -0.25, 0.0)
    scaled: np.ndarray = roots * (largest / max(roots.max(initial=0.0), 1e-12))
    return scaled


def log_prior(counts: np.ndarray) -> np.ndarray:
    """Return the logarithm of each class's share, always finite: (k,) counts -> (k,) float64.

    An empty class counts as half an image; the counts of the others stay as they are.

    >>> np.exp(log_prior(np.array([6, 2]))).round(6).tolist()
    [0.75, 0.25]
    """
    images = np.where(counts > 0, counts, EMPTY_CLASS).astype(np.float64)
    shares: np.ndarray = np.log(images) - np.log(images.sum())
    return shares
