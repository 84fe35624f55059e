"""Confusion matrices from predictions, and predictions from confusion matrices."""

from __future__ import annotations

import numpy as np

from bench.core.predictions import Predictions
from bench.metrics import scores


def confusion(pred: Predictions) -> np.ndarray:
    """Return (k, k) int64: rows are true classes, columns predicted ones.

    Raises ValueError if a score is NaN.
    """
    scores.check(pred)
    k = len(pred.classes)
    cells = pred.truth.astype(np.int64) * k + pred.scores.argmax(axis=1)
    return np.bincount(cells, minlength=k * k).reshape(k, k)


def from_confusion(
    matrix: np.ndarray, classes: tuple[str, ...], train_support: np.ndarray | None = None
) -> Predictions:
    """Return predictions with this confusion matrix, to score a published matrix like our own results.

    matrix: (k, k) whole numbers, rows true. Scores are 1 for the answer and 0 elsewhere: metrics that need
    more than answers (top-5, ROC areas, log loss) say nothing about the published model.
    train_support: (k,), all 0 if unknown. Raises ValueError for a matrix that does not count items.

    >>> confusion(from_confusion(np.array([[2, 1], [0, 3]]), ("a", "b"))).tolist()
    [[2, 1], [0, 3]]
    """
    k = len(classes)
    if matrix.shape != (k, k) or not np.issubdtype(matrix.dtype, np.integer) or (matrix < 0).any():
        raise ValueError(f"a confusion matrix of {k} classes is {k} x {k} whole numbers, none below 0")
    truth, answers = np.divmod(np.repeat(np.arange(k * k), matrix.ravel()), k)
    return Predictions(
        items=tuple(str(i) for i in range(len(truth))),
        groups=None,
        truth=truth.astype(np.int32),
        scores=np.eye(k, dtype=np.float32)[answers],
        classes=classes,
        train_support=np.zeros(k, np.int64) if train_support is None else train_support,
    )
