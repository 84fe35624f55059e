"""Attributes of the Kaggle fashion set: frequent values of its columns, each as a yes or no of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench.data.examples import Examples, fingerprint
from bench.data.kaggle import SOURCE as KAGGLE
from bench.data.kaggle import open_kaggle
from bench.data.label_rows import label_notes
from bench.errors import DataError, nearest

SOURCE = "fashion-attributes"
FORMAT_VERSION = 1
"""Part of the fingerprint; raised when the same folder would be read differently."""

COLUMNS = ("gender", "masterCategory", "subCategory", "usage", "season")
SMALLEST = 0.01
"""The share of all rows that a value must have to be an attribute."""

UNKNOWN = ("", "na", "nan")
"""Cells, in any capitals, that say nothing: the set writes NA for a usage or season that nobody entered."""


def open_fashion_attributes(folder: Path, cache: Path, needed_columns: Sequence[str]) -> Examples:
    """Read a folder in the Kaggle layout (`kaggle.open_kaggle`) as attributes (`with_attributes`).

    needed_columns: what must be there besides. Raises DataError as `open_kaggle` does, and where none of
    COLUMNS is there.
    """
    examples = with_attributes(open_kaggle(folder, cache, ()), f"{folder}")
    for column in needed_columns:
        if column not in examples.columns:
            guess = nearest(column, examples.columns)
            raise DataError(f"{folder}: has no column {column!r}{guess}")
    return examples


def with_attributes(examples: Examples, where: str) -> Examples:
    """Return the examples with an attribute "gender: Men" for each frequent value of COLUMNS.

    A value is frequent if at least SMALLEST of all n examples have it, those whose cell is empty counted
    too. An empty cell of a column (UNKNOWN) leaves its attributes unknown; all other columns are kept.
    Attributes come in the order of COLUMNS, the most frequent value first, then by name. where: for the
    message. Raises DataError where no column is there, no value is frequent, or a column is already called
    like an attribute.
    """
    added: dict[str, tuple[str, ...]] = {}
    for column in COLUMNS:
        cells = examples.columns.get(column, ())
        counts = Counter(cell for cell in cells if cell.lower() not in UNKNOWN)
        for value, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            if count >= SMALLEST * len(examples):
                added[f"{column}: {value}"] = tuple(_answer(cell, value) for cell in cells)
    if not added:
        raise DataError(
            f"{where}: no attribute can be made: none of {', '.join(COLUMNS)} has a frequent value"
        )
    taken = next((name for name in added if name in examples.columns), None)
    if taken is not None:
        raise DataError(f"{where}: has a column {taken[:80]!r} already; rename it")
    columns: Mapping[str, tuple[str, ...]] = {**examples.columns, **added}
    return replace(
        examples,
        columns=columns,
        fingerprint=fingerprint(
            SOURCE,
            FORMAT_VERSION,
            {**columns, "\x00attributes": tuple(added)},
            examples.images.content_hashes(),
        ),
        source=SOURCE if examples.source == KAGGLE else f"{examples.source}-attributes",
        problems=(*examples.problems, *label_notes(tuple(added), added)),
        attributes=tuple(added),
    )


def _answer(cell: str, value: str) -> str:
    return "" if cell.lower() in UNKNOWN else "1" if cell == value else "0"


def without_attributes(examples: Examples) -> Examples:
    """Return the examples with the columns they had before `with_attributes`, to be written as a table."""
    kept = {name: cells for name, cells in examples.columns.items() if name not in examples.attributes}
    return replace(examples, columns=kept, attributes=())
