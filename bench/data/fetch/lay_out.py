"""Download of a data set into a data folder: fetch, check, unpack, and move into place atomically."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from bench.core.download import ChecksumMismatch, digest_of, download
from bench.core.errors import BenchError, DataError, StoreError
from bench.core.locks import take_lock
from bench.core.progress import Progress, no_progress
from bench.data.fetch.archives import unpack
from bench.data.fetch.kaggle_sets import download_from_kaggle
from bench.data.fetch.records import Records
from bench.data.fetch.table import DataSet, RemoteFile

_SEARCHED_FOLDERS = 2_000


def check_out(out: Path) -> None:
    """Raise BenchError unless the data folder is missing or empty."""
    if out.is_symlink() or (out.exists() and (not out.is_dir() or any(out.iterdir()))):
        raise BenchError(f"--out {out}: exists and is not an empty folder; choose another")
    if out.exists() and out.samefile("."):
        # It is replaced by the finished one, and the user's shell would remain in the old one.
        raise BenchError(f"--out {out}: is the current folder; name a new one")


def check_room(folder: Path, size: int) -> None:
    """Raise StoreError unless a folder's disk has room for archives of this size and their contents."""
    full = folder.absolute()
    place = next(path for path in (full, *full.parents) if path.is_dir())
    if (free := shutil.disk_usage(place).free) < 2 * size:
        raise StoreError(
            f"{folder}: {free / 1e9:,.1f} GB are free, and the archives with their contents need "
            f"{2 * size / 1e9:,.1f} GB; choose another place"
        )


def work_folder(out: Path) -> Path:
    """Return the folder of partial downloads, beside the data folder."""
    full = Path(os.path.abspath(out))
    return full.with_name(f".{full.name}.fetch")


def fetch(
    data: DataSet,
    out: Path,
    records: Records,
    say: Callable[[str], None],
    version: int | None = None,
    progress: Progress = no_progress,
) -> None:
    """Download a data set into a new data folder.

    After an interruption the same call resumes. say: called with notices. version: of a data set of Kaggle.
    Raises BenchError if anything is missing, has a wrong checksum or is not safe to unpack; then no data
    folder is made.
    """
    work = work_folder(out)
    try:
        work.mkdir(parents=True, exist_ok=True)
        lock = take_lock(work / "lock", lambda: say(f"waiting for another process that fetches {out}"))
        try:
            check_out(out)
            _clean(work)
            source = _kaggle(data, version) if data.kaggle else _files(data, work, records, say, progress)
            _lay_out(_root(source, data), data.keeps, work / "laid")
            _record(data, work, records, version)
            os.rename(work / "laid", out)
            shutil.rmtree(work)
        finally:
            lock.release()
    except OSError as error:
        raise StoreError(f"--out {out}: cannot be written ({error.strerror or error})") from None


def _clean(work: Path) -> None:
    """Remove the unpacked files of an interrupted call; downloads are kept."""
    for name in ("tree", "laid"):
        if (work / name).exists():
            shutil.rmtree(work / name)


def _kaggle(data: DataSet, version: int | None) -> Path:
    return download_from_kaggle(data.kaggle, version)


def _files(
    data: DataSet, work: Path, records: Records, say: Callable[[str], None], progress: Progress
) -> Path:
    """Download and unpack all files; return the folder with their contents."""
    for file in data.files:
        _ensure(file, work, records, data.max_bytes, say, progress)
    tree = work / "tree"
    for file in data.files:
        if file.unpack:
            try:
                unpack(work / file.name, tree, data.max_bytes)
            except DataError:
                (work / file.name).unlink()
                shutil.rmtree(tree)
                raise
    tree.mkdir(exist_ok=True)
    for file in data.files:
        if not file.unpack:
            shutil.copyfile(work / file.name, tree / file.name)
    return tree


def _ensure(
    file: RemoteFile,
    work: Path,
    records: Records,
    max_bytes: int,
    say: Callable[[str], None],
    progress: Progress,
) -> None:
    """Ensure that the work folder has the published file.

    A file that the user has put there is used. Raises DataError.
    """
    path = work / file.name
    digest = file.sha256 or records.sha256(file.url)
    if digest is None:
        say(f"{file.name}: checksum not known; recorded in {records.path} when it has come")
    try:
        if not path.is_file():
            download(file.url, path, digest, max_bytes, progress)
        elif digest and digest_of(path) != digest:
            path.unlink()
            raise ChecksumMismatch("the file that was there has another checksum than the published one")
    except ChecksumMismatch as error:
        again = "" if file.sha256 else f"; if it was published again, remove its entry in {records.path}"
        raise DataError(
            f"{file.name} of {file.url}: {error}; it was deleted, nothing is laid out{again}"
        ) from None
    except OSError as error:
        raise DataError(
            f"{file.name}: {file.url} cannot be fetched ({error}); the same command continues, "
            f"or put the file into {work}"
        ) from None


def _record(data: DataSet, work: Path, records: Records, version: int | None) -> None:
    if data.kaggle:
        records.add(data.page, version=version)
    for file in data.files:
        path = work / file.name
        records.add(file.url, sha256=digest_of(path), bytes=path.stat().st_size)


def _root(source: Path, data: DataSet) -> Path:
    """Return the topmost folder that has everything the data folder needs."""
    near = [source]
    for folder in near:
        if all((folder / name).exists() for name in data.keeps):
            return folder
        if len(near) > _SEARCHED_FOLDERS:
            break
        near += sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    raise DataError(
        f"{data.name}: what came has no folder with {', '.join(data.keeps[:4])}; nothing is laid out"
    )


def _lay_out(root: Path, keeps: tuple[str, ...], folder: Path) -> None:
    """Make a folder with these files and folders of `root`, as hard links if possible."""
    folder.mkdir()
    for name in keeps:
        files = [root / name] if (root / name).is_file() else sorted((root / name).rglob("*"))
        for path in files:
            target = folder / path.relative_to(root)
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise DataError(f"{path}: is a link or a device; nothing is laid out")
            if path.is_dir():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(path, target)
            except OSError:
                shutil.copyfile(path, target)
