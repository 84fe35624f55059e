"""Tables on standard output: fitted to a terminal, or in the requested format."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from bench.core.table import Table
    from bench.report.terminal import Terminal

NARROWEST = 80
"""Width of the narrowest terminal that tables are fitted to."""

WIDE, COLUMNS = "bench.wide", "bench.columns"
"""Keys of the context's `meta` for the values of --wide and --columns."""


def show_table(table: Table, fmt: str) -> None:
    """Print a table. Raises BenchError for a column of --columns that it lacks."""
    _print([table], fmt, alone=True)


def show_tables(tables: Sequence[Table], fmt: str) -> None:
    """Print tables, separated by blank lines or as one JSON list. Raises BenchError as `show_table` does."""
    _print(tables, fmt, alone=False)


def text_of(tables: Sequence[Table], terse: bool = False) -> str:
    """Return tables as text for people. terse: do not list the columns that did not fit."""
    tables, view = _chosen(tables), view_of_output()
    if view is not None:
        from bench.report.terminal import fitted

        return "\n\n".join(fitted(table, replace(view, terse=terse)) for table in tables)
    from bench.report.render import render

    return "\n\n".join(render(table, "table") for table in tables)


def lines_of(lines: Sequence[str]) -> str:
    """Return lines of text that wrap as tables do."""
    from bench.core.safe_text import visible

    view = view_of_output()
    lines = [visible(line) for line in lines]
    if view is None:
        return "\n".join(lines)
    from bench.report.terminal import wrapped

    return wrapped(lines, view.width)


def _print(tables: Sequence[Table], fmt: str, alone: bool) -> None:
    from bench.report.render import render

    if fmt == "table":
        click.echo(text_of(tables))
        return
    texts = [render(table, fmt) for table in _chosen(tables)]
    lines = ",\n".join(texts)
    click.echo(f"[{lines}]" if fmt == "json" and not alone else "\n\n".join(texts))


def view_of_output() -> Terminal | None:
    """Return the view of a terminal, None if standard output is not one.

    The variable COLUMNS sets the width; if it is set, any output counts as a terminal.
    """
    from bench.report.terminal import Terminal

    meta = _meta()
    terminal = sys.stdout.isatty()
    if not terminal and not os.environ.get("COLUMNS", "").isdigit():
        return None
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    width = max(NARROWEST, shutil.get_terminal_size((NARROWEST, 24)).columns)
    return Terminal(width, colour, bool(meta.get(WIDE)), bool(meta.get(COLUMNS)))


def has_room(table: Table) -> bool:
    """Return whether text for people shows every column of a table."""
    from bench.report.terminal import fits

    view = view_of_output()
    return view is None or fits(table, view)


def width_of_output() -> int:
    """Return the width of text for people."""
    view = view_of_output()
    return sys.maxsize if view is None else view.width


def _chosen(tables: Sequence[Table]) -> Sequence[Table]:
    """Return the tables with the columns of --columns. Raises BenchError for one that no table has."""
    from bench.core.errors import unknown

    if not (names := _meta().get(COLUMNS)):
        return tables
    from bench.report.terminal import chosen

    known = list(dict.fromkeys(column.key for table in tables for column in table.columns))
    for name in names:
        if name not in known:
            raise unknown("column", name, known, f"there are {', '.join(known)}")
    return chosen(tables, names)


def check_columns(known: Sequence[str]) -> None:
    """Raise BenchError for a column of --columns that a run's tables cannot have, before they are made."""
    from bench.core.errors import unknown

    for name in _meta().get(COLUMNS) or ():
        if name not in known:
            raise unknown("column", name, known, f"there are {', '.join(known)}")


def forget_columns(tables: Sequence[Table]) -> None:
    """Remove missing columns from --columns: columns without a value may be absent."""
    keys = {column.key for table in tables for column in table.columns}
    if names := _meta().get(COLUMNS):
        _meta()[COLUMNS] = tuple(name for name in names if name in keys)


def _meta() -> dict[str, Any]:
    context = click.get_current_context(silent=True)
    return {} if context is None else context.meta
