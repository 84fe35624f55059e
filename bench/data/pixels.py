"""The pixel cache: every image decoded once, at one size, as rows of bytes in one file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from bench.data.decoding import decode_all, no_room, stride
from bench.data.examples import Examples, Problem
from bench.data.images import RESIZE_MODES
from bench.errors import StoreError, unknown
from bench.locks import take_lock
from bench.progress import Progress, in_silence
from bench.spec import canonical_json

PIXELS_VERSION = 1
"""Bumped when the same image would no longer give the same row."""

ROWS_FILE = "pixels.u8"
META_FILE = "pixels.json"
_UNFINISHED = ".part-"


class _RowsFile:
    """An open file that is closed when nobody refers to it any more."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def length(self) -> int:
        """Return the file's size in bytes."""
        return os.fstat(self.handle).st_size

    def __del__(self) -> None:
        if hasattr(self, "handle"):
            os.close(self.handle)


@dataclass(frozen=True, eq=False)
class Pixels:
    """The n decoded images of a data set, read from the cache a few rows at a time.

    key: differs wherever a row could differ. size: (height, width). ok: (n,) bool, False where the image
    could not be decoded (its row is all zeros). quarantine: why, by position. sizes: how many images came
    with each (height, width), the undecodable left out. Reading is safe from several threads.
    """

    key: str
    size: tuple[int, int]
    ok: np.ndarray
    quarantine: Mapping[int, Problem]
    sizes: Mapping[tuple[int, int], int]
    file: _RowsFile

    def __len__(self) -> int:
        return len(self.ok)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The quarantined images, in order of position."""
        return tuple(self.quarantine.values())

    def read(self, rows: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return the images at these positions as (m, height, width, 3) uint8.

        rows: (m,) integers, in any order, repeats allowed. out: a C-contiguous array to fill instead of a
        new one. Nothing is mapped, so memory is what is returned. Raises IndexError for a position that is
        not there, StoreError when the cache can no longer be read.
        """
        rows = _positions(rows)
        shape = (len(rows), *self.size, 3)
        if out is None:
            out = np.empty(shape, np.uint8)
        elif out.shape != shape or out.dtype != np.uint8 or not out.flags.c_contiguous:
            raise ValueError(f"out must be a contiguous uint8 array of shape {shape}")
        if len(rows) == 0:
            return out
        if rows.min() < 0 or rows.max() >= len(self):
            raise IndexError(
                f"positions {rows.min()} to {rows.max()} asked for, there are {len(self)} images"
            )
        step = stride(self.size)
        flat = out.reshape(-1).data
        # Neighbours in the file that are neighbours in the answer are one system call.
        edges = [0, *(np.flatnonzero(np.diff(rows) != 1) + 1).tolist(), len(rows)]
        for first, last in pairwise(edges):
            self._fill(flat[first * step : last * step], int(rows[first]) * step)
        return out

    def batches(
        self, batch_size: int, rows: np.ndarray | None = None, ahead: int = 2
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (positions, images) batch by batch, read in another thread while the last one is worked on.

        rows: which images, in which order; None is all of them, quarantined ones (zeros) included. At most
        `ahead` + 2 batches are in memory; each is the caller's own.
        """
        chosen = np.arange(len(self)) if rows is None else _positions(rows)
        waiting: deque[tuple[np.ndarray, Future[np.ndarray]]] = deque()
        with ThreadPoolExecutor(1) as pool:
            for start in range(0, len(chosen), batch_size):
                part = chosen[start : start + batch_size]
                waiting.append((part, pool.submit(self.read, part)))
                if len(waiting) > ahead:
                    yield _next_of(waiting)
            while waiting:
                yield _next_of(waiting)

    def _fill(self, view: memoryview, offset: int) -> None:
        while view:
            try:
                count = os.preadv(self.file.handle, [view], offset)
            except OSError as error:
                raise StoreError(
                    f"{self.file.path}: {error.strerror}; remove its folder and run again"
                ) from None
            if count == 0:
                raise StoreError(f"{self.file.path}: shorter than it was; remove its folder and run again")
            view, offset = view[count:], offset + count


def _positions(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows)
    if rows.dtype == bool:
        raise ValueError("rows are positions, not a mask: use np.flatnonzero(mask)")
    return rows.astype(np.int64, copy=False)


def _next_of(waiting: deque[tuple[np.ndarray, Future[np.ndarray]]]) -> tuple[np.ndarray, np.ndarray]:
    part, answer = waiting.popleft()
    return part, answer.result()


def ensure_pixels(
    examples: Examples,
    size: tuple[int, int],
    mode: str,
    cache: Path,
    progress: Progress = in_silence,
    crop: float = 1.0,
) -> Pixels:
    """Return the pixels of all examples at (height, width), decoding them unless the cache has them.

    mode, crop: of `bench.data.images.resize`. The cache's folder is there whole or not at all, and two
    processes that want the same one build it once. Raises BenchError for an unknown mode, StoreError when the
    cache cannot be written, DataError when an image changes while it is read.
    """
    if mode not in RESIZE_MODES:
        raise unknown("resize mode", mode, RESIZE_MODES, f"known: {', '.join(RESIZE_MODES)}")
    folder = cache / "pixels" / _name(examples, size, mode, crop)
    pixels = _open(folder, size, len(examples))
    if pixels is not None:
        return pixels
    with _building(folder, len(examples), progress):
        pixels = _open(folder, size, len(examples))
        if pixels is None:
            _build(examples, size, mode, crop, folder, progress)
            pixels = _open(folder, size, len(examples))
    if pixels is None:
        raise StoreError(
            f"pixel cache {folder}: cannot be read back; check the disk or choose another --cache DIR"
        )
    return pixels


def _name(examples: Examples, size: tuple[int, int], mode: str, crop: float) -> str:
    # What is not cropped is named as it was before images could be, so that older caches serve.
    cropped = [] if crop == 1.0 else [crop]
    whole = [PIXELS_VERSION, examples.source, examples.fingerprint, *size, mode, *cropped]
    digest = hashlib.sha256(canonical_json(whole).encode("ascii")).hexdigest()
    return f"{size[1]}x{size[0]}-{mode}-{digest[:16]}"


def _open(folder: Path, size: tuple[int, int], count: int) -> Pixels | None:
    """Return what the folder holds, or None when it is not there or not whole."""
    try:
        raw = json.loads((folder / META_FILE).read_text(encoding="utf-8"))
        file = _RowsFile(folder / ROWS_FILE)
        if raw["version"] != PIXELS_VERSION or raw["count"] != count or file.length() != count * stride(size):
            return None
        quarantine = {
            int(position): Problem(kind, where, why) for position, kind, where, why in raw["quarantine"]
        }
        sizes = {(int(height), int(width)): int(number) for height, width, number in raw["sizes"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    ok = np.ones(count, bool)
    ok[list(quarantine)] = False
    ok.flags.writeable = False
    return Pixels(folder.name, size, ok, quarantine, sizes, file)


@contextmanager
def _building(folder: Path, total: int, progress: Progress) -> Iterator[None]:
    """Hold the right to build the folder, and clear away what killed builders left behind."""
    what = "waiting for another process that decodes the same images"
    try:
        lock = take_lock(folder.with_name(f"{folder.name}.lock"), lambda: progress(0, total, what))
    except OSError as error:
        raise no_room(folder, error) from None
    try:
        _clear_unfinished(folder)
        yield
    finally:
        lock.release()


def _clear_unfinished(mine: Path) -> None:
    """Remove unfinished folders whose builder is gone: mine, as the lock is held, and those nobody locks."""
    from filelock import FileLock, Timeout

    for leftover in mine.parent.glob(f"*{_UNFINISHED}*"):
        name = leftover.name.partition(_UNFINISHED)[0]
        if name == mine.name:
            shutil.rmtree(leftover, ignore_errors=True)
            continue
        lock = FileLock(mine.with_name(f"{name}.lock"))
        try:
            with lock.acquire(timeout=0):
                shutil.rmtree(leftover, ignore_errors=True)
        except (Timeout, OSError):
            continue


def _build(
    examples: Examples, size: tuple[int, int], mode: str, crop: float, folder: Path, progress: Progress
) -> None:
    """Decode into a folder beside the target, then rename it; whatever goes wrong, nothing of it stays."""
    work = None
    try:
        shutil.rmtree(folder, ignore_errors=True)
        _check_room(folder.parent, len(examples) * stride(size))
        work = Path(tempfile.mkdtemp(prefix=f"{folder.name}{_UNFINISHED}", dir=folder.parent))
        decoded = decode_all(examples, size, mode, work / ROWS_FILE, progress, crop)
        meta = {
            "version": PIXELS_VERSION,
            "source": examples.source,
            "fingerprint": examples.fingerprint,
            "height": size[0],
            "width": size[1],
            "resize": mode,
            "crop": crop,
            "count": len(examples),
            "quarantine": [
                [position, _kind(why), f"image {examples.items[position]}", why]
                for position, why in sorted(decoded.failed.items())
            ],
            "sizes": [[*shape, number] for shape, number in sorted(decoded.sizes.items())],
        }
        with (work / META_FILE).open("w", encoding="utf-8") as file:
            json.dump(meta, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.rename(work, folder)
    except OSError as error:
        raise no_room(folder, error) from None
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)


def _check_room(folder: Path, needed: int) -> None:
    """Raise StoreError before decoding when the disk cannot hold the rows anyway."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StoreError(
            f"pixel cache {folder}: needs {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free; "
            "make room or choose another --cache DIR"
        )


def _kind(why: str) -> str:
    """Return the problem's kind: what the reason says before its colon.

    >>> _kind("too many pixels: 30000x30000, more than 64 million")
    'too_many_pixels'
    """
    return why.partition(":")[0].replace(" ", "_")
