"""A label file beside `images/`: each row an image and its attributes, 1 (yes), 0 (no) or NA (unknown)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.data.examples import Examples, Problem, fingerprint
from bench.data.files import DataFolder
from bench.data.hashing import hash_files
from bench.data.label_rows import CELLS, LabelRow, LabelTable, label_notes, read_label_table
from bench.data.photo_files import IMAGES, PhotoFiles, list_folder
from bench.data.reader import FolderImages
from bench.errors import DataError, nearest

SOURCE = "label-file"
FORMAT_VERSION = 1
"""Part of the fingerprint; raised when the same folder would be read differently."""

TABLES = ("label.txt", "labels.txt", "label.csv", "labels.csv", "label.tsv", "labels.tsv")
TRUTHS = ("truth.txt", "truth.csv", "truth.tsv")
_LAYOUT = f"it must hold one of {', '.join(TABLES[:4])}, and {IMAGES}/"


@dataclass
class Labelled:
    """One image: its file, the row that named it first, its labels and its other cells.

    labels: of each attribute the values that rows gave it: none, one, or both where rows disagree.
    """

    file: str
    where: str
    labels: list[set[str]]
    others: tuple[str, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """The labels as "1", "0" or "": rows that disagree leave a cell unknown."""
        return tuple(next(iter(found)) if len(found) == 1 else "" for found in self.labels)


@dataclass
class _Found:
    """What a table says of each file, and everything that was odd."""

    images: dict[str, Labelled] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def open_label_file(folder: Path, cache: Path, needed_columns: Sequence[str]) -> Examples:
    """Read a label table (`label_rows.read_label_table`) and match it with the photos of `images/`.

    An item is a photo's file name. A row without a photo is left out. A cell that is neither 1, 0, NA nor
    empty is unknown. A row in which nothing is known is kept. A photo named by several rows is one item: its
    known cells are those of all of them, a cell on which they disagree is unknown, and its other columns are
    those of the first row. A second table `truth.csv` (`.txt`, `.tsv`) of the same layout gives the true
    values (`Examples.answers`). Everything left out or odd is one of `problems`. No image is decoded here.
    cache: folder for the content hashes. Raises DataError when the folder or a column is missing, there are
    several label tables, or no row is left.
    """
    if not os.path.isdir(folder):
        raise DataError(f"data folder {str(folder)!r} is not there or not a folder; {_LAYOUT}")
    root = DataFolder(folder)
    name = _only(root, TABLES)
    if name is None:
        raise DataError(f"{root.root}: has no label table; {_LAYOUT}")
    table = read_label_table(root, name)
    files = PhotoFiles(root, _LAYOUT)
    found = _match(table, files)
    hashes = hash_files(Path(root.root), tuple(found.images), cache)
    for file, why in hashes.refused.items():
        found.problems.append(Problem(why.kind, file, f"{why}"))
        del found.images[file]
    if not found.images:
        first = next((problem for problem in found.problems if problem.fatal), None)
        because = f" (the first problem: {first.where}: {first.why})" if first else ""
        raise DataError(f"{root.root}: no row of {name} can be used{because}; {_LAYOUT}")
    items = tuple(file.removeprefix(f"{IMAGES}/") for file in found.images)
    attributes = tuple(table.names[place] for place in table.attributes)
    columns = _columns(table, tuple(found.images.values()))
    for column in needed_columns:
        if column not in columns:
            guess = nearest(column, columns)
            raise DataError(
                f"{root.root}: has no column {column!r}{guess} (it has: {', '.join(columns)[:200]})"
            )
    answers = _answers(root, attributes, tuple(found.images), columns, found.problems)
    content = tuple(hashes.found[file] for file in found.images)
    # Names of columns hold no control characters, so what is added here is none of them.
    truth = {f"\x00truth {name}": told for name, told in answers.items()}
    whole = {**columns, "\x00attributes": attributes, **truth}
    return Examples(
        items=items,
        columns=columns,
        images=FolderImages(root, tuple(found.images), content),
        fingerprint=fingerprint(SOURCE, FORMAT_VERSION, whole, content),
        source=SOURCE,
        problems=(*found.problems, *files.without_row(name), *label_notes(attributes, columns)),
        attributes=attributes,
        answers=answers,
    )


def _only(root: DataFolder, names: Sequence[str]) -> str | None:
    """Return which of these files there is, None for none. Raises DataError for several."""
    there = [name for name in list_folder(root.root) if name in names]
    if len(there) > 1:
        raise DataError(f"{root.root}: holds {' and '.join(there)}; keep one of them")
    return there[0] if there else None


def _match(table: LabelTable, files: PhotoFiles) -> _Found:
    """Take up every row that names a photo, or say why it cannot be used."""
    found = _Found(problems=list(table.problems))
    labelled = set(table.attributes)
    for row in table.rows:
        photo = row.photo.removeprefix("./").removeprefix(f"{IMAGES}/")
        file = files.find(photo) if photo else Problem("empty_id", "", "the row names no image")
        if isinstance(file, Problem):
            found.problems.append(Problem(file.kind, row.where, file.why))
            continue
        labels = _labels(table, row, found.problems)
        if file in found.images:
            found.problems.append(_merge(found.images[file], labels, table, row))
            continue
        others = tuple(cell for place, cell in enumerate(row.cells) if place not in labelled)
        found.images[file] = Labelled(file, row.where, labels, others)
    for image in found.images.values():
        if not any(image.cells):
            found.problems.append(
                Problem("no_known_label", image.where, "no label of the row is known: kept", fatal=False)
            )
    return found


def _labels(table: LabelTable, row: LabelRow, problems: list[Problem]) -> list[set[str]]:
    """Return the known value of each attribute of a row; what is no label is unknown and noted."""
    labels: list[set[str]] = []
    for place in table.attributes:
        cell = row.cells[place]
        value = CELLS.get(cell.lower())
        if value is None:
            why = f"{table.names[place][:80]} is {cell[:40]!r}, not 1, 0 or NA: taken as unknown"
            problems.append(Problem("bad_label", row.where, why, fatal=False))
        labels.append({value} if value else set())
    return labels


def _merge(image: Labelled, labels: Sequence[set[str]], table: LabelTable, row: LabelRow) -> Problem:
    """Add what another row says of an image, and tell what came of it."""
    name = image.file.removeprefix(f"{IMAGES}/")[:80]
    before = image.cells
    for known, new in zip(image.labels, labels, strict=True):
        known |= new
    torn = [
        table.names[place]
        for place, known, new in zip(table.attributes, image.labels, labels, strict=True)
        if new and len(known) > 1
    ]
    if torn:
        which = ", ".join(title[:40] for title in torn[:8])
        why = f"{name} was given another {which} by {image.where}: one row is kept, and that is unknown"
        return Problem("label_conflict", row.where, why)
    if image.cells != before:
        why = f"{name} was named by {image.where}: one row is kept, with the known cells of both"
        return Problem("merged_row", row.where, why)
    return Problem("duplicate_image", row.where, f"{name} was named by {image.where}, which is kept")


def _columns(table: LabelTable, images: Sequence[Labelled]) -> dict[str, tuple[str, ...]]:
    """Return all columns in the table's order."""
    cells = [image.cells for image in images]
    labels = iter(tuple(row[place] for row in cells) for place in range(len(table.attributes)))
    others = iter(zip(*(image.others for image in images), strict=True))
    labelled = set(table.attributes)
    return {
        name: next(labels) if place in labelled else next(others) for place, name in enumerate(table.names)
    }


