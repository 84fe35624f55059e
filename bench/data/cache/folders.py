"""Folders of the cache, built again if they are missing or damaged."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.atomic_folders import replace_folder
from bench.core.errors import StoreError
from bench.core.locks import lock_of, take_lock
from bench.core.regular_files import read_regular
from bench.data.cache.rows import RowFile, RowLayout
from bench.data.cache.sealed import Damaged, digest, read_sealed, write_sealed

FORMAT = 2
"""Bumped when the layout changes; folders of another format are built again."""

DIGESTS_FILE = "digests.xxh3"
_TRIES = 3

log = logging.getLogger("bench.data.cache")


@dataclass(frozen=True, eq=False)
class Opened:
    """The contents of a folder: its description and its rows."""

    facts: Mapping[str, Any]
    file: RowFile


@dataclass(frozen=True, eq=False)
class RowFolder:
    """A folder with rows, a digest for each, and a sealed description of them.

    path: the folder; its name has a digest of the key, and so of everything the rows depend on. what: its
    name in messages. meta: the file of the description.
    """

    path: Path
    what: str
    meta: str
    key: Mapping[str, Any]

    def ensure(
        self,
        build: Callable[[], None],
        waiting: Callable[[], object],
        bad: RowFile | None = None,
        why: str = "",
    ) -> Opened:
        """Return the contents of the folder, building it if it is missing or damaged.

        Two processes build the same folder once. build: makes the folder. waiting: called once if another
        process is building it. bad, why: an opened file that turned out damaged, and the damage. Rebuilding
        after damage is logged. Raises StoreError if the folder cannot be written, and what build raises.
        """
        if bad is None:
            with suppress(Damaged):
                if (found := self.open()) is not None:
                    return found
        for _ in range(_TRIES):
            with self._sole_builder(waiting):
                try:
                    found = self.open()
                    if found is not None and (bad is None or found.file.place != bad.place):
                        return found
                except Damaged as error:
                    why = str(error)
                if why:
                    log.warning("%s %s: %s; it is built again", self.what, self.path.name, why)
                try:
                    build()
                    found = self.open()
                except FileNotFoundError:
                    why = "removed while it was being built"
                    continue
                except Damaged as error:
                    why = str(error)
                    continue
                except OSError as error:
                    raise self.unwritable(error) from None
                if found is not None:
                    return found
                why = "removed while it was being built"
        raise StoreError(
            f"{self.what} {self.path}: cannot be read back ({why}); "
            "check the disk or choose another --cache DIR"
        )

    @contextmanager
    def claimed(self) -> Iterator[bool]:
        """Lock the folder; yield whether it is missing and no other process builds it."""
        from filelock import FileLock, Timeout

        lock = FileLock(lock_of(self.path))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        except OSError as error:
            raise self.unwritable(error) from None
        try:
            yield not self.path.is_dir()
        finally:
            lock.release()

    def open(self) -> Opened | None:
        """Return the contents of the folder, None if there is none. Raises Damaged.

        Marks the folder as in use and updates its time of last use.
        """
        if not self.path.is_dir():
            return None
        opened = open_folder(self.path, self.meta)
        with suppress(OSError):
            os.utime(self.path / self.meta)
        return opened

    def seal(self, work: Path, facts: Mapping[str, Any], layout: RowLayout, digests: np.ndarray) -> None:
        """Write the description of the rows in the folder `work`, and rename it to `path`. Raises OSError."""
        described = {"format": FORMAT, "name": self.path.name, **self.key, **facts}
        rows = {**layout.to_json(), "digests": write_digests(work / DIGESTS_FILE, digests)}
        write_sealed(work / self.meta, {**described, "rows": rows})
        replace_folder(work, self.path)

    def check_room(self, needed: int) -> None:
        """Raise StoreError if the disk has less room, before anything is computed. needed: in bytes."""
        free = shutil.disk_usage(self.path.parent).free
        if needed > free:
            raise StoreError(
                f"{self.what} {self.path}: needs {needed / 2**30:.1f} GiB, {free / 2**30:.1f} GiB are free; "
                "make room or choose another --cache DIR"
            )

    def unwritable(self, error: OSError) -> StoreError:
        """Return the one-line error for a folder that cannot be written."""
        return StoreError(
            f"{self.what} {self.path}: cannot be written ({error.strerror or error}); "
            "make room or choose another --cache DIR"
        )

    @contextmanager
    def _sole_builder(self, waiting: Callable[[], object]) -> Iterator[None]:
        try:
            lock = take_lock(lock_of(self.path), waiting)
        except OSError as error:
            raise self.unwritable(error) from None
        try:
            yield
        finally:
            lock.release()


def open_folder(folder: Path, meta: str) -> Opened:
    """Return the contents of a folder; rows are checked when they are read. Raises Damaged."""
    facts = read_sealed(folder / meta)
    try:
        if facts["format"] != FORMAT:
            raise Damaged("it has another format")
        if facts["name"] != folder.name:
            raise Damaged(f"it is {facts['name']} under another name")
        layout = RowLayout.from_json(facts["rows"])
        file = RowFile(
            folder / layout.name, layout, read_digests(folder / DIGESTS_FILE, facts["rows"]["digests"])
        )
    except (KeyError, TypeError, ValueError):
        raise Damaged(f"{meta} is incomplete") from None
    except OSError as error:
        raise Damaged(f"{error.filename and Path(error.filename).name}: {error.strerror}") from None
    if file.length != layout.size or len(file.digests) != layout.shape[0]:
        raise Damaged(f"{layout.name} has {file.length:,} bytes, not {layout.size:,}")
    if layout.start and digest(file.head()) != layout.head:
        raise Damaged(f"the head of {layout.name} does not match its digest")
    return Opened(facts, file)


def write_digests(path: Path, digests: np.ndarray) -> str:
    """Write digests of rows, sync, and return the digest of them all."""
    data = digests.astype("<u8").tobytes()
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return digest(data)


def read_digests(path: Path, expected: str) -> np.ndarray:
    """Return (n,) uint64 digests. Raises Damaged unless their own digest is `expected`."""
    try:
        data = read_regular(path)
    except OSError as error:
        raise Damaged(f"{path.name}: {error.strerror or error}") from None
    if digest(data) != expected or len(data) % 8:
        raise Damaged(f"{path.name} does not match its digest")
    return np.frombuffer(data, "<u8").astype(np.uint64)
