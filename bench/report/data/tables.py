"""Tables of a data set before training: counts, groups, near duplicates."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bench.core.kind import Kind, get_kind
from bench.core.table import Column, Table
from bench.data.duplicates import NearDuplicates, count_near_duplicates
from bench.data.label_table import Labels, contradicted
from bench.data.labels import Parts
from bench.data.pixels import Pixels
from bench.data.titles.stage_titles import count_parts, title_figures

GREY = 3
"""Allowed difference between the channels of a grey picture, for rounding and compression."""


@dataclass(frozen=True, eq=False)
class DataView:
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

    @cached_property
    def labels(self) -> Labels:
        """The examples' labels."""
        labels: Labels = self.kind.description.labels(self.parts)
        return labels

    @cached_property
    def rows(self) -> np.ndarray:
        """Positions of the labelled images that decode and are in a split."""
        rows: np.ndarray = np.flatnonzero(self.pixels.ok & self.labels.usable & ~self.parts.unlisted)
        return rows

    @property
    def splits(self) -> dict[str, np.ndarray]:
        """These rows in `train` and in `test`."""
        return {"train": self.rows[self.train[self.rows]], "test": self.rows[~self.train[self.rows]]}

    @cached_property
    def near_duplicates(self) -> NearDuplicates:
        """The near duplicates."""
        return count_near_duplicates(self.near, self.labels.table, self.train, self.rows)

    @property
    def prices(self) -> tuple[str, ...]:
        """The price of each example, "" if unknown."""
        return self.parts.examples.columns.get("price", ("",) * len(self.parts.examples))


def describe(view: DataView) -> list[Table]:
    """Return tables of the data set: totals, classes, attributes or people, groups, near duplicates."""
    others = (groups_table(view), near_duplicates_table(view))
    labelled = view.kind.description.tables(view)
    return [whole_table(view), *labelled, *(table for table in others if table is not None)]


def whole_table(view: DataView) -> Table:
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
        ("pairs of near duplicates, not byte-identical", len(view.near_duplicates.pairs)),
        ("of these with different labels", view.near_duplicates.disagreeing),
        ("of these in train and in test", view.near_duplicates.straddling),
        *_title_counts(view),
    ]
    columns = (Column("what", "what"), Column("count", "count", "int"))
    table = tuple({"what": what, "count": count} for what, count in figures)
    return Table("Data", columns, table, ("bench data check lists left out images, with reasons",))


def _title_counts(view: DataView) -> list[tuple[str, int]]:
    """Return counts of titles, none if the data has no titles."""
    if view.parts.titles is None:
        return []
    return title_figures(count_parts(view.parts.titles, view.labels.classes, view.splits))


def _grey(pixels: Pixels, rows: np.ndarray) -> int:
    found = 0
    for _, images in pixels.batches(1024, rows):
        wide = images.astype(np.int16)
        found += int((np.ptp(wide, axis=3).max(axis=(1, 2)) <= GREY).sum())
    return found


def groups_table(view: DataView) -> Table | None:
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


def near_pairs(view: DataView) -> np.ndarray:
    """Return the near duplicates, (p, 2) positions.

    Pairs with different labels come first, then those across the split.
    """
    pairs, train = view.near_duplicates.pairs, view.train
    conflicts = contradicted(view.labels.table, pairs).any(axis=1)
    return pairs[np.lexsort((train[pairs[:, 0]] == train[pairs[:, 1]], ~conflicts))]


def near_duplicates_table(view: DataView, limit: int = 20) -> Table | None:
    """List near duplicates in the order of `near_pairs`; None if there are none."""
    items, labels, train = view.parts.examples.items, view.labels, view.train
    pairs = near_pairs(view)
    if not len(pairs):
        return None
    rows = [
        {
            "one": items[one],
            "two": items[two],
            **labels.pair(one, two),
            "sides": "train and test" if train[one] != train[two] else "",
        }
        for one, two in pairs[:limit].tolist()
    ]
    columns = (
        Column("one", "image"),
        Column("two", "near duplicate"),
        *labels.pair_columns,
        Column("sides", "sides"),
    )
    notes = (f"and {len(pairs) - limit} more pairs",) if len(pairs) > limit else ()
    return Table("Near duplicates", columns, rows, notes)
