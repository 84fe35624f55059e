"""Tables of a data set of people: images of each, people in train and test, listed pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.core.table import Column, Table
from bench.data.examples import Examples
from bench.data.label_table import ClassCount
from bench.data.pair_lists import FILES

EXACT, WIDE = 5, 20
"""Groups of people by number of images: one each up to EXACT, one up to WIDE, one beyond."""


def people_figures(people: Sequence[ClassCount]) -> list[tuple[str, Any]]:
    """Return counts of people and of the possible pairs of their images, with their titles."""
    sizes = sorted(own.train + own.test for own in people)
    figures: list[tuple[str, Any]] = [
        ("people", len(people)),
        ("people with one image (in different pairs only)", sum(size == 1 for size in sizes)),
        ("people in train", sum(own.train > 0 for own in people)),
        ("people in test", sum(own.test > 0 for own in people)),
        ("people in train and in test", sum(own.train > 0 and own.test > 0 for own in people)),
    ]
    if sizes:
        figures += [
            ("images of the median person", sizes[len(sizes) // 2]),
            ("images of the largest person", sizes[-1]),
        ]
    for side, counts in (("train", [own.train for own in people]), ("test", [own.test for own in people])):
        same = sum(n * (n - 1) // 2 for n in counts)
        total = sum(counts)
        figures += [
            (f"possible pairs of one person in {side}", same),
            (f"possible pairs of two people in {side}", total * (total - 1) // 2 - same),
        ]
    return figures


def images_table(people: Sequence[ClassCount]) -> Table:
    """Count people by number of images: all, in train, in test."""
    groups: dict[str, list[ClassCount]] = {}
    for own in sorted(people, key=lambda own: own.train + own.test):
        size = own.train + own.test
        wide = f"{EXACT + 1} to {WIDE}" if size <= WIDE else f"more than {WIDE}"
        groups.setdefault(f"{size}" if size <= EXACT else wide, []).append(own)
    columns = (
        Column("images", "images of a person"),
        Column("people", "people", "int"),
        Column("train", "in train", "int"),
        Column("test", "in test", "int"),
    )
    rows = tuple(
        {
            "images": title,
            "people": len(members),
            "train": sum(own.train > 0 for own in members),
            "test": sum(own.test > 0 for own in members),
        }
        for title, members in groups.items()
    )
    return Table("People", columns, rows)


def lists_table(examples: Examples) -> list[Table]:
    """Return the counts of the data's lists of pairs as a table; none without lists."""
    columns = (
        Column("file", "list"),
        Column("pairs", "pairs", "int"),
        Column("same", "same", "int"),
        Column("folds", "folds", "int"),
        Column("people", "people", "int"),
        Column("images", "images", "int"),
    )
    rows = []
    for name, pairs in examples.pair_lists.items():
        images = {*pairs.first, *pairs.second}
        rows.append(
            {
                "file": FILES[name],
                "pairs": len(pairs),
                "same": sum(pairs.same),
                "folds": max(pairs.folds) + 1,
                "people": len({examples.columns["person"][row] for row in images}),
                "images": len(images),
            }
        )
    return [Table("Listed pairs", columns, rows)] if rows else []
