"""A page as data: headings, words, tables, figures and pictures; `bench.report.html` writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.report.table import Table

if TYPE_CHECKING:
    from bench.report.theme import Theme


@dataclass(frozen=True)
class Words:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Points:
    """Sentences that a reader must not miss, one under the other."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Figure:
    """A plot. name: of its files, portable. alt: what it shows, in words, for those who cannot see it.

    draw: makes the matplotlib figure in the colours of a theme; called once for each theme.
    """

    name: str
    alt: str
    caption: str
    draw: Callable[[Theme], Any]


@dataclass(frozen=True)
class Picture:
    """One item that was judged. image: the bytes of a small JPEG, None where the data cannot be reached."""

    title: str
    lines: Sequence[str]
    image: bytes | None = None


@dataclass(frozen=True)
class Gallery:
    """Several items side by side."""

    label: str
    pictures: Sequence[Picture]


Block = Words | Points | Table | Figure | Gallery


@dataclass(frozen=True)
class Section:
    """A heading, what stands under it, and the sections below that."""

    title: str
    blocks: Sequence[Block] = ()
    sections: Sequence[Section] = ()


@dataclass(frozen=True)
class Page:
    """All of a report. lead: one paragraph under its title."""

    title: str
    lead: str
    sections: Sequence[Section] = field(default_factory=tuple)
