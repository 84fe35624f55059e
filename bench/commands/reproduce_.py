"""`bench reproduce CELL...`: run stored cells again and compare what they answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bench.commands.options import format_option, results_option, tasks_option
from bench.errors import EXIT_DONE, EXIT_REGRESSION, EXIT_SOME_FAILED, BenchError

if TYPE_CHECKING:
    from bench.report.table import Table
    from bench.reproduce import Reproduction


@click.command()
@click.argument("cells", nargs=-1, required=True, metavar="CELL...")
@click.option("--data", metavar="DIR", help="Folder with the data [the one the cell was run with].")
@click.option("--labels", metavar="FILE", help="Table of reviewed labels [the one the cell was run with].")
@click.option("--weights", metavar="FILE", help="Weights file, if it was one [the one it was run with].")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    metavar="X",
    help="How far a score may be off [0.0001].",
)
@click.option("--cache", metavar="DIR", help="Take pixels and features from this cache [compute them anew].")
@tasks_option
@results_option
@format_option
def command(
    cells: tuple[str, ...],
    data: str | None,
    labels: str | None,
    weights: str | None,
    tolerance: float | None,
    cache: str | None,
    tasks: str | None,
    results: str | None,
    fmt: str,
) -> int:
    """Run stored cells again from their records and compare their predictions, score by score.

    CELL is the beginning of an id, or a cell's folder. Nothing stored is changed. Exit code 3 says that a
    cell answers differently than it did, beyond the tolerance; 4 that one of several could not be run.
    """
    from bench.commands.loading import results_root, tell
    from bench.commands.options import data_folder
    from bench.commands.progress import Progress
    from bench.commands.show_ import find
    from bench.paths import cache_dir, search_path
    from bench.report.render import render
    from bench.reproduce import DIFFERENT, FAILED, TOLERANCE, Place, reproduce
    from bench.store import Store

    store = Store(results_root(results))
    wanted = list({stored.id: stored for stored in (find(store, text) for text in cells)}.values())
    place = Place(
        tasks=search_path("tasks", tasks),
        data=data_folder(data, None),
        labels=labels,
        weights=weights,
        cache=cache_dir(cache).resolve() if cache else None,
    )
    allowed = TOLERANCE if tolerance is None else tolerance
    found: list[Reproduction] = []
    faults: list[BenchError] = []
    with Progress(len(wanted)) as progress:
        for stored in wanted:
            try:
                found.append(reproduce(stored, place, allowed, progress.on_event))
            except BenchError as error:
                faults.append(error)
    if not found:
        raise faults[0]
    tell([str(error) for error in faults])
    click.echo(render(_table(found, allowed), fmt))
    verdicts = {one.verdict for one in found}
    if DIFFERENT in verdicts:
        return EXIT_REGRESSION
    return EXIT_SOME_FAILED if FAILED in verdicts or faults else EXIT_DONE


def _table(found: list[Reproduction], tolerance: float) -> Table:
    from bench.report.table import Column, Table

    columns = [
        Column("cell", "cell"),
        Column("verdict", "verdict"),
        Column("largest", "largest difference", "number"),
        Column("changed", "decided otherwise", "int"),
        Column("items", "items", "int"),
        Column("changes", "what has changed"),
        Column("why", "why"),
    ]
    rows = [
        {
            "cell": one.cell[:8],
            "verdict": one.verdict,
            "largest": one.difference.largest,
            "changed": None if one.difference.largest is None else one.difference.changed,
            "items": one.difference.items or None,
            "changes": ", ".join(one.changes) or "nothing",
            "why": one.difference.why or None,
        }
        for one in found
    ]
    if not any(row["why"] for row in rows):
        columns.pop()
    return Table("", columns, rows, (f"within tolerance: every score within {tolerance:g}",))
