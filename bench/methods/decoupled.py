"""Heads made anew on the features that were learned (Kang et al. 2020, arXiv:1910.09217)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.methods.multinomial import fit_multinomial
from bench.methods.registry import LinearHead
from bench.standard import mean_and_deviation

NEVER = -1e6
"""Logit of a class that has no mean: its probability is 0 beside any other's."""


def ncm(
    args: Mapping[str, Any], head: LinearHead, features: np.ndarray, y: np.ndarray, counts: np.ndarray
) -> tuple[LinearHead, dict[str, Any]]:
    """Replace the head by the nearest class mean; what the head learned is not used.

    features: (n, d) of the training rows as the head sees them, y: (n,) their classes. With m the mean of a
    class's rows, `euclidean` is -|x - m|^2 + |x|^2 = 2 m x - |m|^2, where |x|^2 is the same for every class
    and changes no softmax; `cosine` is m x / |m|, the cosine times |x|, which changes no order of classes.
    Both are divided by what they grow by with the number of features, d and its root, so that a softmax of
    many features is not all 0 and 1; the order of classes stays. These are no calibrated probabilities.
    """
    width, k = head.kernel.shape
    sizes = np.bincount(y, minlength=k)
    means = np.zeros((k, width))
    for label in np.flatnonzero(sizes).tolist():
        means[label] = features[y == label].mean(axis=0, dtype=np.float64)
    squares = (means**2).sum(axis=1)
    if args["by"] == "cosine":
        kernel = means / np.sqrt(np.where(squares > 0, squares, 1.0) * width)[:, None]
        bias = np.zeros(k)
    else:
        kernel, bias = 2.0 * means / width, -squares / width
    bias = np.where(sizes > 0, bias, NEVER)
    return LinearHead(kernel.T.astype(np.float32), bias.astype(np.float32)), {}


def crt(
    args: Mapping[str, Any], head: LinearHead, features: np.ndarray, y: np.ndarray, counts: np.ndarray
) -> tuple[LinearHead, dict[str, Any]]:
    """Train the head anew, every class being seen equally often; what the head learned is not used.

    features, y: as in `ncm`. The paper starts from fresh weights and draws class-balanced batches for a few
    epochs. What these minimise in expectation, the mean over classes of each class's mean cross entropy, is
    minimised here itself, to convergence, plus l2 |kernel|^2 / 2 of features standardised on these rows: so
    that neither a draw nor a number of epochs matters. Standardising is taken into the kernel and the bias.
    """
    width, k = head.kernel.shape
    present, truth, sizes = np.unique(y, return_inverse=True, return_counts=True)
    kernel, bias = np.zeros((width, k)), np.full(k, NEVER)
    bias[present] = 0.0
    if len(present) > 1:
        mean, scale = mean_and_deviation(features)
        # As sums over rows: the penalty grows as the weights do.
        weights = len(y) / (len(present) * sizes[truth])
        penalty = np.full((width, 1), float(args["l2"]) * len(y))
        own, lean = fit_multinomial((features - mean) / scale, truth, len(present), penalty, weights)
        kernel[:, present] = own / scale[:, None]
        bias[present] = lean - (mean / scale) @ own
    return LinearHead(kernel.astype(np.float32), bias.astype(np.float32)), {}
