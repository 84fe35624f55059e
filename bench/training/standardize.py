"""Standardised features of training rows, in memory or in a memory-mapped file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bench.data.cache.rows import Array

STILL = 1e-8
"""Largest deviation of a column that counts as constant."""

LARGE = 2**29
"""Bytes from which rows are not held in memory; a constant, so that results do not depend on the machine."""

BLOCK = 4096
"""Rows of a large table in memory at a time."""


def mean_and_deviation(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of every column of (n, d) rows: (d,) float64 both.

    The deviation of a constant column is 1.
    """
    if rows.nbytes >= LARGE:
        return mean_and_deviation_of(lambda: _blocks(rows), len(rows))
    mean = rows.mean(axis=0, dtype=np.float64)
    spread = np.sqrt(_squares(rows, mean) / max(len(rows), 1))
    return mean, np.where(spread > STILL, spread, 1.0)


def mean_and_deviation_of(
    blocks: Callable[[], Iterator[np.ndarray]], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and deviation of the last axis of (n, ..., d) blocks, one in memory at a time.

    count: of all their rows and positions. The deviation of a constant column is 1.
    """

    def mean_of(function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        sums = [
            function(block).sum(axis=tuple(range(block.ndim - 1)), dtype=np.float64) for block in blocks()
        ]
        return np.asarray(np.sum(sums, axis=0) / count)

    mean = mean_of(lambda block: block)
    # Two passes, as the difference of two large sums would lose a small deviation.
    spread = np.sqrt(mean_of(lambda block: np.square(block - mean)))
    return mean, np.where(spread > STILL, spread, 1.0)


def _squares(rows: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return the sums of squared differences to the mean, (d,) float64, bit for bit those of `numpy.std`.

    It would hold all differences in double precision, twice the memory of the rows. A single column it adds
    in pairs, several row by row.
    """
    if rows.shape[1] < 2:
        single: np.ndarray = np.square(rows - mean).sum(axis=0)
        return single
    work = np.empty((min(BLOCK, len(rows)) + 1, rows.shape[1]))
    sums = np.zeros(rows.shape[1])
    for block in _blocks(rows):
        part = work[: len(block) + 1]
        part[0] = sums
        np.subtract(block, mean, out=part[1:])
        np.square(part[1:], out=part[1:])
        sums = part.sum(axis=0)
    return sums


def gather(features: Array, rows: np.ndarray) -> np.ndarray:
    """Return a float32 copy of the rows at these positions, (m, d): a large one in a temporary file.

    The file is mapped into memory, has no name, and disappears with the array. Raises OSError where the disk
    of the temporary files is full.
    """
    shape = (len(rows), features.shape[1])
    if 4 * shape[0] * shape[1] < LARGE:
        own = np.asarray(features[rows], np.float32)
        # `standardise` works in place; positions in an array give a copy already.
        return own if own.flags.owndata else own.copy()
    with tempfile.TemporaryFile(prefix="bench-features-") as file:
        for start in range(0, len(rows), BLOCK):
            file.write(np.ascontiguousarray(features[rows[start : start + BLOCK]], np.float32).data)
        file.flush()
        return np.memmap(file, np.float32, "r+", shape=shape)


def standardise(rows: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> None:
    """Standardise (n, d) float32 rows in place."""
    for block in _blocks(rows):
        block -= mean
        block /= scale


def _blocks(rows: np.ndarray) -> Iterator[np.ndarray]:
    return (rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK))
