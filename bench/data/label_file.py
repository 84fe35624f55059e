"""Source of a label file beside `images/`: a row is an image and its attributes, 1, 0 or NA (unknown)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.core.errors import DataError
from bench.data.examples import Examples, Problem, because_of, fingerprint, require_columns
from bench.data.files import DataFolder, open_folder
from bench.data.hashing import hash_files
from bench.data.label_rows import CELLS, LabelRow, LabelTable, label_notes, read_label_table
from bench.data.photo_files import IMAGES, PhotoFiles, list_folder
from bench.data.reader import FolderImages

SOURCE = "label-file"
FORMAT_VERSION = 1
"""Part of the fingerprint; bumped when the result of reading a folder changes."""

TABLES = ("label.txt", "labels.txt", "label.csv", "labels.csv", "label.tsv", "labels.tsv")
TRUTHS = ("truth.txt", "truth.csv", "truth.tsv")
_LAYOUT = f"it must hold one of {', '.join(TABLES[:4])}, and {IMAGES}/"


@dataclass
class LabelledPhoto:
    """One image: its file, its first row, its labels and its other cells.

    labels: the set of values of each attribute over all rows of the image; both if rows disagree.
    """

    file: str
    where: str
    labels: list[set[str]]
    others: tuple[str, ...]

    @property
    def cells(self) -> tuple[str, ...]:
        """The labels as "1", "0" or "" (unknown, or rows disagree)."""
        return tuple(next(iter(found)) if len(found) == 1 else "" for found in self.labels)


@dataclass
class _Found:
    """The images of a table by file, and its problems."""

    images: dict[str, LabelledPhoto] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def open_label_file(
    folder: Path, cache: Path, needed_columns: Sequence[str], follow_links: bool = False
) -> Examples:
    """Read a label table (`label_rows.read_label_table`) and match it with the photos of `images/`.

    An item is a photo's file name. Rows without a photo are left out. A cell that is not 1, 0, NA or empty is
    unknown. Rows without known labels are kept. Several rows of a photo are merged: known labels are joined,
    contradicting ones become unknown, other columns are those of the first row. A second table `truth.csv`
    (`.txt`, `.tsv`) of the same layout has the true values (`Examples.answers`). Rows left out and oddities
    are in `problems`. Images are not decoded here. cache: folder for the content hashes. Raises DataError if
    the folder or a column is missing, there are several label tables, or no row is usable.
    """
    root = open_folder(folder, _LAYOUT, follow_links)
    name = _only(root, TABLES)
    if name is None:
        raise DataError(f"{root.root}: has no label table; {_LAYOUT}")
    table = read_label_table(root, name)
    files = PhotoFiles(root, _LAYOUT)
    found = _match(table, files)
    hashes = hash_files(root, tuple(found.images), cache)
    for file, why in hashes.refused.items():
        found.problems.append(Problem(why.code, file, f"{why}"))
        del found.images[file]
    if not found.images:
        raise DataError(f"{root.root}: no row of {name} can be used{because_of(found.problems)}; {_LAYOUT}")
    items = tuple(file.removeprefix(f"{IMAGES}/") for file in found.images)
    attributes = tuple(table.names[place] for place in table.attributes)
    columns = _columns(table, tuple(found.images.values()))
    require_columns(f"{root.root}:", needed_columns, columns)
    answers = _answers(root, attributes, tuple(found.images), columns, found.problems)
    content = tuple(hashes.found[file] for file in found.images)
    # Column names have no control characters, so these keys cannot collide with one.
    truth = {f"\x00truth {name}": cells for name, cells in answers.items()}
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
    """Return the one of these files that exists, or None. Raises DataError for several."""
    found = [name for name in list_folder(root.root) if name in names]
    if len(found) > 1:
        raise DataError(f"{root.root}: has {' and '.join(found)}; keep one of them")
    return found[0] if found else None


def _match(table: LabelTable, files: PhotoFiles) -> _Found:
    """Collect the photos of all rows, and the problems of rows that cannot be used."""
    found = _Found(problems=list(table.problems))
    labelled = set(table.attributes)
    for row in table.rows:
        photo = row.photo.removeprefix("./").removeprefix(f"{IMAGES}/")
        file = files.find(photo) if photo else Problem("empty_id", "", "the row names no image")
        if isinstance(file, Problem):
            found.problems.append(Problem(file.code, row.where, file.why))
            continue
        labels = _labels(table, row, found.problems)
        if file in found.images:
            found.problems.append(_merge(found.images[file], labels, table, row))
            continue
        others = tuple(cell for index, cell in enumerate(row.cells) if index not in labelled)
        found.images[file] = LabelledPhoto(file, row.where, labels, others)
    for image in found.images.values():
        if not any(image.cells):
            found.problems.append(
                Problem("no_known_label", image.where, "no label is known: kept", fatal=False)
            )
    return found


def _labels(table: LabelTable, row: LabelRow, problems: list[Problem]) -> list[set[str]]:
    """Return the known value of each attribute of a row; invalid cells are unknown and noted."""
    labels: list[set[str]] = []
    for place in table.attributes:
        cell = row.cells[place]
        value = CELLS.get(cell.lower())
        if value is None:
            why = f"{table.names[place][:80]} is {cell[:40]!r}, not 1, 0 or NA: treated as unknown"
            problems.append(Problem("bad_label", row.where, why, fatal=False))
        labels.append({value} if value else set())
    return labels


def _merge(image: LabelledPhoto, labels: Sequence[set[str]], table: LabelTable, row: LabelRow) -> Problem:
    """Merge another row of an image, and return a note about it."""
    name = image.file.removeprefix(f"{IMAGES}/")[:80]
    before = image.cells
    for known, new in zip(image.labels, labels, strict=True):
        known |= new
    conflicts = [
        table.names[place]
        for place, known, new in zip(table.attributes, image.labels, labels, strict=True)
        if new and len(known) > 1
    ]
    if conflicts:
        which = ", ".join(title[:40] for title in conflicts[:8])
        why = f"{name} has another {which} in {image.where}: one row is kept, with these labels unknown"
        return Problem("label_conflict", row.where, why)
    if image.cells != before:
        why = f"{name} is also in {image.where}: one row is kept, with the known labels of both"
        return Problem("merged_row", row.where, why)
    return Problem("duplicate_image", row.where, f"{name} is also in {image.where}, which is kept")


def _columns(table: LabelTable, images: Sequence[LabelledPhoto]) -> dict[str, tuple[str, ...]]:
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
    """Return the true values by attribute, "" if unknown; {} without a table of them.

    labels: attribute -> labels of the images.
    """
    name = _only(root, TRUTHS)
    if name is None:
        return {}
    table = read_label_table(root, name)
    found = _match(table, PhotoFiles(root, _LAYOUT))
    problems += (
        replace(problem, fatal=False) for problem in found.problems if problem.code != "no_known_label"
    )
    names = [table.names[place] for place in table.attributes]
    for title in names:
        if title not in attributes:
            why = f"attribute {title[:80]!r} is not in the label table: left out"
            problems.append(Problem("unknown_attribute", name, why, fatal=False))
    if extra := len(found.images.keys() - set(images)):
        why = f"{extra} images are not in the label table: left out"
        problems.append(Problem("truth_only", name, why, fatal=False))
    unknown = ("",) * len(names)
    places = {title: place for place, title in enumerate(names)}
    cells = [found.images[file].cells if file in found.images else unknown for file in images]
    wrong = sum(
        {given, row[places[title]]} == {"0", "1"}
        for title in attributes
        if title in places
        for given, row in zip(labels[title], cells, strict=True)
    )
    if wrong:
        why = f"{wrong} known labels of the label table are the opposite here; are its rows shifted?"
        problems.append(Problem("truth_disagrees", name, why, fatal=False))
    return {title: tuple(row[places[title]] for row in cells) for title in attributes if title in places}
