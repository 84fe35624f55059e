"""Rendering of tables as text, Markdown, CSV or JSON; the only place that rounds."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from bench.core.cell import finite
from bench.core.errors import unknown
from bench.core.safe_text import PackedText, csv_cell, markdown, spreadsheet, visible
from bench.core.table import Column, Table

MISSING = "–"
EMPTY = "(no rows)"
LONGEST = 400
"""Maximum length of a cell in tables; CSV and JSON are not shortened."""

NUMBERS = ("int", "ratio", "signed", "seconds", "bytes")
"""Types of numeric columns, which are right-aligned."""

WIDEST = 72
"""Width at which cells of terminal tables wrap."""


def render(table: Table, fmt: str) -> str:
    """Return the table as text without a final newline.

    fmt: `table` and `md` round, and show title and notes; `csv` and `json` (a list of objects, null where
    undefined) have only the rows, unrounded. Raises BenchError for another format.
    """
    if fmt not in FORMATS:
        raise unknown("format", fmt, FORMATS, f"one of {', '.join(FORMATS)}")
    return FORMATS[fmt](table)


def _table(table: Table) -> str:
    from tabulate import tabulate

    layout = PackedText()
    lines = [visible(table.title)] if table.title else []
    if table.rows:
        cells = _cells(table, visible, layout)
        # Wrapping is tabulate's slowest step, so only columns that need it are wrapped.
        wide = [any(len(cell) > WIDEST for cell in column) for column in zip(*cells, strict=True)]
        body = tabulate(
            cells,
            # Long names over narrow columns of numbers would waste width.
            headers=[_stacked(column, layout) for column in table.columns],
            tablefmt="simple",
            disable_numparse=True,
            colalign=[_side(column) for column in table.columns],
            maxcolwidths=[WIDEST if wrap else None for wrap in wide] if any(wide) else None,
        )
        lines += [layout.unpack(line).rstrip() for line in body.split("\n")]
    else:
        lines.append(EMPTY)
    return "\n".join([*lines, *(visible(note) for note in table.notes)])


def _md(table: Table) -> str:
    from tabulate import tabulate

    blocks = [f"**{markdown(table.title)}**"] if table.title else []
    if table.rows:
        layout = PackedText()
        body = tabulate(
            _cells(table, markdown, layout),
            headers=[layout.pack(markdown(column.title)) for column in table.columns],
            tablefmt="pipe",
            disable_numparse=True,
            colalign=[_side(column) for column in table.columns],
        )
        blocks.append(layout.unpack(body))
    else:
        blocks.append(EMPTY)
    return "\n\n".join([*blocks, *(markdown(note) for note in table.notes)])


def _cells(table: Table, safe: Callable[[str], str], layout: PackedText) -> list[list[str]]:
    def cell(column: Column, row: Mapping[str, Any]) -> str:
        text = shown(column, row.get(column.key))
        return layout.pack(safe(text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"))

    return [[cell(column, row) for column in table.columns] for row in table.rows]


def _csv(table: Table) -> str:
    rows = [[csv_cell(plain(row.get(column.key))) for column in table.columns] for row in table.rows]
    return "\n".join(map(_csv_line, [[spreadsheet(column.key) for column in table.columns], *rows]))


def _csv_line(values: Sequence[Any]) -> str:
    # The writer quotes a carriage return only if its line terminator has one.
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerow(values)
    return out.getvalue().removesuffix("\r\n")


def _json(table: Table) -> str:
    return json_list(
        {column.key: plain(row.get(column.key)) for column in table.columns} for row in table.rows
    )


def json_list(objects: Iterable[Mapping[str, Any]]) -> str:
    """Return objects as JSON: ASCII, safe in any terminal and encoding; one a line, for people and diff."""
    lines = [json.dumps(finite(one), allow_nan=False, ensure_ascii=True) for one in objects]
    return "[\n" + ",\n".join(lines) + "\n]" if lines else "[]"


FORMATS: dict[str, Callable[[Table], str]] = {"table": _table, "csv": _csv, "json": _json, "md": _md}


def shown(column: Column, value: Any) -> str:
    """Return the text of a cell: rounded by the kind of its column, a dash where undefined.

    >>> shown(Column("top1", "top-1", "ratio"), 0.89449), shown(Column("d", "difference", "signed"), -0.0316)
    ('0.894', '-.032')
    """
    value = plain(value)
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return str(value)
    if column.type == "ratio":
        return f"{value:z.3f}"
    if column.type == "signed":
        text = f"{value:+.3f}" if value else f"{0:.3f}"
        return text.replace("0.", ".", 1) if abs(value) < 0.9995 else text
    if column.type == "bytes":
        return human_size(value)
    if column.type == "seconds":
        return f"{value:.1f}"
    if isinstance(value, float):
        return f"{value:.0f}" if column.type == "int" else f"{value:.6g}"
    return str(value)


def human_size(size: float | None) -> str:
    """Return a number of bytes in readable units.

    >>> human_size(999), human_size(1_437_000_000), human_size(20_500_000_000_000), human_size(None)
    ('999 B', '1.4 GB', '20.5 TB', 'size not known')
    """
    if size is None:
        return "size not known"
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.95:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def plain(value: Any) -> Any:
    """Return a numpy number as a Python one, and NaN or an infinity as None."""
    return finite(value.item() if hasattr(value, "item") else value)


def _side(column: Column) -> str:
    return "right" if column.type in NUMBERS else "left"


def _stacked(column: Column, layout: PackedText) -> str:
    title = layout.pack(visible(column.title))
    return title if _side(column) == "left" else title.replace(" ", "\n")
