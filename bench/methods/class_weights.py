"""Class weights and log priors of class counts.

Weights are computed from the counts *before* any resampling, so that `oversample+class_weight` does
both; priors from the counts the loss sees, *after* resampling, because that is the prior a head learns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

DEFERRED_BETA = 0.9999
"""Beta of the class-balanced weights of deferred re-weighting."""


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
    """Weight classes by `class_balanced` with beta = .9999, the deferred weights of Cao et al. 2019."""
    return class_balanced({"beta": DEFERRED_BETA}, counts)
