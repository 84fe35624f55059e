"""Content hashes of a folder's files, cached by size and times."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import DataError
from bench.core.regular_files import Refused, open_regular
from bench.data.cache.sealed import Damaged, read_checked, write_checked
from bench.data.files import DataFolder

log = logging.getLogger("bench.data.cache")

CACHE_VERSION = 2

_SETTLED_NS = 100_000_000
"""Fewest ns between a file's change and its hashing; a later change could keep the same times otherwise."""

_ROW = "\x01row "
"""Between the name of a file with many images and a row; file names of a data set do not have it."""

_NO_IMAGE = "0" * 64

_STALE_SECONDS = 3600.0
_CHUNK = 128

Stamp = tuple[int, int, int]
"""Size, modification and change time in ns; a cached hash is valid while they are unchanged.

Users can set the modification time back, but not the change time.
"""


@dataclass(frozen=True)
class Hashes:
    """sha256 (64 hex digits) by name, and the files that could not be hashed."""

    found: dict[str, str]
    refused: dict[str, Refused]


def hash_files(folder: DataFolder, names: Sequence[str], cache: Path) -> Hashes:
    """Return the content hashes of files of the folder, from the cache if size and times are unchanged.

    names: relative to the folder, with `/`. The cache is one file per folder below `cache`, replaced
    atomically; a damaged one (logged) or one that cannot be written only costs time. Files that are not
    regular, outside the folder or unreadable are `refused`.
    """
    path, known = _known(folder, cache)
    found: dict[str, str] = {}
    refused: dict[str, Refused] = {}
    todo: dict[str, Stamp] = {}
    for name in names:
        try:
            stamp = _stamp(folder, name)
        except Refused as why:
            refused[name] = why
            continue
        old = known.get(name)
        if old is not None and old[0] == stamp:
            found[name] = old[1]
        else:
            todo[name] = stamp
    if not todo:
        return Hashes(found, refused)
    started = time.time_ns()
    for (name, stamp), result in zip(todo.items(), _hash_all(folder, tuple(todo)), strict=True):
        if isinstance(result, Refused):
            refused[name] = result
            continue
        found[name] = result
        if started - stamp[2] > _SETTLED_NS and max(stamp) < 2**63:
            known[name] = (stamp, result)
    _save(path, folder.root, known)
    return Hashes({name: found[name] for name in names if name in found}, refused)


def hash_rows(
    folder: DataFolder, shards: Mapping[str, int], read: Callable[[str], Iterator[bytes | None]], cache: Path
) -> dict[str, list[str]]:
    """Return the content hash of every image in files with many, "" for none; cached as `hash_files` does.

    shards: number of rows by file. read: yields the images of a file. Raises DataError for a file that
    cannot be used.
    """
    path, known = _known(folder, cache)
    found, fresh = {}, False
    for name, count in shards.items():
        try:
            stamp = _stamp(folder, name)
        except Refused as why:
            raise DataError(f"{folder.root}/{name}: {why}") from None
        keys = [f"{name}{_ROW}{row}" for row in range(count)]
        old = [known[key][1] for key in keys if key in known and known[key][0] == stamp]
        if len(old) < count:
            started = time.time_ns()
            old = [_NO_IMAGE if data is None else hashlib.sha256(data).hexdigest() for data in read(name)]
            if len(old) != count:
                raise DataError(f"{folder.root}/{name} changed while it was in use: run the command again")
            if started - stamp[2] > _SETTLED_NS and max(stamp) < 2**63:
                known.update({key: (stamp, digest) for key, digest in zip(keys, old, strict=True)})
                fresh = True
        found[name] = ["" if digest == _NO_IMAGE else digest for digest in old]
    if fresh:
        _save(path, folder.root, known)
    return found


def _known(folder: DataFolder, cache: Path) -> tuple[Path, dict[str, tuple[Stamp, str]]]:
    """Return the cache file of a folder, and the stamps and hashes in it."""
    path = cache / "hashes" / hashes_file(folder.root)
    known: dict[str, tuple[Stamp, str]] = {}
    try:
        known = read_hashes(path)[1]
        with suppress(OSError):
            os.utime(path)
    except FileNotFoundError:
        pass
    except Damaged as why:
        log.warning("hashes of %s: %s; all files are hashed again", folder.root, why)
    return path, known


