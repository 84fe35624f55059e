"""What columns of features are standardised with."""

from __future__ import annotations

import numpy as np

STILL = 1e-8
"""A column that deviates by no more than this is taken for one that does not vary."""


def mean_and_deviation(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of every column of (n, d) rows: (d,) float64 both.

    The deviation of a column that does not vary is given as 1.
    """
    spread = rows.std(axis=0, dtype=np.float64)
    return rows.mean(axis=0, dtype=np.float64), np.where(spread > STILL, spread, 1.0)
