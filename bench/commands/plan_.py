"""`bench plan`: the grid without running it."""

from __future__ import annotations

from typing import Any

import click

from bench.commands.options import format_option, grid_options, request_from
from bench.errors import EXIT_DONE, EXIT_NOTHING_MEASURED
from bench.plan import Plan
from bench.report.table import Column, Table
from bench.store import Store


@click.command()
@grid_options
@format_option
def command(fmt: str, **options: Any) -> int:
    """Show the grid without running it, and the reason for every combination that cannot run."""
    from bench.paths import cache_dir, results_dir, search_path
    from bench.plan import make_plan, open_task
    from bench.report.render import render

    card, examples = open_task(
        request := request_from(options), search_path("tasks", options["tasks"]), cache_dir(options["cache"])
    )
    plan = make_plan(card, request, examples)
    click.echo(render(plan_table(plan, Store(results_dir(options["results"]))), fmt))
    return EXIT_DONE if plan.cells else EXIT_NOTHING_MEASURED


def plan_table(plan: Plan, store: Store) -> Table:
    """Return a row per cell (to run, or already stored) and per combination that cannot run."""
    rows: list[dict[str, Any]] = []
    for cell in plan.cells:
        stored = store.find(cell)
        state = (
            "to run"
            if stored is None
            else "stored"
            if stored.ok
            else f"to run again ({stored.record['status']})"
        )
        reason = None if stored is None else stored.record["reason"]
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
    columns = [Column(name, name, "int" if name == "seed" else "text") for name in names]
    to_run = sum(str(row["state"]).startswith("to run") for row in rows)
    notes = (
        f"{to_run} to run, {len(plan.cells) - to_run} stored, {len(plan.skipped)} combinations cannot run",
    )
    return Table(f"Plan of {plan.card.name}", columns, rows, notes)
