"""Parallel decoding of all images of a data set into files of rows."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import numpy as np

from bench.core.processor import usable_cores
from bench.core.progress import Progress
from bench.data.cache.rows import digests_of
from bench.data.examples import Examples, FileOrder, ImageError
from bench.data.images import resize

_BLOCK = 32


@dataclass(frozen=True)
class ImageFormat:
    """A format of resized images: (height, width), mode and crop, see `bench.data.images.resize`."""

    size: tuple[int, int]
    mode: str = "squash"
    crop: float = 1.0

    @property
    def stride(self) -> int:
        """Bytes of one image."""
        return self.size[0] * self.size[1] * 3


@dataclass(frozen=True)
class Decoded:
    """Outcome of decoding.

    failed: reasons by position; the rows of these images are zero. sizes: images by (height, width).
    digests: of each row, (n,) uint64, for each form.
    """

    failed: Mapping[int, str]
    sizes: Mapping[tuple[int, int], int]
    digests: Sequence[np.ndarray]


def workers() -> int:
    """Return the number of threads: one per core this process may use, at most 16 (Python is the limit)."""
    return min(usable_cores(), 16)


def decode_all(examples: Examples, files: Mapping[Path, ImageFormat], progress: Progress) -> Decoded:
    """Write all images to new files, one per format, and sync them.

    files: formats by path; progress counts the first one's images. Every image is decoded once.
    Row i starts at byte i * height * width * 3. Memory is one image per thread. Raises OSError if a file
    cannot be written, and what reading raises, except ImageError.
    """
    count, forms = len(examples), list(files.values())
    stop = Event()
    failed: dict[int, str] = {}
    sizes: Counter[tuple[int, int]] = Counter()
    digests = [np.empty(count, np.uint64) for _ in forms]
    what = f"decoding to {forms[0].size[1]}x{forms[0].size[0]}"
    handles: list[int] = []
    try:
        for path, form in files.items():
            handles.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
            os.ftruncate(handles[-1], count * form.stride)
        outputs = list(zip(forms, handles, strict=True))
        with ThreadPoolExecutor(workers()) as pool:
            try:
                images = examples.images
                order = images.stored_order() if isinstance(images, FileOrder) else range(count)
                tasks = [order[start : start + _BLOCK] for start in range(0, count, _BLOCK)]
                blocks = pool.map(lambda task: _decode_block(examples, outputs, task, stop), tasks)
                for task, block in zip(tasks, blocks, strict=True):
                    failed.update(block.failed)
                    sizes.update(block.sizes)
                    for whole, own in zip(digests, block.digests, strict=True):
                        whole[task] = own
                    progress(min(len(failed) + sizes.total(), count), count, what)
            except BaseException:
                stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        for handle in handles:
            os.fsync(handle)
    finally:
        for handle in handles:
            os.close(handle)
    return Decoded(failed, sizes, digests)


def _decode_block(
    examples: Examples, outputs: Sequence[tuple[ImageFormat, int]], positions: Sequence[int], stop: Event
) -> Decoded:
    """Write these images to each of the open files, in its format."""
    failed: dict[int, str] = {}
    sizes: Counter[tuple[int, int]] = Counter()
    blank = [digests_of(memoryview(bytes(form.stride)), form.stride) for form, _ in outputs]
    digests = [np.full(len(positions), own, np.uint64) for own in blank]
    for index, position in enumerate(positions):
        if stop.is_set():
            break
        try:
            image = examples.images.read(position)
        except ImageError as error:
            failed[position] = str(error)
            continue
        sizes[image.shape[0], image.shape[1]] += 1
        for (form, handle), own in zip(outputs, digests, strict=True):
            row = np.ascontiguousarray(resize(image, form.size, form.mode, form.crop))
            data = row.data.cast("B")
            [own[index]] = digests_of(data, len(data))
            _write(handle, data, position * form.stride)
    return Decoded(failed, sizes, digests)


def _write(handle: int, view: memoryview, offset: int) -> None:
    while view:
        written = os.pwrite(handle, view, offset)
        view, offset = view[written:], offset + written
