"""Page of a data set: tables, plots, near duplicates, suspect labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.data.examples import ImageError, ImageReader
from bench.report.data.plots import sizes
from bench.report.data.tables import (
    DataView,
    groups_table,
    near_duplicates_table,
    near_pairs,
    whole_table,
)
from bench.report.page import Block, Figure, Gallery, Page, Picture, Section, Words
from bench.report.thumbnails import jpeg, side_by_side

if TYPE_CHECKING:
    from bench.report.data.suspects import Judged

SHEET = "suspects.png"
"""The contact sheet beside the page."""

NEAR_DUPLICATES, SUSPECTS = 24, 48
"""Maximum number of near duplicates, and of suspect photos, shown."""


def describe_page(view: DataView, judged: Judged | None = None) -> Page:
    """Return the page of a data set. judged: its suspect labels, if wanted."""
    card, examples = view.parts.card, view.parts.examples
    lead = (
        f"{card.title}. {len(examples):,} rows of {examples.source} ({examples.fingerprint[:8]}), "
        f"{int(view.train[view.rows].sum()):,} of {len(view.rows):,} usable images in train, the others "
        "in test."
    )
    groups = groups_table(view)
    sections = [
        Section("The whole", [whole_table(view), *_sizes(view)]),
        *view.kind.description.sections(view),
        Section("Listings and groups", [] if groups is None else [groups]),
        _near_duplicates(view),
        _suspects(judged),
    ]
    return Page(f"The data of {card.name}", lead, [section for section in sections if section.blocks])


def _sizes(view: DataView) -> list[Block]:
    found = view.pixels.sizes
    if not found:
        return []
    (height, width), n = max(found.items(), key=lambda item: item[1])
    if len(found) == 1:
        return [Words(f"Every image is {width} pixels wide and {height} high.")]
    alt = (
        f"Scatter plot of the widths and heights of the images, {len(found)} sizes. Most frequent: "
        f"{width} x {height}, {n:,} images."
    )
    caption = "A dot's area is the number of images of that size; the dotted line marks square images."
    return [Figure("sizes", alt, caption, sizes(found))]


def _near_duplicates(view: DataView) -> Section:
    table = near_duplicates_table(view)
    if table is None:
        return Section("Near duplicates")
    items, images = view.parts.examples.items, view.parts.examples.images
    pictures = []
    for one, two in near_pairs(view)[:NEAR_DUPLICATES].tolist():
        across = view.train[one] != view.train[two]
        lines = [view.labels.caption(one, two), "in train and in test" if across else "in the same split"]
        pictures.append(Picture(f"{items[one]}, {items[two]}", lines, _side_by_side(images, one, two)))
    words = Words(
        "Pictures that look nearly the same but are not byte-identical. If one is in train and the other in "
        "test, scores may be too good; if their labels differ, one may be wrong."
    )
    return Section("Near duplicates", [words, Gallery("Pairs of near duplicates", pictures), table])


def _suspects(judged: Judged | None) -> Section:
    if judged is None:
        return Section("Suspect labels")
    from bench.report.data.suspects import judged_table

    pictures = []
    for suspect, row in list(zip(judged.suspects, judged.positions, strict=True))[:SUSPECTS]:
        lines = [f"given {suspect.given}", suspect.reason]
        if suspect.suggested != suspect.given:
            lines.insert(1, f"suggested {suspect.suggested}")
        pictures.append(Picture(suspect.item, lines, _picture(judged.images, row)))
    words = (
        f"{len(judged.suspects)} of {judged.rows} labels are suspect, most doubtful first; {SHEET} beside "
        "this page shows more. bench clean writes them all as a table to review."
    )
    blocks: list[Block] = [Words(words), judged_table(judged)]
    if pictures:
        blocks.insert(1, Gallery("Suspect labels", pictures))
    return Section("Suspect labels", blocks)


def _picture(images: ImageReader, row: int) -> bytes | None:
    try:
        return jpeg(images.read(row))
    except ImageError:
        return None


def _side_by_side(images: ImageReader, one: int, two: int) -> bytes | None:
    """Return two pictures as one JPEG, None if one of them cannot be read."""
    left, right = _picture(images, one), _picture(images, two)
    return None if left is None or right is None else side_by_side(left, right)
