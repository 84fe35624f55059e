"""End of `bench run`: at most 40 lines to read, or all tables for machines."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from bench.commands.loading import report_problems
from bench.commands.output import (
    check_columns,
    forget_columns,
    lines_of,
    show_tables,
    text_of,
    width_of_output,
)
from bench.core.cell import Cell
from bench.core.kind import Kind, get_kind
from bench.core.safe_text import visible
from bench.store.settings import rehearses
from bench.store.write import Store, Stored

if TYPE_CHECKING:
    from bench.compare.baselines.types import Baseline
    from bench.compare.leaderboard import Board

MOST_LINES = 40
"""Maximum number of lines of the ending, on a terminal of 80 columns."""


def print_ending(
    store: Store, cells: Sequence[Cell], baselines: str | None, fmt: str, results: str | None = None
) -> bool:
    """Print the end of a run of one task; return whether every file for it could be read.

    `table` shows each stage's ranking, conclusions, warnings and the next commands; other formats hold the
    means over seeds, and each stage's best setting by class. results: the folder as the user typed it.
    Unreadable files are reported on standard error and left out.
    """
    from bench.compare.baselines.find import published_for
    from bench.core.paths import search_path

    found = [stored for cell in cells if (stored := store.find(cell)) is not None]
    if not any(stored.ok for stored in found):
        return True
    problems: list[str] = []
    published = published_for(cells[0].task, search_path("baselines", baselines), problems)
    if fmt == "table":
        _print_rankings(found, published, (results, baselines), problems)
    else:
        _print_tables(found, published, fmt, problems)
    return not problems


def check_run_columns(kind: Kind, fmt: str) -> None:
    """Raise BenchError for a column of --columns that no table at the end of a run can have."""
    from bench.report.cell_tables import class_columns
    from bench.report.ending import ranking_columns
    from bench.report.result_tables import every_grid_column

    columns = ranking_columns(kind) if fmt == "table" else [*every_grid_column(kind), *class_columns(kind)]
    check_columns(list(dict.fromkeys(column.key for column in columns)))


def _print_rankings(
    found: Sequence[Stored],
    published: Baseline | None,
    typed: tuple[str | None, str | None],
    problems: list[str],
) -> None:
    """Print the rankings. problems: receives a message for each unreadable cell; all are reported."""
    from bench.compare.effects import effects
    from bench.compare.leaderboard import boards
    from bench.compare.stored_cells import read_bootstraps
    from bench.compare.warnings import shown_metrics, warnings
    from bench.report.ending import Ending
    from bench.store.settings import kind_of

    records = [stored.record for stored in found]
    metric = kind_of(records[0]).selection
    bootstraps, unreadable = read_bootstraps(found, [metric, *shown_metrics(kind_of(records[0]))])
    problems += unreadable
    report_problems(problems)
    if not bootstraps:
        return
    ranked = boards(records, bootstraps, metric)
    ending = Ending(
        ranked,
        [effects(board.records, board.bootstrap, [metric]) for board in ranked],
        warnings(found, bootstraps, reassuring=False),
    )
    commands = _commands(ranked, published, *typed)
    forget_columns(ending.tables(next(ending.sizes())))
    for size in ending.sizes():
        parts = [text_of(ending.tables(size), terse=True), lines_of(ending.lines(size)), _aligned(commands)]
        text = "\n\n".join(part for part in parts if part)
        if text.count("\n") < MOST_LINES:
            break
    click.echo(text)


def _aligned(commands: Sequence[tuple[str, str]]) -> str:
    """Return the commands line by line, each with its purpose if there is room."""
    longest, width = max(len(command) for command, _ in commands), width_of_output()
    lines = [(f"  {command}", f"  {command:{longest}}  {what}") for command, what in commands]
    return "\n".join(["Next:", *(visible(long if len(long) <= width else short) for short, long in lines)])


def _commands(
    ranked: Sequence[Board], published: Baseline | None, results: str | None, baselines: str | None
) -> list[tuple[str, str]]:
    """Return commands to run next, with their purpose. results, baselines: as the user typed them."""
    where = "" if results is None else f" --results {shlex.quote(results)}"
    task = f"--task {shlex.quote(str(ranked[0].cell['task']))}{where}"
    commands = []
    for board in ranked[:2]:
        setting = (board.choice or board.rows[0]).setting
        first = min(setting.records, key=lambda record: int(record["cell"]["seed"]))
        noun = get_kind(board.bootstrap.kind).columns.classes[0].title
        what = f"{board.cell['stage']}: {setting.name} by {noun}"
        commands.append((f"bench show {first['id'][:8]}{where}", what))
    if all(len(board.rows) == 1 for board in ranked):
        kind = ranked[0].bootstrap.kind
        commands.append((f"bench list methods --kind {kind}", "methods to compare it with"))
    else:
        commands.append((f"bench leaderboard {task} --effects", "what each method changes"))
    # A rehearsal tests on training images: published numbers do not apply.
    if published is not None and not any(rehearses(board.cell) for board in ranked):
        own = "" if baselines is None else f" --baselines {shlex.quote(baselines)}"
        commands.append((f"bench compare {task}{own}", f"against {published.name}"))
    commands.append((f"bench report {task} --out report", "everything on one page"))
    return commands


def _print_tables(found: Sequence[Stored], published: Baseline | None, fmt: str, problems: list[str]) -> None:
    """Print all tables. problems: see `_print_rankings`."""
    from bench.compare.stored_cells import readable_answers
    from bench.compare.warnings import shown_metrics, warnings
    from bench.report.cell_tables import class_table
    from bench.report.result_tables import best_setting, grid_table
    from bench.store.read import readable_cells
    from bench.store.settings import kind_of

    kind = kind_of(found[0].record)
    selection = kind.selection
    found, bootstraps, unreadable = readable_answers(found, shown_metrics(kind))
    problems += unreadable
    if not bootstraps:
        report_problems(problems)
        return
    measured = [stored for stored in found if stored.ok]
    records = [stored.record for stored in found]
    grid, warned = grid_table(records, selection), warnings(measured, bootstraps)
    tables = [replace(grid, notes=(*grid.notes, *warned)), *kind.tables.extra_tables(records)]
    whole = fmt in ("csv", "json")
    for stage in dict.fromkeys(stored.record["cell"]["stage"] for stored in found):
        mine = [stored for stored in measured if stored.record["cell"]["stage"] == stage]
        if mine:
            best = best_setting([stored.record for stored in mine], selection)
            chosen = next(stored for stored in mine if stored.id == best)
            readable, damaged = readable_cells([chosen])
            problems += damaged
            tables += [class_table(stored.result, published, whole) for stored in readable]
    # Machine-readable formats have no notes.
    report_problems([*(warned if whole else ()), *problems])
    forget_columns(tables)
    show_tables(tables, fmt)