def _answers(
    root: DataFolder,
    attributes: Sequence[str],
    images: Sequence[str],
    labels: Mapping[str, Sequence[str]],
    problems: list[Problem],
) -> Mapping[str, tuple[str, ...]]:
    """Return the true values, "" where there are none; nothing without a table of them.

    labels: attribute -> what the label table says of each image.
    """
    name = _only(root, TRUTHS)
    if name is None:
        return {}
    table = read_label_table(root, name)
    # A column of true values may hold no label at all here; which ones count is told by the label table.
    told = _match(table, PhotoFiles(root, _LAYOUT))
    problems += (
        replace(problem, fatal=False) for problem in told.problems if problem.kind != "no_known_label"
    )
    names = [table.names[place] for place in table.attributes]
    for title in names:
        if title not in attributes:
            why = f"attribute {title[:80]!r} is not in the label table: left out"
            problems.append(Problem("unknown_attribute", name, why, fatal=False))
    strangers = len(told.images.keys() - set(images))
    if strangers:
        why = f"{strangers} images are not in the label table: left out"
        problems.append(Problem("truth_only", name, why, fatal=False))
    nothing = ("",) * len(names)
    places = {title: place for place, title in enumerate(names)}
    known = [file in told.images for file in images]
    torn = sum(
        {given, told.images[file].cells[places[title]]} == {"0", "1"}
        for title in attributes
        if title in places
        for file, given, there in zip(images, labels[title], known, strict=True)
        if there
    )
    if torn:
        why = f"{torn} cells are known in the label table and say the opposite here; are its rows in place?"
        problems.append(Problem("truth_disagrees", name, why, fatal=False))
    cells = [told.images[file].cells if file in told.images else nothing for file in images]
    return {title: tuple(row[places[title]] for row in cells) for title in attributes if title in places}
