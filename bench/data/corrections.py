"""Reviewed labels: a table of suspects that a person edits, and what it changes when a run uses it."""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.data.examples import Examples
from bench.data.files import DataFolder
from bench.data.tables import read_csv
from bench.errors import DataError, StoreError, nearest
from bench.report.text import spreadsheet

COLUMNS = ("item", "given", "suggested", "score", "reason", "image", "use")
"""The columns of the table. `use` is the one to edit: the label to train and score on, empty to leave out."""


def as_given(label: str) -> str:
    """Return the name of the column that keeps the labels of the data where reviewed ones took their place.

    Splits go by these: reviewing a label must not move photos between train and test.
    """
    return f"{label} as given"


@dataclass(frozen=True)
class Suspect:
    """One row of the table. score: low where the given label is doubted. image: its file, "" where drawn."""

    item: str
    given: str
    suggested: str
    score: float
    reason: str
    image: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as it is written, for a spreadsheet; `use` starts as what is suggested."""
        texts = self.item, self.given, self.suggested, self.reason, self.image
        item, given, suggested, reason, image = map(spreadsheet, texts)
        return item, given, suggested, f"{self.score:.6f}", reason, image, suggested


def write_suspects(path: Path, suspects: Sequence[Suspect]) -> None:
    """Write the table whole or not at all. Raises StoreError where the file is there or cannot be written."""
    if path.exists():
        raise StoreError(f"{path}: is there already, perhaps edited; choose another --out FILE")
    fresh = path.with_name(f".{path.name}.part")
    try:
        with open(fresh, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(suspect.cells for suspect in suspects)
        os.rename(fresh, path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise StoreError(f"{path}: cannot be written ({error.strerror}); choose another --out FILE") from None


def _told(cell: str, known: Container[str]) -> str:
    """Return a cell without the apostrophe that keeps a spreadsheet from running it, see `Suspect.cells`."""
    return cell[1:] if cell not in known and spreadsheet(cell[1:]) == cell else cell


def corrected(examples: Examples, label: str, path: Path) -> Examples:
    """Return the examples with the labels of a reviewed table; the data folder itself stays as it is.

    label: the column of the class. The fingerprint takes in what changed, so that results of other labels
    are other cells. Raises DataError, naming the line, for an item that the data does not have or that
    comes twice, a given label that is not the data's, and a label to use that no example has.
    """
    if not path.is_file():
        raise DataError(f"--set labels={path}: there is no such file (bench clean --out {path} makes one)")
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
        item, given, use = _told(item, rows), _told(given, known), _told(use, known)
        if item not in rows:
            raise DataError(
                f"{where}: the data has no item {item[:80]!r}{nearest(item, examples.items[:1000])}"
            )
        if item in seen:
            raise DataError(f"{where}: item {item[:80]!r} comes twice; keep one line")
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
