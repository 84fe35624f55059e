"""Temporary folder of a worker, removed with it, or at the next start after a kill."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING

from bench.core.errors import StoreError

if TYPE_CHECKING:
    from filelock import BaseFileLock

LEAST = 2**20
"""Free bytes that TensorFlow's temporary files need; its own error is unclear."""

PREFIX = "messybench-worker-"
_LOCK = ".lock"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder for the temporary files of one worker, and remove those of runs that were killed.

    A lock file beside it, held until the folder is gone, says that it is in use. Raises StoreError where
    the folder for temporary files cannot be written.
    """
    from filelock import FileLock

    place = Path(tempfile.gettempdir())
    _sweep(place)
    try:
        handle, name = tempfile.mkstemp(_LOCK, PREFIX, place)
        os.close(handle)
        lock = FileLock(name)
        # Another run's sweep may hold it briefly.
        lock.acquire(timeout=5)
        folder = Path(name.removesuffix(_LOCK))
        folder.mkdir(mode=0o700)
    except OSError as error:
        why = error.strerror or error
        raise StoreError(
            f"folder for temporary files {str(place)!r}: {why}; name another with TMPDIR=DIR"
        ) from None
    try:
        yield folder
    finally:
        _remove(folder, lock)


def why_full(folder: Path) -> str:
    """Return a message that a folder for temporary files is full, or ""."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return ""
    full = f"no space is left for temporary files in {str(folder.parent)!r} (name another folder with TMPDIR)"
    return full if free < LEAST else ""


def _sweep(place: Path) -> None:
    """Remove this user's folders that no run holds."""
    from filelock import FileLock, Timeout

    for path in place.glob(f"{PREFIX}*{_LOCK}"):
        with suppress(OSError, Timeout):
            # Another user's files here are neither opened nor followed.
            found = path.lstat()
            if not S_ISREG(found.st_mode) or found.st_uid != os.getuid():
                continue
            lock = FileLock(path)
            lock.acquire(timeout=0)
            _remove(Path(str(path).removesuffix(_LOCK)), lock)


def _remove(folder: Path, lock: BaseFileLock) -> None:
    """Remove a folder whose lock this process holds, then the lock file."""
    shutil.rmtree(folder, ignore_errors=True)
    lock.release()
    if not folder.exists():
        Path(lock.lock_file).unlink(missing_ok=True)
