"""A file of float32 rows that is written in place, and can be gone on with after a kill."""

from __future__ import annotations

import json
import math
import os
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

ROWS_FILE = "features.npy"
DONE_FILE = "done.json"


class Rows:
    """A .npy file of float32 rows being written; `done` images were written by an earlier build.

    shape: (n, ...) of the whole. Written, not mapped: the memory stays that of one batch.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...]) -> None:
        self.folder, self.shape = folder, shape
        header = BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
        self.start = header.tell()
        self.step = math.prod(shape[1:]) * 4
        self.done = self._saved()
        self.handle = os.open(folder / ROWS_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.ftruncate(self.handle, self.start + shape[0] * self.step)
        self._put(header.getvalue(), 0)

    def write(self, positions: np.ndarray, rows: np.ndarray) -> None:
        """Put the rows of ascending positions where they belong."""
        edges = [0, *(np.flatnonzero(np.diff(positions) != 1) + 1).tolist(), len(positions)]
        for first, last in pairwise(edges):
            run = np.ascontiguousarray(rows[first:last], "<f4")
            self._put(run.tobytes(), self.start + int(positions[first]) * self.step)

    def save(self, done: int) -> None:
        """Write down that so many images are on the disk."""
        os.fsync(self.handle)
        write_json(self.folder / DONE_FILE, {"done": done})

    def finish(self, missing: np.ndarray) -> None:
        """Mark the rows that have no image, and make sure that everything is on the disk."""
        for position in missing:
            self.write(np.array([position]), np.full((1, *self.shape[1:]), np.nan, np.float32))
        os.fsync(self.handle)

    def close(self) -> None:
        """Close the file."""
        os.close(self.handle)

    def _saved(self) -> int:
        try:
            if (self.folder / ROWS_FILE).stat().st_size != self.start + self.shape[0] * self.step:
                return 0
            return int(json.loads((self.folder / DONE_FILE).read_text(encoding="utf-8"))["done"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def _put(self, data: bytes, offset: int) -> None:
        view = memoryview(data)
        while view:
            count = os.pwrite(self.handle, view, offset)
            view, offset = view[count:], offset + count


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write strict JSON whole or not at all."""
    fresh = path.with_name(f".{path.name}")
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, allow_nan=False)
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)
