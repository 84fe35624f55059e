"""`bench results`: a row for every stored cell."""

from __future__ import annotations

import click

from bench.commands.options import format_option, results_option
from bench.errors import EXIT_DONE, EXIT_NOTHING_MEASURED, EXIT_SOME_FAILED


@click.command()
@click.option("--task", help="Only this task.")
@results_option
@format_option
def command(task: str | None, results: str | None, fmt: str) -> int:
    """Print a row for every stored cell, failed ones included."""
    from bench.commands.loading import load_cells, tell
    from bench.report.render import render
    from bench.report.tables import results_table

    root, cells, problems = load_cells(results, task)
    tell(problems)
    if not cells and not problems:
        what = f"no cell of {task}" if task else "nothing"
        tell([f"{what} is stored in {root}; `bench run --task {task or 'fashion'}` fills it"])
    records = [stored.record for stored in cells]
    click.echo(render(results_table(records, full=fmt in ("csv", "json")), fmt))
    if problems:
        return EXIT_SOME_FAILED
    return EXIT_DONE if cells else EXIT_NOTHING_MEASURED
