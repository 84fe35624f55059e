"""Classes of a data set: how many images each has, on which side of the split, and what they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.core.table import Column, Table
from bench.data.check import DataReport
from bench.data.label_table import ClassLabels, Labels, count_classes
from bench.data.labels import Parts
from bench.data.similar_names import similar_names
from bench.methods.prices import odd_prices
from bench.report.data.plots import BARS, Prices, bars, boxes
from bench.report.data.tables import DataView
from bench.report.page import Figure, Section

PRICES = 40
"""Odd prices that are listed."""


def labels(parts: Parts) -> Labels:
    """See `bench.core.shown_facets.Description`."""
    return ClassLabels(parts.given)


def without_label(report: DataReport) -> tuple[str, int]:
    """See `bench.core.shown_facets.Description`."""
    return "of these without a label (not a class)", report.unlabelled


def check_figures(report: DataReport) -> list[tuple[str, int]]:
    """See `bench.core.shown_facets.Description`."""
    counts = count_classes(report.labels.classes, report.splits)
    unseen = [count.test for count in counts if count.train == 0]
    return [
        ("classes", len(counts)),
        ("classes with one image", sum(count.train + count.test == 1 for count in counts)),
        ("classes not in train", len(unseen)),
        ("test images of classes not in train", sum(unseen)),
    ]


def check_tables(report: DataReport) -> list[Table]:
    """Return the classes with their images in train and test, and what hinders them."""
    columns = (
        Column("class", "class"),
        Column("train", "train", "int"),
        Column("test", "test", "int"),
        Column("note", "note"),
    )
    rows = []
    counts = count_classes(report.labels.classes, report.splits)
    first = {name: group[0] for group in similar_names(count.name for count in counts) for name in group[1:]}
    for count in counts:
        notes = ["one image"] if count.train + count.test == 1 else []
        notes += ["not in train"] if count.train == 0 else []
        notes += [f"written like {first[count.name]!r}"] if count.name in first else []
        rows.append({"class": count.name, "train": count.train, "test": count.test, "note": ", ".join(notes)})
    return [Table("Classes", columns, tuple(rows))]


def tables(view: DataView) -> list[Table]:
    """See `bench.core.shown_facets.Description`."""
    return [classes_table(view)]


def sections(view: DataView) -> list[Section]:
    """See `bench.core.shown_facets.Description`."""
    return [_classes(view), _prices(view)]


def figures(view: DataView) -> list[tuple[str, Any]]:
    """See `bench.core.shown_facets.Description`."""
    parts, train, rows = view.parts, view.train, view.rows
    counts = sorted(Counter(parts.given[row] for row in rows.tolist()).values())
    out: list[tuple[str, Any]] = [
        ("of these with a label", len(rows)),
        ("of these in train", int(train[rows].sum())),
        ("classes", len(counts)),
    ]
    if counts:
        out += [
            ("images of the largest class", counts[-1]),
            ("images of the median class", counts[len(counts) // 2]),
            ("images of the smallest class", counts[0]),
            ("largest class / smallest class", round(counts[-1] / counts[0])),
        ]
    return out


def classes_table(view: DataView) -> Table:
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


def _classes(view: DataView) -> Section:
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


def _prices(view: DataView) -> Section:
    if not any(view.prices):
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
