"""`bench leaderboard`: settings ranked by a test metric, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from bench.commands.notices import say
from bench.commands.options import by_options, format_option, results_option
from bench.commands.output import show_table, show_tables
from bench.core.errors import EXIT_DONE, EXIT_NOTHING_MEASURED, EXIT_SOME_FAILED, BenchError, unknown

if TYPE_CHECKING:
    from bench.compare.paired_bootstrap import PairedBootstrap
    from bench.core.kind import Kind
    from bench.core.table import Table
    from bench.runs.cell_data import ColumnValues
    from bench.store.settings import Record
    from bench.store.write import Stored

TOP = 25
"""Default number of settings of a stage in a table."""


@click.command()
@click.option("--task", required=True, help="The task whose stored cells are ranked.")
@click.option("--stage", multiple=True, help="Only these stages of the task.")
@click.option("--metric", help="Metric to rank by, e.g. top1_macro [the first in the task's tables].")
@click.option(
    "--top",
    type=click.IntRange(min=0),
    metavar="N",
    help="Show the best N settings of each stage; 0: all [25 in tables, all in csv and json].",
)
@click.option("--effects", is_flag=True, help="Show the effects of methods relative to `none` instead.")
@click.option("--tuning", is_flag=True, help="Show the tuned values and their effect instead.")
@by_options
@results_option
@format_option
def command(
    task: str,
    stage: tuple[str, ...],
    metric: str | None,
    top: int | None,
    effects: bool,
    tuning: bool,
    by: str | None,
    results: str | None,
    fmt: str,
    **where: Any,
) -> int:
    """Rank backbones and methods by a metric on test, with intervals and costs.

    With --by, show the metric of each setting on subgroups of the test items, and the gap between the worst
    and the best one. Cells that differ in protocol or data are separate. Missing cells of the grid are
    listed, never imputed.
    """
    from bench.commands.loading import in_one_thread, load_cells, report_problems, values_by
    from bench.metrics.registry import get_metric

    in_one_thread()
    if tuning and (effects or metric is not None or top is not None):
        raise BenchError("--tuning uses the selection metric: leave out --effects, --metric and --top")
    if by is not None and (effects or tuning):
        raise BenchError("--by shows the ranked settings: leave out --effects and --tuning")
    values = values_by(by, results, **where)
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
    if tuning:
        tables, unreadable, warned = _tuning(cells, full)
    elif values is not None:
        tables, unreadable = by_subgroup(cells, metric, values, top, full)
        warned = []
    else:
        tables, unreadable, warned = ranked(cells, metric, effects, top, full)
    problems += unreadable
    # Machine-readable formats have no notes.
    report_problems([*problems, *(warned if full else ())])
    if not tables:
        say(f"no measured cell of {task} in {root}; start with `bench run --task {task}`")
        return EXIT_NOTHING_MEASURED
    if full:
        # Rows for programs, not a list of tables.
        show_table(tables[0], fmt)
    else:
        show_tables(tables, fmt)
    return EXIT_SOME_FAILED if problems else EXIT_DONE


def _check_stages(wanted: set[str], stored: set[str]) -> None:
    for name in sorted(wanted - stored):
        raise unknown("stage", name, stored, f"stored: {', '.join(sorted(stored)) or 'none'}")


def ranked(
    cells: Sequence[Stored], metric: str | None, effects: bool, top: int, full: bool
) -> tuple[list[Table], list[str], list[str]]:
    """Return the tables, a message for each unreadable cell, and the data warnings, notes of the first.

    There is no table if no cell can be ranked.
    """
    if not any(stored.ok for stored in cells):
        return [], [], []
    from bench.compare.effects import effect_metrics
    from bench.compare.effects import effects as effects_of
    from bench.compare.leaderboard import boards, front
    from bench.compare.stored_cells import read_bootstraps
    from bench.compare.warnings import shown_metrics, warnings
    from bench.report.leaderboard_tables import effects_table, leaderboard_table
    from bench.store.settings import kind_of, rehearsal_notes

    records = [stored.record for stored in cells]
    kind = kind_of(records[0])
    metric = _metric_of(kind, metric)
    metrics = effect_metrics(kind.name, metric) if effects else [metric]
    left, left_out = 0, set[str]()
    if top and not effects:
        kept, left = front(records, metric, top)
        left_out = {str(record["id"]) for record in records} - kept
        cells = [stored for stored in cells if stored.id in kept]
    found, unreadable = read_bootstraps(cells, [*metrics, *shown_metrics(kind)])
    if not found:
        return [], unreadable, []
    further: list[Table] = []
    if effects:
        rows = [row for one in found for row in effects_of(records, one, metrics)]
        table = effects_table(rows, full)
        if not full and len({row.budget for row in rows}) > 1:
            further = [_orderings(records, one, metric) for one in found]
        table = replace(table, notes=(*table.notes, *rehearsal_notes(record["cell"] for record in records)))
    else:
        table = leaderboard_table(boards(records, found, metric, left_out), full, left)
    warned = warnings(cells, found)
    return [replace(table, notes=(*table.notes, *warned)), *further], unreadable, warned


def by_subgroup(
    cells: Sequence[Stored], metric: str | None, values: ColumnValues, top: int, full: bool
) -> tuple[list[Table], list[str]]:
    """Return the tables of `--by`, and a message for each unreadable cell and each board of other data.

    There is no table if no cell can be ranked. Raises BenchError if no board is of this data.
    """
    if not any(stored.ok for stored in cells):
        return [], []
    from bench.compare.leaderboard import boards, front
    from bench.compare.stored_cells import read_bootstraps
    from bench.compare.subgroups import Subgroups
    from bench.report.subgroup_tables import board_tables
    from bench.store.settings import kind_of

    records = [stored.record for stored in cells]
    kind, left = kind_of(records[0]), 0
    metric = _metric_of(kind, metric)
    if top:
        kept, left = front(records, metric, top)
        cells = [stored for stored in cells if stored.id in kept]
    found, problems = read_bootstraps(cells, [metric])
    by_id, shown, faults = {stored.id: stored for stored in cells}, [], list[BenchError]()
    for board in boards(records, found, metric):
        try:
            of_example = values.of(board.cell)
        except BenchError as error:
            faults.append(error)
            continue
        answers = {key: by_id[key].predictions("test") for key in board.bootstrap.cells}
        shown.append((board, Subgroups.of(values.column, kind.name, answers, of_example, [metric])))
    if faults and not shown:
        raise faults[0]
    problems += [str(fault) for fault in faults]
    return (board_tables(shown, full, left) if shown else []), problems


def _metric_of(kind: Kind, metric: str | None) -> str:
    """Return the ranking metric. Raises BenchError for one that the kind does not have."""
    from bench.metrics.registry import metrics_of

    metric = metric or kind.headline[0]
    if metric not in metrics_of(kind.name):
        raise unknown(f"{kind.name} metric", metric, metrics_of(kind.name))
    return metric


def _orderings(records: Sequence[Record], bootstrap: PairedBootstrap, metric: str) -> Table:
    from bench.compare.tuning import orderings
    from bench.report.tuning_tables import orderings_table

    return orderings_table(orderings(records, bootstrap, metric), metric)


def _tuning(cells: Sequence[Stored], full: bool) -> tuple[list[Table], list[str], list[str]]:
    """Return the table of tuned settings, in the form that `_tables` returns."""
    from bench.compare.stored_cells import read_bootstraps
    from bench.compare.tuning import tuned_settings
    from bench.compare.warnings import warnings
    from bench.report.tuning_tables import tuning_table
    from bench.store.settings import kind_of

    if not any(stored.ok for stored in cells):
        return [], [], []
    metric = kind_of(cells[0].record).selection
    found, unreadable = read_bootstraps(cells, [metric])
    tuned, damaged = tuned_settings(cells, found, metric)
    warned = [line for line in warnings(cells) if line.startswith("tuning ")]
    table = tuning_table(tuned, full)
    return [replace(table, notes=(*table.notes, *warned))], [*unreadable, *damaged], warned
