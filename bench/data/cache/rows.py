"""Fixed-size rows in a cache file, each checked against its digest when it is read."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import xxhash

from bench.core.errors import StoreError
from bench.core.locks import share
from bench.core.regular_files import open_regular
from bench.data.cache.sealed import Damaged

_TRIES = 3
_NEAR = 2**18
"""Bytes checked at a time, while still in the processor's cache; at least one row."""


@dataclass(frozen=True)
class RowLayout:
    """Layout of rows in a file.

    name: of the file. shape: (n, ...) of all rows. dtype: of their numbers, as in NumPy ("<f4"). start: bytes
    before the first row; head: their digest.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    start: int = 0
    head: str = ""

    @property
    def step(self) -> int:
        """Bytes of a row."""
        return math.prod(self.shape[1:]) * np.dtype(self.dtype).itemsize

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.start + self.shape[0] * self.step

    def to_json(self) -> dict[str, Any]:
        """Return the fields for JSON."""
        return {**asdict(self), "shape": list(self.shape)}

    @staticmethod
    def from_json(raw: Mapping[str, Any]) -> RowLayout:
        """Undo `to_json`. Raises KeyError, TypeError or ValueError for anything else."""
        shape = tuple(int(length) for length in raw["shape"])
        layout = RowLayout(str(raw["name"]), shape, str(raw["dtype"]), int(raw["start"]), str(raw["head"]))
        valid = shape and min(shape) >= 0 and layout.start >= 0 and np.dtype(layout.dtype).kind in "uf"
        if not valid or Path(layout.name).name != layout.name:
            raise ValueError(raw)
        return layout


def row_digests(rows: np.ndarray) -> np.ndarray:
    """Return the 64-bit XXH3 digest of each row of a C-contiguous (n, ...) array: (n,) uint64."""
    return np.array(digests_of(rows.reshape(-1).view(np.uint8).data, rows[:1].nbytes), np.uint64)


def digests_of(data: memoryview, step: int) -> list[int]:
    """Return the 64-bit XXH3 digest of every `step` bytes."""
    one = xxhash.xxh3_64_intdigest
    return [one(data[at : at + step]) for at in range(0, len(data), step or 1)]


class RowFile:
    """An open file of rows with their digests, closed when the object is deleted.

    While open, the file is marked as in use. digests: (n,) uint64. Raises OSError if it cannot be opened,
    BlockingIOError if another process is about to remove it.
    """

    def __init__(self, path: Path, layout: RowLayout, digests: np.ndarray) -> None:
        self.path, self.layout, self.digests = path, layout, digests
        self._opened = open_regular(path)
        self.handle = self._opened.fileno()
        share(self.handle)
        status = os.fstat(self.handle)
        self.place, self.length = (status.st_dev, status.st_ino), status.st_size

    def fill(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Read the rows at (m,) int64 positions into a C-contiguous (m, ...) array.

        Raises Damaged if one of them differs from its digest.
        """
        flat, step = out.reshape(-1).view(np.uint8).data, self.layout.step
        each, found = max(1, _NEAR // max(step, 1)), list[int]()
        # Consecutive rows are read in one system call.
        edges = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
        for first, last in pairwise(edges):
            for at in range(first, last, each):
                view = flat[at * step : min(at + each, last) * step]
                self._read(view, self.layout.start + int(rows[at]) * step)
                found += digests_of(view, step)
        self.check(rows, found)

    def check(self, rows: np.ndarray, found: list[int]) -> None:
        """Raise Damaged if a row's digest differs from the stored one."""
        wrong = np.flatnonzero(np.array(found, np.uint64) != self.digests[rows])
        if len(wrong):
            raise Damaged(f"row {rows[wrong[0]]} of {self.path.name} does not match its digest")

    def head(self) -> bytes:
        """Return the bytes before the first row. Raises Damaged."""
        found = bytearray(self.layout.start)
        self._read(memoryview(found), 0)
        return bytes(found)

    def _read(self, view: memoryview, offset: int) -> None:
        while view:
            try:
                count = os.preadv(self.handle, [view], offset)
            except OSError as error:
                raise Damaged(f"{self.path.name} cannot be read: {error.strerror or error}") from None
            if count == 0:
                raise Damaged(f"{self.path.name} is shorter than it was")
            view, offset = view[count:], offset + count

    def __del__(self) -> None:
        if hasattr(self, "_opened"):
            self._opened.close()


class CheckedRows:
    """An array in a file whose rows are read and checked on access.

    Damaged rows are read again from the file that `again`, given the damaged file and the reason, has
    rebuilt. Nothing is memory-mapped, so memory is that of the returned arrays. Safe for several threads.
    """

    def __init__(self, file: RowFile, again: Callable[[RowFile, str], RowFile]) -> None:
        self._file, self._again, self._lock = file, again, Lock()
        self.shape, self.dtype = file.layout.shape, np.dtype(file.layout.dtype)

    @property
    def file(self) -> RowFile:
        """The file that rows are read from now."""
        return self._file

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, rows: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return the rows at these positions, in their order: (m, ...).

        rows: (m,) integers, repeats allowed. out: a C-contiguous array to fill instead of a new one. Raises
        IndexError for a position out of range, StoreError if the cache cannot be rebuilt, and what building
        it raises.
        """
        rows = np.asarray(rows)
        if rows.dtype == bool:
            raise ValueError("rows are positions, not a mask: use np.flatnonzero(mask)")
        rows, shape = rows.astype(np.int64, copy=False), (len(rows), *self.shape[1:])
        if out is None:
            out = np.empty(shape, self.dtype)
        elif out.shape != shape or out.dtype != self.dtype or not out.flags.c_contiguous:
            raise ValueError(f"out must be a contiguous {self.dtype} array of shape {shape}")
        if len(rows) == 0:
            return out
        if rows.min() < 0 or rows.max() >= len(self):
            raise IndexError(f"positions {rows.min()} to {rows.max()} are out of range for {len(self)} rows")
        for _ in range(_TRIES):
            file = self._file
            try:
                file.fill(rows, out)
            except Damaged as why:
                self._mend(file, str(why))
            else:
                return out
        raise StoreError(
            f"{self._file.path}: damaged repeatedly; check the disk or choose another --cache DIR"
        )

    def __getitem__(self, index: Any) -> np.ndarray:
        """Return a copy, indexed as in NumPy."""
        first, *rest = index if isinstance(index, tuple) else (index,)
        rows = np.arange(len(self))[first]
        found: np.ndarray = self.read(np.ravel(rows)).reshape(*np.shape(rows), *self.shape[1:])
        return found[(*(slice(None) for _ in np.shape(rows)), *rest)] if rest else found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return all rows."""
        if copy is False:
            raise ValueError("rows of a file are always a copy")
        return self.read(np.arange(len(self))).astype(dtype or self.dtype, copy=False)

    def _mend(self, file: RowFile, why: str) -> None:
        with self._lock:
            if self._file is file:
                self._file = self._again(file, why)


Array = np.ndarray | CheckedRows
"""An array in memory, or one of the cache."""
