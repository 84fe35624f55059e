"""Reviewed labels: the table of suspect labels, and its application to the examples."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.core.atomic_files import replacing
from bench.core.errors import DataError, StoreError, nearest
from bench.core.regular_files import Refused, open_file
from bench.core.safe_text import spreadsheet
from bench.data.examples import Examples
from bench.data.files import DataFolder
from bench.data.tables import read_csv

COLUMNS = ("item", "given", "suggested", "score", "reason", "image", "use")
"""Columns of the table. Users edit `use`: the label to train and score on, empty to leave out."""


def as_given(label: str) -> str:
    """Return the name of the column of unreviewed labels.

    Splits use it: a review must not move photos between train and test.
    """
    return f"{label} as given"


@dataclass(frozen=True)
class Suspect:
    """One row of the table. score: low for a doubtful label. image: its file, "" for a synthetic image."""

    item: str
    given: str
    suggested: str
    score: float
    reason: str
    image: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as written, safe for spreadsheets; `use` starts as the suggestion."""
        texts = self.item, self.given, self.suggested, self.reason, self.image
        item, given, suggested, reason, image = map(spreadsheet, texts)
        return item, given, suggested, f"{self.score:.6f}", reason, image, suggested


def write_suspects(path: Path, suspects: Sequence[Suspect]) -> None:
    """Write the table whole or not at all. Raises StoreError if the file exists or cannot be written."""
    if path.exists():
        raise StoreError(f"{path}: exists already, perhaps edited; choose another --out FILE")
    try:
        with replacing(path) as fresh, fresh.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(suspect.cells for suspect in suspects)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror}); choose another --out FILE") from None


def _unescaped(cell: str, known: Container[str]) -> str:
    """Return a cell without the apostrophe of `Suspect.cells`."""
    return cell[1:] if cell not in known and spreadsheet(cell[1:]) == cell else cell


def corrected(examples: Examples, label: str, path: Path) -> Examples:
    """Return the examples with the labels of a reviewed table.

    label: the column of the class. Changed labels change the fingerprint, and so the cells. Raises DataError,
    naming the line, for an unknown or repeated item, a given label that differs from the data's, and a label
    to use that no example has.
    """
    try:
        open_file(path).close()
    except Refused as why:
        raise DataError(f"--set labels={path}: {why} (bench clean --out {path} makes one)") from None
    table = read_csv(DataFolder(path.parent), path.name, ("item", "given", "use"), ",;\t", "cp1252")
    fault = next((problem for problem in table.problems if problem.fatal), None)
    if fault is not None:
        raise DataError(f"{path}: {fault.where}: {fault.why}")
    rows = {item: row for row, item in enumerate(examples.items)}
    labels = list(examples.columns[label])
    known, seen = set(labels), set[str]()
    cells = (table.column(name) for name in ("item", "given", "use"))
    for line, item, given, use in zip(table.lines, *cells, strict=True):
        where = f"{path} line {line}"
        item, given, use = _unescaped(item, rows), _unescaped(given, known), _unescaped(use, known)
        if item not in rows:
            raise DataError(
                f"{where}: the data has no item {item[:80]!r}{nearest(item, examples.items[:1000])}"
            )
        if item in seen:
            raise DataError(f"{where}: item {item[:80]!r} is repeated; keep one line")
        if labels[rows[item]] != given:
            raise DataError(
                f"{where}: item {item[:80]!r} is {labels[rows[item]][:80]!r} in the data, "
                f"not {given[:80]!r}; review the labels of this data"
            )
        if use and use not in known:
            raise DataError(f"{where}: no example is {use[:80]!r}{nearest(use, sorted(known))}")
        seen.add(item)
        labels[rows[item]] = use
    changes = [
        (item, new)
        for item, old, new in zip(examples.items, examples.columns[label], labels, strict=True)
        if old != new
    ]
    if not changes:
        return examples
    digest = hashlib.sha256(repr((examples.fingerprint, label, changes)).encode("utf-8"))
    before = {as_given(label): examples.columns[label]}
    return replace(
        examples,
        columns={**examples.columns, label: tuple(labels), **before},
        fingerprint=digest.hexdigest(),
    )
