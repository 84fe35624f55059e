"""What a data set looks like before anything is trained on it: counts, prices, groups, twins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bench.data.check import ClassCount, count_classes, count_lists
from bench.data.describe_attributes import attribute_figures, attribute_tables
from bench.data.describe_people import images_table, lists_table, people_figures
from bench.data.duplicates import Labels, Twins, contradicted, find_twins, label_table
from bench.data.parts import Parts
from bench.data.pixels import Pixels
from bench.methods.prices import odd_prices
from bench.report.table import Column, Table
from bench.text.titles import count_parts, title_figures

GREY = 3
"""Levels by which the colours of a grey picture may differ, from rounding and compression."""


@dataclass(frozen=True, eq=False)
class View:
    """A task's examples as they are looked at.

    pixels: of these examples, at `near.SIDE`. train: (n,) bool, which of them train.
    """

    parts: Parts
    pixels: Pixels
    train: np.ndarray

    @property
    def many(self) -> bool:
        """Whether an example has many attributes, and not one class."""
        return not self.parts.card.label

    @property
    def people(self) -> bool:
        """Whether classes are people, of whose images pairs are made."""
        return self.parts.card.kind == "verification"

    @cached_property
    def labels(self) -> Labels:
        """What the examples are labelled with: class names, or the table of attributes."""
        return self.parts.table if self.many else self.parts.given

    @cached_property
    def rows(self) -> np.ndarray:
        """Positions of the images that decode, are on a side and, of classes, have one: (m,) int64."""
        labelled = (label_table(self.labels) >= 0).any(axis=1)
        rows: np.ndarray = np.flatnonzero(self.pixels.ok & (self.many | labelled) & ~self.parts.unlisted)
        return rows

    @cached_property
    def twins(self) -> Twins:
        """The pairs that look nearly the same."""
        hashes = self.parts.examples.images.content_hashes()
        return find_twins(self.pixels, hashes, self.labels, self.train, self.rows)

    @cached_property
    def classes(self) -> tuple[ClassCount, ...]:
        """Images of each class, or person, on both sides."""
        return count_classes(self.parts.given, self.train, self.rows)

    @property
    def prices(self) -> tuple[str, ...]:
        """What each example costs, "" where that is not known."""
        return self.parts.examples.columns.get("price", ("",) * len(self.parts.examples))


def describe(view: View) -> list[Table]:
    """Return what there is to see as tables: the whole, classes, attributes or people, groups, near twins."""
    if view.people:
        labelled = people_tables(view)
    else:
        labelled = attribute_tables(view.parts, view.train, view.rows) if view.many else [classes_table(view)]
    others = (groups_table(view), twins_table(view))
    return [whole_table(view), *labelled, *(table for table in others if table is not None)]


def people_tables(view: View) -> list[Table]:
    """Return people by how many images they have, and the lists of pairs where there are some."""
    lists = count_lists(view.parts.examples)
    return [images_table(view.classes), *([lists_table(lists)] if lists else [])]


def whole_table(view: View) -> Table:
    """Return the data in numbers."""
    pixels, rows = view.pixels, view.rows
    sizes = [size for size, number in pixels.sizes.items() for _ in range(number)]
    heights, widths = ([size[axis] for size in sizes] for axis in (0, 1))
    figures: list[tuple[str, Any]] = [
        ("images that decode", int(pixels.ok.sum())),
        *_figures(view),
    ]
    if sizes:
        figures += [
            ("median height", int(np.median(heights))),
            ("median width", int(np.median(widths))),
            ("smallest side", min(min(size) for size in sizes)),
            ("largest side", max(max(size) for size in sizes)),
            ("grey pictures", _grey(pixels, rows)),
        ]
    figures += [
        ("pairs of near twins, not byte-identical", len(view.twins.pairs)),
        ("of these with different labels", view.twins.disagreeing),
        ("of these in train and in test", view.twins.straddling),
        *_title_counts(view),
    ]
    columns = (Column("what", "what"), Column("count", "count", "int"))
    table = tuple({"what": what, "count": count} for what, count in figures)
    return Table("Data", columns, table, ("bench data check lists what is left out, and why",))


def _figures(view: View) -> list[tuple[str, Any]]:
    """Return what there is to say of the labels in numbers."""
    parts, train, rows = view.parts, view.train, view.rows
    if view.many:
        return attribute_figures(parts, train, rows)
    if not view.people:
        return _class_figures(parts, train, rows)
    used = [("of these of people on either side", len(rows)), ("of these in train", int(train[rows].sum()))]
    return [*used, *people_figures(view.classes)]


def _title_counts(view: View) -> list[tuple[str, int]]:
    """Return what there is to say of titles, where the data has some."""
    if view.parts.titles is None:
        return []
    sides = {"train": view.rows[view.train[view.rows]], "test": view.rows[~view.train[view.rows]]}
    return title_figures(count_parts(view.parts.titles, () if view.many else view.parts.given, sides))


def _class_figures(parts: Parts, train: np.ndarray, rows: np.ndarray) -> list[tuple[str, Any]]:
    """Return what there is to say of the classes of these rows in numbers."""
    counts = sorted(Counter(parts.given[row] for row in rows.tolist()).values())
    figures: list[tuple[str, Any]] = [
        ("of these with a label", len(rows)),
        ("of these in train", int(train[rows].sum())),
        ("classes", len(counts)),
    ]
    if counts:
        figures += [
            ("images of the largest class", counts[-1]),
            ("images of the median class", counts[len(counts) // 2]),
            ("images of the smallest class", counts[0]),
            ("largest class / smallest class", round(counts[-1] / counts[0])),
        ]
    return figures


def _grey(pixels: Pixels, rows: np.ndarray) -> int:
    found = 0
    for _, images in pixels.batches(1024, rows):
        wide = images.astype(np.int16)
        found += int((np.ptp(wide, axis=3).max(axis=(1, 2)) <= GREY).sum())
    return found


def classes_table(view: View) -> Table:
    """Return the classes, the largest first: images, sides of the split, groups, prices."""
    parts, train, rows, prices = view.parts, view.train, view.rows, view.prices
    labels = parts.given
    odd = Counter(labels[oddity.row] for oddity in odd_prices(labels, prices))
    by_class: dict[str, list[int]] = {}
    for row in rows.tolist():
        by_class.setdefault(labels[row], []).append(row)
    out = []
    for name, own in sorted(by_class.items(), key=lambda item: (-len(item[1]), item[0])):
        known = [float(prices[row]) for row in own if prices[row]]
        quartiles: Mapping[str, float | None] = dict.fromkeys(("low", "median", "high"))
        if known:
            quartiles = dict(zip(quartiles, np.quantile(known, (0.25, 0.5, 0.75)).tolist(), strict=True))
        out.append(
            {
                "class": name,
                "images": len(own),
                "share": len(own) / len(rows),
                "train": int(train[own].sum()),
                "test": int((~train[own]).sum()),
                "groups": None if parts.groups is None else len({parts.groups[row] for row in own}),
                **{key: None if value is None else f"{value:.2f}" for key, value in quartiles.items()},
                "odd": odd.get(name, 0) if known else None,
            }
        )
    columns = [
        Column("class", "class"),
        Column("images", "images", "int"),
        Column("share", "share", "ratio"),
        Column("train", "train", "int"),
        Column("test", "test", "int"),
        Column("groups", "groups", "int"),
        Column("low", "price 25%"),
        Column("median", "median"),
        Column("high", "75%"),
        Column("odd", "odd prices", "int"),
    ]
    shown = [column for column in columns if any(row[column.key] is not None for row in out)]
    return Table("Classes", shown, tuple(out))


def groups_table(view: View) -> Table | None:
    """Count photos per listing and per group of the split; None where nothing belongs together."""
    parts, rows, out = view.parts, view.rows, []
    columns = parts.examples.columns
    if "group" not in columns and parts.groups is None:
        return None
    for title, cells in (("listing", columns.get("listing")), ("sender or group", parts.groups)):
        sizes = Counter(Counter(cells[row] for row in rows.tolist() if cells[row]).values()) if cells else {}
        if not sizes:
            continue
        for number in sorted(sizes):
            if number <= 5:
                out.append({"of": title, "photos": str(number), "count": sizes[number]})
        more = sum(count for number, count in sizes.items() if number > 5)
        if more:
            out.append({"of": title, "photos": f"6 to {max(sizes)}", "count": more})
    shown = (Column("of", "of a"), Column("photos", "photos"), Column("count", "how many", "int"))
    return Table("Photos of one listing or group", shown, tuple(out))


def told_twins(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Return the pairs, (p, 2) positions, and (p, k) bool: the columns of the labels on which each disagrees.

    Pairs with different labels come first, then those on two sides of the split.
    """
    pairs, train = view.twins.pairs, view.train
    torn = contradicted(label_table(view.labels), pairs)
    order = np.lexsort((train[pairs[:, 0]] == train[pairs[:, 1]], ~torn.any(axis=1)))
    return pairs[order], torn[order]


