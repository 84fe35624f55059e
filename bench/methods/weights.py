"""What class counts turn into: one weight per class, and the log prior that losses and heads are adjusted by.

Weights are computed from the counts *before* any resampling, so that `oversample+class_weight` does
both; priors from the counts the loss sees, *after* resampling, because that is the prior a head learns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

EMPTY_CLASS = 0.5
"""Images an empty class is given in a prior, so that its logarithm is finite."""

DEFERRED_BETA = 0.9999
"""Of the class-balanced weights of deferred re-weighting."""


def class_weight(args: Mapping[str, Any], counts: np.ndarray) -> np.ndarray:
    """Weight classes by their inverse size (King and Zeng 2001).

    With c classes that have images and n images in all: `balanced` is n / (c * count), as
    scikit-learn's; `inverse` is 1 / count; `max_over_count` is the largest count / count. The three
    differ by a factor. A loss averaged as sum(w * loss) / sum(w) does not see that factor; Keras's
    default reduction, which divides by the batch size, would.

    counts: (k,) -> (k,) float32, 0 for an empty class. Of attributes, (2, k) known no and yes -> (2, k):
    each attribute is a problem of two classes.

    >>> class_weight({"scheme": "max_over_count"}, np.array([6, 3, 0])).tolist()
    [1.0, 2.0, 0.0]
    """
    present = counts > 0
    numerator = {
        "balanced": counts.sum(axis=0) / np.maximum(present.sum(axis=0), 1),
        "inverse": np.ones(counts.shape[1:]),
        "max_over_count": counts.max(axis=0, initial=0),
    }[args["scheme"]]
    return np.where(present, numerator / np.maximum(counts, 1), 0.0).astype(np.float32)


def class_balanced(args: Mapping[str, Any], counts: np.ndarray) -> np.ndarray:
    """Weight classes by the inverse of their effective number of images (Cui et al. 2019).

    (1 - beta) / (1 - beta^count), scaled so that the weights of the classes with images add up to
    their number, as in the paper. beta = 1 is the limit 1 / count.

    counts: (k,) -> (k,) float32, 0 for an empty class.
    """
    present = counts > 0
    images = np.maximum(counts, 1).astype(np.float64)
    beta = float(args["beta"])
    if beta == 0.0:
        effective = np.ones_like(images)
    elif beta == 1.0:
        effective = images
    else:
        effective = np.expm1(images * np.log(beta)) / (beta - 1.0)
    weights = np.where(present, 1.0 / effective, 0.0)
    total = weights.sum()
    return (weights * (present.sum() / total) if total else weights).astype(np.float32)


def deferred(args: Mapping[str, Any], counts: np.ndarray) -> np.ndarray:
    """Weight classes as `class_balanced` does with beta = .9999, which Cao et al. 2019 re-weight by late."""
    return class_balanced({"beta": DEFERRED_BETA}, counts)


def margins(counts: np.ndarray, largest: float) -> np.ndarray:
    """Return by how much each class is to be told from the others: (k,) counts -> (k,) float64.

    C / count^(1/4), with C so that the largest is `largest` (Cao et al. 2019, as in their program); 0 for an
    empty class, which no training row is of.

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
