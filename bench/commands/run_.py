"""`bench run`: plan, train what is missing, print the tables."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import baselines_option, format_option, grid_options, request_from
from bench.errors import EXIT_DONE, EXIT_NOTHING_MEASURED, EXIT_SOME_FAILED, BenchError, NothingMeasured
from bench.spec import Cell
from bench.store import Store
from bench.stored import MODEL

if TYPE_CHECKING:
    from bench.plan import Plan


@click.command()
@grid_options
@baselines_option
@format_option
@click.option("--rerun", is_flag=True, help="Train stored cells again too.")
@click.option("--keep-model", is_flag=True, help="Keep what `bench predict` needs, and the loss curve.")
@click.option("--tensorboard", metavar="DIR", help="Write losses by epoch as TensorBoard logs.")
@click.option("--quiet", is_flag=True, help="No tables: train and store only.")
def command(
    fmt: str, rerun: bool, keep_model: bool, tensorboard: str | None, quiet: bool, **options: Any
) -> int:
    """Train what is missing of a grid of backbones x methods x seeds, then print its tables.

    What is stored already is not trained again; a run that was stopped goes on where it stopped.
    """
    from bench.commands.progress import Progress
    from bench.execute.local import Orders, execute
    from bench.paths import cache_dir, results_dir, search_path
    from bench.plan import make_plan, open_task
    from bench.tensorboard import logs_dir

    say = Progress.say
    logs = None if tensorboard is None else logs_dir(tensorboard)
    tasks, cache = search_path("tasks", options["tasks"]), cache_dir(options["cache"]).resolve()
    request = request_from(options)
    card, examples = open_task(request, tasks, cache)
    if request.data is None:
        say(
            f"no --data given: this is the drawn sample, {len(examples)} images made by code; "
            f"for photographs: bench run --task {card.name} --data DIR (tasks/{card.name}/README.md)"
        )
    plan = make_plan(card, request, examples)
    for skip in plan.skipped:
        say(f"cannot run {skip.backbone} x {skip.method}: {skip.reason}")
    if keep_model:
        _check_kept(plan)
    if not plan.cells:
        raise NothingMeasured("none of the combinations asked for can run (bench plan shows why)")
    store = Store(results_dir(options["results"]).resolve())
    missing = [cell for cell in plan.cells if rerun or not _done(store, cell, keep_model)]
    kept: list[Cell] = []
    if not missing:
        say(f"nothing to do: all {len(plan.cells)} cells are stored in {store.root}")
    else:
        waiting = f"another run is writing to {store.root}; waiting for it to end"
        with store.lock(card.name, lambda: say(waiting)):
            store.sweep(card.name)
            missing = [cell for cell in missing if rerun or not _done(store, cell, keep_model)]
            say(f"{len(missing)} of {len(plan.cells)} cells to train, {len(plan.jobs)} backbones")
            typed = shlex.join(["bench", *sys.argv[1:]])
            orders = Orders(request, tasks, cache, store.root, typed, keep_model)
            began = time.monotonic()
            with Progress(len(missing)) as progress:
                execute(plan, missing, orders, progress.on_event)
            kept = [cell for cell in missing if cell.id in progress.failed and _measured(store, cell)]
            if kept:
                say(f"{len(kept)} cells failed this time; their stored results are kept")
            say(f"done in {time.monotonic() - began:.1f} s; stored in {store.root}")
    if logs is not None:
        _write_logs(store, plan.cells, logs)
    if not quiet:
        print_tables(store, plan.cells, card.kind, options["baselines"], fmt)
    found = [store.find(cell) for cell in plan.cells]
    failed = [stored for stored in found if stored is None or not stored.ok]
    if failed:
        say(f"{len(failed)} of {len(plan.cells)} cells failed (bench results --task {card.name} says why)")
        return EXIT_NOTHING_MEASURED if len(failed) == len(plan.cells) else EXIT_SOME_FAILED
    return EXIT_SOME_FAILED if kept else EXIT_DONE


def _check_kept(plan: Plan) -> None:
    """Raise BenchError for cells that no one model could be kept of."""
    from bench.keep import not_kept

    for job in plan.jobs:
        if why := not_kept(job.backbone, job.cells[0].setting):
            raise BenchError(f"--keep-model: {why}")


def _done(store: Store, cell: Cell, keep_model: bool) -> bool:
    """Tell whether nothing is left to do for a cell: it is measured, and its model kept if it is wanted."""
    stored = store.find(cell)
    return stored is not None and stored.ok and (not keep_model or (stored.folder / MODEL).exists())


def _write_logs(store: Store, cells: Sequence[Cell], logs: Path) -> None:
    """Write the logs of measured cells, and tell; what cannot be read is named and left out."""
    from bench.commands.loading import tell
    from bench.commands.progress import Progress
    from bench.stored import sound
    from bench.tensorboard import write_logs

    found = [stored for cell in cells if (stored := store.find(cell)) is not None and stored.ok]
    readable, damaged = sound(found, epochs=True)
    tell(damaged)
    count = write_logs(readable, logs)
    Progress.say(f"{count} cells logged in {logs}; tensorboard --logdir {shlex.quote(str(logs))} shows them")


def _measured(store: Store, cell: Cell) -> bool:
    stored = store.find(cell)
    return stored is not None and stored.ok


def print_tables(store: Store, cells: tuple[Cell, ...], kind: str, baselines: str | None, fmt: str) -> None:
    """Print the grid's means over seeds, then each stage's best setting by class beside the published one.

    What cannot be read, of baselines or of classes, is named on standard error and left out.
    """
    from bench.baselines import published_for
    from bench.commands.loading import tell
    from bench.commands.show_ import render_all
    from bench.honesty import warnings
    from bench.kinds.base import get_kind
    from bench.paths import search_path
    from bench.report.cells import class_table
    from bench.report.imputation import imputation_table
    from bench.report.render import render
    from bench.report.tables import best_setting, grid_table
    from bench.stored import sound

    selection = get_kind(kind).selection
    found = [stored for cell in cells if (stored := store.find(cell)) is not None]
    measured = [stored for stored in found if stored.ok]
    if not measured:
        return
    records = [stored.record for stored in found]
    grid, said = grid_table(records, selection), warnings(measured)
    tables = [replace(grid, notes=(*grid.notes, *said))]
    if (imputed := imputation_table(records)) is not None:
        tables.append(imputed)
    # Formats that programs read have no notes.
    problems: list[str] = said if fmt in ("csv", "json") else []
    baseline = published_for(cells[0].task, search_path("baselines", baselines), problems)
    for stage in dict.fromkeys(cell.stage for cell in cells):
        mine = [stored for stored in measured if stored.record["cell"]["stage"] == stage]
        if mine:
            best = best_setting([stored.record for stored in mine], selection)
            chosen = next(stored for stored in mine if stored.id == best)
            readable, damaged = sound([chosen])
            problems += damaged
            whole = fmt in ("csv", "json")
            tables += [class_table(stored.result, baseline, whole) for stored in readable]
    tell(problems)
    click.echo(render_all([render(table, fmt) for table in tables], fmt))
