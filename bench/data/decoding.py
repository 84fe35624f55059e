"""Decodes every image of a data set, side by side, into one file of rows; keeps a list of those that fail."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import numpy as np

from bench.data.examples import Examples, ImageError
from bench.data.images import resize
from bench.errors import StoreError
from bench.progress import Progress

_BLOCK = 32


@dataclass(frozen=True)
class Decoded:
    """failed: reason by position, for images whose row stays zero. sizes: images by (height, width)."""

    failed: Mapping[int, str]
    sizes: Mapping[tuple[int, int], int]


def stride(size: tuple[int, int]) -> int:
    """Return the bytes of one image of this (height, width)."""
    return size[0] * size[1] * 3


def workers() -> int:
    """Return how many threads decode: one per core this process may use, until Python itself is the limit."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, 16)


def decode_all(
    examples: Examples, size: tuple[int, int], mode: str, path: Path, progress: Progress, crop: float = 1.0
) -> Decoded:
    """Write all images, resized, to a new file at `path` and make sure they are on the disk.

    size, mode, crop: of `bench.data.images.resize`.
    Row i starts at byte i * height * width * 3. Memory is one image per thread whatever the number of
    images. Raises StoreError when the file cannot be written, and whatever but ImageError reading raises.
    """
    count = len(examples)
    stop = Event()
    failed: dict[int, str] = {}
    sizes: Counter[tuple[int, int]] = Counter()
    what = f"decoding to {size[1]}x{size[0]}"
    handle = _create(path, count * stride(size))
    try:
        with ThreadPoolExecutor(workers()) as pool:
            try:
                starts = range(0, count, _BLOCK)
                tasks = (range(start, min(start + _BLOCK, count)) for start in starts)
                for block in pool.map(
                    lambda task: _decode_block(examples, size, mode, crop, handle, task, stop), tasks
                ):
                    failed.update(block.failed)
                    sizes.update(block.sizes)
                    progress(min(len(failed) + sizes.total(), count), count, what)
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        os.fsync(handle)
    except OSError as error:
        raise no_room(path, error) from None
    finally:
        os.close(handle)
    return Decoded(failed, sizes)


def _decode_block(
    examples: Examples,
    size: tuple[int, int],
    mode: str,
    crop: float,
    handle: int,
    positions: range,
    stop: Event,
) -> Decoded:
    failed: dict[int, str] = {}
    sizes: Counter[tuple[int, int]] = Counter()
    for position in positions:
        if stop.is_set():
            break
        try:
            image = examples.images.read(position)
        except ImageError as error:
            failed[position] = str(error)
            continue
        sizes[image.shape[0], image.shape[1]] += 1
        row = np.ascontiguousarray(resize(image, size, mode, crop))
        _write(handle, row.data.cast("B"), position * stride(size))
    return Decoded(failed, sizes)


def _create(path: Path, length: int) -> int:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise no_room(path, error) from None
    try:
        os.ftruncate(handle, length)
    except OSError as error:
        os.close(handle)
        raise no_room(path, error) from None
    return handle


def _write(handle: int, view: memoryview, offset: int) -> None:
    while view:
        written = os.pwrite(handle, view, offset)
        view, offset = view[written:], offset + written


def no_room(path: Path, error: OSError) -> StoreError:
    """Return the one-line error for a pixel cache that cannot be written."""
    why = error.strerror or str(error)
    return StoreError(
        f"pixel cache {path.parent}: cannot be written ({why}); make room or choose another --cache DIR"
    )
