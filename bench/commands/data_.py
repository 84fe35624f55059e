"""`bench data`: what a data folder holds and what is wrong with it, before anything is trained on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.commands.options import data_options, format_option
from bench.errors import EXIT_DONE, EXIT_SOME_FAILED

if TYPE_CHECKING:
    import numpy as np

    from bench.data.parts import Parts
    from bench.data.pixels import Pixels


@click.group()
def command() -> None:
    """Look at a data folder before anything is trained on it, or draw one."""


@command.command()
@data_options
@format_option
def check(fmt: str, **options: str | None) -> int:
    """Read every row, decode every image, and list what is left out, odd or leaked.

    Exit code 4 says that rows or images would be left out.
    """
    from bench.commands.show_ import render_all
    from bench.data.check import check_data, check_tables
    from bench.report.render import render

    parts, pixels, train, fault = _opened(options)
    report = check_data(parts.examples, parts.given, train, pixels)
    click.echo(render_all([render(table, fmt) for table in check_tables(report)], fmt))
    left_out = fault or any(problem.fatal for problem in report.problems)
    return EXIT_SOME_FAILED if left_out else EXIT_DONE


@command.command()
@data_options
@format_option
def describe(fmt: str, **options: str | None) -> None:
    """Show what a data folder holds: classes, sizes, prices, photos per listing, near twins."""
    from bench.commands.show_ import render_all
    from bench.data.describe import describe as tables_of
    from bench.report.render import render

    parts, pixels, train, _ = _opened(options)
    click.echo(render_all([render(table, fmt) for table in tables_of(parts, pixels, train)], fmt))


def _opened(options: dict[str, str | None]) -> tuple[Parts, Pixels, np.ndarray, bool]:
    """Open the data of `data_options` and decode every image, small.

    Returns labels and split, pixels, (n,) bool which examples train, and whether the split could not be
    drawn: that is told, and all of them train.
    """
    import numpy as np

    from bench.commands.options import request_options
    from bench.commands.progress import Progress
    from bench.data.near import SIDE
    from bench.data.parts import Parts
    from bench.data.pixels import ensure_pixels
    from bench.errors import DataError
    from bench.paths import cache_dir, search_path
    from bench.plan import open_task
    from bench.protocol import resolve

    place = cache_dir(options["cache"]).resolve()
    request = request_options(options, None, None, ())
    card, examples = open_task(request, search_path("tasks", options["tasks"]), place)
    with Progress(0) as progress:
        pixels = ensure_pixels(examples, (SIDE, SIDE), "squash", place, progress.step)
    parts = Parts(card, examples, dict(resolve(*card.layers("frozen"))))
    try:
        return parts, pixels, parts.mask, False
    except DataError as error:
        Progress.say(f"all is counted as train: {error}")
        return parts, pixels, np.ones(len(examples), bool), True


@command.command()
@click.option("--task", required=True, help="The task whose sample is drawn.")
@click.option("--sample", default="tiny", show_default=True, help="tiny or small.")
@click.option("--out", required=True, metavar="DIR", help="A new folder.")
def draw(task: str, sample: str, out: str) -> None:
    """Write the drawn sample as a data folder: an example of the layout that --data reads."""
    from bench.cards import load_card
    from bench.data.sources import SOURCES
    from bench.errors import BenchError, StoreError
    from bench.paths import search_path

    source = SOURCES[load_card(task, search_path("tasks")).source]
    folder = Path(out).expanduser()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BenchError(f"--out {out}: is there already and not an empty folder; choose another")
    try:
        source.write(source.draw(sample), folder)
    except OSError as error:
        raise StoreError(f"--out {out}: cannot be written ({error.strerror})") from None
    click.echo(f"bench: drew the {sample} sample into {folder}", err=True)
