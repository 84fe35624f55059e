"""`bench data`: check and describe a data folder, write a synthetic one, fetch a public one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.commands.data_fetch import fetch
from bench.commands.notices import say
from bench.commands.options import data_options, format_option, set_option, weights_option
from bench.commands.output import show_table, show_tables
from bench.commands.words import Word
from bench.core.errors import EXIT_DONE, EXIT_FOUND, EXIT_SOME_FAILED, BenchError
from bench.core.paths import user_path

if TYPE_CHECKING:
    import numpy as np

    from bench.data.labels import Parts
    from bench.data.pixels import Pixels
    from bench.report.data.suspects import Judged
    from bench.report.page import Page


@click.group()
def command() -> None:
    """Check or describe a data folder before training, write a synthetic one, or fetch a public one."""


command.add_command(fetch)


@command.command()
@data_options
@set_option
@click.option(
    "--leaks", is_flag=True, help="List only the test images that are also in train, without a limit."
)
@click.option(
    "--fail-on", type=Word("--fail-on", ("leaks",)), help="Exit with 1 if test images are also in train."
)
@format_option
def check(fmt: str, leaks: bool, fail_on: str | None, sets: tuple[str, ...], **options: Any) -> int:
    """Read every row, decode every image, and list problems, duplicates and leaks.

    A test image leaks if train has the same bytes, or nearly the same picture: rescaled, recompressed,
    mirrored or slightly cropped. Exit code 4: rows or images would be left out.
    """
    from bench.core.kind import get_kind
    from bench.data.check import check_data
    from bench.report.data.check_tables import check_tables, leaks_table

    parts, pixels, train, near, fault = _opened(options, sets)
    kind = get_kind(parts.card.kind).description
    more = parts.groups, parts.unlisted, parts.titles, parts.validation
    report = check_data(parts.examples, kind.labels(parts), train, pixels, near, *more)
    if leaks:
        show_table(leaks_table(report), fmt)
    else:
        tables = check_tables(report, kind, whole=fmt in ("csv", "json"))
        show_tables(tables, fmt)
    if fail_on == "leaks" and report.leaks:
        return EXIT_FOUND
    left_out = fault or any(problem.fatal for problem in report.problems)
    return EXIT_SOME_FAILED if left_out else EXIT_DONE


@command.command()
@data_options
@set_option
@click.option("--out", metavar="DIR", help="Also write a page with plots and pictures: DIR/index.html.")
@click.option("--suspects", is_flag=True, help="Also find suspect training labels, as bench clean does.")
@click.option("--backbone", metavar="NAME", help="Backbone for the features [the card's last frozen one].")
@weights_option
@format_option
def describe(
    fmt: str,
    sets: tuple[str, ...],
    out: str | None,
    suspects: bool,
    backbone: str | None,
    weights: str | None,
    **options: Any,
) -> None:
    """Describe a data folder: labels, sizes, prices, listings and near duplicates.

    DIR/index.html is self-contained. With --suspects, DIR/suspects.png is a contact sheet of labels that are
    probably wrong; this computes features of every image.
    """
    from bench.commands.progress import Progress
    from bench.report.data.tables import DataView
    from bench.report.data.tables import describe as tables_of

    folder = _page_folder(out)
    _check_judge(options, sets, suspects, backbone, weights)
    parts, pixels, train, near, _ = _opened(options, sets)
    view = DataView(parts, pixels, train, near)
    tables, judged = tables_of(view), None
    if suspects:
        from bench.report.data.suspects import judged_table

        judged = _judged(options, sets, backbone, weights)
        tables.append(judged_table(judged))
    show_tables(tables, fmt)
    if folder is not None:
        from bench.report.data.page import describe_page

        Progress.say(f"wrote {_written(describe_page(view, judged), folder, judged)}")


def _page_folder(out: str | None) -> Path | None:
    """Return the folder of the page. Raises BenchError for a file, before anything is decoded."""
    if out is None:
        return None
    folder = user_path(out)
    if not out.strip() or (folder.exists() and not folder.is_dir()):
        raise BenchError(f"--out {out!r}: not a folder; choose another")
    return folder


def _check_judge(
    options: dict[str, Any],
    sets: tuple[str, ...],
    suspects: bool,
    backbone: str | None,
    weights: str | None,
) -> None:
    """Raise BenchError if labels cannot be judged, or if a backbone is named without --suspects."""
    from bench.commands.option_values import request_options
    from bench.core.kind import get_kind
    from bench.core.paths import search_path
    from bench.runs.open_task import find_card

    if not suspects and (backbone, weights) != (None, None):
        raise BenchError("--backbone and --weights are for --suspects: add it, or leave them out")
    request = request_options(options, backbone, weights, sets)
    card = find_card(request, search_path("tasks", options["tasks"]))
    if suspects and "review" not in get_kind(card.kind).supports:
        raise BenchError(f"--suspects judges classes; task {card.name!r} is {card.kind}")


def _judged(
    options: dict[str, Any], sets: tuple[str, ...], backbone: str | None, weights: str | None
) -> Judged:
    from bench.commands.option_values import request_options
    from bench.commands.progress import Progress
    from bench.core.paths import cache_dir, search_path
    from bench.inference.suspect_labels import judge

    request = request_options(options, backbone, weights, sets)
    place = cache_dir(options["cache"]).resolve()
    with Progress(0) as progress:
        return judge(request, search_path("tasks", options["tasks"]), place, False, 5, 0, progress.step)


def _written(page: Page, folder: Path, judged: Judged | None) -> Path:
    """Write the page, and the contact sheet beside it; return the page's path."""
    from bench.report.data.contact_sheet import suspect_texts, write_sheet
    from bench.report.data.page import SHEET
    from bench.report.html import write_page

    path = write_page(page, folder)
    if judged is not None:
        write_sheet(folder / SHEET, judged.images, suspect_texts(judged.suspects, judged.positions))
    return path


