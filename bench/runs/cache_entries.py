"""Cache entries, with contents, size and last use."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench.core.locks import lock_of, unused
from bench.data.cache.sealed import Damaged, read_sealed

PART = ".part"
"""Marks the name of an unfinished folder."""

_NAMES = {
    "pixels": r".+-[0-9a-f]{16}(\.part.*)?",
    "features": r".+-[0-9a-f]{16}(\.part.*)?",
    "hashes": r"\.?[0-9a-f]{16}\.bin(-.*)?",
    "near_duplicates": r"\.?[0-9a-f]{16}\.bin(-.*)?",
    "libraries": r"(keras|matplotlib)(\.part.*)?",
    "checkpoints": r"\.?[0-9a-f]{64}.*\.npz(-.*)?",
}
"""Patterns of the names of files and folders, by contents; all others are ignored."""

META = {"pixels": "pixels.json", "features": "features.json"}
"""Description file in a folder, by contents."""


@dataclass(frozen=True)
class Entry:
    """One file or folder of a cache.

    contents: `pixels`, `features`, `hashes`, `near_duplicates`, `checkpoints`, or `libraries` (of Keras and
    Matplotlib). size: bytes. used: time of the last use, in seconds since 1970. state: `whole` (according to
    its description), `unfinished` or `damaged`. task, source, backbone, image ("64x48"), count: of the
    contents, "" and None if unknown.
    """

    contents: str
    path: Path
    size: int
    used: float
    state: str = "whole"
    task: str = ""
    source: str = ""
    backbone: str = ""
    image: str = ""
    count: int | None = None

    @contextmanager
    def exclusive(self) -> Iterator[bool]:
        """Lock it against other processes; yield whether none builds or uses it."""
        with ExitStack() as stack:
            files = [self.path]
            if self.contents in META:
                lock = lock_of(self.path.with_name(self.path.name.partition(PART)[0]))
                files = [lock, *_files(self.path)]
            elif self.contents == "checkpoints":
                files = [self.path.parent]
            free = [stack.enter_context(unused(path)) for path in files]
            yield all(free)


def find_entries(cache: Path) -> list[Entry]:
    """Return the entries of a cache, the least recently used first; links are ignored."""
    found = [
        entry
        for contents, describe in _DESCRIBE.items()
        for path in _children(cache / contents)
        if re.fullmatch(_NAMES[contents], path.name) and (entry := describe(path)) is not None
    ]
    return sorted(found, key=lambda entry: (entry.used, entry.contents, entry.path.name))


def _folder(contents: str, path: Path) -> Entry | None:
    if not path.is_dir():
        return None
    files = list(_files(path))
    times = [_status(file).st_mtime for file in files] or [_status(path).st_mtime]
    entry = Entry(contents, path, sum(_status(file).st_size for file in files), max(times))
    if PART in path.name:
        return replace(entry, state="unfinished")
    try:
        meta = read_sealed(path / META[contents])
        entry = replace(entry, used=_status(path / META[contents]).st_mtime)
        return _pixels(entry, meta) if contents == "pixels" else _features(entry, meta)
    except (Damaged, LookupError, TypeError, ValueError):
        return replace(entry, state="damaged")


def _pixels(entry: Entry, meta: Mapping[str, Any]) -> Entry:
    return replace(
        entry,
        task=str(meta["task"]),
        source=str(meta["source"]),
        image=f"{meta['width']}x{meta['height']}",
        count=int(meta["count"]),
    )


def _features(entry: Entry, meta: Mapping[str, Any]) -> Entry:
    height, width = meta["size"]
    return replace(
        entry,
        task=str(meta["origin"]["task"]),
        source=str(meta["origin"]["source"]),
        backbone=str(meta["backbone"]),
        image=f"{width}x{height}",
        count=int(meta["rows"]["shape"][0]),
    )


def _file(contents: str, path: Path) -> Entry | None:
    if not path.is_file():
        return None
    status = _status(path)
    entry = Entry(contents, path, status.st_size, status.st_mtime)
    if path.name.startswith("."):
        return replace(entry, state="unfinished")
    if contents == "hashes":
        from bench.data.hashing import hashed_folder

        return replace(entry, source=hashed_folder(path))
    return entry


def _library(path: Path) -> Entry | None:
    """Return the folder of a library, whose contents cannot be checked."""
    if not path.is_dir():
        return None
    statuses = [_status(Path(place, name)) for place, _, names in os.walk(path) for name in names]
    used = max((status.st_mtime for status in statuses), default=_status(path).st_mtime)
    state = "unfinished" if PART in path.name else "whole"
    return Entry("libraries", path, sum(status.st_size for status in statuses), used, state)


_DESCRIBE: dict[str, Callable[[Path], Entry | None]] = {
    "pixels": lambda path: _folder("pixels", path),
    "features": lambda path: _folder("features", path),
    "hashes": lambda path: _file("hashes", path),
    "near_duplicates": lambda path: _file("near_duplicates", path),
    "checkpoints": lambda path: _file("checkpoints", path),
    "libraries": _library,
}


def _children(folder: Path) -> list[Path]:
    """Return the files and folders in a folder, without links; none if it does not exist."""
    try:
        with os.scandir(folder) as found:
            return [Path(one.path) for one in found if not one.is_symlink()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _files(folder: Path) -> list[Path]:
    return [path for path in _children(folder) if path.is_file()]


def _status(path: Path) -> os.stat_result:
    try:
        return path.lstat()
    except FileNotFoundError:
        return os.stat_result((0,) * 10)
