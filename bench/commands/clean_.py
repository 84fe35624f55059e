"""`bench clean`: table of suspect labels, to review and use with `bench run --set labels=FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.commands.option_values import request_options
from bench.commands.options import allow_code_option, data_options, format_option, set_option, weights_option
from bench.commands.output import show_table
from bench.core.errors import BenchError
from bench.core.paths import user_path


@click.command()
@data_options
@click.option("--backbone", metavar="NAME", help="Backbone for the features [the card's last frozen one].")
@weights_option
@allow_code_option
@set_option
@click.option("--part", type=click.Choice(["train", "all"]), default="train", show_default=True,
              help="Judge only the training labels, or all labels.")  # fmt: skip
@click.option(
    "--folds", type=click.IntRange(2, 50), default=5, show_default=True, help="Folds of the cross-validation."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the folds.")
@click.option("--out", required=True, metavar="FILE", help="New .csv file for the table to review.")
@click.option(
    "--sheet", metavar="FILE", help="New .png file for a contact sheet of the most doubtful photos."
)
@format_option
def command(
    backbone: str | None,
    weights: str | None,
    allow_code: bool,
    sets: tuple[str, ...],
    part: str,
    folds: int,
    seed: int,
    out: str,
    sheet: str | None,
    fmt: str,
    **options: Any,
) -> None:
    """Write a table of labels that are probably wrong.

    Suspects come from confident learning on out-of-fold probabilities, with each group in one fold, and from
    prices far from their category's. The data is not changed. Edit the column `use`, then run with --set
    labels=FILE.
    """
    from bench.commands.progress import Progress
    from bench.core.paths import cache_dir, search_path
    from bench.data.corrections import write_suspects
    from bench.inference.suspect_labels import judge
    from bench.report.data.contact_sheet import suspect_texts, write_sheet
    from bench.report.data.suspects import judged_table

    target, picture = _fresh("--out", out), None if sheet is None else _fresh("--sheet", sheet)
    request = request_options(options, backbone, weights, sets, allow_code)
    cache = cache_dir(options["cache"]).resolve()
    with Progress(0) as progress:
        judged = judge(
            request, search_path("tasks", options["tasks"]), cache, part == "all", folds, seed, progress.step
        )
    write_suspects(target, judged.suspects)
    if picture is not None:
        write_sheet(picture, judged.images, suspect_texts(judged.suspects, judged.positions))
    show_table(judged_table(judged), fmt)
    Progress.say(
        f"{len(judged.suspects)} of {judged.rows} labels are suspect: edit the column `use` of {target}, "
        f"then run bench run --task {request.task} --set labels={target}"
    )


def _fresh(option: str, text: str) -> Path:
    """Return the path of a new file. Raises BenchError if it exists or its folder does not."""
    path = user_path(text)
    if path.exists():
        raise BenchError(f"{option} {text}: exists already, perhaps edited; choose another file")
    if not path.parent.is_dir():
        raise BenchError(f"{option} {text}: there is no folder {str(path.parent)!r}")
    return path
