"""Safe opening of regular files: never pipes or devices, which could block or be endless."""

from __future__ import annotations

import errno
import os
import stat
from io import FileIO

MAX_FILE_BYTES = 256 * 2**20
"""Size limit of files; photographs and tables of data sets are smaller."""

_OPEN_FLAGS = os.O_RDONLY
for _flag in ("O_CLOEXEC", "O_NONBLOCK", "O_BINARY"):
    _OPEN_FLAGS |= getattr(os, _flag, 0)
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
"""Flag of `open_regular`: refuse a link."""

_SYSTEM_LIMITS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


class NotAFile(OSError):
    """The path is not a regular file."""


class Refused(Exception):
    """A file cannot be used. code: one of these names; str(): a few words.

    `no_file`, `outside` (a link or path that leaves the folder), `not_a_file` (folder, pipe, device),
    `too_large`, `unreadable`.
    """

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


def open_regular(path: str | os.PathLike[str], flags: int = 0) -> FileIO:
    """Open a regular file, unbuffered. flags: additional flags. Raises OSError, NotAFile."""
    handle = os.open(path, _OPEN_FLAGS | flags)
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        raise NotAFile(errno.EINVAL, f"{file_type(mode)}, not a file")
    return FileIO(handle)


def read_regular(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a regular file of messybench. Raises OSError."""
    with open_regular(path) as file:
        return file.read()


def open_file(path: str | os.PathLike[str], flags: int = 0) -> FileIO:
    """Open a file named by the user. flags: of `open_regular`. Raises Refused."""
    try:
        return open_regular(path, flags)
    except (OSError, ValueError) as error:
        raise refusal(error) from None


def read_file(path: str | os.PathLike[str], max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Return the bytes of a file named by the user. Raises Refused, also for more than `max_bytes`."""
    with open_file(path) as file:
        return read_all(file, max_bytes)


def read_all(file: FileIO, max_bytes: int) -> bytes:
    """Return all bytes of an open file. Raises Refused for more than `max_bytes`."""
    try:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise Refused("too_large", too_large(size, max_bytes))
        chunks: list[bytes] = []
        left = max_bytes
        while left >= 0 and (chunk := file.read(min(left + 1, 2**24))):
            chunks.append(chunk)
            left -= len(chunk)
    except OSError as error:
        raise refusal(error) from None
    if left < 0:
        raise Refused("too_large", f"more than {max_bytes // 2**20} MiB")
    return b"".join(chunks)


def too_large(size: int, max_bytes: int) -> str:
    """Return the message for a file that is too large."""
    return f"{size / 2**20:,.0f} MiB, more than {max_bytes // 2**20}"


def refusal(error: Exception) -> Refused:
    """Return the refusal for a failed system call. Raises the error itself if the file is not to blame."""
    if isinstance(error, FileNotFoundError):
        return Refused("no_file", "no such file")
    if isinstance(error, NotAFile):
        return Refused("not_a_file", str(error.strerror))
    if isinstance(error, OSError):
        if error.errno in _SYSTEM_LIMITS:
            raise error
        if error.errno == errno.ELOOP:
            return Refused("outside", "a link that leads to itself or changed while it was opened")
        return Refused("unreadable", error.strerror or "cannot be read")
    return Refused("unreadable", "not a valid path")


def file_type(mode: int) -> str:
    """Return the type of a file that is not regular, from the mode of its status."""
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
