"""`bench plan`: the cells of a grid, without running them."""

from __future__ import annotations

from typing import Any

import click

from bench.commands.experiment_argument import experiment_argument, save_experiment, save_option
from bench.commands.notices import say
from bench.commands.option_values import request_from, shard_from
from bench.commands.options import format_option, grid_options
from bench.commands.output import show_table
from bench.core.errors import EXIT_DONE, EXIT_NOTHING_MEASURED
from bench.core.table import Column, Table
from bench.runs.plan import Plan
from bench.runs.trials import tuning_notes
from bench.store.write import Store, Stored


@click.command()
@experiment_argument
@grid_options
@format_option
@save_option
def command(fmt: str, save: str | None, **options: Any) -> int:
    """Show the cells of a grid without running it, and why some combinations cannot run.

    FILE.toml holds options by name; the command line overrides it.
    """
    from bench.core.paths import cache_dir, results_dir, search_path
    from bench.runs.open_task import open_task
    from bench.runs.plan import make_plan
    from bench.runs.shards import select_shard

    request, shard = request_from(options), shard_from(options)
    tasks = search_path("tasks", options["tasks"])
    card, examples = open_task(request, tasks, cache_dir(options["cache"]), say)
    whole = make_plan(card, request, examples)
    plan = whole if shard is None else select_shard(whole, shard, say)
    save_experiment(save, options)
    show_table(plan_table(plan, Store(results_dir(options["results"]))), fmt)
    return EXIT_DONE if whole.cells else EXIT_NOTHING_MEASURED


def plan_table(plan: Plan, store: Store) -> Table:
    """Return a row for each cell (to run, or stored) and each combination that cannot run."""
    rows: list[dict[str, Any]] = []
    for cell in plan.cells:
        stored = store.find(cell)
        state, reason = ("to run", None) if stored is None else _state(stored)
        rows.append(
            {
                "cell": cell.id8,
                "stage": cell.stage,
                "regime": cell.regime,
                "backbone": cell.backbone,
                "method": cell.method.text,
                "seed": cell.seed,
                "state": state,
                "reason": reason,
            }
        )
    for skip in plan.skipped:
        rows.append(
            {
                "regime": skip.regime,
                "backbone": skip.backbone,
                "method": skip.method,
                "state": "cannot run",
                "reason": skip.reason,
            }
        )
    names = ("cell", "stage", "regime", "backbone", "method", "seed", "state", "reason")
    columns = [
        Column(name, name, "int" if name == "seed" else "text", rank=0 if name == "state" else 1)
        for name in names
    ]
    to_run = sum(str(row["state"]).startswith("to run") for row in rows)
    notes = (
        f"{to_run} to run, {len(plan.cells) - to_run} stored, {len(plan.skipped)} combinations cannot run",
        *tuning_notes(plan.cells),
    )
    return Table(f"Plan of {plan.card.name}", columns, rows, notes)


def _state(stored: Stored) -> tuple[str, str | None]:
    """Return whether a stored cell is to run again, and why."""
    if not stored.ok:
        return f"to run again ({stored.record['status']})", stored.record["reason"]
    damage = stored.damage()
    return ("to run again (damaged)", damage) if damage else ("stored", None)
