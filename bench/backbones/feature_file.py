"""File of float32 rows, written in place and resumable after a kill."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.cell import canonical_json
from bench.data.cache.folders import DIGESTS_FILE, read_digests, write_digests
from bench.data.cache.rows import RowLayout, row_digests
from bench.data.cache.sealed import Damaged, digest, read_sealed, write_sealed

ROWS_FILE = "features.npy"
DONE_FILE = "done.json"


class Rows:
    """A .npy file of float32 rows being written; `done` images were written by an earlier build.

    shape: (n, ...). key: what determines the rows; a build with another key is not resumed. Written, not
    memory-mapped: memory stays that of one batch.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], key: Mapping[str, Any]) -> None:
        self.folder, self.shape, self.key = folder, shape, key
        header = BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
        self.start = header.tell()
        self.step = math.prod(shape[1:]) * 4
        self.done, self.digests = self._saved()
        self.handle = os.open(folder / ROWS_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        os.ftruncate(self.handle, self.start + shape[0] * self.step)
        self._put(header.getvalue(), 0)
        self.layout = RowLayout(ROWS_FILE, shape, "<f4", self.start, digest(header.getvalue()))

    def write(self, positions: np.ndarray, rows: np.ndarray) -> None:
        """Write rows at ascending positions."""
        rows = np.ascontiguousarray(rows, "<f4")
        self.digests[positions] = row_digests(rows)
        edges = [0, *(np.flatnonzero(np.diff(positions) != 1) + 1).tolist(), len(positions)]
        for first, last in pairwise(edges):
            self._put(rows[first:last].tobytes(), self.start + int(positions[first]) * self.step)

    def save(self, done: int) -> None:
        """Record how many images are on disk."""
        os.fsync(self.handle)
        digests = write_digests(self.folder / DIGESTS_FILE, self.digests)
        write_sealed(self.folder / DONE_FILE, {"done": done, "digests": digests, "key": self.key})

    def finish(self, missing: np.ndarray) -> None:
        """Fill rows without an image with NaN, and flush everything to disk."""
        for position in missing:
            self.write(np.array([position]), np.full((1, *self.shape[1:]), np.nan, np.float32))
        os.fsync(self.handle)

    def close(self) -> None:
        """Close the file."""
        os.close(self.handle)

    def _saved(self) -> tuple[int, np.ndarray]:
        """Return how many images an earlier build recorded, and the digests of its rows."""
        try:
            if (self.folder / ROWS_FILE).stat().st_size == self.start + self.shape[0] * self.step:
                saved = read_sealed(self.folder / DONE_FILE)
                if canonical_json(saved["key"]) == canonical_json(self.key):
                    return int(saved["done"]), read_digests(self.folder / DIGESTS_FILE, saved["digests"])
        except (OSError, ValueError, KeyError, TypeError, Damaged):
            pass
        return 0, np.zeros(self.shape[0], np.uint64)

    def _put(self, data: bytes, offset: int) -> None:
        view = memoryview(data)
        while view:
            count = os.pwrite(self.handle, view, offset)
            view, offset = view[count:], offset + count
