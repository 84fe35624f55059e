"""Images of a data folder by position; the decoder is imported on first use."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.core.errors import DataError
from bench.core.regular_files import Refused
from bench.data.examples import ImageError
from bench.data.files import DataFolder

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class FolderImages:
    """An `ImageReader` of files. names: files of the folder. hashes: their sha256 when they were listed."""

    folder: DataFolder
    names: tuple[str, ...]
    hashes: tuple[str, ...]

    def read(self, index: int) -> np.ndarray:
        """Return (height, width, 3) uint8 RGB.

        Raises ImageError, and DataError if the file has changed since it was listed: its pixels would be
        cached under the wrong fingerprint.
        """
        from bench.data.images import decode

        name = self.names[index]
        try:
            data = self.folder.read(name)
        except Refused as why:
            raise ImageError(f"{why.code.replace('_', ' ')}: {why}") from None
        if hashlib.sha256(data).hexdigest() != self.hashes[index]:
            raise DataError(f"{self.folder.root}/{name} changed while it was in use: run the command again")
        return decode(data)

    def content_hashes(self) -> tuple[str, ...]:
        """Return the sha256 of every file's bytes."""
        return self.hashes
