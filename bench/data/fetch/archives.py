"""Safe extraction of tar and zip archives: regular files only, all inside the folder, within limits."""

from __future__ import annotations

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import IO

from bench.core.errors import DataError
from bench.core.safe_text import visible

MOST_FILES = 500_000
MOST_DEPTH = 12
_BLOCK = 1 << 20

Member = tuple[str, bool, IO[bytes] | None]
"""Name, whether it is a folder, and the content of a file."""


def unpack(archive: Path, folder: Path, max_bytes: int) -> None:
    """Unpack a tar or zip file into a new folder.

    max_bytes: bytes of all files together. Permissions and times are not restored. Raises DataError for an
    archive that is damaged, larger, or holds a link, a device, a path that leaves the folder, or a file
    twice; what was unpacked until then stays in `folder`.
    """
    folder.mkdir()
    left, count = max_bytes, 0
    try:
        for name, is_folder, content in _members(archive):
            path = folder / _inside(archive, name)
            count += 1
            if count > MOST_FILES:
                raise _refused(archive, f"it holds more than {MOST_FILES:,} files")
            if is_folder:
                path.mkdir(parents=True, exist_ok=True)
                continue
            assert content is not None
            path.parent.mkdir(parents=True, exist_ok=True)
            with content, path.open("xb") as file:
                while block := content.read(min(_BLOCK, left + 1)):
                    left -= len(block)
                    if left < 0:
                        raise _refused(archive, f"it unpacks to more than {max_bytes / 1e6:,.0f} MB")
                    file.write(block)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise _refused(archive, f"it holds {_short(name)} twice") from None
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DataError(f"{archive.name}: damaged ({' '.join(str(error).split())[:120]})") from None


def _members(archive: Path) -> Iterator[Member]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                mode = info.external_attr >> 16
                if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise _refused(archive, f"{_short(info.filename)} is a link or a device")
                if info.flag_bits & 1:
                    raise _refused(archive, f"{_short(info.filename)} is encrypted")
                yield info.filename, info.is_dir(), None if info.is_dir() else packed.open(info)
        return
    with closing(tarfile.open(archive)) as tar:
        for member in tar:
            if not (member.isreg() or member.isdir()):
                raise _refused(archive, f"{_short(member.name)} is a link or a device")
            yield member.name, member.isdir(), tar.extractfile(member)


def _inside(archive: Path, name: str) -> PurePosixPath:
    """Return a member's path. Raises DataError if it leaves the folder."""
    path = PurePosixPath(name)
    hostile = path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name
    if hostile or len(path.parts) > MOST_DEPTH or len(name) > 1000:
        raise _refused(archive, f"{_short(name)} is not a path inside the folder")
    return path


def _refused(archive: Path, why: str) -> DataError:
    return DataError(f"{archive.name}: refused, nothing was unpacked: {why}")


def _short(name: str) -> str:
    return visible(name[:80])
