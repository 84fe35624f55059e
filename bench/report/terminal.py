"""Tables on a terminal: fitted to its width, values with intervals, verdicts in colour."""

from __future__ import annotations

import io
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat, zip_longest
from typing import Any

from bench.core.safe_text import visible
from bench.core.table import Column, Table
from bench.report.render import EMPTY, LONGEST, MISSING, NUMBERS, shown

GAP = 2
"""Space between two columns of a table."""

UNBROKEN = 24
"""Minimum width of a text column, unless no more columns can be omitted."""

NARROWEST = 8
"""Minimum width of a text column with broken words."""

STYLES = {
    **dict.fromkeys(("better", "best", "good"), "bold green"),
    **dict.fromkeys(("worse", "not better than trivial", "failed", "cannot run", "damaged"), "bold red"),
    **dict.fromkeys(("same", "tied"), "cyan"),
    **dict.fromkeys(("behind", "not comparable", "missing"), "yellow"),
}
"""Styles of verdicts, which do not depend on colour alone."""


@dataclass(frozen=True)
class Terminal:
    """How a terminal shows tables.

    width: its columns. colour: whether it shows colours. wide: all columns, however wide the lines become.
    named: whether the user chose the columns, so that none is left out. terse: whether no note names the
    columns that are left out.
    """

    width: int
    colour: bool = False
    wide: bool = False
    named: bool = False
    terse: bool = False


def fitted(table: Table, view: Terminal) -> str:
    """Return the table as lines of at most `view.width` columns, without a final newline.

    Columns that are empty are left out, those with one value become a note, and those of the highest rank
    are left out until the rest fits; a note names them.
    """
    parts = [wrapped([visible(table.title)], view.width, "bold" if view.colour else "")]
    if not table.title:
        parts = []
    cells = _Cells(table)
    columns, notes = _columns(cells, view)
    if table.rows:
        parts.append(_drawn(cells, columns, view))
    else:
        parts.append(EMPTY)
    lines = [visible(note) for note in (*table.notes, *notes)]
    if lines:
        parts.append(wrapped(lines, view.width))
    return "\n".join(parts)


def fits(table: Table, view: Terminal) -> bool:
    """Return whether every column of a table has room."""
    return view.wide or not _fewer(_Cells(table), table.columns, view.width)[1]


def _columns(cells: _Cells, view: Terminal) -> tuple[list[Column], list[str]]:
    """Return the columns to show, and notes on those that are not."""
    table = cells.table
    within = {key for column in table.columns for key in column.spread}
    columns = [column for column in table.columns if view.named or column.key not in within]
    if view.wide or view.named or not table.rows:
        return columns, []
    columns = [column for column in columns if not column.rank or not _is_empty(table, column)]
    once = {column.key: value for column in columns if (value := _only_value(table, column)) is not None}
    notes = ["; ".join(f"{column.title}: {once[column.key]}" for column in columns if column.key in once)]
    columns = [column for column in columns if column.key not in once]
    columns, left = _fewer(cells, columns, view.width)
    if left and not view.terse:
        notes.append(f"Not shown: {', '.join(left)} (--wide, or --columns NAME,NAME).")
    return columns, [note for note in notes if note]


def _is_empty(table: Table, column: Column) -> bool:
    return all(row.get(column.key) in (None, "") for row in table.rows)


def _only_value(table: Table, column: Column) -> str | None:
    """Return the only value of a text column that is filled in at least half of the rows, or None."""
    values = [row[column.key] for row in table.rows if row.get(column.key) not in (None, "")]
    if column.type != "text" or not column.rank or len(set(map(str, values))) != 1:
        return None
    if len(values) < 2 or 2 * len(values) < len(table.rows):
        return None
    return shown(column, values[0])


def _fewer(cells: _Cells, columns: Sequence[Column], width: int) -> tuple[list[Column], list[str]]:
    """Return the columns that fit, giving room to low ranks first, and the keys of the others.

    A value may fit where its interval does not.
    """
    room, kept = width + GAP, dict[str, Column]()
    for column in sorted(columns, key=lambda column: column.rank):
        for way in (column, replace(column, spread=())):
            if not column.rank or cells.narrowest(way) + GAP <= room:
                kept[column.key] = way
                room -= cells.narrowest(way) + GAP
                break
    shown_keys = {key for column in kept.values() for key in (column.key, *column.spread)}
    left = [key for column in columns for key in (column.key, *column.spread) if key not in shown_keys]
    return [kept[column.key] for column in columns if column.key in kept], left


