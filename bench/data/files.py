"""Safe access to the files of an untrusted data folder: regular files inside it only."""

from __future__ import annotations

import os
import stat
from io import FileIO
from pathlib import Path

from bench.core.errors import DataError
from bench.core.regular_files import (
    MAX_FILE_BYTES,
    NO_LINK,
    Refused,
    file_type,
    open_file,
    read_all,
    refusal,
    too_large,
)

LEAVES = "a link out of the data folder (--follow-links reads it)"


class DataFolder:
    """A folder whose files are read by relative names with `/`.

    Symbolic links, of the file or of a parent folder, are followed only within the folder, unless
    follow_links is set. Names that lead out of the folder ("..", absolute) are refused, and only regular
    files are opened.
    """

    def __init__(self, root: str | os.PathLike[str], follow_links: bool = False) -> None:
        self.root = os.path.realpath(root)
        self.follow_links = follow_links
        self._inside: dict[str, bool] = {}

    def holds(self, parent: str) -> bool:
        """Return whether the subfolder `parent` ("" for the folder itself) is really inside; cached."""
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
            # A folder that is not a link is inside if its parent is; data may have thousands of folders.
            if parent and stat.S_ISDIR(os.lstat(path).st_mode):
                return self.holds(parent.rpartition("/")[0])
        except (OSError, ValueError):
            pass
        return self._contains(os.path.realpath(path))

    def _contains(self, path: str) -> bool:
        return self.follow_links or path == self.root or path.startswith(self.root.rstrip(os.sep) + os.sep)

    def locate(self, name: str, max_bytes: int = MAX_FILE_BYTES) -> tuple[str, os.stat_result]:
        """Return the path to open, and its status, for a regular file of the folder.

        max_bytes: its largest size in bytes. Raises Refused.
        """
        parent, _, last = name.rpartition("/")
        path = f"{self.root}/{name}"
        try:
            if name.startswith("/") or last == ".." or not self.holds(parent):
                raise Refused("outside", "the path leaves the data folder")
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                path = os.path.realpath(path, strict=True)
                if not self._contains(path):
                    raise Refused("outside", LEAVES)
                status = os.lstat(path)
        except (OSError, ValueError) as error:
            raise refusal(error) from None
        if not stat.S_ISREG(status.st_mode):
            raise Refused("not_a_file", f"{file_type(status.st_mode)}, not a file")
        if status.st_size > max_bytes:
            raise Refused("too_large", too_large(status.st_size, max_bytes))
        return path, status

    def open(self, name: str, max_bytes: int = MAX_FILE_BYTES) -> FileIO:
        """Open a regular file for reading, unbuffered; never blocks on a pipe. Raises Refused.

        max_bytes: its largest size in bytes.
        """
        path, _ = self.locate(name, max_bytes)
        # The file may have become a link or a pipe since, so opening is guarded, too.
        file = open_file(path, NO_LINK)
        if not self._is_inside(path, os.fstat(file.fileno())):
            file.close()
            raise Refused("outside", "its folder was replaced by a link out of the data folder")
        return file

    def _is_inside(self, path: str, opened: os.stat_result) -> bool:
        """Return whether an open file is really inside; a parent folder may have become a link."""
        real = os.path.realpath(path)
        try:
            return self._contains(real) and os.path.samestat(os.lstat(real), opened)
        except OSError:
            return False

    def read(self, name: str) -> bytes:
        """Return the bytes of a regular file. Raises Refused."""
        with self.open(name) as file:
            return read_all(file, MAX_FILE_BYTES)


def open_folder(folder: Path, layout: str, follow_links: bool) -> DataFolder:
    """Return a data folder. Raises DataError if it is not a folder. layout: its expected contents."""
    if not os.path.isdir(folder):
        raise DataError(f"data folder {str(folder)!r} does not exist or is not a folder; {layout}")
    return DataFolder(folder, follow_links)
