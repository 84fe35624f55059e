"""Files that only one process at a time holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from filelock import BaseFileLock


def take_lock(path: Path, waiting: Callable[[], object]) -> BaseFileLock:
    """Return a lock on a file, taken; `waiting()` is called once where another process has it.

    Folders above are made. Raises OSError where the file cannot be written.
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
