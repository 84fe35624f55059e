"""Exclusive locks between processes, and marks on files in use."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock


def take_lock(path: Path, waiting: Callable[[], object]) -> BaseFileLock:
    """Acquire and return a lock on a file; `waiting()` is called once if another process holds it.

    Missing parent folders are made. Raises OSError if the file cannot be written.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        waiting()
        lock.acquire()
    return lock


def lock_of(path: Path) -> Path:
    """Return the lock file of a file or folder of the cache, held while it is built or removed."""
    return path.with_name(f"{path.name}.lock")


def share(handle: int) -> None:
    """Mark an open file or folder as in use until it is closed (a shared lock).

    Waits while another process removes it or checks that it may. No effect on file systems without locks.
    """
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_SH)


class InUse:
    """Shared lock that marks a folder as in use while this object lives; a missing folder is made.

    No effect if the folder cannot be made or opened.
    """

    def __init__(self, folder: Path) -> None:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            self.handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            share(self.handle)

    def __del__(self) -> None:
        if hasattr(self, "handle"):
            os.close(self.handle)


@contextmanager
def unused(path: Path) -> Iterator[bool]:
    """Yield whether a file or folder is unused; nobody can mark it during the context.

    A missing file is unused; a file that cannot be locked counts as in use.
    """
    how = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        try:
            # Network file systems give exclusive locks only to files open for writing.
            handle = os.open(path, how | os.O_RDWR)
        except OSError:
            handle = os.open(path, how | os.O_RDONLY)
    except FileNotFoundError:
        yield True
        return
    except OSError:
        yield False
        return
    free = False
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        yield free
    finally:
        os.close(handle)
