"""Files of named arrays without code, written whole or not at all."""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.atomic_files import replacing
from bench.core.errors import StoreError
from bench.core.regular_files import open_regular

UNREADABLE = (
    *(OSError, ValueError, LookupError, TypeError, EOFError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, struct.error),
)
"""Exceptions raised by reading a damaged or foreign file."""


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file written by `write_arrays`. Raises one of UNREADABLE for any other file."""
    with open_regular(path) as file:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise ValueError("it is compressed")
        # Members may overlap and so claim many times the file's size.
        if sum(member.file_size for member in members) > os.fstat(file.fileno()).st_size:
            raise ValueError("it claims more than it holds")
        file.seek(0)
        with np.load(file, allow_pickle=False) as found:
            return {name: found[name] for name in found.files}


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], make_folder: bool = False) -> Path:
    """Write an uncompressed .npz file, replacing an older one, and return it.

    make_folder: make a missing folder. Uncompressed, because weights hardly shrink, and a file then cannot
    claim more than it holds. Raises StoreError (one line) if it cannot be written; the older file then stays.
    """
    named: dict[str, Any] = dict(arrays)
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as fresh, fresh.open("wb") as file:
            np.savez(file, **named)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror or error})") from None
    return path
