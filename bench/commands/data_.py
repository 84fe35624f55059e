"""`bench data check`: what is wrong with a data folder, before anything is trained on it."""

from __future__ import annotations

from pathlib import Path

import click

from bench.commands.options import data_folder, data_options, format_option
from bench.errors import EXIT_DONE, EXIT_SOME_FAILED

PIXELS = (32, 32)
"""The size images are decoded to for the check; small, since only whether they decode matters."""


@click.group()
def command() -> None:
    """Check a data folder before anything is trained on it."""


@command.command()
@data_options
@format_option
def check(
    task: str, data: str | None, sample: str | None, tasks: str | None, cache: str | None, fmt: str
) -> int:
    """Read every row, decode every image, and list what is left out, odd or leaked.

    Exit code 4 says that rows or images would be left out.
    """
    import numpy as np

    from bench.commands.progress import Progress
    from bench.commands.show_ import render_all
    from bench.data.check import check_data, check_tables
    from bench.data.parts import Parts
    from bench.data.pixels import ensure_pixels
    from bench.errors import DataError
    from bench.paths import cache_dir, search_path
    from bench.plan import Request, open_task
    from bench.protocol import resolve
    from bench.report.render import render

    place = cache_dir(cache).resolve()
    request = Request(task, data_folder(data, sample), sample)
    card, examples = open_task(request, search_path("tasks", tasks), place)
    with Progress(0) as progress:
        pixels = ensure_pixels(examples, PIXELS, "squash", place, progress.step)
    parts = Parts(card, examples, dict(resolve(*card.layers("frozen"))))
    try:
        train, fault = parts.mask, ""
    except DataError as error:
        train, fault = np.ones(len(examples), bool), str(error)
    report = check_data(examples, parts.given, train, pixels)
    click.echo(render_all([render(table, fmt) for table in check_tables(report)], fmt))
    if fault:
        Progress.say(f"all is counted as train: {fault}")
    left_out = bool(fault) or any(problem.fatal for problem in report.problems)
    return EXIT_SOME_FAILED if left_out else EXIT_DONE


@command.command()
@data_options
@format_option
def describe(
    task: str, data: str | None, sample: str | None, tasks: str | None, cache: str | None, fmt: str
) -> None:
    """Show what a data folder holds: classes, sizes, prices, photos per listing, near twins."""
    from bench.commands.progress import Progress
    from bench.commands.show_ import render_all
    from bench.data.describe import describe as tables_of
    from bench.data.near import SIDE
    from bench.data.parts import Parts
    from bench.data.pixels import ensure_pixels
    from bench.paths import cache_dir, search_path
    from bench.plan import Request, open_task
    from bench.protocol import resolve
    from bench.report.render import render

    place = cache_dir(cache).resolve()
    request = Request(task, data_folder(data, sample), sample)
    card, examples = open_task(request, search_path("tasks", tasks), place)
    with Progress(0) as progress:
        pixels = ensure_pixels(examples, (SIDE, SIDE), "squash", place, progress.step)
    parts = Parts(card, examples, dict(resolve(*card.layers("frozen"))))
    click.echo(render_all([render(table, fmt) for table in tables_of(parts, pixels)], fmt))


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
