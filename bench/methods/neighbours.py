"""Unknown attributes by the known ones of the rows that look most alike."""

from __future__ import annotations

import numpy as np

CHUNK = 256
"""Rows whose distances to all others are held at once."""

REACH = 8
"""So many times the neighbours asked for are looked at first; all rows only where that is too few."""


def nearest_known(targets: np.ndarray, features: np.ndarray, neighbours: int) -> np.ndarray:
    """Return (n, k) estimates of unknown cells: the mean over the nearest rows that know the attribute.

    NaN in known cells, and where no row knows the attribute. targets: (n, k), NaN for unknown. features:
    (n, d); more axes are averaged over.

    Nearness is Euclidean between features, not between labels as with scikit-learn's KNNImputer: four labels
    of which one is unknown have eight values, so most distances there are ties, while features tell any two
    photos apart. Otherwise it is the same rule: each attribute has its own neighbours, fewer where fewer know
    it, all of the same weight.
    """
    table = np.asarray(features, np.float32)
    table = table.mean(axis=tuple(range(1, table.ndim - 1))) if table.ndim > 2 else table
    known = ~np.isnan(targets)
    values = np.where(known, targets, 0.0).astype(np.float32)
    wanted = np.minimum(neighbours, known.sum(axis=0))
    lengths = np.square(table).sum(axis=1, dtype=np.float64).astype(np.float32)
    out = np.full(targets.shape, np.nan)
    asking = np.flatnonzero(~known.all(axis=1))
    for rows in np.array_split(asking, max(1, -(-len(asking) // CHUNK))):
        far = lengths - 2.0 * (table[rows] @ table.T)
        order = _order(far, REACH * neighbours)
        out[rows], count = _means(known[order], values[order], neighbours)
        for column in np.flatnonzero(((count < wanted) & ~known[rows]).any(axis=0)):
            few = np.flatnonzero((count[:, column] < wanted[column]) & ~known[rows, column])
            donors = np.flatnonzero(known[:, column])
            near = donors[_order(far[np.ix_(few, donors)], neighbours)]
            out[rows[few], column] = values[near, column].mean(axis=1)
    out[known] = np.nan
    return out


def _order(far: np.ndarray, most: int) -> np.ndarray:
    """Return (rows, at most `most`) positions of the smallest distances, nearest first."""
    if most >= far.shape[1]:
        return np.argsort(far, axis=1, kind="stable")
    near = np.sort(np.argpartition(far, most - 1, axis=1)[:, :most], axis=1)
    by_distance = np.argsort(np.take_along_axis(far, near, axis=1), axis=1, kind="stable")
    return np.take_along_axis(near, by_distance, axis=1)


def _means(known: np.ndarray, values: np.ndarray, neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (rows, k) means of the first neighbours that know each attribute, and how many there were.

    known, values: (rows, candidates, k), nearest first. NaN where no candidate knows the attribute.
    """
    taken = known & (np.cumsum(known, axis=1, dtype=np.int32) <= neighbours)
    count = taken.sum(axis=1)
    sums = np.where(taken, values, 0.0).sum(axis=1, dtype=np.float64)
    return np.where(count > 0, sums / np.maximum(count, 1), np.nan), count
