"""Tables for Python: text in a terminal, HTML in a notebook, a data frame for everything else."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from bench.core.safe_text import visible
from bench.core.table import Column, Table
from bench.report.render import render, shown

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class ResultTable:
    """A table of results. Values are unrounded; only what is shown is rounded.

    table: its title, columns, rows and notes.
    """

    table: Table

    def frame(self) -> pd.DataFrame:
        """Return the rows as a pandas data frame, without title and notes."""
        from bench.report.frames import table_frame

        return table_frame(self.table)

    def text(self, fmt: str = "table") -> str:
        """Return the table as text. fmt: `table`, `md`, `csv` or `json`."""
        return render(self.table, fmt)

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        """Return the table as HTML; every text in it is escaped."""
        return html(self.table)


def html(table: Table) -> str:
    """Return a table as HTML without styles or scripts; every text in it is escaped."""
    head = "".join(f"<th{_side(column)}>{_safe(column.title)}</th>" for column in table.columns)
    body = "".join(f"<tr>{_cells(table, row)}</tr>" for row in table.rows)
    caption = f"<caption>{_safe(table.title)}</caption>" if table.title else ""
    notes = "".join(f"<p>{_safe(note)}</p>" for note in table.notes)
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}"


def _cells(table: Table, row: Any) -> str:
    return "".join(
        f"<td{_side(column)}>{_safe(shown(column, row.get(column.key)))}</td>" for column in table.columns
    )


def _side(column: Column) -> str:
    return ' style="text-align:left"' if column.type in ("text", "bool") else ""


def _safe(text: str) -> str:
    return escape(visible(text))
