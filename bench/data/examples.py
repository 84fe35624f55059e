"""Examples of a data set: items, columns, images, problems."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from bench.core.errors import DataError, nearest

if TYPE_CHECKING:
    import numpy as np


class ImageError(Exception):
    """An image cannot be used; the text is the reason ("truncated", "not an image")."""


@dataclass(frozen=True)
class Problem:
    """A problem of the data.

    code: a fixed name, by which problems are counted (`stray_comma`, `no_image`, `truncated`). where: file
    and row, or image path. why: a sentence. fatal: whether the row or image is left out.
    """

    code: str
    where: str
    why: str
    fatal: bool = True


class ImageReader(Protocol):
    """Access to the images of a source by position; safe to use from several threads."""

    def read(self, index: int) -> np.ndarray:
        """Return (height, width, 3) uint8 RGB, or raise ImageError."""
        ...

    def content_hashes(self) -> tuple[str, ...]:
        """Return one hash per image; equal hashes mean the same bytes (synthetic: the same picture)."""
        ...


@runtime_checkable
class FileOrder(Protocol):
    """An `ImageReader` that is fast in one order only: that of its files."""

    def stored_order(self) -> list[int]:
        """Return all positions in that order."""
        ...


@dataclass(frozen=True)
class PairList:
    """A data set's list of pairs of examples.

    first, second: positions of the two photos. same: whether they show one person. folds: of each pair, from
    0; all 0 if the list has no folds.
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

    items: n unique ids. columns: name -> n strings ("" for an empty cell); the task card names the label
    column. fingerprint: hash over rows and image contents. source: `kaggle-fashion`, `drawn-small`, ...
    problems: rows left out or repaired (undecodable images are found later, when pixels are read).
    attributes: columns of labels ("1", "0" or "" for unknown), for data with many labels per item. answers:
    attribute -> n true values in the same form, for data with a hidden truth. pair_lists: `view1_train`,
    `view1_test`, `view2`, for data with lists of pairs. task: the task's name, for listings of the cache
    only.
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
    task: str = ""

    def __len__(self) -> int:
        return len(self.items)


def fingerprint(
    source: str, version: int, columns: Mapping[str, Sequence[str]], content: Sequence[str]
) -> str:
    """Return the sha256 over source, format version, rows and content hashes of images.

    Cells have no control characters, so these can separate them.
    """
    digest = hashlib.sha256(f"{source}\x1f{version}".encode())
    for name, cells in (*columns.items(), ("", content)):
        digest.update(("\x1d" + "\x1f".join((name, *cells))).encode())
    return digest.hexdigest()


def require_columns(where: str, needed: Collection[str], columns: Collection[str]) -> None:
    """Raise DataError, with the nearest name, for a missing column. where: the start of the message."""
    for column in needed:
        if column not in columns:
            has, guess = ", ".join(columns), nearest(column, list(columns)[:1000])
            shown = f"{has[:200]}{'…' * (len(has) > 200)}"
            raise DataError(f"{where} has no column {column!r}{guess} (it has: {shown})")


def because_of(problems: Sequence[Problem]) -> str:
    """Return the first fatal problem in brackets, for a message that no row is usable; "" without one."""
    first = next((problem for problem in problems if problem.fatal), None)
    return f" (the first problem: {first.where}: {first.why})" if first else ""
