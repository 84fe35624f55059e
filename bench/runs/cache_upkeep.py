"""Verification of a cache, and removal of entries by age or total size."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import BenchError, StoreError
from bench.data.cache.sealed import Damaged
from bench.runs.cache_entries import META, PART, Entry

_BLOCK = 64 * 2**20
"""Bytes checked at a time, at least one row."""

_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}
_HOURS = {"h": 1, "d": 24, "w": 168}


@dataclass(frozen=True)
class Pruned:
    """Result of clearing a cache.

    removed: entries that were, or would be, removed. in_use: entries spared because they are in use. stays:
    bytes left.
    """

    removed: Sequence[Entry]
    in_use: Sequence[Entry]
    stays: int


def parse_size(text: str) -> int:
    """Parse a size like 20GB, 500 MB or 1.5GiB into bytes. Raises BenchError.

    >>> parse_size("20GB"), parse_size("0.5 KiB")
    (20000000000, 512)
    """
    match = re.fullmatch(r"\s*(\d{1,12}(?:\.\d{1,6})?)\s*([a-zA-Z]{1,3})\s*", text, re.ASCII)
    if not match or match[2].upper() not in _UNITS:
        raise BenchError(f"--max-size {text!r}: write a number and a unit, for example 500MB, 20GB or 1.5GiB")
    return int(float(match[1]) * _UNITS[match[2].upper()])


def parse_age(text: str) -> float:
    """Parse an age like 12h, 30d or 4w into seconds. Raises BenchError.

    >>> parse_age("30d") / 86400
    30.0
    """
    match = re.fullmatch(r"\s*(\d{1,6}(?:\.\d{1,6})?)\s*([hdw])\s*", text, re.ASCII)
    if not match:
        raise BenchError(f"--older-than {text!r}: write hours, days or weeks, for example 12h, 30d or 4w")
    return float(match[1]) * 3600.0 * _HOURS[match[2]]


def prune(
    entries: Sequence[Entry], max_size: int | None, before: float | None, dry_run: bool = False
) -> Pruned:
    """Remove entries, the least recently used first.

    Entries last used before the time `before` are removed, then more until at most max_size bytes are left;
    None sets no limit. Entries in use stay. Raises StoreError for an entry that cannot be removed.
    """
    total = sum(entry.size for entry in entries)
    removed: list[Entry] = []
    busy: list[Entry] = []
    for entry in entries:
        if not ((before is not None and entry.used < before) or (max_size is not None and total > max_size)):
            continue
        with entry.exclusive() as free:
            if free and not dry_run:
                _remove(entry)
        (removed if free else busy).append(entry)
        total -= entry.size if free else 0
    return Pruned(removed, busy, total)


def _remove(entry: Entry) -> None:
    try:
        if entry.path.is_dir():
            # Renamed first: nobody reads half of it, and after a kill its name marks it unfinished.
            doomed = entry.path.with_name(f"{entry.path.name}{PART}-{os.getpid()}")
            os.rename(entry.path, doomed)
            shutil.rmtree(doomed)
        else:
            entry.path.unlink(missing_ok=True)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreError(f"{entry.path}: cannot be removed ({error.strerror or error})") from None


def verify(entry: Entry, progress: Callable[[int], object]) -> str:
    """Read an entry and return its fault, "" for none. progress: called with the bytes read."""
    try:
        for done in _checked(entry):
            progress(done)
    except Damaged as why:
        return str(why)
    except FileNotFoundError:
        return "removed in the meantime"
    return ""


def _checked(entry: Entry) -> Iterator[int]:
    if entry.state == "unfinished":
        return
    if entry.contents in META:
        yield from _rows_checked(entry.path, META[entry.contents])
    elif entry.contents == "hashes":
        from bench.data.hashing import read_hashes

        read_hashes(entry.path)
    elif entry.contents == "near_duplicates":
        from bench.data.near_duplicate_cache import read_near_duplicates

        read_near_duplicates(entry.path)
    elif entry.contents == "checkpoints":
        from bench.training.nets.checkpoints import read_checkpoint

        if read_checkpoint(entry.path) is None:
            raise Damaged("it cannot be read, or is another cell's")


def _rows_checked(folder: Path, meta: str) -> Iterator[int]:
    import numpy as np

    from bench.data.cache.folders import open_folder

    file = open_folder(folder, meta).file
    count, step = file.layout.shape[0], file.layout.step
    each = max(1, _BLOCK // max(step, 1))
    for start in range(0, count, each):
        rows = np.arange(start, min(start + each, count))
        file.fill(rows, np.empty((len(rows), step), np.uint8))
        yield int(rows[-1] + 1) * step
