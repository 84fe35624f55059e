"""Pages as data: headings, text, tables, figures and pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.core.table import Table

if TYPE_CHECKING:
    from bench.core.plotting import Theme


@dataclass(frozen=True)
class Words:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Points:
    """Sentences that a reader must not miss, as a list."""

    lines: Sequence[str]


@dataclass(frozen=True)
class Figure:
    """A plot. name: of its files. alt: a description in words. draw: draws the figure in a theme.

    vector: whether it has no raster image, only the theme's colours, and a narrow version for phones.
    """

    name: str
    alt: str
    caption: str
    draw: Callable[[Theme], Any]
    vector: bool = True


@dataclass(frozen=True)
class Highlights:
    """Sentences that answer a page's question, the most important first, beside a figure."""

    lines: Sequence[str]
    figure: Figure


@dataclass(frozen=True)
class Picture:
    """One item. image: the bytes of a small JPEG, None if the data is not available."""

    title: str
    lines: Sequence[str]
    image: bytes | None = None


@dataclass(frozen=True)
class Gallery:
    """Several items side by side."""

    label: str
    pictures: Sequence[Picture]


Block = Words | Points | Highlights | Table | Figure | Gallery


@dataclass(frozen=True)
class Section:
    """A heading, its blocks and its subsections."""

    title: str
    blocks: Sequence[Block] = ()
    sections: Sequence[Section] = ()


@dataclass(frozen=True)
class Page:
    """A whole report. lead: a paragraph under its title. links: titles of sections by link text."""

    title: str
    lead: str
    sections: Sequence[Section] = field(default_factory=tuple)
    links: Mapping[str, str] = field(default_factory=dict)
