"""Confusion matrices from predictions."""

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
