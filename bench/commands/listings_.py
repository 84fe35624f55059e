"""`bench listings CELL`: accuracy of a stored cell on whole listings instead of single photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    from bench.data.examples import Examples

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
    data: str | None,
    follow_links: bool,
    results: str | None,
    tasks: str | None,
    cache: str | None,
    fmt: str,
) -> None:
    """Score a stored cell on listings: one answer for all photos of a listing, by three rules.

    CELL is the beginning of its id, or its folder. A listing has the label of its photos if they agree; other
    listings are counted and left out. Listings are read from the data; the groups of the split (--by group:
    senders, or listings of unknown senders) are stored with the answers.
    """
    from bench.commands.confusion_ import confusion_of
    from bench.commands.loading import results_root
    from bench.commands.options import data_folder
    from bench.commands.show_ import find
    from bench.core.paths import cache_dir, search_path
    from bench.store.settings import cell_title
    from bench.store.write import Store

    if not by.strip():
        raise BenchError("--by is empty: name a column of the data, or use group")
    stored = find(Store(results_root(results)), cell)
    tables, pred = confusion_of(stored), stored.predictions("test")
    if by == GROUP:
        if pred.groups is None:
            raise BenchError(f"cell {stored.id[:8]} has no groups: its task's items are independent")
        ids: Sequence[str] = pred.groups
    else:
        cards = search_path("tasks", tasks)
        place = cache_dir(cache).resolve()
        examples = _data_of(stored.record["cell"], data_folder(data, None), follow_links, cards, place)
        ids = _ids(examples, pred.items, by)
    show_table(tables.listing_table(pred, ids, cell_title(stored.record), by), fmt)


def _data_of(
    cell: Mapping[str, Any], data: Path | None, follow_links: bool, tasks: tuple[Path, ...], cache: Path
) -> Examples:
    """Return the examples that a cell was run on. Raises BenchError if they are not available."""
    from bench.data.sources import sample_size
    from bench.runs.plan import Request, open_task

    source, protocol = str(cell["data"]["source"]), cell["protocol"]
    settings = {"source": protocol["source"]} if "source" in protocol else {}
    size = None if data is not None else sample_size(source)
    if data is None and size is None:
        raise BenchError(
            "listings are not stored with the answers: name the data with --data DIR, or use the groups of "
            "the split, --by group"
        )
    request = Request(str(cell["task"]), data, size, settings=settings, follow_links=follow_links)
    examples = open_task(request, tasks, cache)[1]
    # Reviewed labels change the fingerprint, but not the photos and listings.
    reviewed = protocol.get("labels") == "reviewed"
    if examples.fingerprint != cell["data"]["fingerprint"] and not reviewed:
        where = f"--data {str(data)!r}" if data is not None else f"the synthetic sample {size}"
        raise BenchError(f"{where}: not the data that this cell was run on; name that with --data DIR")
    return examples


def _ids(examples: Examples, items: Sequence[str], column: str) -> list[str]:
    """Return each item's listing; an item without one is a listing of its own."""
    from bench.core.errors import unknown

    if column not in examples.columns:
        names = list(examples.columns)
        raise unknown("column", column, names, f"the data has: {', '.join(names)}; or --by {GROUP}")
    rows = {item: row for row, item in enumerate(examples.items)}
    missing = next((item for item in items if item not in rows), None)
    if missing is not None:
        raise BenchError(
            f"the data has no item {missing[:80]!r} of this cell: name the cell's own data with --data"
        )
    cells = [examples.columns[column][rows[item]] for item in items]
    if not any(cells):
        raise BenchError(f"column {column!r} is empty for every test item; try --by {GROUP}")
    return [cell or f"item {item}" for cell, item in zip(cells, items, strict=True)]
