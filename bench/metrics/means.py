"""Ratios and means that are NaN where undefined."""

from __future__ import annotations

import numpy as np


def ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return part / whole, NaN where the whole is 0."""
    out = np.full(whole.shape, np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out


def mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean over classes, NaN if all weights are 0; a value of weight 0 may be NaN.

    values, weights: (draws, k) -> (draws,).
    """
    total = np.where(weights > 0, values * weights, 0.0).sum(axis=1)
    return ratio(total, weights.sum(axis=1))


def plain(value: float) -> float | None:
    """Return a plain number, or None for NaN."""
    return None if np.isnan(value) else float(value)
