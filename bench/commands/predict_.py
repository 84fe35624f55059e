"""`bench predict CELL IMAGE...`: predictions of a saved model for new images, or pairs of them."""

from __future__ import annotations

import click

from bench.commands.options import allow_code_option, format_option, results_option, weights_file_option
from bench.commands.output import show_table
from bench.core.errors import EXIT_DONE, EXIT_SOME_FAILED, BenchError


@click.command()
@click.argument("cell")
@click.argument("images", nargs=-1, metavar="IMAGE...")
@click.option("--pairs", "table", metavar="FILE", help="Pairs of photos: a CSV file with two files per line.")
@click.option(
    "--top", type=click.IntRange(min=1), default=5, show_default=True, help="Classes shown for each image."
)
@weights_file_option
@allow_code_option
@results_option
@format_option
def command(
    cell: str,
    images: tuple[str, ...],
    table: str | None,
    top: int,
    weights: str | None,
    allow_code: bool,
    results: str | None,
    fmt: str,
) -> int:
    """Predict labels for new images with a stored cell's model.

    CELL is the beginning of its id, or its folder; it must have been run with --keep-model. IMAGE is a file
    or a folder; a task of pairs takes two files, or many pairs with --pairs. Exit code 4: an image could not
    be read; the others are predicted.
    """
    from bench.commands.loading import report_problems, stored_cell
    from bench.core.kind import get_kind
    from bench.core.safe_text import visible

    stored = stored_cell(cell, results)
    named = stored.record["cell"]
    title = (
        f"{named['task']} {named['stage']}: {named['backbone']}, {named['method_text']}, "
        f"seed {named['seed']} ({stored.id[:8]})"
    )
    predictor = get_kind(named["kind"]).predictor
    if table is not None and not predictor.takes_pairs:
        raise BenchError(f"--pairs is for tasks of pairs; {named['task']} is {named['kind']}")
    if not images and not predictor.takes_pairs:
        raise click.UsageError("Missing argument 'IMAGE...'.")
    answers, problems = predictor.predict(stored, images, table, weights, fmt, top, title, allow_code)
    report_problems([visible(problem) for problem in problems])
    if isinstance(answers, str):
        click.echo(answers)
    else:
        show_table(answers, fmt)
    return EXIT_SOME_FAILED if problems else EXIT_DONE
