"""`bench listings CELL`: what a stored cell answers of whole listings, not of single photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import cache_option, format_option, results_option, tasks_option
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.data.examples import Examples

LISTING, GROUP = "listing", "group"
DRAWN = "drawn-"


@click.command()
@click.argument("cell")
@click.option(
    "--by",
    metavar="COLUMN",
    default=LISTING,
    show_default=True,
    help="Column of the data that says which photos belong together; group: what the split keeps together.",
)
@click.option(
    "--data",
    metavar="DIR",
    help="Folder with the data that the cell was run on; a drawn sample is drawn again.",
)
@results_option
@tasks_option
@cache_option
@format_option
def command(
    cell: str,
    by: str,
    data: str | None,
    results: str | None,
    tasks: str | None,
    cache: str | None,
    fmt: str,
) -> None:
    """Score a stored cell on listings: one answer for all photos of a listing, by three rules.

    CELL is the beginning of its id, or its folder. A listing's label is its photos', where these agree;
    others are counted and left out. Which photos are of one listing stands in the data. Stored with the
    answers are only the groups that the split keeps together (--by group): senders, or listings where
    senders are unknown.
    """
    from bench.commands.confusion_ import answers_of
    from bench.commands.loading import results_root
    from bench.commands.options import data_folder
    from bench.commands.show_ import find
    from bench.listing_level import listing_table
    from bench.paths import cache_dir, search_path
    from bench.report.render import render
    from bench.report.settings import cell_title
    from bench.store import Store

    if not by.strip():
        raise BenchError("--by is empty: name a column of the data, or group")
    stored = find(Store(results_root(results)), cell)
    pred = answers_of(stored)
    if by == GROUP:
        if pred.groups is None:
            raise BenchError(f"cell {stored.id[:8]} has no groups: its task counts every item by itself")
        ids: Sequence[str] = pred.groups
    else:
        cards = search_path("tasks", tasks)
        examples = _data_of(stored.record["cell"], data_folder(data, None), cards, cache_dir(cache).resolve())
        ids = _ids(examples, pred.items, by)
    click.echo(render(listing_table(pred, ids, cell_title(stored.record), by), fmt))


def _data_of(cell: Mapping[str, Any], data: Path | None, tasks: tuple[Path, ...], cache: Path) -> Examples:
    """Return the examples that a cell was run on. Raises BenchError where they cannot be had."""
    from bench.plan import Request, open_task

    source, protocol = str(cell["data"]["source"]), cell["protocol"]
    settings = {"source": protocol["source"]} if "source" in protocol else {}
    if data is None and not source.startswith(DRAWN):
        raise BenchError(
            "the stored answers do not say which photos are of one listing: name the data with --data DIR, "
            "or take what the split keeps together, --by group"
        )
    size = None if data is not None else source.rpartition("-")[2]
    request = Request(str(cell["task"]), data, size, settings=settings)
    examples = open_task(request, tasks, cache)[1]
    # Reviewed labels have a fingerprint of their own, and the photos and listings of the data.
    reviewed = protocol.get("labels") == "reviewed"
    if examples.fingerprint != cell["data"]["fingerprint"] and not reviewed:
        where = f"--data {str(data)!r}" if data is not None else f"the drawn sample {size}"
        raise BenchError(f"{where}: is not the data that this cell was run on; name that with --data DIR")
    return examples


def _ids(examples: Examples, items: Sequence[str], column: str) -> list[str]:
    """Return the cell of the column for each item; an item without one stands alone."""
    from bench.errors import unknown

    if column not in examples.columns:
        names = list(examples.columns)
        raise unknown("column", column, names, f"the data has: {', '.join(names)}; or --by {GROUP}")
    rows = {item: row for row, item in enumerate(examples.items)}
    missing = next((item for item in items if item not in rows), None)
    if missing is not None:
        raise BenchError(
            f"the data has no item {missing[:80]!r}, which the cell answered: name its own with --data"
        )
    cells = [examples.columns[column][rows[item]] for item in items]
    if not any(cells):
        raise BenchError(f"column {column!r} of the data is empty for every test item; try --by {GROUP}")
    return [cell or f"item {item}" for cell, item in zip(cells, items, strict=True)]
