"""`bench predict CELL IMAGE...`: what a kept model says of images, or of pairs of them."""

from __future__ import annotations

from pathlib import Path

import click

from bench.commands.options import format_option, results_option
from bench.errors import EXIT_DONE, EXIT_SOME_FAILED, BenchError
from bench.store import Stored


@click.command()
@click.argument("cell")
@click.argument("images", nargs=-1, metavar="IMAGE...")
@click.option(
    "--pairs", "table", metavar="FILE", help="Pairs of photos: a CSV file with two files in each line."
)
@click.option(
    "--top", type=click.IntRange(min=1), default=5, show_default=True, help="Classes shown of each image."
)
@click.option("--weights", metavar="FILE", help="The weights file that the cell was run with, if it was one.")
@results_option
@format_option
def command(
    cell: str,
    images: tuple[str, ...],
    table: str | None,
    top: int,
    weights: str | None,
    results: str | None,
    fmt: str,
) -> int:
    """Print what a stored cell's model says of images of your own.

    CELL is the beginning of its id, or its folder; it must have been run with --keep-model. IMAGE is a file
    or a folder of them; of a task of pairs, two files, or many with --pairs: one person or two, and how sure.
    Exit code 4 says that an image could not be read; the others are answered.
    """
    from bench.commands.loading import results_root
    from bench.commands.show_ import find
    from bench.store import Store

    stored = find(Store(results_root(results)), cell)
    named = stored.record["cell"]
    title = (
        f"{named['task']} {named['stage']}: {named['backbone']}, {named['method_text']}, "
        f"seed {named['seed']} ({stored.id[:8]})"
    )
    if named["kind"] == "verification":
        return _of_pairs(stored, images, table, weights, fmt, title)
    if table is not None:
        raise BenchError(f"--pairs is for tasks of pairs; {named['task']} is {named['kind']}")
    return _of_images(stored, images, top, weights, fmt, title)


def _of_images(
    stored: Stored, images: tuple[str, ...], top: int, weights: str | None, fmt: str, title: str
) -> int:
    from bench.commands.loading import tell
    from bench.predict import image_files, open_model
    from bench.report.answers import render_answers
    from bench.report.text import visible

    if not images:
        raise click.UsageError("Missing argument 'IMAGE...'.")
    model = open_model(stored, weights)
    files, problems = image_files(images)
    answers = list(model.answers(files))
    problems += [f"{answer.image}: {answer.why}" for answer in answers if answer.scores is None]
    tell([visible(problem) for problem in problems])
    read = answers if fmt == "json" else [answer for answer in answers if answer.scores is not None]
    click.echo(render_answers(model.head, read, fmt, top, title))
    return EXIT_SOME_FAILED if problems else EXIT_DONE


def _of_pairs(
    stored: Stored, images: tuple[str, ...], table: str | None, weights: str | None, fmt: str, title: str
) -> int:
    from bench.commands.loading import tell
    from bench.report.answers import render_pairs
    from bench.report.text import visible
    from bench.verification.predict import open_match, read_pairs

    if (table is None) == (not images) or (images and len(images) != 2):
        raise BenchError("a pair is two photos: bench predict CELL A.jpg B.jpg, or --pairs FILE for many")
    model = open_match(stored, weights)
    pairs = [(Path(images[0]), Path(images[1]))] if table is None else read_pairs(Path(table).expanduser())
    answers = model.answers(pairs)
    problems = [answer.why for answer in answers if answer.score is None]
    tell([visible(problem) for problem in problems])
    read = answers if fmt == "json" else [answer for answer in answers if answer.score is not None]
    click.echo(render_pairs(model.head, read, fmt, title))
    return EXIT_SOME_FAILED if problems else EXIT_DONE