def _stamp(folder: DataFolder, name: str) -> Stamp:
    try:
        # Most files are plain and need only this system call; others get the full check.
        status = os.lstat(f"{folder.root}/{name}")
        plain = stat.S_ISREG(status.st_mode) and folder.holds(name.rpartition("/")[0])
    except (OSError, ValueError):
        plain = False
    if not plain:
        status = folder.locate(name)[1]
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _hash_all(folder: DataFolder, names: Sequence[str]) -> list[str | Refused]:
    from concurrent.futures import ThreadPoolExecutor

    def hash_some(start: int) -> list[str | Refused]:
        return [_hash_one(folder, name) for name in names[start : start + _CHUNK]]

    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        return [result for some in pool.map(hash_some, range(0, len(names), _CHUNK)) for result in some]


def _hash_one(folder: DataFolder, name: str) -> str | Refused:
    try:
        with folder.open(name) as file:
            digest = hashlib.sha256()
            while block := file.read(2**20):
                digest.update(block)
            return digest.hexdigest()
    except Refused as why:
        return why
    except OSError as error:
        return Refused("unreadable", error.strerror or "cannot be read")


def hashes_file(root: str) -> str:
    """Return the name of the cache file for a folder."""
    return f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.bin"


def read_hashes(path: Path) -> tuple[str, dict[str, tuple[Stamp, str]]]:
    """Return the folder of a cache file, and the stamps and hashes of its files by name.

    Layout: the sha256 of the rest; version and count, 8 bytes each; sizes, mtimes and ctimes as columns
    of 8-byte integers; a column of 32-byte hashes; the folder and the names, separated by NUL. Raises
    FileNotFoundError, or Damaged for a damaged file or one of another folder.
    """
    body = memoryview(read_checked(path))
    if len(body) < 16:
        raise Damaged(f"{path.name} is cut short")
    version, count = struct.unpack("<qq", body[:16])
    if version != CACHE_VERSION:
        raise Damaged(f"{path.name} is of another version")
    if not 0 <= count <= (len(body) - 16) // 56:
        raise Damaged(f"{path.name} does not hold {count} files")
    times = struct.unpack(f"<{3 * count}q", body[16 : 16 + 24 * count])
    digests = bytes(body[16 + 24 * count : 16 + 56 * count]).hex()
    root, *names = os.fsdecode(bytes(body[16 + 56 * count :])).split("\0")
    if hashes_file(root) != path.name or len(names) != count:
        raise Damaged(f"{path.name} is of another folder, or has other names")
    stamps = zip(times[:count], times[count : 2 * count], times[2 * count :], strict=True)
    hashes = (digests[start : start + 64] for start in range(0, 64 * count, 64))
    return root, dict(zip(names, zip(stamps, hashes, strict=True), strict=True))


def hashed_folder(path: Path) -> str:
    """Return the folder of a cache file, unchecked, "" if unknown."""
    try:
        with open_regular(path) as file:
            version, count = struct.unpack("<qq", file.read(48)[32:])
            if version != CACHE_VERSION:
                return ""
            file.seek(48 + 56 * count)
            return os.fsdecode(file.read(4096).partition(b"\0")[0])
    except (OSError, ValueError, OverflowError, struct.error):
        return ""


def _save(path: Path, root: str, known: dict[str, tuple[Stamp, str]]) -> None:
    """Replace the cache file atomically; of two processes the last one wins."""
    columns = [stamp[place] for place in range(3) for stamp, _ in known.values()]
    digests = bytes.fromhex("".join(digest for _, digest in known.values()))
    body = (
        struct.pack(f"<qq{len(columns)}q", CACHE_VERSION, len(known), *columns)
        + digests
        + os.fsencode("\0".join((root, *known)))
    )
    # A failure only costs time: the next call hashes again.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        write_checked(path, body)


def _remove_stale(path: Path) -> None:
    """Remove leftovers of killed processes."""
    for leftover in path.parent.glob(f".{path.name}-*"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _STALE_SECONDS:
                leftover.unlink()
