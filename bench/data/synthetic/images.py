"""Images of a synthetic sample: descriptions without pixels, rendered each time one is read."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from bench.core.errors import unknown
from bench.data.synthetic.random_stream import RandomStream

if TYPE_CHECKING:
    import numpy as np

VERSION = 2
"""Bumped when the rows or pixels of the same size and seed change."""

STREAM = 1
"""Part of the key of every stream of rows; another number gives other samples."""


@dataclass(frozen=True)
class SyntheticImage:
    """Everything that the pixels of one image depend on.

    key: seed of the random choices that the fields of a subclass leave open.
    """

    key: str

    @property
    def values(self) -> tuple[object, ...]:
        """The description as plain values."""
        return type(self).__name__, VERSION, *astuple(self)

    @property
    def content_hash(self) -> str:
        """The sha256 of the description: images with equal hashes have equal pixels."""
        return hashlib.sha256(repr(self.values).encode("utf-8")).hexdigest()

    def render(self) -> np.ndarray:
        """Return the image, (side, side, 3) uint8 RGB."""
        raise NotImplementedError


@dataclass(frozen=True)
class GoodsImage(SyntheticImage):
    """One piece of goods.

    shape: the article type that is shown (a wrong label names another one). colour: a name in `colours.RGB`
    or "Multi". pattern: solid, striped, checked or printed. at_home: in the clutter of a seller's home, not
    on the white ground of a catalogue.
    """

    shape: str
    colour: str
    pattern: str
    at_home: bool = False

    def render(self) -> np.ndarray:
        """Return the image, (64, 64, 3) uint8 RGB."""
        from bench.data.synthetic.picture import draw, random_look
        from bench.data.synthetic.shapes import outline_of

        s = RandomStream("goods", repr(self.values))
        look = random_look(s, self.colour, self.pattern)
        return draw(s, outline_of(s, self.shape), look, self.at_home)


@dataclass(frozen=True)
class SyntheticImages:
    """Renders image i when it is read and keeps nothing, so any thread may read."""

    descriptions: tuple[SyntheticImage, ...]

    def read(self, index: int) -> np.ndarray:
        """Return image `index`, (side, side, 3) uint8 RGB."""
        return self.descriptions[index].render()

    def content_hashes(self) -> tuple[str, ...]:
        """Return one hash per image, computed from its description without rendering it."""
        return tuple(description.content_hash for description in self.descriptions)


def fingerprint(sample: str, size: str, seed: int) -> str:
    """Return the fingerprint of a sample's rows and pixels."""
    return hashlib.sha256(f"{sample} {VERSION} {size} {seed}".encode("ascii")).hexdigest()


def check_size(size: str, sizes: Collection[str]) -> None:
    """Raise BenchError, which names the nearest size, for a size that a sample does not have."""
    if size not in sizes:
        raise unknown("sample", size, sizes, f"known: {', '.join(sizes)}")
