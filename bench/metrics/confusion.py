"""Confusion matrices: from predictions, back to predictions, and the classification report they give."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.metrics import multiclass, scores
from bench.spec import Predictions


def confusion(pred: Predictions) -> np.ndarray:
    """Return (k, k) int64: rows are true classes, columns the answers given.

    Raises ValueError if a score is NaN.
    """
    scores.check(pred)
    k = len(pred.classes)
    cells = pred.truth.astype(np.int64) * k + pred.scores.argmax(axis=1)
    return np.bincount(cells, minlength=k * k).reshape(k, k)


def from_confusion(
    matrix: np.ndarray, classes: tuple[str, ...], train_support: np.ndarray | None = None
) -> Predictions:
    """Return predictions with this confusion matrix, so that a published one goes the way of our own.

    matrix: (k, k) whole numbers, rows true. Scores are 1 for the answer and 0 elsewhere, so what needs more
    than answers (top-5, ROC areas, log loss) says nothing about the published model.
    train_support: (k,), all 0 if not known. Raises ValueError for a matrix that counts nothing.

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


def report_rows(pred: Predictions) -> tuple[dict[str, Any], ...]:
    """Return scikit-learn's classification report as rows of class, precision, recall, f1, support.

    Below the classes stand `accuracy` (in the f1 column, as printed there), `macro avg`, `weighted avg`.
    Unlike there, a class without test items has an undefined recall and no part in the macro average.
    """
    overall = multiclass.summary(pred)
    rows = [
        {key: row[key] for key in ("class", "precision", "recall", "f1")} | {"support": row["test_support"]}
        for row in multiclass.per_class(pred)
    ]
    accuracy = {"class": "accuracy", "precision": None, "recall": None, "f1": overall["top1_micro"]}
    averages = [
        {"class": f"{name} avg"} | {key: overall[f"{key}_{name}"] for key in ("precision", "recall", "f1")}
        for name in ("macro", "weighted")
    ]
    return (*rows, *({**row, "support": overall["n"]} for row in (accuracy, *averages)))
