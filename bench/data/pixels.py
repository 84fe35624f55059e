"""Pixel cache: every image decoded once, at one size, as rows of one file."""

from __future__ import annotations

import hashlib
import shutil
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.core.cell import canonical_json
from bench.core.errors import unknown
from bench.core.locks import lock_of
from bench.core.progress import Progress, no_progress
from bench.data.cache.folders import Opened, RowFolder
from bench.data.cache.rows import CheckedRows, RowFile, RowLayout
from bench.data.decoding import ImageFormat, decode_all
from bench.data.examples import Examples, Problem
from bench.data.images import RESIZE_MODES

PIXELS_VERSION = 1
"""Bumped when the row of the same image changes."""

ROWS_FILE = "pixels.u8"
META_FILE = "pixels.json"
_UNFINISHED = ".part"


@dataclass(frozen=True, eq=False)
class Pixels:
    """The n decoded images of a data set, read from the cache a few rows at a time.

    key: identity of the rows. size: (height, width). ok: (n,) bool, False for images that could not be
    decoded (their rows are zero). quarantine: their problems, by position. sizes: decoded images by original
    (height, width). rows: (n, height, width, 3) uint8. origin: task and source, for listings. Reading is safe
    from several threads.
    """

    key: str
    size: tuple[int, int]
    ok: np.ndarray
    quarantine: Mapping[int, Problem]
    sizes: Mapping[tuple[int, int], int]
    rows: CheckedRows
    origin: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.ok)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The quarantined images, in order of position."""
        return tuple(self.quarantine.values())

    def read(self, rows: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return the images at these positions as (m, height, width, 3) uint8: see `CheckedRows.read`."""
        return self.rows.read(rows, out)

    def batches(
        self, batch_size: int, rows: np.ndarray | None = None, ahead: int = 2
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (positions, images) in batches, prefetched by another thread.

        rows: positions in order; None: all, quarantined ones (zeros) included. At most `ahead` + 2 batches
        are in memory; each is the caller's own.
        """
        chosen = np.arange(len(self)) if rows is None else np.asarray(rows)
        waiting: deque[tuple[np.ndarray, Future[np.ndarray]]] = deque()
        with ThreadPoolExecutor(1) as pool:
            for start in range(0, len(chosen), batch_size):
                batch = chosen[start : start + batch_size]
                waiting.append((batch, pool.submit(self.read, batch)))
                if len(waiting) > ahead:
                    yield _next_of(waiting)
            while waiting:
                yield _next_of(waiting)


def _next_of(waiting: deque[tuple[np.ndarray, Future[np.ndarray]]]) -> tuple[np.ndarray, np.ndarray]:
    batch, images = waiting.popleft()
    return batch, images.result()


def ensure_pixels(
    examples: Examples,
    size: tuple[int, int],
    mode: str,
    cache: Path,
    progress: Progress = no_progress,
    crop: float = 1.0,
    also: Sequence[ImageFormat] = (),
) -> Pixels:
    """Return the pixels of all examples at (height, width), decoding them unless they are cached.

    mode, crop: of `bench.data.images.resize`. also: further formats to decode in the same pass, unless
    cached or built by another process. The cache's folder is written whole or not at all, and two
    processes build the same one once. Damaged rows, now or when they are read later, are decoded again, which
    is logged. Raises BenchError for an unknown mode, StoreError if the cache cannot be written, DataError if
    an image changes while it is read.
    """
    if mode not in RESIZE_MODES:
        raise unknown("resize mode", mode, RESIZE_MODES, f"known: {', '.join(RESIZE_MODES)}")
    form = ImageFormat(size, mode, crop)
    folder = _folder(examples, form, cache)

    def ensured(bad: RowFile | None = None, why: str = "") -> Opened:
        what = "waiting for another process to decode the same images"
        return folder.ensure(
            lambda: _build_all(examples, folder, form, cache, also, progress),
            lambda: progress(0, len(examples), what),
            bad,
            why,
        )

    opened = ensured()
    quarantine = {
        int(position): Problem(code, where, reason)
        for position, code, where, reason in opened.facts["quarantine"]
    }
    ok = np.ones(len(examples), bool)
    ok[list(quarantine)] = False
    ok.flags.writeable = False
    return Pixels(
        folder.path.name,
        size,
        ok,
        quarantine,
        {(int(height), int(width)): int(number) for height, width, number in opened.facts["sizes"]},
        CheckedRows(opened.file, lambda bad, why: ensured(bad, why).file),
        {"task": examples.task, "source": examples.source},
    )


def _folder(examples: Examples, form: ImageFormat, cache: Path) -> RowFolder:
    key = {
        "version": PIXELS_VERSION,
        "source": examples.source,
        "fingerprint": examples.fingerprint,
        "height": form.size[0],
        "width": form.size[1],
        "resize": form.mode,
        "crop": form.crop,
        "count": len(examples),
    }
    return RowFolder(cache / "pixels" / _name(examples, form), "pixel cache", META_FILE, key)


def _name(examples: Examples, form: ImageFormat) -> str:
    # Without a crop the name is that of older versions, so that their caches stay valid.
    cropped = [] if form.crop == 1.0 else [form.crop]
    whole = [PIXELS_VERSION, examples.source, examples.fingerprint, *form.size, form.mode, *cropped]
    digest = hashlib.sha256(canonical_json(whole).encode("ascii")).hexdigest()
    return f"{form.size[1]}x{form.size[0]}-{form.mode}-{digest[:16]}"


def _build_all(
    examples: Examples,
    folder: RowFolder,
    form: ImageFormat,
    cache: Path,
    also: Sequence[ImageFormat],
    progress: Progress,
) -> None:
    """Build the folder, whose lock is held, and missing ones of other formats that no process builds."""
    with ExitStack() as held:
        folders = {folder: form}
        for one in also:
            other = _folder(examples, one, cache)
            if other.path != folder.path and held.enter_context(other.claimed()):
                folders[other] = one
        _build(examples, folders, progress)


def _build(examples: Examples, folders: Mapping[RowFolder, ImageFormat], progress: Progress) -> None:
    """Decode into temporary folders beside the targets, then rename them; after an error they are removed."""
    works = {folder: folder.path.with_name(f"{folder.path.name}{_UNFINISHED}") for folder in folders}
    for folder in folders:
        _clear_unfinished(folder.path)
        shutil.rmtree(folder.path, ignore_errors=True)
    next(iter(folders)).check_room(len(examples) * sum(form.stride for form in folders.values()))
    try:
        for work in works.values():
            work.mkdir()
        files = {works[folder] / ROWS_FILE: form for folder, form in folders.items()}
        decoded = decode_all(examples, files, progress)
        facts = {
            "task": examples.task,
            "quarantine": [
                [position, _code(why), f"image {examples.items[position]}", why]
                for position, why in sorted(decoded.failed.items())
            ],
            "sizes": [[*shape, number] for shape, number in sorted(decoded.sizes.items())],
        }
        for (folder, form), digests in zip(folders.items(), decoded.digests, strict=True):
            layout = RowLayout(ROWS_FILE, (len(examples), *form.size, 3), "|u1")
            folder.seal(works[folder], facts, layout, digests)
    finally:
        for work in works.values():
            shutil.rmtree(work, ignore_errors=True)


def _clear_unfinished(mine: Path) -> None:
    """Remove unfinished folders without a builder: mine, whose lock is held, and those not locked."""
    from filelock import FileLock, Timeout

    for leftover in mine.parent.glob(f"*{_UNFINISHED}*"):
        name = leftover.name.partition(_UNFINISHED)[0]
        if name == mine.name:
            shutil.rmtree(leftover, ignore_errors=True)
            continue
        lock = FileLock(lock_of(mine.with_name(name)))
        try:
            with lock.acquire(timeout=0):
                shutil.rmtree(leftover, ignore_errors=True)
        except (Timeout, OSError):
            continue


def _code(why: str) -> str:
    """Return the problem's code: the reason before its colon.

    >>> _code("too many pixels: 30000x30000, more than 64 million")
    'too_many_pixels'
    """
    return why.partition(":")[0].replace(" ", "_")
