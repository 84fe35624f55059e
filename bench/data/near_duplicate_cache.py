"""Cache of the near duplicates of a data set."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from bench.core.cell import canonical_json
from bench.core.progress import Progress, no_progress
from bench.data.cache.sealed import Damaged, read_checked, write_checked
from bench.data.decoding import ImageFormat
from bench.data.examples import Examples
from bench.data.near_duplicates import SIDE, near_duplicate_pairs
from bench.data.pixels import ensure_pixels

log = logging.getLogger("bench.data.cache")

PAIRS_VERSION = 1
"""Bumped when the pairs of the same images change."""

FOLDER = "near_duplicates"

GREY_FORMAT = ImageFormat((SIDE, SIDE))
"""Format of compared images."""


def ensure_near_duplicates(examples: Examples, cache: Path, progress: Progress = no_progress) -> np.ndarray:
    """Return all near duplicates that are not byte-identical: (p, 2) rising positions.

    `near_duplicate_pairs` compares one image of each content. The result is cached in a file, replaced
    atomically, and computed again if the file is damaged or could not be written. Raises as `ensure_pixels`
    does.
    """
    path = near_duplicates_file(examples, cache)
    hashes = examples.images.content_hashes()
    found = _load(path, len(hashes))
    if found is None:
        pixels = ensure_pixels(examples, GREY_FORMAT.size, GREY_FORMAT.mode, cache, progress)
        first = {content: row for row, content in reversed(list(enumerate(hashes))) if pixels.ok[row]}
        rows = np.array(sorted(first.values()), np.int64)
        found = rows[near_duplicate_pairs(pixels, rows, progress)].reshape(-1, 2)
        _save(path, found)
    return _with_copies(found, hashes)


def missing_formats(examples: Examples, cache: Path) -> tuple[ImageFormat, ...]:
    """Return the format that `ensure_near_duplicates` needs, () if its result is cached."""
    return () if near_duplicates_file(examples, cache).exists() else (GREY_FORMAT,)


def near_duplicates_file(examples: Examples, cache: Path) -> Path:
    """Return the path of the file of a data set's near duplicates."""
    whole = [PAIRS_VERSION, examples.source, examples.fingerprint, SIDE]
    key = hashlib.sha256(canonical_json(whole).encode("ascii")).hexdigest()[:16]
    return cache / FOLDER / f"{key}.bin"


def _with_copies(pairs: np.ndarray, hashes: Sequence[str]) -> np.ndarray:
    """Extend the pairs to all images with the same contents."""
    rows: dict[str, list[int]] = {}
    for row, content in enumerate(hashes):
        rows.setdefault(content, []).append(row)
    every = [
        sorted((one, two))
        for first, second in pairs.tolist()
        for one in rows[hashes[first]]
        for two in rows[hashes[second]]
    ]
    return np.array(sorted(every), np.int64).reshape(-1, 2)


def read_near_duplicates(path: Path) -> np.ndarray:
    """Return the pairs in a file of the cache, (p, 2). Raises Damaged, FileNotFoundError.

    Layout: the sha256 of the rest; two 8-byte integers per pair.
    """
    body = read_checked(path)
    if len(body) % 16:
        raise Damaged(f"{path.name} does not hold pairs")
    return np.frombuffer(body, "<i8").reshape(-1, 2).astype(np.int64)


def _load(path: Path, count: int) -> np.ndarray | None:
    """Return the pairs in the file; None if it is missing, damaged, or of another number of images."""
    try:
        pairs = read_near_duplicates(path)
        os.utime(path)
    except FileNotFoundError:
        return None
    except Damaged as why:
        log.warning("near duplicates: %s; they are searched again", why)
        return None
    except OSError:
        pass
    return pairs if not len(pairs) or (pairs.min() >= 0 and pairs.max() < count) else None


def _save(path: Path, pairs: np.ndarray) -> None:
    """Replace the file whole; of two processes the last one wins, and both wrote the same."""
    # A failure only costs time: the next call searches again.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_checked(path, pairs.astype("<i8").tobytes())
