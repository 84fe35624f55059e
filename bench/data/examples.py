"""What a source hands to everything after it: items, labels, and a way to read each image."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np


class ImageError(Exception):
    """One image cannot be used; the text says why, in a few words ("truncated", "not an image")."""


@dataclass(frozen=True)
class Problem:
    """One thing found wrong with the data.

    kind: a short fixed name that problems are counted by (`stray_comma`, `no_image`, `truncated`).
    where: file and row, or image path. why: a sentence. fatal: whether the row or image is left out.
    """

    kind: str
    where: str
    why: str
    fatal: bool = True


class ImageReader(Protocol):
    """Reads the images of a source by position; must be safe to call from several threads."""

    def read(self, index: int) -> np.ndarray:
        """Return (height, width, 3) uint8 RGB, or raise ImageError."""
        ...

    def content_hashes(self) -> tuple[str, ...]:
        """Return one hash per image; equal hashes mean the same bytes (drawn: the same drawing)."""
        ...


@dataclass(frozen=True)
class PairList:
    """Pairs of examples as a data set lists them, in its order.

    first, second: positions of the two photos. same: whether they show one person. folds: of each pair, from
    0; all 0 where the list has none.
    """

    first: tuple[int, ...]
    second: tuple[int, ...]
    same: tuple[bool, ...]
    folds: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True)
class Examples:
    """All usable rows of a data set, in the source's order.

    items: n unique ids. columns: name -> n strings ("" where the cell is empty); the task card says
    which column is the label. fingerprint: hash over rows and image contents. source: `kaggle-fashion`,
    `drawn-small`, ...
    problems: what was left out or repaired while reading the rows (undecodable images are found later,
    when pixels are read).
    attributes: the columns whose cells say yes, no or nothing ("1", "0", ""), for data with many labels per
    item. answers: attribute -> n true values in the same form, for data that knows what its labels hide.
    pair_lists: `view1_train`, `view1_test`, `view2`, for data that lists pairs of its photos.
    """

    items: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    images: ImageReader
    fingerprint: str
    source: str
    problems: tuple[Problem, ...] = ()
    attributes: tuple[str, ...] = ()
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pair_lists: Mapping[str, PairList] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.items)


def fingerprint(
    source: str, version: int, columns: Mapping[str, Sequence[str]], content: Sequence[str]
) -> str:
    """Return the sha256 over the way of reading, the kept rows and their images' content hashes.

    Cells hold no control characters, so these can separate them.
    """
    digest = hashlib.sha256(f"{source}\x1f{version}".encode())
    for name, cells in (*columns.items(), ("", content)):
        digest.update(("\x1d" + "\x1f".join((name, *cells))).encode())
    return digest.hexdigest()
