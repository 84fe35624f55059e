"""What a data set looks like before anything is trained on it: counts, prices, groups, twins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.data.near import near_pairs, perceptual_hashes
from bench.data.parts import Parts
from bench.data.pixels import Pixels
from bench.methods.prices import odd_prices
from bench.report.table import Column, Table

GREY = 3
"""Levels by which the colours of a grey picture may differ, from rounding and compression."""


def describe(parts: Parts, pixels: Pixels, train: np.ndarray) -> list[Table]:
    """Return what there is to see as tables: the whole, classes, groups, near twins.

    pixels: of the same examples, at `near.SIDE`. train: (n,) bool, which of them train.
    """
    labels = np.array(parts.given, dtype=object)
    rows = np.flatnonzero(pixels.ok & (labels != ""))
    hashes = parts.examples.images.content_hashes()
    pairs = rows[near_pairs(perceptual_hashes(pixels, rows))]
    other = np.array([hashes[one] != hashes[two] for one, two in pairs.tolist()], dtype=bool)
    tables = [_whole(parts, pixels, train, rows, pairs[other]), _classes(parts, train, rows)]
    if "group" in parts.examples.columns or parts.groups is not None:
        tables.append(_groups(parts, rows))
    if other.any():
        tables.append(_twins(parts, train, pairs[other]))
    return tables


def _whole(parts: Parts, pixels: Pixels, train: np.ndarray, rows: np.ndarray, pairs: np.ndarray) -> Table:
    labels = parts.given
    counts = sorted(Counter(labels[row] for row in rows.tolist()).values())
    sizes = [size for size, number in pixels.sizes.items() for _ in range(number)]
    heights, widths = ([size[axis] for size in sizes] for axis in (0, 1))
    disagree = sum(labels[one] != labels[two] for one, two in pairs.tolist())
    straddle = sum(bool(train[one]) != bool(train[two]) for one, two in pairs.tolist())
    figures: list[tuple[str, Any]] = [
        ("images that decode", int(pixels.ok.sum())),
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
    if sizes:
        figures += [
            ("median height", int(np.median(heights))),
            ("median width", int(np.median(widths))),
            ("smallest side", min(min(size) for size in sizes)),
            ("largest side", max(max(size) for size in sizes)),
            ("grey pictures", _grey(pixels, rows)),
        ]
    figures += [
        ("pairs of near twins, not byte-identical", len(pairs)),
        ("of these with different labels", disagree),
        ("of these in train and in test", straddle),
    ]
    columns = (Column("what", "what"), Column("count", "count", "int"))
    table = tuple({"what": what, "count": count} for what, count in figures)
    return Table("Data", columns, table, ("bench data check lists what is left out, and why",))


def _grey(pixels: Pixels, rows: np.ndarray) -> int:
    found = 0
    for _, images in pixels.batches(1024, rows):
        wide = images.astype(np.int16)
        found += int((np.ptp(wide, axis=3).max(axis=(1, 2)) <= GREY).sum())
    return found


def _classes(parts: Parts, train: np.ndarray, rows: np.ndarray) -> Table:
    labels = parts.given
    prices = parts.examples.columns.get("price", ("",) * len(labels))
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


def _groups(parts: Parts, rows: np.ndarray) -> Table:
    """Count photos per listing and per group of the split."""
    out = []
    columns = parts.examples.columns
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


def _twins(parts: Parts, train: np.ndarray, pairs: np.ndarray, most: int = 20) -> Table:
    """List near twins, those with different labels and those on two sides first."""
    items, labels = parts.examples.items, parts.given
    rows = [
        {
            "one": items[one],
            "two": items[two],
            "label": labels[one],
            "other": labels[two] if labels[two] != labels[one] else "",
            "sides": "train and test" if train[one] != train[two] else "",
        }
        for one, two in pairs.tolist()
    ]
    rows.sort(key=lambda row: (row["other"] == "", row["sides"] == "", row["one"], row["two"]))
    columns = (
        Column("one", "image"),
        Column("two", "near twin"),
        Column("label", "label"),
        Column("other", "other label"),
        Column("sides", "sides"),
    )
    notes = (f"and {len(rows) - most} more pairs",) if len(rows) > most else ()
    return Table("Near twins", columns, tuple(rows[:most]), notes)
