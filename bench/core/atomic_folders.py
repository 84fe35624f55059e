"""Durable, atomic replacement of folders."""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
from functools import cache
from pathlib import Path
from typing import Any

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_NOT_EMPTY = (errno.ENOTEMPTY, errno.EEXIST)
_NO_EXCHANGE = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EXDEV)


def new_folder(parent: Path, prefix: str) -> Path:
    """Make a folder with a new name and return it. Unlike those of `tempfile`, it follows the umask."""
    while True:
        path = parent / f"{prefix}{secrets.token_hex(6)}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path


def make_folders(folder: Path) -> None:
    """Make a folder and its missing parents, and sync them to disk."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync(path.parent)


def sync(path: Path) -> None:
    """Sync a file, or a folder's list of names, to disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some file systems sync folders by themselves and refuse the call.
        if not path.is_dir() or error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def sync_all(folder: Path) -> None:
    """Sync every file of a folder, and the folder itself, to disk."""
    for path in sorted(folder.iterdir()):
        sync(path)
    sync(folder)


def replace_folder(work: Path, target: Path) -> None:
    """Rename the folder `work` to `target`, replacing an older one, and sync.

    Both are in one parent folder. The two names are exchanged in one step, so that `target` always exists;
    the older folder is then called `work`, and the caller removes it. If the file system cannot exchange
    names, the older folder is moved into a new folder of `work`'s prefix first. Raises OSError; the older
    folder then stays.
    """
    try:
        os.rename(work, target)
    except OSError as error:
        if error.errno not in _NOT_EMPTY:
            raise
        if not exchange(work, target):
            _in_two_steps(work, target)
    sync(target.parent)


def _in_two_steps(work: Path, target: Path) -> None:
    aside = new_folder(work.parent, f"{work.name}-")
    try:
        os.rename(target, aside / target.name)
        try:
            os.rename(work, target)
        except OSError:
            os.rename(aside / target.name, target)
            raise
    finally:
        if target.exists():
            shutil.rmtree(aside, ignore_errors=True)


def exchange(one: Path, other: Path) -> bool:
    """Exchange the names of two files or folders in one step; return False if that is not supported.

    Raises OSError for any other failure.
    """
    renameat2 = _renameat2()
    if renameat2 is None:
        return False
    names = (os.fsencode(one), os.fsencode(other))
    if renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in _NO_EXCHANGE:
        return False
    raise OSError(code, os.strerror(code), str(one), None, str(other))


@cache
def _renameat2() -> Any:
    """Return the C library's function, None if it has none (other systems, an old library)."""
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is not None:
        function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
        function.restype = ctypes.c_int
    return function
