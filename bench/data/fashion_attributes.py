"""Attributes of the Kaggle fashion set: frequent values of its columns as yes-or-no labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench.core.errors import DataError
from bench.data.examples import Examples, fingerprint, require_columns
from bench.data.kaggle import SOURCE as KAGGLE
from bench.data.kaggle import open_kaggle
from bench.data.label_rows import label_notes

SOURCE = "fashion-attributes"
FORMAT_VERSION = 1
"""Part of the fingerprint; bumped when the result of reading a folder changes."""

COLUMNS = ("gender", "masterCategory", "subCategory", "usage", "season")
MIN_SHARE = 0.01
"""Minimum share of rows for a value to become an attribute."""

UNKNOWN = ("", "na", "nan")
"""Cells of unknown values, in any case; the data set writes NA for a missing usage or season."""


def open_fashion_attributes(
    folder: Path, cache: Path, needed_columns: Sequence[str], follow_links: bool = False
) -> Examples:
    """Read a folder in the Kaggle layout (`kaggle.open_kaggle`) as attributes (`with_attributes`).

    needed_columns: further required columns. Raises DataError as `open_kaggle` and `with_attributes` do.
    """
    examples = with_attributes(open_kaggle(folder, cache, (), follow_links), f"{folder}")
    require_columns(f"{folder}:", needed_columns, examples.columns)
    return examples


def with_attributes(examples: Examples, where: str) -> Examples:
    """Return the examples with an attribute such as "gender: Men" for each frequent value of COLUMNS.

    A value is frequent if at least MIN_SHARE of all n examples have it. Attributes are unknown for cells in
    UNKNOWN. They are in the order of COLUMNS, most frequent value first, then by name. where: for the error
    message. Raises DataError if no value is frequent, or if a column has the name of an attribute.
    """
    added: dict[str, tuple[str, ...]] = {}
    for column in COLUMNS:
        cells = examples.columns.get(column, ())
        counts = Counter(cell for cell in cells if cell.lower() not in UNKNOWN)
        for value, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            if count >= MIN_SHARE * len(examples):
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


def attributes_sample(size: str) -> Examples:
    """Return the synthetic fashion sample with attributes. Raises BenchError for an unknown size."""
    from bench.data.synthetic.fashion import fashion_sample

    return with_attributes(fashion_sample(size), "the synthetic sample")


def write_attributes(examples: Examples, folder: Path) -> None:
    """Write a sample in the Kaggle layout, with the columns it had before `with_attributes`."""
    from bench.data.synthetic.fashion import write_fashion

    kept = {name: cells for name, cells in examples.columns.items() if name not in examples.attributes}
    write_fashion(replace(examples, columns=kept, attributes=()), folder)
