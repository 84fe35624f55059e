"""Image and attribute columns of a table of photos."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bench.core.errors import DataError
from bench.data.examples import Problem, require_columns
from bench.data.layout import Layout
from bench.data.photo_tree import PhotoNames
from bench.data.table_rows import TableRows

_IMAGE = re.compile(
    r"(image|img|photo|picture|file)s?[ _-]?(name|file|path|id|url)?|(file)?path", re.IGNORECASE
)
_TRIED = 50

_YES = frozenset({"1", "1.0", "true", "yes"})
_NO = frozenset({"0", "0.0", "false", "no"})
_UNKNOWN = frozenset({"", "na", "nan", "none", "null"})
_MINUS = frozenset({"-1", "-1.0"})
_WORDS = _YES | _NO | _UNKNOWN | _MINUS


def image_column(where: str, rows: TableRows, names: PhotoNames, layout: Layout) -> str:
    """Return the column of images.

    It is the layout's; else the first one of bytes; else, of columns named like an image and then of the
    others, the first that names a photo in one of its first rows. where: the start of the message. Raises
    DataError.
    """
    if layout.image:
        if layout.image not in rows.images:
            require_columns(where, (layout.image,), (*rows.columns, *rows.images))
        return layout.image
    if rows.images:
        return rows.images[0]
    likely = [name for name in rows.columns if _IMAGE.fullmatch(name)]
    for name in (*likely, *(name for name in rows.columns if name not in likely)):
        pairs = zip(rows.columns[name][:_TRIED], rows.places[:_TRIED], strict=True)
        if any(cell and isinstance(names.find(cell, table), str) for cell, (table, _) in pairs):
            names.asked.clear()
            return name
    names.asked.clear()
    if likely:
        return likely[0]
    has = ", ".join(rows.columns)
    shown = f"{has[:200]}{'…' * (len(has) > 200)}"
    raise DataError(
        f"{where} no column names a photo in the folder: put the photos there, or say --column image=COLUMN "
        f"(it has: {shown})"
    )


def attributes_of(rows: TableRows, named: tuple[str, ...], image: str) -> tuple[str, ...]:
    """Return the named attributes, or all columns with yes and no: at least one yes, and no other word.

    image: the column of images, which is excluded: photos may be called 1 and 0.
    """
    if named:
        return named
    found = []
    for name, cells in rows.columns.items():
        words = {cell.lower() for cell in set(cells)}
        if name != image and words <= _WORDS and words & _YES:
            found.append(name)
    return tuple(found)


def as_attributes(
    names: Sequence[str], columns: Mapping[str, Sequence[str]], where: Sequence[str], problems: list[Problem]
) -> dict[str, tuple[str, ...]]:
    """Return attributes as "1", "0" or "" for unknown.

    -1 means no if no attribute has a 0, as in CelebA's list, else unknown. Other cells are unknown and noted.
    """
    signed = not any(cell.lower() in _NO for name in names for cell in set(columns[name]))
    meaning = dict.fromkeys(_YES, "1") | dict.fromkeys(_NO, "0") | dict.fromkeys(_UNKNOWN, "")
    meaning |= dict.fromkeys(_MINUS, "0" if signed else "")
    out = {}
    for name in names:
        cells = columns[name]
        faulty = {cell for cell in set(cells) if cell.lower() not in meaning}
        for row in (row for row, cell in enumerate(cells) if cell in faulty):
            why = f"{name[:80]} is {cells[row][:40]!r}, not 1, 0 or NA: unknown"
            problems.append(Problem("bad_label", where[row], why, fatal=False))
        out[name] = tuple(meaning.get(cell.lower(), "") for cell in cells)
    return out
