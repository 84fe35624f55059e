"""Attributes of people: an optional table beside the folders of their photos."""

from __future__ import annotations

import os
from collections.abc import Sequence

from bench.data.examples import Problem
from bench.data.files import DataFolder
from bench.data.photo_tree import composed
from bench.data.tables import printable, read_csv

PEOPLE = "people.csv"
"""The table: a column `person`, the name of a folder, and any others."""

PERSON = "person"

OWN = (PERSON, "number")
"""Columns derived from the folders."""

Columns = dict[str, tuple[str, ...]]


def people_columns(root: DataFolder, people: Sequence[str]) -> tuple[Columns, list[Problem]]:
    """Return the table's other columns, a value per photo, and its problems; empty without a table.

    people: the person on each of n photos. Photos of people without a line have the value "". The columns
    describe people for `--by`; nothing is trained on them, so they are not part of the fingerprint. Raises
    DataError for an invalid table or one without a column `person`.
    """
    if not os.path.lexists(f"{root.root}/{PEOPLE}"):
        return {}, []
    table = read_csv(root, PEOPLE, (PERSON,), ",;\t|", "cp1252")
    people = [composed(person) for person in people]
    rows: dict[str, int] = {}
    problems = list(table.problems)
    for row, (name, line) in enumerate(zip(table.column(PERSON), table.lines, strict=True)):
        first = rows.setdefault(composed(name), row)
        if first != row:
            why = f"{printable(name)} is in line {table.lines[first]} too, which is kept"
            problems.append(Problem("duplicate_name", f"{PEOPLE} line {line}", why, fatal=False))
    columns: Columns = {}
    for title, cells in zip(table.header, table.columns, strict=True):
        if title and title not in (*OWN, *columns):
            columns[title] = tuple(cells[rows[person]] if person in rows else "" for person in people)
    lacking = sorted({person for person in people if person not in rows})
    if lacking and columns:
        why = f"no line for {len(lacking)} people, such as {lacking[0]}: they have no value"
        problems.append(Problem("missing_value", PEOPLE, why, fatal=False))
    return columns, problems
