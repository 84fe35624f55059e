"""`bench listings CELL`: accuracy of a stored cell on whole listings instead of single photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from bench.commands.options import (
    cache_option,
    follow_links_option,
    format_option,
    results_option,
    tasks_option,
)
from bench.commands.output import show_table
from bench.core.errors import BenchError

LISTING, GROUP = "listing", "group"


@click.command()
@click.argument("cell")
@click.option(
    "--by",
    metavar="COLUMN",
    default=LISTING,
    show_default=True,
    help="Column of the data that identifies listings; group: the groups of the split.",
)
@click.option(
    "--data",
    metavar="DIR",
    help="Folder with the data that the cell was run on; not needed for a synthetic sample.",
)
@follow_links_option
@results_option
@tasks_option
@cache_option
@format_option
def command(
    cell: str,
    by: str,
    results: str | None,
    fmt: str,
    **where: Any,
) -> None:
    """Score a stored cell on listings: one answer for all photos of a listing, by three rules.

    CELL is the beginning of its id, or its folder. A listing has the label of its photos if they agree; other
    listings are counted and left out. Listings are read from the data; the groups of the split (--by group:
    senders, or listings of unknown senders) are stored with the answers.
    """
    from bench.commands.confusion_ import confusion_of
    from bench.commands.loading import place_of, stored_cell
    from bench.runs.cell_data import DataMismatch, column_of, examples_of
    from bench.store.settings import cell_title

    if not by.strip():
        raise BenchError("--by is empty: name a column of the data, or use group")
    stored = stored_cell(cell, results)
    tables, pred = confusion_of(stored), stored.predictions("test")
    if by == GROUP:
        if pred.groups is None:
            raise BenchError(f"cell {stored.id[:8]} has no groups: its task's items are independent")
        ids: Sequence[str] = pred.groups
    else:
        try:
            examples = examples_of(stored.record["cell"], place_of(results, **where))
        except DataMismatch as error:
            raise DataMismatch(f"{error}, or use --by {GROUP}, which needs no data") from None
        ids = _ids(column_of(examples, by), pred.items, by)
    show_table(tables.listing_table(pred, ids, cell_title(stored.record), by), fmt)


def _ids(listings: Mapping[str, str], items: Sequence[str], column: str) -> list[str]:
    """Return each item's listing; an item without one is a listing of its own."""
    missing = next((item for item in items if item not in listings), None)
    if missing is not None:
        raise BenchError(
            f"the data has no item {missing[:80]!r} of this cell: name the cell's own data with --data"
        )
    cells = [listings[item] for item in items]
    if not any(cells):
        raise BenchError(f"column {column!r} is empty for every test item; try --by {GROUP}")
    return [cell or f"item {item}" for cell, item in zip(cells, items, strict=True)]