def _opened(
    options: dict[str, Any], sets: tuple[str, ...]
) -> tuple[Parts, Pixels, np.ndarray, np.ndarray, bool]:
    """Open the data of `data_options` under the settings of `--set` and decode every image, small.

    Returns labels and split, pixels, a mask of training examples (n,), near duplicates (p, 2), and whether
    the split failed: then a message is shown and all examples count as train.
    """
    import numpy as np

    from bench.commands.option_values import request_options
    from bench.commands.progress import Progress
    from bench.core.errors import DataError
    from bench.core.paths import cache_dir, search_path
    from bench.core.protocol import resolve
    from bench.core.protocol_checks import check_together
    from bench.data.labels import Parts
    from bench.data.near_duplicate_cache import ensure_near_duplicates
    from bench.data.near_duplicates import SIDE
    from bench.data.pixels import ensure_pixels
    from bench.runs.open_task import open_task

    place = cache_dir(options["cache"]).resolve()
    request = request_options(options, None, None, sets)
    card, examples = open_task(request, search_path("tasks", options["tasks"]), place, say)
    with Progress(0) as progress:
        pixels = ensure_pixels(examples, (SIDE, SIDE), "squash", place, progress.step)
        near = ensure_near_duplicates(examples, place, progress.step)
    setting = dict(resolve(*card.layers("frozen", request.settings)))
    check_together(setting)
    parts = Parts(card, examples, setting)
    try:
        return parts, pixels, parts.mask, near, False
    except DataError as error:
        Progress.say(f"all images count as train: {error}")
        return parts, pixels, np.ones(len(examples), bool), near, True


@command.command()
@click.option("--task", required=True, help="The task of the sample.")
@click.option("--sample", default="tiny", show_default=True, help="tiny or small.")
@click.option("--out", required=True, metavar="DIR", help="A new folder.")
def draw(task: str, sample: str, out: str) -> None:
    """Write a synthetic sample as a data folder: an example of the layout that --data reads."""
    from bench.core.errors import StoreError
    from bench.core.paths import search_path
    from bench.data.sources import SOURCES
    from bench.data.task_card import load_card

    source = SOURCES[load_card(task, search_path("tasks")).source]
    folder = user_path(out)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BenchError(f"--out {out}: exists and is not an empty folder; choose another")
    try:
        source.write(source.draw(sample), folder)
    except OSError as error:
        raise StoreError(f"--out {out}: cannot be written ({error.strerror})") from None
    say(f"wrote the {sample} sample to {folder}")
