"""`bench data`: what a data folder holds and what is wrong with it, before anything is trained on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.commands.options import data_options, format_option
from bench.errors import EXIT_DONE, EXIT_SOME_FAILED, BenchError

if TYPE_CHECKING:
    import numpy as np

    from bench.cleaning import Judged
    from bench.data.parts import Parts
    from bench.data.pixels import Pixels
    from bench.report.page import Page


@click.group()
def command() -> None:
    """Look at a data folder before anything is trained on it, or draw one."""


_set_option = click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="A protocol value, e.g. --set split=stratified."
)


@command.command()
@data_options
@_set_option
@format_option
def check(fmt: str, sets: tuple[str, ...], **options: str | None) -> int:
    """Read every row, decode every image, and list what is left out, odd or leaked.

    Exit code 4 says that rows or images would be left out.
    """
    from bench.commands.show_ import render_all
    from bench.data.check import check_data
    from bench.data.check_tables import check_tables
    from bench.report.render import render

    parts, pixels, train, fault = _opened(options, sets)
    labels = parts.given if parts.card.label else parts.table
    people = parts.card.kind == "verification"
    more = parts.groups, people, parts.unlisted, parts.titles
    report = check_data(parts.examples, labels, train, pixels, *more)
    click.echo(render_all([render(table, fmt) for table in check_tables(report)], fmt))
    left_out = fault or any(problem.fatal for problem in report.problems)
    return EXIT_SOME_FAILED if left_out else EXIT_DONE


@command.command()
@data_options
@_set_option
@click.option("--out", metavar="DIR", help="Write a page with plots and pictures too: DIR/index.html.")
@click.option("--suspects", is_flag=True, help="Judge the labels of train too, as bench clean does.")
@click.option("--backbone", metavar="NAME", help="Whose features judge them [the card's last frozen one].")
@click.option("--weights", metavar="imagenet|random|PATH", help="Backbone weights [imagenet].")
@format_option
def describe(
    fmt: str,
    sets: tuple[str, ...],
    out: str | None,
    suspects: bool,
    backbone: str | None,
    weights: str | None,
    **options: str | None,
) -> None:
    """Show what a data folder holds: classes, attributes or people, sizes, prices, listings, near twins.

    DIR/index.html needs no network and nothing beside it. With --suspects DIR/suspects.png is a contact sheet
    of labels that are probably wrong; that needs features of every image.
    """
    from bench.commands.progress import Progress
    from bench.commands.show_ import render_all
    from bench.data.describe import View
    from bench.data.describe import describe as tables_of
    from bench.report.render import render

    folder = _page_folder(out)
    _check_judge(options, suspects, backbone, weights)
    parts, pixels, train, _ = _opened(options, sets)
    view = View(parts, pixels, train)
    tables, judged = tables_of(view), None
    if suspects:
        from bench.cleaning import judged_table

        judged = _judged(options, sets, backbone, weights)
        tables.append(judged_table(judged))
    click.echo(render_all([render(table, fmt) for table in tables], fmt))
    if folder is not None:
        from bench.data.describe_page import describe_page

        Progress.say(f"wrote {_written(describe_page(view, judged), folder, judged)}")


def _page_folder(out: str | None) -> Path | None:
    """Return the folder of the page. Raises BenchError for a file, before anything is decoded."""
    if out is None:
        return None
    folder = Path(out).expanduser()
    if not out.strip() or (folder.exists() and not folder.is_dir()):
        raise BenchError(f"--out {out!r}: it is not a folder; choose another")
    return folder


def _check_judge(
    options: dict[str, str | None], suspects: bool, backbone: str | None, weights: str | None
) -> None:
    """Raise BenchError where labels cannot be judged, or a judge is named and nothing is to be judged."""
    from bench.cards import load_card
    from bench.paths import search_path

    if not suspects and (backbone, weights) != (None, None):
        raise BenchError("--backbone and --weights say who judges labels: add --suspects")
    card = load_card(str(options["task"]), search_path("tasks", options["tasks"]))
    if suspects and card.kind != "multiclass":
        raise BenchError(f"--suspects judges classes; task {card.name!r} is {card.kind}")


def _judged(
    options: dict[str, str | None], sets: tuple[str, ...], backbone: str | None, weights: str | None
) -> Judged:
    from bench.cleaning import judge
    from bench.commands.options import request_options
    from bench.commands.progress import Progress
    from bench.paths import cache_dir, search_path

    request = request_options(options, backbone, weights, sets)
    place = cache_dir(options["cache"]).resolve()
    with Progress(0) as progress:
        return judge(request, search_path("tasks", options["tasks"]), place, False, 5, 0, progress.step)


def _written(page: Page, folder: Path, judged: Judged | None) -> Path:
    """Write the page, and the contact sheet beside it; return the page's path."""
    from bench.data.describe_page import SHEET
    from bench.data.sheet import suspect_texts, write_sheet
    from bench.report.html import write_page

    path = write_page(page, folder)
    if judged is not None:
        write_sheet(folder / SHEET, judged.images, suspect_texts(judged.suspects, judged.positions))
    return path


def _opened(options: dict[str, str | None], sets: tuple[str, ...]) -> tuple[Parts, Pixels, np.ndarray, bool]:
    """Open the data of `data_options` under the settings of `--set` and decode every image, small.

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
    from bench.protocol import check_together, resolve

    place = cache_dir(options["cache"]).resolve()
    request = request_options(options, None, None, sets)
    card, examples = open_task(request, search_path("tasks", options["tasks"]), place)
    with Progress(0) as progress:
        pixels = ensure_pixels(examples, (SIDE, SIDE), "squash", place, progress.step)
    setting = dict(resolve(*card.layers("frozen", request.settings)))
    check_together(setting)
    parts = Parts(card, examples, setting)
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
    from bench.errors import StoreError
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
