"""`bench export`: every stored number as one tidy table, or as MLflow runs."""

from __future__ import annotations

import click

from bench.commands.notices import say
from bench.commands.options import results_option
from bench.commands.words import Word
from bench.core.errors import EXIT_DONE, EXIT_NOTHING_MEASURED, EXIT_SOME_FAILED, BenchError
from bench.core.paths import user_path
from bench.core.safe_text import visible


@click.command()
@click.option("--out", metavar="FILE", help="File to write, ending in .csv or .parquet.")
@click.option("--task", help="Only this task.")
@click.option(
    "--format", "fmt", type=Word("format", ("csv", "parquet")), help="File format [from FILE's ending]."
)
@click.option(
    "--mlflow", metavar="FILE|URI", help="Also log each cell as a run in an MLflow store, e.g. runs.db."
)
@results_option
def command(
    out: str | None, task: str | None, fmt: str | None, mlflow: str | None, results: str | None
) -> int:
    """Write every stored number as one tidy table: a row per cell, split, class and metric.

    The class is empty for a number over all classes; a failed cell has one row, with its reason. The columns
    p_... are the protocol. Exit code 4: a stored cell could not be read; the others are written.
    """
    from bench.commands.loading import load_cells, report_problems
    from bench.store.export import format_of, write_table
    from bench.store.read import readable_cells

    if not out and mlflow is None:
        raise BenchError("no output: give --out FILE.csv, --out FILE.parquet or --mlflow FILE")
    path = user_path(out) if out else None
    fmt = format_of(path, fmt) if path else None
    root, cells, problems = load_cells(results, task)
    cells, damaged = readable_cells(cells, epochs=True)
    problems += damaged
    report_problems(problems)
    if not cells:
        what = f"no cell of {task}" if task else "nothing"
        say(f"{what} is stored in {root}; start with `bench run --task {task or 'fashion'}`")
        return EXIT_NOTHING_MEASURED
    if path is not None and fmt is not None:
        rows = write_table(cells, path, fmt)
        click.echo(visible(f"wrote {rows} rows of {len(cells)} cells to {path}"))
    if mlflow is not None:
        from bench.store.mlflow_export import log_cells, store_uri

        made, there = log_cells(cells, mlflow)
        click.echo(visible(f"{made} runs made, {there} already there, in {store_uri(mlflow)}"))
    return EXIT_SOME_FAILED if problems else EXIT_DONE
