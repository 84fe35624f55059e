"""Minority classes and their training rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

MINORITY = "minority"
"""The argument that limits a step to images of these classes; its other choice is `all`."""


def minority_classes(counts: np.ndarray) -> np.ndarray:
    """Return (k,) bool: the classes with fewer rows than the mean of those that have any.

    counts: (k,) rows of each class, or rows with each attribute. Charte et al. 2015 (Addressing imbalance in
    multilabel classification, Neurocomputing 163) draw the line at a mean too, that of the labels' imbalance
    ratios; of sizes the mean is what every class would have if all were equal. The line is a
    convention: in a long tail the mean includes more classes than the median.

    >>> import numpy as np
    >>> minority_classes(np.array([90, 40, 20, 0])).tolist()
    [False, True, True, False]
    """
    some = counts > 0
    small: np.ndarray = some & (counts < counts.sum() / max(some.sum(), 1))
    return small


def rows_with(known: np.ndarray, attributes: np.ndarray) -> np.ndarray:
    """Return (n,) bool: the rows that have one of some attributes.

    known: (n, k) of 1, 0 and NaN. attributes: (k,) bool.
    """
    rows: np.ndarray = (known[:, attributes] == 1).any(axis=1)
    return rows


def facts(small: np.ndarray, rows: np.ndarray) -> dict[str, int]:
    """Return the entries of a cell's record. small: (k,) bool classes; rows: (n,) bool training rows."""
    return {"minority_classes": int(small.sum()), "minority_images": int(rows.sum())}
