"""Reader of tables of yes/no labels, which may be invalid."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.core.errors import DataError
from bench.data.examples import Problem
from bench.data.files import DataFolder
from bench.data.photo_tree import ENDINGS
from bench.data.tables import printable, read_csv, read_text

CELLS: Mapping[str, str] = {"1": "1", "0": "0", "1.0": "1", "0.0": "0", "": "", "na": "", "nan": ""}
"""Valid cells, in lower case, with their meaning: yes, no, unknown."""

_IMAGE = re.compile(r"(image|photo|picture|img|file)s?[ _-]?(name|file|path|id)?", re.IGNORECASE)
_ID = re.compile(r"id|item|index|name", re.IGNORECASE)
_MARKS = ",;\t|"


@dataclass(frozen=True)
class LabelRow:
    """One row of a label table: its photo, its place in the file, its cells as written."""

    photo: str
    where: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class LabelTable:
    """The valid rows of a label table.

    names: column names of the cells. attributes: indices of columns of labels; other columns are kept
    unchanged. problems: invalid rows and oddities.
    """

    names: tuple[str, ...]
    attributes: tuple[int, ...]
    rows: tuple[LabelRow, ...]
    problems: tuple[Problem, ...]


def read_label_table(root: DataFolder, name: str) -> LabelTable:
    """Read a label table, separated by commas, semicolons, tabs or bars, else by blanks.

    The first line is a header if its first cell is a name for images or ids, or if it has neither an image
    file nor a label. Without a header, attributes are Attr1, Attr2, ... and a row is valid if it has the most
    frequent length; with a header, if it has the header's. The image is in the first column named like an
    image, else in the first one named like an id, else in the first one.

    A named column is an attribute if it has a yes or a no, or only unknown cells, and is not named like an
    id; others (`other_column`) are not labels. Columns without a name are left out (`unnamed_column`). Raises
    DataError if the table cannot be read, a name is repeated, or there is no attribute.
    """
    where = f"{root.root}/{name}"
    text, notes = read_text(root, name, "cp1252")
    lines = re.split(r"\r\n|\r|\n", text)
    first = next((line for line in lines if line.strip()), "")
    mark = max(_MARKS, key=first.count) if any(char in first for char in _MARKS) else ""
    if mark and _is_header(_split(first, mark)):
        return _from_csv(root, name, mark)
    records = [(number, _split(line, mark)) for number, line in enumerate(lines, 1) if line.strip()]
    if not records:
        raise DataError(f"{where}: is empty; a row must be an image and its labels")
    if _is_header(records[0][1]):
        header, records = tuple(records[0][1]), records[1:]
    else:
        lengths = Counter(len(fields) for _, fields in records)
        width = max(lengths, key=lambda length: (lengths[length], length))
        header = ("image", *(f"Attr{k}" for k in range(1, width)))
    whole, uneven = [], []
    for number, fields in records:
        if len(fields) == len(header):
            whole.append((number, fields))
        else:
            uneven.append(_uneven(f"{name} line {number}", len(fields), len(header)))
    return _typed(where, name, header, whole, (*notes, *uneven))


def _split(line: str, mark: str) -> list[str]:
    """Return the fields of one line, separated by the mark, or by blanks without one."""
    if not mark:
        return [printable(field) for field in line.split()]
    try:
        return [printable(field.strip()) for field in next(csv.reader([line], delimiter=mark), [])]
    except csv.Error:
        return []


def _is_header(fields: Sequence[str]) -> bool:
    if not any(fields[1:]) or fields[0].lower().endswith(ENDINGS):
        return False
    labels = any(field and field.lower() in CELLS for field in fields[1:])
    return bool(_IMAGE.fullmatch(fields[0]) or _ID.fullmatch(fields[0])) or not labels


def _uneven(where: str, found: int, wanted: int) -> Problem:
    code = "too_few_fields" if found < wanted else "too_many_fields"
    return Problem(code, where, f"{found} fields, expected {wanted}")


def _from_csv(root: DataFolder, name: str, mark: str) -> LabelTable:
    table = read_csv(root, name, (), delimiters=mark, encoding="cp1252")
    cells = zip(*table.columns, strict=True)
    records = [(line, list(fields)) for line, fields in zip(table.lines, cells, strict=True)]
    return _typed(f"{root.root}/{name}", name, table.header, records, table.problems)


def _typed(
    where: str,
    name: str,
    header: Sequence[str],
    records: Sequence[tuple[int, Sequence[str]]],
    problems: tuple[Problem, ...],
) -> LabelTable:
    """Classify columns as image, attribute or other."""
    doubled = next((title for title, count in Counter(header).items() if title and count > 1), None)
    if doubled is not None:
        raise DataError(f"{where}: has several columns {doubled[:80]!r}; keep one")
    named = (place for sort in (_IMAGE, _ID) for place, title in enumerate(header) if sort.fullmatch(title))
    image = next(named, 0)
    notes = [
        Problem("unnamed_column", name, f"column {place + 1} has no name: left out", fatal=False)
        for place, title in enumerate(header)
        if not title and place != image
    ]
    places = [place for place, title in enumerate(header) if title and place != image]
    attributes = []
    for own, place in enumerate(places):
        title, why = header[place], "has no 1 and no 0"
        if _ID.fullmatch(title):
            why = "is named like an id"
        elif _holds_labels({fields[place].lower() for _, fields in records}):
            attributes.append(own)
            continue
        note = f"column {title[:80]!r} {why}: kept, but not as an attribute"
        notes.append(Problem("other_column", name, note, fatal=False))
    if not attributes:
        raise DataError(
            f"{where}: has no column of labels; a row must be an image and 1, 0 or NA for each attribute"
        )
    rows = tuple(
        LabelRow(fields[image], f"{name} line {line}", tuple(fields[place] for place in places))
        for line, fields in records
    )
    return LabelTable(tuple(header[place] for place in places), tuple(attributes), rows, (*problems, *notes))


def _holds_labels(cells: set[str]) -> bool:
    """Return whether any cell is a yes or a no, or all are unknown; other cells may be faulty labels."""
    return any(CELLS.get(cell) for cell in cells) or cells <= CELLS.keys()


def label_notes(names: Sequence[str], columns: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """Yield a note for each attribute that cannot be learned: all unknown, or a single value."""
    for name in names:
        found = Counter(columns[name])
        yes, no = found["1"], found["0"]
        where = f"attribute {name[:80]}"
        if not yes + no:
            yield Problem("all_unknown", where, "no label is known: kept, but cannot be scored", fatal=False)
        elif not yes or not no:
            word = "yes" if yes else "no"
            yield Problem("one_value", where, f"all {yes + no} known labels are {word}: kept", fatal=False)
