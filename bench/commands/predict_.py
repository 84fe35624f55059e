"""`bench predict CELL IMAGE...`: what a kept model says of images."""

from __future__ import annotations

import click

from bench.commands.options import format_option, results_option
from bench.errors import EXIT_DONE, EXIT_SOME_FAILED


@click.command()
@click.argument("cell")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option(
    "--top", type=click.IntRange(min=1), default=5, show_default=True, help="Classes shown of each image."
)
@click.option("--weights", metavar="FILE", help="The weights file that the cell was run with, if it was one.")
@results_option
@format_option
def command(
    cell: str, images: tuple[str, ...], top: int, weights: str | None, results: str | None, fmt: str
) -> int:
    """Print what a stored cell's model says of images of your own.

    CELL is the beginning of its id, or its folder; it must have been run with --keep-model. IMAGE is a file
    or a folder of them. Exit code 4 says that an image could not be read; the others are answered.
    """
    from bench.commands.loading import results_root, tell
    from bench.commands.show_ import find
    from bench.predict import image_files, open_model
    from bench.report.answers import render_answers
    from bench.report.text import visible
    from bench.store import Store

    stored = find(Store(results_root(results)), cell)
    model = open_model(stored, weights)
    files, problems = image_files(images)
    answers = list(model.answers(files))
    problems += [f"{answer.image}: {answer.why}" for answer in answers if answer.scores is None]
    tell([visible(problem) for problem in problems])
    named = stored.record["cell"]
    title = (
        f"{named['task']} {named['stage']}: {named['backbone']}, {named['method_text']}, seed {named['seed']}"
    )
    read = answers if fmt == "json" else [answer for answer in answers if answer.scores is not None]
    click.echo(render_answers(model.head, read, fmt, top, f"{title} ({stored.id[:8]})"))
    return EXIT_SOME_FAILED if problems else EXIT_DONE
