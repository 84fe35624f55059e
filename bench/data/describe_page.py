"""The page that shows a data set: the tables of `bench.data.describe`, plots, near twins, suspect labels."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench.data.describe import (
    View,
    classes_table,
    groups_table,
    people_tables,
    told_twins,
    twins_table,
    whole_table,
)
from bench.data.describe_attributes import attribute_tables
from bench.data.describe_plots import Prices, bars, boxes, sizes
from bench.data.examples import ImageError, ImageReader
from bench.methods.prices import odd_prices
from bench.report.page import Block, Figure, Gallery, Page, Picture, Section, Words
from bench.report.table import Column, Table
from bench.report.thumbnails import jpeg

if TYPE_CHECKING:
    from bench.cleaning import Judged

SHEET = "suspects.png"
"""The contact sheet beside the page."""

BARS = 60
"""Classes that a plot shows; the table has all."""

PAIRS, SUSPECTS, PRICES = 24, 48, 40
"""Pairs of twins and suspect photos that are shown, and odd prices that are listed."""


def describe_page(view: View, judged: Judged | None = None) -> Page:
    """Return all there is to see of a data set as a page. judged: its suspect labels, where asked for."""
    card, examples = view.parts.card, view.parts.examples
    lead = (
        f"{card.title}. {len(examples):,} rows of {examples.source} ({examples.fingerprint[:8]}), "
        f"{int(view.train[view.rows].sum()):,} of {len(view.rows):,} usable images in train, the others "
        "in test."
    )
    groups = groups_table(view)
    sections = [
        Section("The whole", [whole_table(view), *_sizes(view)]),
        _people(view) if view.people else _attributes(view) if view.many else _classes(view),
        _prices(view),
        Section("Listings and groups", [] if groups is None else [groups]),
        _twins(view),
        _suspects(judged),
    ]
    return Page(f"The data of {card.name}", lead, [section for section in sections if section.blocks])


def _sizes(view: View) -> list[Block]:
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
    caption = "A dot's area is the number of images of that size; on the dotted line they are square."
    return [Figure("sizes", alt, caption, sizes(found))]


def _classes(view: View) -> Section:
    table = classes_table(view)
    if not table.rows:
        return Section("Classes", [table])
    shown = table.rows[:BARS]
    names = [str(row["class"]) for row in shown]
    counts = {side: [int(row[side]) for row in shown] for side in ("train", "test")}
    alt = (
        f"Bar chart of the images of {len(shown)} of {len(table.rows)} classes. Largest: {names[0]}, "
        f"{shown[0]['images']:,}; smallest shown: {names[-1]}, {shown[-1]['images']:,}."
    )
    left = len(table.rows) - len(shown)
    caption = "Hatched: test." + (f" {left} smaller classes are in the table." if left else "")
    return Section("Classes", [Figure("classes", alt, caption, bars(names, counts, "images")), table])


def _people(view: View) -> Section:
    tables = people_tables(view)
    shown = tables[0].rows
    if not shown:
        return Section("People", tables)
    names = [f"{row['images']} images" if row["images"] != "1" else "1 image" for row in shown]
    counts = {side: [int(row[side]) for row in shown] for side in ("train", "test")}
    most = max(shown, key=lambda row: int(row["people"]))
    alt = (
        f"Bar chart of {len(view.classes):,} people by how many images they have. Most frequent: "
        f"{most['images']}, {most['people']:,} people."
    )
    return Section(
        "People", [Figure("people", alt, "Hatched: test.", bars(names, counts, "people")), *tables]
    )


def _attributes(view: View) -> Section:
    tables = attribute_tables(view.parts, view.train, view.rows)
    shown = tables[0].rows[:BARS]
    if not shown:
        return Section("Attributes", tables)
    names = [str(row["attribute"]) for row in shown]
    counts = {value: [int(row[value]) for row in shown] for value in ("yes", "no", "unknown")}
    unknown = sum(counts["unknown"])
    alt = (
        f"Bar chart of the labels of {len(shown)} of {len(tables[0].rows)} attributes: yes, no and unknown. "
        f"{unknown:,} of {sum(map(sum, counts.values())):,} are unknown."
    )
    figure = Figure("attributes", alt, "Hatched: no. Pale: unknown.", bars(names, counts, "images"))
    return Section("Attributes", [figure, *tables])


def _prices(view: View) -> Section:
    if view.many or view.people or not any(view.prices):
        return Section("Prices")
    labels, prices = view.parts.given, view.prices
    odd = odd_prices(labels, prices)
    far = {oddity.row for oddity in odd}
    by_class: dict[str, tuple[list[float], list[float]]] = {}
    for row, (label, price) in enumerate(zip(labels, prices, strict=True)):
        if label and price and np.isfinite(float(price)):
            by_class.setdefault(label, ([], []))[row in far].append(float(price))
    if not by_class:
        return Section("Prices")
    middles = {name: float(np.median([*near, *wild])) for name, (near, wild) in by_class.items()}
    ordered = sorted(by_class.items(), key=lambda item: (-middles[item[0]], item[0]))
    shown = [Prices(name, np.array(near), np.array(wild)) for name, (near, wild) in ordered[:BARS]]
    alt = (
        f"Box plot of the prices of {len(shown)} of {len(ordered)} classes; dearest by the median: "
        f"{shown[0].name}. {len(odd)} prices are odd."
    )
    caption = (
        "Box: half of the prices, with their median; line: 5% to 95%; crosses: far from the class's own."
    )
    figure = Figure("prices", alt, caption, boxes(shown))
    if not odd:
        return Section("Prices", [figure])
    worst = sorted(odd, key=lambda oddity: (-abs(oddity.distance), oddity.row))
    rows = [
        {
            "item": view.parts.examples.items[oddity.row],
            "class": labels[oddity.row],
            "price": f"{oddity.price:.2f}",
            "median": f"{oddity.median:.2f}",
            "distance": oddity.distance,
        }
        for oddity in worst[:PRICES]
    ]
    columns = (
        Column("item", "image"),
        Column("class", "class"),
        Column("price", "price"),
        Column("median", "median of the class"),
        Column("distance", "robust deviations", "signed"),
    )
    notes = ["A price is odd beyond 3.5 robust deviations of its logarithm: the label or the price is wrong."]
    if len(worst) > PRICES:
        notes.append(f"and {len(worst) - PRICES} more")
    return Section("Prices", [figure, Table("Odd prices", columns, rows, notes)])


def _twins(view: View) -> Section:
    table = twins_table(view)
    if table is None:
        return Section("Near twins")
    pairs, torn = told_twins(view)
    items, images = view.parts.examples.items, view.parts.examples.images
    pictures = []
    for (one, two), apart in zip(pairs[:PAIRS].tolist(), torn[:PAIRS], strict=True):
        sides = "in train and in test" if view.train[one] != view.train[two] else "on one side"
        lines = [_said(view, one, two, apart), sides]
        pictures.append(Picture(f"{items[one]}, {items[two]}", lines, _side_by_side(images, (one, two))))
    words = Words(
        "Pictures that look nearly the same and are not byte-identical. Where one is in train and the other "
        "in test, a score may be too good; where their labels differ, one may be wrong."
    )
    return Section("Near twins", [words, Gallery("Pairs of near twins", pictures), table])


def _said(view: View, one: int, two: int, apart: np.ndarray) -> str:
    """Say how two rows are labelled. apart: (k,) bool, the columns on which they disagree."""
    if view.many:
        names = [view.parts.attributes[place] for place in np.flatnonzero(apart).tolist()]
        return f"labels differ: {', '.join(names)}" if names else "no label contradicts"
    labels = view.parts.given
    return labels[one] if labels[one] == labels[two] else f"{labels[one]} / {labels[two]}"


def _suspects(judged: Judged | None) -> Section:
    if judged is None:
        return Section("Suspect labels")
    from bench.cleaning import judged_table

    pictures = []
    for suspect, row in list(zip(judged.suspects, judged.positions, strict=True))[:SUSPECTS]:
        lines = [f"given {suspect.given}", suspect.reason]
        if suspect.suggested != suspect.given:
            lines.insert(1, f"suggested {suspect.suggested}")
        pictures.append(Picture(suspect.item, lines, _picture(judged.images, row)))
    words = (
        f"{len(judged.suspects)} of {judged.rows} labels are suspect, the most doubtful first; {SHEET} "
        "beside this page shows more. bench clean writes all of them as a table to review."
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


def _side_by_side(images: ImageReader, rows: Iterable[int]) -> bytes | None:
    """Return pictures beside each other as one JPEG, None where one of them cannot be read."""
    from PIL import Image

    small = [_picture(images, row) for row in rows]
    if None in small:
        return None
    parts: Sequence[Image.Image] = [Image.open(io.BytesIO(data)) for data in small if data is not None]
    wide, high = sum(part.width for part in parts) + 4 * (len(parts) - 1), max(part.height for part in parts)
    canvas, left = Image.new("RGB", (wide, high), "white"), 0
    for part in parts:
        canvas.paste(part, (left, (high - part.height) // 2))
        left += part.width + 4
    file = io.BytesIO()
    canvas.save(file, "JPEG", quality=85)
    return file.getvalue()
