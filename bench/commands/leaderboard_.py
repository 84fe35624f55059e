"""`bench leaderboard`: which setting is the best, and which cannot be told from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from bench.commands.options import format_option, results_option
from bench.errors import EXIT_DONE, EXIT_NOTHING_MEASURED, EXIT_SOME_FAILED, unknown

if TYPE_CHECKING:
    from bench.report.table import Table
    from bench.store import Stored

TOP = 25
"""Settings of a stage that a table shows where nothing is asked for."""


@click.command()
@click.option("--task", required=True, help="The task whose stored cells are ranked.")
@click.option("--stage", multiple=True, help="Only these stages of the task.")
@click.option("--metric", help="What ranks, e.g. top1_macro [the first that the task's tables show].")
@click.option(
    "--top",
    type=click.IntRange(min=0),
    metavar="N",
    help="The best N settings of each stage; 0 is all [25 in tables, all in csv and json].",
)
@click.option("--effects", is_flag=True, help="Instead: what each method adds to `none`.")
@results_option
@format_option
def command(
    task: str,
    stage: tuple[str, ...],
    metric: str | None,
    top: int | None,
    effects: bool,
    results: str | None,
    fmt: str,
) -> int:
    """Rank backbones and methods by a metric on test, with intervals, and with what they cost.

    Cells that differ in protocol or data stand apart. What the grid lacks is listed and never filled in.
    """
    from bench.commands.loading import in_one_thread, load_cells, tell
    from bench.metrics.registry import get_metric
    from bench.report.render import render

    in_one_thread()
    if metric is not None:
        get_metric(metric)
    root, cells, problems = load_cells(results, task)
    wanted = {name for text in stage for name in text.split(",")}
    if wanted:
        _check_stages(wanted, {stored.record["cell"]["stage"] for stored in cells})
        cells = [stored for stored in cells if stored.record["cell"]["stage"] in wanted]
    full = fmt in ("csv", "json")
    if top is None:
        top = 0 if full else TOP
    table, unreadable, said = _table(cells, metric, effects, top, full)
    problems += unreadable
    # Formats that programs read have no notes.
    tell([*problems, *(said if full else ())])
    if table is None:
        text = f"no measured cell of {task} in {root}; `bench run --task {task}` makes some"
        click.echo(f"bench: {text}", err=True)
        return EXIT_NOTHING_MEASURED
    click.echo(render(table, fmt))
    return EXIT_SOME_FAILED if problems else EXIT_DONE


def _check_stages(wanted: set[str], stored: set[str]) -> None:
    for name in sorted(wanted - stored):
        raise unknown("stage", name, stored, f"stored: {', '.join(sorted(stored)) or 'none'}")


def _table(
    cells: Sequence[Stored], metric: str | None, effects: bool, top: int, full: bool
) -> tuple[Table | None, list[str], list[str]]:
    """Return the table asked for, a line per unreadable cell, and what the cells say against themselves.

    The table is None where no cell can be ranked; what the cells say is among its notes.
    """
    if not any(stored.ok for stored in cells):
        return None, [], []
    from bench.effects import effect_metrics
    from bench.effects import effects as effects_of
    from bench.honesty import warnings
    from bench.leaderboard import boards, front
    from bench.metrics.registry import metrics_of
    from bench.outcomes import contests
    from bench.report.boards import effects_table, leaderboard_table
    from bench.report.settings import kind_of, rehearsal_notes

    records = [stored.record for stored in cells]
    kind = kind_of(records[0])
    metric = metric or kind.headline[0]
    if metric not in metrics_of(kind.name):
        raise unknown(f"{kind.name} metric", metric, metrics_of(kind.name))
    metrics = effect_metrics(kind.name, metric) if effects else [metric]
    left = 0
    if top and not effects:
        kept, left = front(records, metric, top)
        cells = [stored for stored in cells if stored.id in kept]
    found, unreadable = contests(cells, metrics)
    if not found:
        return None, unreadable, []
    if effects:
        rows = [row for contest in found for row in effects_of(records, contest, metrics)]
        table = effects_table(rows, full)
        table = replace(table, notes=(*table.notes, *rehearsal_notes(record["cell"] for record in records)))
    else:
        table = leaderboard_table(boards(records, found, metric), full, left)
    said = warnings(cells)
    return replace(table, notes=(*table.notes, *said)), unreadable, said
