"""Source of the Kaggle layout of Fashion Product Images: `styles.csv` and `images/<id>.jpg`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.core.errors import DataError
from bench.data.examples import Examples, Problem, because_of, fingerprint
from bench.data.files import LEAVES, DataFolder, open_folder
from bench.data.hashing import hash_files
from bench.data.reader import FolderImages
from bench.data.tables import CsvTable, printable, read_csv

SOURCE = "kaggle-fashion"
FORMAT_VERSION = 1
"""Part of the fingerprint; bumped when the result of reading a folder changes."""

TABLE = "styles.csv"
IMAGES = "images"
ID = "id"


def open_kaggle(
    folder: Path, cache: Path, required_columns: Sequence[str], follow_links: bool = False
) -> Examples:
    """Read the table, match it with the images, and hash those.

    required_columns: columns of the table; the first is the label, and rows with an empty label are left out.
    Rows left out and repairs are in `problems`. Images are not decoded here. cache: folder for the content
    hashes. follow_links: see `DataFolder`. Raises DataError if the folder, the table or a column is missing,
    or if no row is usable.
    """
    root = open_folder(folder, f"it must hold {TABLE} and {IMAGES}/<id>.jpg", follow_links)
    table = read_csv(root, TABLE, (ID, *required_columns))
    entries = _list_images(root)
    chosen = _Choice(table, entries, required_columns[0] if required_columns else None)
    names = {item: f"{IMAGES}/{item}.jpg" for item in chosen.rows}
    hashes = hash_files(root, tuple(names.values()), cache)
    refused = {item: hashes.refused[name] for item, name in names.items() if name in hashes.refused}
    problems = (
        *table.problems,
        *chosen.problems,
        *(Problem(why.code, names[item], f"{why}") for item, why in refused.items()),
        *_without_row(entries, table, chosen.seen),
    )
    kept = [item for item in names if item not in refused]
    if not kept:
        raise DataError(f"{root.root}: no row of {TABLE} can be used{because_of(problems)}")
    columns = _columns(table, [chosen.rows[item] for item in kept])
    content = tuple(hashes.found[names[item]] for item in kept)
    return Examples(
        items=tuple(kept),
        columns=columns,
        images=FolderImages(root, tuple(names[item] for item in kept), content),
        fingerprint=fingerprint(SOURCE, FORMAT_VERSION, columns, content),
        source=SOURCE,
        problems=problems,
    )


def _list_images(root: DataFolder) -> Mapping[str, os.DirEntry[str]]:
    """Return the entries of the images folder by name."""
    path = f"{root.root}/{IMAGES}"
    if not os.path.isdir(path):
        raise DataError(f"{path}: no such folder; the data folder must hold {IMAGES}/<id>.jpg beside {TABLE}")
    if not root.holds(IMAGES):
        raise DataError(f"{path}: {LEAVES}; put the images themselves there")
    try:
        with os.scandir(path) as entries:
            return {entry.name: entry for entry in entries}
    except OSError as error:
        raise DataError(f"{path}: cannot be listed ({error.strerror}); make the folder readable") from None


class _Choice:
    """The usable rows, judged without opening images.

    rows: row number by id, in the table's order. seen: the ids of all rows, usable or not.
    """

    def __init__(self, table: CsvTable, entries: Mapping[str, os.DirEntry[str]], label: str | None) -> None:
        self.rows: dict[str, int] = {}
        self.problems: list[Problem] = []
        self.table = table
        place = table.header.index(ID)
        self.seen = {fields[place].strip() for fields in table.dropped if len(fields) > place}
        labels = table.columns[place] if label is None else table.column(label)
        for row, (item, text) in enumerate(zip(table.columns[place], labels, strict=True)):
            if not text and item:
                problem = "empty_label", f"{label} of id {item[:80]} is empty"
            elif item and f"{item}.jpg" in entries and item not in self.rows and "/" not in item:
                self.rows[item] = row
                continue
            else:
                problem = self._problem(item)
            self.problems.append(Problem(problem[0], f"{table.name} line {table.lines[row]}", problem[1]))
        self.seen.update(table.columns[place])

    def _problem(self, item: str) -> tuple[str, str]:
        if not item:
            return "empty_id", "the id is empty"
        if "/" in item or "\\" in item:
            return "outside", f"id {item[:80]!r} is a path; only images in {IMAGES}/ are used"
        if item in self.rows:
            return (
                "duplicate_id",
                f"id {item} is also in line {self.table.lines[self.rows[item]]}, which is kept",
            )
        return "no_image", f"there is no {IMAGES}/{item[:80]}.jpg"


def _without_row(entries: Mapping[str, os.DirEntry[str]], table: CsvTable, seen: set[str]) -> list[Problem]:
    """Return a note for each image without a row, except hidden files."""
    return [
        Problem("no_row", f"{IMAGES}/{printable(name)}", f"no row of {table.name} names it", fatal=False)
        for name in sorted(entries)
        if not name.startswith(".") and not (name.endswith(".jpg") and name[:-4] in seen)
    ]


def _columns(table: CsvTable, rows: Sequence[int]) -> dict[str, tuple[str, ...]]:
    """Return the named columns at these rows; the first of columns with the same name."""
    columns: dict[str, tuple[str, ...]] = {}
    for name, cells in zip(table.header, table.columns, strict=True):
        if name and name not in columns:
            columns[name] = cells if len(rows) == len(cells) else tuple([cells[row] for row in rows])
    return columns
