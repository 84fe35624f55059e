"""`bench clean`: suspect labels as a table that a person reviews and `bench run --set labels=FILE` uses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import data_options, format_option, request_options
from bench.errors import BenchError

if TYPE_CHECKING:
    pass


@click.command()
@data_options
@click.option(
    "--backbone", metavar="NAME", help="Whose features judge the labels [the card's last frozen one]."
)
@click.option("--weights", metavar="imagenet|random|PATH", help="Backbone weights [imagenet].")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Protocol values: split, noise, ...")
@click.option("--part", type=click.Choice(["train", "all"]), default="train", show_default=True,
              help="Judge the training part alone, or test labels too.")  # fmt: skip
@click.option(
    "--folds", type=click.IntRange(2, 50), default=5, show_default=True, help="Of the cross-validation."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Cuts the folds.")
@click.option("--out", required=True, metavar="FILE", help="The table to review, a new .csv file.")
@click.option("--sheet", metavar="FILE", help="A contact sheet of the most doubtful photos, a new .png file.")
@format_option
def command(
    backbone: str | None,
    weights: str | None,
    sets: tuple[str, ...],
    part: str,
    folds: int,
    seed: int,
    out: str,
    sheet: str | None,
    fmt: str,
    **options: Any,
) -> None:
    """Find labels that are probably wrong; write them to a table and say how many there are.

    Judged by confident learning on probabilities from heads that have seen neither the photo nor another of
    its group, and by prices far from their category's. Nothing of the data is changed. Edit the column `use`,
    then run with --set labels=FILE.
    """
    from bench.cleaning import judge, judged_table
    from bench.commands.progress import Progress
    from bench.data.corrections import write_suspects
    from bench.data.sheet import suspect_texts, write_sheet
    from bench.paths import cache_dir, search_path
    from bench.report.render import render

    target, picture = _fresh("--out", out), None if sheet is None else _fresh("--sheet", sheet)
    request = request_options(options, backbone, weights, sets)
    cache = cache_dir(options["cache"]).resolve()
    with Progress(0) as progress:
        judged = judge(
            request, search_path("tasks", options["tasks"]), cache, part == "all", folds, seed, progress.step
        )
    write_suspects(target, judged.suspects)
    if picture is not None:
        write_sheet(picture, judged.images, suspect_texts(judged.suspects, judged.positions))
    click.echo(render(judged_table(judged), fmt))
    Progress.say(
        f"{len(judged.suspects)} suspects of {judged.rows} labels in {target}; edit its column `use`, "
        f"then bench run --task {request.task} --set labels={target}"
    )


def _fresh(option: str, text: str) -> Path:
    """Return the path of a file that is not there yet, in a folder that is."""
    path = Path(text).expanduser()
    if path.exists():
        raise BenchError(f"{option} {text}: is there already, perhaps edited; choose another file")
    if not path.parent.is_dir():
        raise BenchError(f"{option} {text}: there is no folder {str(path.parent)!r}")
    return path