def twins_table(view: View, most: int = 20) -> Table | None:
    """List near twins, the telling ones first; None where there are none."""
    items, labels, train = view.parts.examples.items, view.labels, view.train
    pairs, torn = told_twins(view)
    if not len(pairs):
        return None
    rows = []
    for place, (one, two) in enumerate(pairs[:most].tolist()):
        row = {"one": items[one], "two": items[two], "label": "", "other": ""}
        if isinstance(labels, np.ndarray):
            row["other"] = ", ".join(view.parts.attributes[at] for at in np.flatnonzero(torn[place]).tolist())
        else:
            row |= {"label": labels[one], "other": labels[two] if labels[two] != labels[one] else ""}
        rows.append({**row, "sides": "train and test" if train[one] != train[two] else ""})
    columns = [
        Column("one", "image"),
        Column("two", "near twin"),
        Column("label", "label"),
        Column("other", "other label"),
        Column("sides", "sides"),
    ]
    if isinstance(labels, np.ndarray):
        columns[2:4] = [Column("other", "labels differ")]
        rows = [{key: cell for key, cell in row.items() if key != "label"} for row in rows]
    notes = (f"and {len(pairs) - most} more pairs",) if len(pairs) > most else ()
    return Table("Near twins", columns, tuple(rows), notes)
