"""Downloads over HTTP: whole or not at all, resumed after an interruption, checked at the end."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import os
import queue
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from bench.core.progress import Progress, no_progress

CONNECT_SECONDS = 20.0
"""Time for a server to answer before it counts as unreachable."""
READ_SECONDS = 30.0
PART, TAG = ".part", ".part.tag"
"""Suffixes of a partial file, and of the server's version of it."""
MB = 1_000_000
_BLOCK = 1 << 20

T = TypeVar("T")


class ChecksumMismatch(OSError):
    """The checksum of a download is not the published one."""


def download(
    url: str,
    path: Path,
    digest: str | None = None,
    max_bytes: int | None = None,
    progress: Progress = no_progress,
) -> None:
    """Download a URL to `path`, which appears when complete.

    An interrupted download is kept as `path` + PART and resumed by the next call, if the server supports HTTP
    Range; without a digest, only if the server confirms that the file is unchanged. A second process waits
    for the first.

    digest: hex digits of SHA-256 or MD5. max_bytes: maximum size in bytes. progress: called with megabytes,
    for files of at least one. Raises OSError with a short reason, ChecksumMismatch for a wrong digest, which
    discards the file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part, tag = path.with_name(path.name + PART), path.with_name(path.name + TAG)
    with _locked(part) as file:
        if path.is_file():
            part.unlink()
            return
        try:
            _receive(url, file, tag, digest is not None, max_bytes, _Shown(path.name, progress))
        except http.client.HTTPException as error:
            raise OSError(f"the response was cut off ({type(error).__name__})") from None
        except urllib.error.HTTPError as error:
            raise OSError(f"the server answers {error.code} ({error.reason})") from None
        except urllib.error.URLError as error:
            why = error.reason
            raise OSError(getattr(why, "strerror", None) or str(why)) from None
        finally:
            if not file.seek(0, os.SEEK_END):
                part.unlink()
                tag.unlink(missing_ok=True)
        tag.unlink(missing_ok=True)
        file.flush()
        if digest and digest_of(part, algorithm_of(digest)) != digest:
            part.unlink()
            raise ChecksumMismatch("the download is not the published file: its checksum differs")
        os.replace(part, path)


def size_of(url: str) -> int | None:
    """Return the size in bytes that the server reports for a URL, or None.

    Raises OSError with a short reason if the server cannot be reached.
    """
    request = urllib.request.Request(url, method="HEAD")
    try:
        with timed(CONNECT_SECONDS, lambda: urllib.request.urlopen(request, timeout=READ_SECONDS)) as answer:
            return _length(answer.headers)
    except (urllib.error.HTTPError, http.client.HTTPException):
        # Some servers reject HEAD.
        return None
    except urllib.error.URLError as error:
        raise OSError(getattr(error.reason, "strerror", None) or str(error.reason)) from None


def digest_of(path: Path, algorithm: str = "sha256") -> str:
    """Return the hex digest of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def algorithm_of(digest: str) -> str:
    """Return the hash algorithm of a hex digest, by its length."""
    return "sha256" if len(digest) == 64 else "md5"


def timed(seconds: float, call: Callable[[], T]) -> T:
    """Return the call's result, or raise TimeoutError: a DNS look-up may hang."""
    answers: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def work() -> None:
        try:
            answers.put((call(), None))
        except BaseException as error:
            answers.put((None, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer in {seconds:.0f} s") from None
    if error is not None:
        raise error
    found: T = answer
    return found


class _Shown:
    """Progress of one file, in megabytes."""

    def __init__(self, name: str, progress: Progress) -> None:
        self.name, self.progress, self.last = name, progress, -1

    def __call__(self, done: int, total: int | None) -> None:
        if total is not None and total >= MB and done // MB != self.last:
            self.last = done // MB
            self.progress(self.last, total // MB, f"{self.name}, MB")


@contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    """Open a partial file for appending, under an exclusive lock."""
    while True:
        with part.open("ab") as file:
            # Some file systems have no locks.
            with suppress(OSError):
                fcntl.flock(file, fcntl.LOCK_EX)
            try:
                ours = os.path.samestat(os.fstat(file.fileno()), part.stat())
            except FileNotFoundError:
                # Another process has finished or discarded the file.
                continue
            if ours:
                yield file
                return


def _receive(
    url: str, file: BinaryIO, tag: Path, checked: bool, max_bytes: int | None, shown: _Shown
) -> None:
    """Append the missing bytes. checked: whether a digest will be compared."""
    have = file.seek(0, os.SEEK_END)
    version = tag.read_text("utf-8") if tag.is_file() else ""
    if have and not checked and not version:
        have = file.truncate(0)
    headers = {"User-Agent": "messybench", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        headers |= {"If-Range": version} if version else {}
    request = urllib.request.Request(url, headers=headers)
    try:
        answer = timed(CONNECT_SECONDS, lambda: urllib.request.urlopen(request, timeout=READ_SECONDS))
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        # The range is empty: the file is complete, or another one.
        if error.headers.get("Content-Range") != f"bytes */{have}":
            file.truncate(0)
            _receive(url, file, tag, checked, max_bytes, shown)
        return
    with answer:
        if answer.status == 206 and not re.match(
            rf"bytes {have}-", answer.headers.get("Content-Range") or ""
        ):
            raise OSError("the server resumed at a wrong offset")
        if answer.status != 206:
            have = file.truncate(0)
        tag.write_text(_version(answer.headers), "utf-8")
        length = _length(answer.headers)
        total = None if length is None else have + length
        while block := answer.read(_BLOCK):
            have += file.write(block)
            if max_bytes is not None and have > max_bytes:
                file.truncate(0)
                raise OSError(f"the server sends more than {max_bytes / MB:,.0f} MB")
            shown(have, total)
    if total is not None and have < total:
        raise OSError(f"the connection closed after {have:,} of {total:,} bytes")


def _version(headers: Mapping[str, str]) -> str:
    """Return the validator of a file for If-Range, "" without one."""
    etag = headers.get("ETag") or ""
    return headers.get("Last-Modified") or "" if not etag or etag.startswith("W/") else etag


def _length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("Content-Length") or ""
    return int(text) if text.isdecimal() else None