class _Cells:
    """The texts of a table's columns, made once for each."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self._known: dict[Column, list[str]] = {}

    def of(self, column: Column) -> list[str]:
        """Return the cells of a column, with their spread; values are aligned."""
        if column not in self._known:
            self._known[column] = self._made(column)
        return self._known[column]

    def _made(self, column: Column) -> list[str]:
        rows = self.table.rows
        values = [_cut(visible(_short(column, row.get(column.key)))) for row in rows]
        if not column.spread:
            return values
        spreads = [_spread(column, row) for row in rows]
        wide, wider = max(map(len, values), default=0), max(map(len, spreads), default=0)
        pairs = zip(values, spreads, strict=True)
        return [f"{value:>{wide}}{spread:{wider}}" for value, spread in pairs]

    def widest(self, column: Column) -> int:
        """Return the width of the widest cell."""
        from rich.cells import cell_len

        return max(map(cell_len, self.of(column)), default=1)

    def narrowest(self, column: Column) -> int:
        """Return the width that a column needs: of its values, of text at most UNBROKEN."""
        from rich.cells import cell_len

        widest = self.widest(column)
        if column.type == "text":
            widest = min(UNBROKEN, widest)
        return max(widest, *(cell_len(word) for word in (visible(column.title).split() or [""])))


def _spread(column: Column, row: Mapping[str, Any]) -> str:
    ends = [_short(column, row.get(key)) for key in column.spread]
    if MISSING in ends or row.get(column.key) is None:
        return ""
    # A difference's interval has signs, a standard deviation has none.
    return f" ±{ends[0].lstrip('+')}" if len(ends) == 1 else f" [{', '.join(ends)}]"


def _short(column: Column, value: Any) -> str:
    """Return the text of a cell, a ratio without the zero before its point."""
    text = shown(column, value)
    return text.replace("0.", ".", 1) if column.type == "ratio" and text[:2] in ("0.", "-0") else text


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _drawn(cells: _Cells, columns: Sequence[Column], view: Terminal) -> str:
    """Return the lines of a table: titles, dashes, rows. rich's own table takes a millisecond per row."""
    widths = _widths(cells, columns, sys.maxsize if view.wide else view.width)
    titles = [visible(column.title) for column in columns]
    heads = [
        textwrap.wrap(title, width, break_long_words=False)
        if column.type in NUMBERS
        else _lines_of(title, width)
        for title, column, width in zip(titles, columns, widths, strict=True)
    ]
    tall = max(map(len, heads))
    lines = [
        _joined(columns, widths, [["", *head][max(0, place - tall + len(head) + 1)] for head in heads])
        for place in range(tall)
    ]
    lines.append(" ".join("-" * (width + GAP - 1) for width in widths[:-1]) + " " + "-" * widths[-1])
    for row in zip(*(cells.of(column) for column in columns), strict=True):
        broken = [_lines_of(text, width) for text, width in zip(row, widths, strict=True)]
        for parts in zip_longest(*broken, fillvalue=""):
            lines.append(_joined(columns, widths, parts, _styles(columns, row) if view.colour else ()))
    return "\n".join(line.rstrip() for line in lines)


def _joined(
    columns: Sequence[Column], widths: Sequence[int], parts: Sequence[str], styles: Sequence[str] = ()
) -> str:
    """Return one line of a row; numbers are right-aligned."""
    from rich.cells import cell_len

    out = []
    for index, (column, width, part) in enumerate(zip(columns, widths, parts, strict=True)):
        blank = " " * (width - cell_len(part))
        styled = _styled(part, styles[index]) if styles and styles[index] else part
        out.append(blank + styled if column.type in NUMBERS else styled + blank)
    return (" " * GAP).join(out)


def _styles(columns: Sequence[Column], row: Sequence[str]) -> list[str]:
    return [
        "" if column.type in NUMBERS else STYLES.get(text, "")
        for column, text in zip(columns, row, strict=True)
    ]


def _styled(text: str, style: str) -> str:
    from rich.color import ColorSystem
    from rich.style import Style

    return Style.parse(style).render(text, color_system=ColorSystem.STANDARD)


def _lines_of(text: str, width: int) -> list[str]:
    """Return a text as lines of this width, broken at spaces where that is possible."""
    from rich.cells import cell_len

    if cell_len(text) <= width:
        return [text]
    from rich.console import Console
    from rich.text import Text

    console = Console(file=io.StringIO(), width=width, legacy_windows=False, _environ={})
    return [line.plain.rstrip() for line in Text(text).wrap(console, width, overflow="fold")]


def _widths(cells: _Cells, columns: Sequence[Column], width: int) -> list[int]:
    """Return the width of each column; columns of text share what the others leave."""
    from rich.cells import cell_len

    least = [cells.narrowest(column) for column in columns]
    most = [
        least[index]
        if column.type in NUMBERS
        else max(least[index], cells.widest(column), cell_len(visible(column.title)))
        for index, column in enumerate(columns)
    ]
    room = width - GAP * (len(columns) - 1)
    if sum(least) > room:
        least = [
            own if column.type in NUMBERS else min(own, NARROWEST)
            for column, own in zip(columns, least, strict=True)
        ]
    level = max(most, default=0)
    while level > 1 and sum(map(_between, least, most, repeat(level))) > room:
        level -= 1
    return [*map(_between, least, most, repeat(level))]


def _between(least: int, most: int, level: int) -> int:
    return min(most, max(least, level))


def wrapped(lines: Sequence[str], width: int, style: str = "") -> str:
    """Return lines of text that wrap at spaces."""
    broken = [part for line in lines for part in _lines_of(line, width)]
    return "\n".join(_styled(part, style) if style else part for part in broken)


def chosen(tables: Sequence[Table], names: Sequence[str]) -> list[Table]:
    """Return the tables with the named columns only; those that have none of them are left out."""
    out = []
    for table in tables:
        by_key = {column.key: column for column in table.columns}
        if own := [by_key[name] for name in names if name in by_key]:
            out.append(replace(table, columns=own))
    return out
