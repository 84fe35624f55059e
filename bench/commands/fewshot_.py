"""`bench fewshot`: how well a few images teach a frozen backbone a class it has no head for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.commands.options import data_options, format_option
from bench.errors import BenchError, StoreError

MOST = 1000
"""Classes in an episode, and images of each, at most."""


@click.command()
@data_options
@click.option(
    "--backbone", metavar="NAMES", help="Backbones, separated by commas [the card's that are frozen]."
)
@click.option("--weights", metavar="imagenet|random|PATH", help="Backbone weights [imagenet].")
@click.option("--set", "sets", multiple=True, metavar="KEY=VALUE", help="Protocol values: input_size, ...")
@click.option(
    "--way", type=click.IntRange(2, MOST), default=5, show_default=True, help="Classes in an episode."
)
@click.option("--shot", default="1,5", show_default=True, help="Images that teach a class: 1 or 1,5.")
@click.option(
    "--queries", type=click.IntRange(1, MOST), default=15, show_default=True, help="Images asked per class."
)
@click.option("--episodes", type=click.IntRange(1, 100_000), default=600, show_default=True,
              help="How many are drawn.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="Draws the episodes, and the classes without --classes.")  # fmt: skip
@click.option("--classes", metavar="FILE", help="A .toml or .csv file with meta_train and meta_test classes.")
@click.option("--out", metavar="FILE", help="Also write all numbers, episode by episode, as JSON.")
@format_option
def command(
    backbone: str | None,
    weights: str | None,
    sets: tuple[str, ...],
    way: int,
    shot: str,
    queries: int,
    episodes: int,
    seed: int,
    classes: str | None,
    out: str | None,
    fmt: str,
    **options: Any,
) -> None:
    """Draw episodes of a few classes, a few images of each, and say how many others are recognised.

    Test images alone are drawn, and no two of an episode have the same bytes or, in one class, the same
    group. Learners: the nearest class mean (prototypes), and a logistic regression on the few images. What
    features are centred by is the mean over training images of other classes.
    """
    from dataclasses import replace

    from bench.commands.options import request_options
    from bench.commands.progress import Progress
    from bench.fewshot import Ask, few_shot, few_shot_json, few_shot_table
    from bench.paths import cache_dir, search_path
    from bench.report.render import render

    target = None if out is None else _target(out)
    ask = Ask(
        way, _shots(shot), queries, episodes, seed, None if classes is None else Path(classes).expanduser()
    )
    request = replace(request_options(options, backbone, weights, sets), backbones=_names(backbone))
    cache = cache_dir(options["cache"]).resolve()
    with Progress(0) as progress:
        found = few_shot(request, search_path("tasks", options["tasks"]), cache, ask, progress.step)
    if target is not None:
        try:
            target.write_text(few_shot_json(found), encoding="utf-8")
        except OSError as error:
            raise StoreError(f"--out {out}: cannot be written ({error.strerror or error})") from None
    click.echo(render(few_shot_table(found), fmt))


def _names(text: str | None) -> tuple[str, ...]:
    """Return the names of a list. Raises BenchError for an empty one."""
    names = () if text is None else tuple(part.strip() for part in text.split(","))
    if "" in names:
        raise BenchError("--backbone: a name is empty")
    return names


def _shots(text: str) -> tuple[int, ...]:
    """Return the numbers of a list, rising. Raises BenchError for anything else."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 0 < int(part[:9]) <= MOST for part in parts):
        raise BenchError(f"--shot {text[:80]!r}: write whole numbers from 1 to {MOST}, for example 1,5")
    shots = tuple(sorted({int(part) for part in parts}))
    if len(shots) < len(parts):
        raise BenchError(f"--shot {text[:80]!r}: a number is named twice")
    return shots


def _target(out: str) -> Path:
    """Return the path of the file. Raises BenchError where its folder is not there."""
    path = Path(out).expanduser()
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else f"there is no folder {str(path.parent)!r}"
        raise BenchError(f"--out {out!r}: {what}")
    return path
