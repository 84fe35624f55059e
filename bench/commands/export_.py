"""`bench export`: everything stored as one tidy table, or as runs of MLflow."""

from __future__ import annotations

from pathlib import Path

import click

from bench.commands.options import Word, results_option
from bench.errors import EXIT_DONE, EXIT_NOTHING_MEASURED, EXIT_SOME_FAILED, BenchError


@click.command()
@click.option("--out", metavar="FILE", help="File to write, ending in .csv or .parquet.")
@click.option("--task", help="Only this task.")
@click.option(
    "--format", "fmt", type=Word("format", ("csv", "parquet")), help="What is written [FILE's ending]."
)
@click.option(
    "--mlflow", metavar="FILE|URI", help="Also make each cell a run of an MLflow store, e.g. runs.db."
)
@results_option
def command(
    out: str | None, task: str | None, fmt: str | None, mlflow: str | None, results: str | None
) -> int:
    """Write every stored number as one tidy table: a row per cell, split, class and metric.

    The class is empty for a number over all classes; a cell that failed has one row, with its reason. The
    columns p_... are the protocol. Exit code 4 says that a stored cell could not be read; the others are
    written.
    """
    from bench.commands.loading import load_cells, tell
    from bench.export import format_of, write_table
    from bench.stored import sound

    if not out and mlflow is None:
        raise BenchError("nothing to write to: give --out FILE.csv, --out FILE.parquet or --mlflow FILE")
    path = Path(out).expanduser() if out else None
    fmt = format_of(path, fmt) if path else None
    root, cells, problems = load_cells(results, task)
    cells, damaged = sound(cells, epochs=True)
    problems += damaged
    tell(problems)
    if not cells:
        what = f"no cell of {task}" if task else "nothing"
        click.echo(
            f"bench: {what} is stored in {root}; `bench run --task {task or 'fashion'}` fills it", err=True
        )
        return EXIT_NOTHING_MEASURED
    if path is not None and fmt is not None:
        rows = write_table(cells, path, fmt)
        click.echo(f"wrote {rows} rows of {len(cells)} cells to {path}")
    if mlflow is not None:
        from bench.tracking import log_cells, store_uri

        made, there = log_cells(cells, mlflow)
        click.echo(f"{made} runs made, {there} already there, in {store_uri(mlflow)}")
    return EXIT_SOME_FAILED if problems else EXIT_DONE
