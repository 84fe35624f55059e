"""`bench results`: table of stored cells."""

from __future__ import annotations

import click

from bench.commands.options import format_option, results_option
from bench.commands.output import show_table
from bench.core.errors import EXIT_DONE, EXIT_NOTHING_MEASURED, EXIT_SOME_FAILED


@click.command()
@click.option("--task", help="Only this task.")
@results_option
@format_option
def command(task: str | None, results: str | None, fmt: str) -> int:
    """Print a row for every stored cell, failed ones included.

    A cell with several answers (see `bench merge`) has a row for each: 3fa9c1d2, 3fa9c1d2.2, ...
    """
    from bench.commands.loading import load_cells, report_problems
    from bench.report.result_tables import results_table
    from bench.store.write import Store

    root, cells, problems = load_cells(results, task)
    further, unreadable = Store(root).further(task)
    cells, problems = cells + further, problems + unreadable
    report_problems(problems)
    if not cells and not problems:
        what = f"no cell of {task}" if task else "nothing"
        report_problems([f"{what} is stored in {root}; start with `bench run --task {task or 'fashion'}`"])
    # The record does not hold the number of an answer.
    records = [{**stored.record, "answer": stored.answer} for stored in cells]
    show_table(results_table(records, full=fmt in ("csv", "json")), fmt)
    if problems:
        return EXIT_SOME_FAILED
    return EXIT_DONE if cells else EXIT_NOTHING_MEASURED
