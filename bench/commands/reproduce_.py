"""`bench reproduce CELL...`: run stored cells again and compare their predictions."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from bench.commands.option_values import local_paths
from bench.commands.options import cell_options, format_option, results_option
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
@cell_options
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    metavar="X",
    help="Allowed difference of a score [0.0001].",
)
@click.option(
    "--cache", metavar="DIR", help="Use cached pixels and features from this folder [compute them again]."
)
@results_option
@format_option
def command(
    cells: tuple[str, ...],
    tolerance: float | None,
    cache: str | None,
    results: str | None,
    fmt: str,
    **options: Any,
) -> int:
    """Run stored cells again from their records and compare their predictions, score by score.

    CELL is the beginning of an id, or a cell's folder. Stored cells are not changed. Exit codes: 3, scores
    differ by more than the tolerance; 4, one of several cells could not be run; 5, scores differ on another
    kind of processor, which is inconclusive.
    """
    from bench.commands.loading import find, report_problems, results_root
    from bench.commands.progress import Progress
    from bench.core.paths import cache_dir
    from bench.runs.reproduce import DIFFERENT, FAILED, OTHER_PROCESSOR, TOLERANCE, reproduce
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
    place = local_paths(options, cache_dir(cache).resolve() if cache else None)
    allowed = TOLERANCE if tolerance is None else tolerance
    with Progress(len(wanted)) as progress:
        for stored in wanted.values():
            try:
                given = options_of(str(stored.record.get("command", "")))
                found.append(reproduce(stored, place, allowed, progress.on_event, given))
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
            "other processor: processors round differently, so nets trained end to end give slightly "
            "different scores; run the cell on the processor that its record names"
        )
    return Table("", columns, rows, tuple(notes))
