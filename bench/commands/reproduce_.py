"""`bench reproduce CELL...`: run stored cells again and compare their predictions."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import (
    allow_code_option,
    follow_links_option,
    format_option,
    plugin_option,
    results_option,
    tasks_option,
)
from bench.commands.output import show_table
from bench.core.errors import (
    EXIT_DONE,
    EXIT_NOTHING_MEASURED,
    EXIT_REGRESSION,
    EXIT_SOME_FAILED,
    BenchError,
    StoreError,
)

if TYPE_CHECKING:
    from bench.core.table import Table
    from bench.runs.reproduce import Reproduction
    from bench.store.write import Stored


@click.command()
@click.argument("cells", nargs=-1, required=True, metavar="CELL...")
@click.option("--data", metavar="DIR", help="Folder with the data [the one the cell was run with].")
@follow_links_option
@allow_code_option
@plugin_option
@click.option("--labels", metavar="FILE", help="Table of reviewed labels [the one the cell was run with].")
@click.option("--weights", metavar="FILE", help="Weights file of the cell, if it had one [the recorded one].")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    metavar="X",
    help="Allowed difference of a score [0.0001].",
)
@click.option("--cache", metavar="DIR", help="Use pixels and features of this cache [compute them again].")
@tasks_option
@results_option
@format_option
def command(
    cells: tuple[str, ...],
    data: str | None,
    follow_links: bool,
    allow_code: bool,
    plugins: tuple[str, ...],
    labels: str | None,
    weights: str | None,
    tolerance: float | None,
    cache: str | None,
    tasks: str | None,
    results: str | None,
    fmt: str,
) -> int:
    """Run stored cells again from their records and compare their predictions, score by score.

    CELL is the beginning of an id, or a cell's folder. Stored cells are not changed. Exit codes: 3, scores
    differ by more than the tolerance; 4, one of several cells could not be run; 5, scores differ on another
    kind of processor, which is inconclusive.
    """
    from bench.commands.loading import report_problems, results_root
    from bench.commands.options import data_folder
    from bench.commands.progress import Progress
    from bench.commands.show_ import find
    from bench.core.paths import cache_dir, search_path
    from bench.runs.reproduce import DIFFERENT, FAILED, OTHER_PROCESSOR, TOLERANCE, LocalPaths, reproduce
    from bench.store.write import Store

    store = Store(results_root(results))
    wanted: dict[str, Stored] = {}
    found: list[Reproduction] = []
    faults: list[BenchError] = []
    for text in cells:
        try:
            wanted.setdefault((stored := find(store, text)).name, stored)
        except StoreError as error:
            faults.append(error)
    place = LocalPaths(
        tasks=search_path("tasks", tasks),
        data=data_folder(data, None),
        labels=labels,
        weights=weights,
        cache=cache_dir(cache).resolve() if cache else None,
        follow_links=follow_links,
        allow_code=allow_code,
        plugins=plugins,
    )
    allowed = TOLERANCE if tolerance is None else tolerance
    with Progress(len(wanted)) as progress:
        for stored in wanted.values():
            try:
                options = options_of(str(stored.record.get("command", "")))
                found.append(reproduce(stored, place, allowed, progress.on_event, options))
            except BenchError as error:
                faults.append(error)
    if not found:
        raise faults[0]
    report_problems([str(error) for error in faults])
    show_table(_table(found, allowed), fmt)
    verdicts = {one.verdict for one in found}
    if DIFFERENT in verdicts:
        return EXIT_REGRESSION
    if FAILED in verdicts or faults:
        return EXIT_SOME_FAILED
    return EXIT_NOTHING_MEASURED if OTHER_PROCESSOR in verdicts else EXIT_DONE


def options_of(command: str) -> Mapping[str, Any]:
    """Parse the options of a stored `bench run ...` without running it; {} for any other command."""
    from bench.commands.run_ import command as run

    try:
        words = shlex.split(command)
        if words[:2] != ["bench", "run"]:
            return {}
        return run.make_context("run", words[2:], resilient_parsing=True).params
    except (ValueError, click.ClickException, BenchError):
        return {}


def _table(found: list[Reproduction], tolerance: float) -> Table:
    from bench.core.table import Column, Table
    from bench.runs.reproduce import OTHER_PROCESSOR

    columns = [
        Column("cell", "cell"),
        Column("verdict", "verdict"),
        Column("largest", "largest difference", "number"),
        Column("changed", "changed answers", "int"),
        Column("items", "items", "int"),
        Column("changes", "changes"),
        Column("why", "why"),
    ]
    rows = [
        {
            "cell": one.cell,
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
    notes = [f"within tolerance: every score within {tolerance:g}"]
    if any(one.verdict == OTHER_PROCESSOR for one in found):
        notes.append(
            "other processor: processors round differently, so nets trained end to end give other digits on "
            "another one; run it on the processor that the cell's record names"
        )
    return Table("", columns, rows, tuple(notes))
