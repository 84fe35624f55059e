"""Content hashes of a folder's files, remembered so that a second look only asks for sizes and times."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.data.files import DataFolder, Refused

CACHE_VERSION = 1

_SETTLED_NS = 100_000_000
"""A file changed less than this before it was hashed could change again without its times showing it."""

_STALE_SECONDS = 3600.0
_CHUNK = 128

Stamp = tuple[int, int, int]
"""Size, modification and change time in ns: while they hold, so does a remembered hash.

The change time is there because users can set the modification time back, but not that.
"""


@dataclass(frozen=True)
class Hashes:
    """sha256 (64 hex digits) by name, and the files that could not be hashed."""

    found: dict[str, str]
    refused: dict[str, Refused]


def hash_files(root: Path, names: Sequence[str], cache: Path) -> Hashes:
    """Return the content hashes of files of the folder, from the cache where size and times are unchanged.

    names: relative to root, `/` between parts. The cache is one file per folder below `cache`, replaced
    atomically; one that is damaged or cannot be written is only a loss of time. Files that are not
    regular, lie outside root or cannot be read are `refused`.
    """
    folder = DataFolder(root)
    path = cache / "hashes" / f"{hashlib.sha256(os.fsencode(folder.root)).hexdigest()[:16]}.bin"
    known = _load(path)
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
    _save(path, known)
    return Hashes({name: found[name] for name in names if name in found}, refused)


def _stamp(folder: DataFolder, name: str) -> Stamp:
    try:
        # Most files are plain: they cost this one system call, all others the full check.
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


def _load(path: Path) -> dict[str, tuple[Stamp, str]]:
    """Return what the cache file remembers; nothing when it is missing, damaged or of another version.

    Layout: the sha256 of the rest; version and count, 8 bytes each; sizes, mtimes and ctimes as columns
    of 8-byte integers; a column of 32-byte hashes; the names, separated by NUL.
    """
    try:
        raw = path.read_bytes()
    except OSError:
        return {}
    body = memoryview(raw)[32:]
    if len(body) < 16 or hashlib.sha256(body).digest() != raw[:32]:
        return {}
    version, count = struct.unpack("<qq", body[:16])
    if version != CACHE_VERSION:
        return {}
    times = struct.unpack(f"<{3 * count}q", body[16 : 16 + 24 * count])
    digests = bytes(body[16 + 24 * count : 16 + 56 * count]).hex()
    names = os.fsdecode(bytes(body[16 + 56 * count :])).split("\0") if count else []
    stamps = zip(times[:count], times[count : 2 * count], times[2 * count :], strict=True)
    hashes = (digests[start : start + 64] for start in range(0, 64 * count, 64))
    return dict(zip(names, zip(stamps, hashes, strict=True), strict=True))


def _save(path: Path, known: dict[str, tuple[Stamp, str]]) -> None:
    """Replace the cache file whole; of two processes the last one wins, and neither is ever half there."""
    columns = [stamp[part] for part in range(3) for stamp, _ in known.values()]
    digests = bytes.fromhex("".join(digest for _, digest in known.values()))
    body = (
        struct.pack(f"<qq{len(columns)}q", CACHE_VERSION, len(known), *columns)
        + digests
        + os.fsencode("\0".join(known))
    )
    mine = path.with_name(f"{path.stem}.{os.getpid()}-{time.monotonic_ns()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path)
        mine.write_bytes(hashlib.sha256(body).digest() + body)
        os.replace(mine, path)
    except OSError:
        # Only time is lost: the next call hashes again.
        with suppress(OSError):
            mine.unlink(missing_ok=True)


def _remove_stale(path: Path) -> None:
    """Remove what killed processes left behind."""
    for leftover in path.parent.glob(f"{path.stem}.*.tmp"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > _STALE_SECONDS:
                leftover.unlink()
