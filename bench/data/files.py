"""Opening the files of a data folder: regular files inside the folder, and nothing else, ever."""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO

MAX_FILE_BYTES = 256 * 2**20
"""Larger files are refused: no photograph or table of a data set is larger."""

_OPEN_FLAGS = os.O_RDONLY
for _flag in ("O_CLOEXEC", "O_NONBLOCK", "O_NOFOLLOW", "O_BINARY"):
    _OPEN_FLAGS |= getattr(os, _flag, 0)
_OUR_OWN_TROUBLE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


class Refused(Exception):
    """A file of the data folder cannot be used. kind: one of the fixed names below; str(): a few words.

    `no_file`, `outside` (a link or path that leaves the folder), `not_a_file` (folder, pipe, device),
    `too_large`, `unreadable`.
    """

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


class DataFolder:
    """A folder whose files are read by name: relative, `/` between the parts.

    A symbolic link, on the file or on a folder on the way to it, is followed only to a place inside.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = os.path.realpath(root)
        self._inside: dict[str, bool] = {}

    def holds(self, parent: str) -> bool:
        """Whether folder `parent` ("" is the folder itself) really lies inside; asked of the disk once."""
        known = self._inside.get(parent)
        if known is None:
            parts = parent.replace("\\", "/").split("/")
            plain = not os.path.isabs(parent) and not parent.startswith(("/", "\\")) and ".." not in parts
            known = plain and self._lies_inside(parent)
            self._inside[parent] = known
        return known

    def _lies_inside(self, parent: str) -> bool:
        path = f"{self.root}/{parent}"
        try:
            # A folder that is no link lies where the one it is in lies; data may have thousands of them.
            if parent and stat.S_ISDIR(os.lstat(path).st_mode):
                return self.holds(parent.rpartition("/")[0])
        except (OSError, ValueError):
            pass
        return self._contains(os.path.realpath(path))

    def _contains(self, path: str) -> bool:
        return path == self.root or path.startswith(self.root.rstrip(os.sep) + os.sep)

    def locate(self, name: str) -> tuple[str, os.stat_result]:
        """Return the path to open, and its status, for a regular file of the folder. Raises Refused."""
        parent, _, last = name.rpartition("/")
        path = f"{self.root}/{name}"
        try:
            if name.startswith("/") or last == ".." or not self.holds(parent):
                raise Refused("outside", "the path leaves the data folder")
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                path = os.path.realpath(path, strict=True)
                if not self._contains(path):
                    raise Refused("outside", "a link that leaves the data folder")
                status = os.lstat(path)
        except (OSError, ValueError) as error:
            raise _refusal(error) from None
        if not stat.S_ISREG(status.st_mode):
            raise Refused("not_a_file", f"{_sort_of(status.st_mode)}, not a file")
        if status.st_size > MAX_FILE_BYTES:
            raise Refused(
                "too_large", f"{status.st_size / 2**20:,.0f} MiB, more than {MAX_FILE_BYTES // 2**20}"
            )
        return path, status

    def open(self, name: str) -> BinaryIO:
        """Open a regular file for reading, unbuffered; never blocks on a pipe. Raises Refused."""
        path, _ = self.locate(name)
        try:
            # What was a file a moment ago may be a link or a pipe now, so the open itself is guarded too.
            handle = os.open(path, _OPEN_FLAGS)
        except OSError as error:
            raise _refusal(error) from None
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise Refused("not_a_file", "not a file")
        return os.fdopen(handle, "rb", buffering=0)

    def read(self, name: str) -> bytes:
        """Return the bytes of a regular file. Raises Refused."""
        with self.open(name) as file:
            try:
                return file.read()
            except OSError as error:
                raise _refusal(error) from None


def _refusal(error: Exception) -> Refused:
    """Return the refusal for a failed system call. Raises the error itself if it is not the file's fault."""
    if isinstance(error, FileNotFoundError):
        return Refused("no_file", "no such file")
    if isinstance(error, OSError):
        if error.errno in _OUR_OWN_TROUBLE:
            raise error
        if error.errno == errno.ELOOP:
            return Refused("outside", "a link that leads to itself or changed while it was opened")
        return Refused("unreadable", error.strerror or "cannot be read")
    return Refused("unreadable", "not a path that can be opened")


def _sort_of(mode: int) -> str:
    for test, name in (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISBLK, "a device"),
        (stat.S_ISCHR, "a device"),
    ):
        if test(mode):
            return name
    return "something else"
