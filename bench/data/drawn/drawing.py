"""What a picture is drawn from, without any pixel: cheap to make, to compare and to hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

SIDE = 64
"""Pixels of an image's side."""

CANVAS = 2 * SIDE
"""Pixels of the side of what is drawn first: every pixel of an image is the mean of four."""


@dataclass(frozen=True)
class Drawing:
    """All that the pixels depend on.

    shape: the article type that is drawn (a wrong label names another one). colour: a name in `colours.RGB`
    or "Multi". pattern: solid, striped, checked or printed. version, key: where the dice start.
    """

    shape: str
    colour: str
    pattern: str
    version: int
    key: str

    @property
    def parts(self) -> tuple[str | int, ...]:
        """The description as plain values."""
        return self.shape, self.colour, self.pattern, self.version, self.key

    @property
    def content_hash(self) -> str:
        """The sha256 of the description: two images with equal hashes are the same drawing."""
        return hashlib.sha256(repr(self.parts).encode("utf-8")).hexdigest()
