"""`bench fewshot`: few-shot classification on frozen features."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bench.commands.options import allow_code_option, data_options, format_option, set_option, weights_option
from bench.commands.output import show_table
from bench.core.errors import BenchError, StoreError
from bench.core.paths import user_path

MOST = 1000
"""Maximum number of classes in an episode, and of images per class."""


@click.command()
@data_options
@click.option("--backbone", metavar="NAMES", help="Backbones, separated by commas [the card's frozen ones].")
@weights_option
@allow_code_option
@set_option
@click.option(
    "--way", type=click.IntRange(2, MOST), default=5, show_default=True, help="Classes in an episode."
)
@click.option("--shot", default="1,5", show_default=True, help="Support images per class: 1 or 1,5.")
@click.option(
    "--queries", type=click.IntRange(1, MOST), default=15, show_default=True, help="Query images per class."
)
@click.option("--episodes", type=click.IntRange(1, 100_000), default=600, show_default=True,
              help="Number of episodes.")  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True,
              help="Seed of the episodes and, without --classes, of the classes.")  # fmt: skip
@click.option("--classes", metavar="FILE", help="A .toml or .csv file with meta_train and meta_test classes.")
@click.option("--out", metavar="FILE", help="Also write all numbers, episode by episode, as JSON.")
@format_option
def command(
    backbone: str | None,
    weights: str | None,
    allow_code: bool,
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
    """Evaluate few-shot classification on frozen features.

    Episodes use test images only; no two images of an episode have the same bytes or, in one class, the same
    group. Learners: nearest class mean (prototypes), and logistic regression on the support images. Features
    are centred by their mean over training images of other classes.
    """
    from dataclasses import replace

    from bench.commands.option_values import request_options
    from bench.commands.progress import Progress
    from bench.core.atomic_files import replacing
    from bench.core.paths import cache_dir, search_path
    from bench.inference.fewshot import EpisodeSettings, few_shot, few_shot_json, few_shot_table

    target = None if out is None else _target(out)
    ask = EpisodeSettings(
        way, _shots(shot), queries, episodes, seed, None if classes is None else user_path(classes)
    )
    request = replace(
        request_options(options, backbone, weights, sets, allow_code), backbones=_names(backbone)
    )
    cache = cache_dir(options["cache"]).resolve()
    with Progress(0) as progress:
        found = few_shot(request, search_path("tasks", options["tasks"]), cache, ask, progress.step)
    if target is not None:
        try:
            with replacing(target) as fresh:
                fresh.write_text(few_shot_json(found), encoding="utf-8")
        except OSError as error:
            raise StoreError(f"--out {out}: cannot be written ({error.strerror or error})") from None
    show_table(few_shot_table(found), fmt)


def _names(text: str | None) -> tuple[str, ...]:
    """Return the names of a list. Raises BenchError for an empty one."""
    names = () if text is None else tuple(name.strip() for name in text.split(","))
    if "" in names:
        raise BenchError("--backbone: a name is empty")
    return names


def _shots(text: str) -> tuple[int, ...]:
    """Return the sorted numbers of a list. Raises BenchError for anything else."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() and 0 < int(word[:9]) <= MOST for word in words):
        raise BenchError(f"--shot {text[:80]!r}: write whole numbers from 1 to {MOST}, for example 1,5")
    shots = tuple(sorted({int(word) for word in words}))
    if len(shots) < len(words):
        raise BenchError(f"--shot {text[:80]!r}: a number is given twice")
    return shots


def _target(out: str) -> Path:
    """Return the path of the file. Raises BenchError if its folder does not exist."""
    path = user_path(out)
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else f"there is no folder {str(path.parent)!r}"
        raise BenchError(f"--out {out!r}: {what}")
    return path
