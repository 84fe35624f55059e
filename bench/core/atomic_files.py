"""Atomic replacement of files, through temporary files with unguessable names."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.core.atomic_folders import sync


@contextmanager
def replacing(path: Path, durable: bool = False) -> Iterator[Path]:
    """Yield a new empty file that replaces `path` at the end, or is removed after an error.

    The file is hidden, in the same folder, with the permissions of the umask. durable: sync the file before
    the replacement and the folder after it. Raises OSError.
    """
    fresh = path.with_name(f".{path.name[:80]}-{secrets.token_hex(6)}{path.suffix}")
    os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    try:
        yield fresh
        if durable:
            sync(fresh)
        os.replace(fresh, path)
        if durable:
            sync(path.parent)
    finally:
        fresh.unlink(missing_ok=True)
