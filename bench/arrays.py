"""Files of named arrays: numbers and nothing that runs when it is read, there whole or not at all."""

from __future__ import annotations

import os
import struct
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import StoreError

UNREADABLE = (
    *(OSError, ValueError, LookupError, TypeError, EOFError, MemoryError, RuntimeError),
    *(zipfile.BadZipFile, struct.error),
)
"""What reading a file that was edited, cut off or swapped raises."""


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file that `write_arrays` wrote. Raises one of UNREADABLE for any other."""
    with zipfile.ZipFile(path) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("it is compressed")
    with np.load(path, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], make_folder: bool = False) -> Path:
    """Write an uncompressed .npz file in place of an older one and return it.

    make_folder: make the folder where it is missing. Uncompressed: weights hardly shrink, and no file can
    claim more than it holds. Raises StoreError (one line) where it cannot be written; then the older file is
    still there.
    """
    named: dict[str, Any] = dict(arrays)
    try:
        if make_folder:
            path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(file, **named)
            os.chmod(name, 0o644)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror or error})") from None
    return path
