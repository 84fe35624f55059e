"""Linear discriminant analysis as a head: all classes have one covariance, shrunk, as images are few."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.methods.decoupled import NEVER
from bench.methods.registry import LinearHead


def lda(
    args: Mapping[str, Any], head: LinearHead, features: np.ndarray, y: np.ndarray, counts: np.ndarray
) -> tuple[LinearHead, dict[str, Any]]:
    """Replace the head by linear discriminant analysis; what the head learned is not used.

    features: (n, d) of the training rows as the head sees them, y: (n,) their classes. With m the mean of a
    class's rows and S = (1 - shrink) W + shrink (tr W / d) I, W being the covariance within classes, the
    logits are x S^-1 m - m S^-1 m / 2 + prior ln P(class), P being the classes' shares of the rows (Friedman
    1989, Regularized discriminant analysis; shrink as scikit-learn's `shrinkage`). A class without rows is
    never answered.
    """
    width, k = head.kernel.shape
    present, truth, sizes = np.unique(y, return_inverse=True, return_counts=True)
    rows = features.astype(np.float64)
    centre = rows.mean(axis=0)
    rows -= centre
    means = np.stack([rows[truth == place].mean(axis=0) for place in range(len(present))])
    rows -= means[truth]
    falls = _solved(rows, means, float(args["shrink"]))
    own = -0.5 * (means * falls).sum(axis=1)
    own += float(args["prior"]) * np.log(sizes / sizes.sum())
    kernel, bias = np.zeros((width, k)), np.full(k, NEVER)
    kernel[:, present], bias[present] = falls.T, own - falls @ centre
    return LinearHead(kernel.astype(np.float32), bias.astype(np.float32)), {}


def _solved(rows: np.ndarray, means: np.ndarray, shrink: float) -> np.ndarray:
    """Return S^-1 m of every mean, (k, d). rows: (n, d), each less its class's mean.

    Of fewer rows than columns the inverse is that of an (n, n) matrix (Woodbury).
    """
    n, d = rows.shape
    ridge = shrink * float((rows**2).sum()) / (n * d)
    # Rows that do not differ within their classes: all directions count alike.
    ridge = ridge if ridge > 0 else 1.0
    share = (1.0 - shrink) / n
    if d <= n:
        found: np.ndarray = np.linalg.solve(share * rows.T @ rows + ridge * np.eye(d), means.T).T
        return found
    inner = share * rows @ rows.T + ridge * np.eye(n)
    out: np.ndarray = (means - share * np.linalg.solve(inner, rows @ means.T).T @ rows) / ridge
    return out
