"""Tables of a data set before training: counts, groups, near duplicates."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bench.core.kind import Kind, get_kind
from bench.core.table import Column, Table
from bench.data.check import ClassCount, count_classes
from bench.data.duplicates import Labels, Twins, contradicted, find_twins, label_table
from bench.data.labels import Parts
from bench.data.pixels import Pixels
from bench.data.titles.stage_titles import count_parts, title_figures

GREY = 3
"""Allowed difference between the channels of a grey picture, for rounding and compression."""


@dataclass(frozen=True, eq=False)
class View:
    """A task's examples with their pixels and split.

    train: (n,) bool, the others are test. near: (p, 2) positions of near duplicates.
    """

    parts: Parts
    pixels: Pixels
    train: np.ndarray
    near: np.ndarray

    @property
    def kind(self) -> Kind:
        """The kind of task."""
        return get_kind(self.parts.card.kind)

    @property
    def many(self) -> bool:
        """Whether examples have many attributes instead of one class."""
        return not self.kind.label_column

    @cached_property
    def labels(self) -> Labels:
        """The examples' labels: class names, or the table of attributes."""
        return self.parts.table if self.many else self.parts.given

    @cached_property
    def rows(self) -> np.ndarray:
        """Positions of the images that decode, are in a split and (for classes) have a label: (m,) int64."""
        labelled = (label_table(self.labels) >= 0).any(axis=1)
        rows: np.ndarray = np.flatnonzero(self.pixels.ok & (self.many | labelled) & ~self.parts.unlisted)
        return rows

    @cached_property
    def twins(self) -> Twins:
        """The near duplicates."""
        return find_twins(self.near, self.labels, self.train, self.rows)

    @cached_property
    def classes(self) -> tuple[ClassCount, ...]:
        """Numbers of images of each class, or person, in train and test."""
        return count_classes(self.parts.given, self.train, self.rows)

    @property
    def prices(self) -> tuple[str, ...]:
        """The price of each example, "" if unknown."""
        return self.parts.examples.columns.get("price", ("",) * len(self.parts.examples))


def describe(view: View) -> list[Table]:
    """Return tables of the data set: totals, classes, attributes or people, groups, near duplicates."""
    others = (groups_table(view), twins_table(view))
    labelled = view.kind.description.tables(view)
    return [whole_table(view), *labelled, *(table for table in others if table is not None)]


def whole_table(view: View) -> Table:
    """Return the totals."""
    pixels, rows = view.pixels, view.rows
    sizes = [size for size, number in pixels.sizes.items() for _ in range(number)]
    heights, widths = ([size[axis] for size in sizes] for axis in (0, 1))
    figures: list[tuple[str, Any]] = [
        ("images that decode", int(pixels.ok.sum())),
        *view.kind.description.figures(view),
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
        ("pairs of near duplicates, not byte-identical", len(view.twins.pairs)),
        ("of these with different labels", view.twins.disagreeing),
        ("of these in train and in test", view.twins.straddling),
        *_title_counts(view),
    ]
    columns = (Column("what", "what"), Column("count", "count", "int"))
    table = tuple({"what": what, "count": count} for what, count in figures)
    return Table("Data", columns, table, ("bench data check lists left out images, with reasons",))


def _title_counts(view: View) -> list[tuple[str, int]]:
    """Return counts of titles, none if the data has no titles."""
    if view.parts.titles is None:
        return []
    splits = {"train": view.rows[view.train[view.rows]], "test": view.rows[~view.train[view.rows]]}
    return title_figures(count_parts(view.parts.titles, () if view.many else view.parts.given, splits))


def _grey(pixels: Pixels, rows: np.ndarray) -> int:
    found = 0
    for _, images in pixels.batches(1024, rows):
        wide = images.astype(np.int16)
        found += int((np.ptp(wide, axis=3).max(axis=(1, 2)) <= GREY).sum())
    return found


def groups_table(view: View) -> Table | None:
    """Count photos per listing and per group of the split; None without groups."""
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


def near_pairs(view: View) -> tuple[np.ndarray, np.ndarray]:
    """Return the near duplicates, (p, 2) positions, and (p, k) bool, the labels on which each pair disagrees.

    Pairs with different labels come first, then those across the split.
    """
    pairs, train = view.twins.pairs, view.train
    conflicts = contradicted(label_table(view.labels), pairs)
    order = np.lexsort((train[pairs[:, 0]] == train[pairs[:, 1]], ~conflicts.any(axis=1)))
    return pairs[order], conflicts[order]


def twins_table(view: View, most: int = 20) -> Table | None:
    """List near duplicates in the order of `near_pairs`; None if there are none."""
    items, labels, train = view.parts.examples.items, view.labels, view.train
    pairs, conflicts = near_pairs(view)
    if not len(pairs):
        return None
    rows = []
    for place, (one, two) in enumerate(pairs[:most].tolist()):
        row = {"one": items[one], "two": items[two], "label": "", "other": ""}
        if isinstance(labels, np.ndarray):
            row["other"] = ", ".join(
                view.parts.attributes[at] for at in np.flatnonzero(conflicts[place]).tolist()
            )
        else:
            row |= {"label": labels[one], "other": labels[two] if labels[two] != labels[one] else ""}
        rows.append({**row, "sides": "train and test" if train[one] != train[two] else ""})
    columns = [
        Column("one", "image"),
        Column("two", "near duplicate"),
        Column("label", "label"),
        Column("other", "other label"),
        Column("sides", "sides"),
    ]
    if isinstance(labels, np.ndarray):
        columns[2:4] = [Column("other", "labels differ")]
        rows = [{key: cell for key, cell in row.items() if key != "label"} for row in rows]
    notes = (f"and {len(pairs) - most} more pairs",) if len(pairs) > most else ()
    return Table("Near duplicates", columns, tuple(rows), notes)
