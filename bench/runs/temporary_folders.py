"""Temporary folders of workers, removed at exit, or after a kill at the next start."""

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

MIN_FREE_BYTES = 2**20
"""Free bytes that TensorFlow's temporary files need; its own error is unclear."""

PREFIX = "messybench-worker-"
_LOCK = ".lock"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a temporary folder for one worker, and remove those of killed runs.

    A lock file beside it, held until the folder is removed, marks it as in use. Raises StoreError if the
    folder for temporary files cannot be written.
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


def full_disk_message(folder: Path) -> str:
    """Return a message if the disk of a temporary folder is full, else ""."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return ""
    full = f"no space is left for temporary files in {str(folder.parent)!r} (name another folder with TMPDIR)"
    return full if free < MIN_FREE_BYTES else ""


def _sweep(place: Path) -> None:
    """Remove this user's unlocked folders."""
    from filelock import FileLock, Timeout

    for path in place.glob(f"{PREFIX}*{_LOCK}"):
        with suppress(OSError, Timeout):
            # Never open or follow another user's files.
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
