"""`bench explain CELL IMAGE...`: pictures of what a kept model's answer rests on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import format_option, results_option
from bench.errors import EXIT_DONE, EXIT_SOME_FAILED, BenchError, StoreError, unknown

if TYPE_CHECKING:
    from bench.explain import Score
    from bench.store import Stored


@click.command()
@click.argument("cell")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--out", required=True, metavar="DIR", help="Folder that the PNG files are written to.")
@click.option(
    "--class",
    "names",
    multiple=True,
    help="Class or attribute to explain, more than once if wanted [the top one].",
)
@click.option(
    "--samples",
    type=click.IntRange(min=50, max=100_000),
    default=1000,
    show_default=True,
    help="Changed images that LIME looks at.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, help="Which ones [0].")
@click.option("--weights", metavar="FILE", help="The weights file that the cell was run with, if it was one.")
@results_option
@format_option
def command(
    cell: str,
    images: tuple[str, ...],
    out: str,
    names: tuple[str, ...],
    samples: int,
    seed: int,
    weights: str | None,
    results: str | None,
    fmt: str,
) -> int:
    """Draw which parts of an image a stored cell's answer rests on, as PNG files.

    CELL and IMAGE are as for bench predict. Each image and class gets two files: LIME's superpixels, and the
    fall of the score where a place is hidden. Of a task of pairs name two photos: each is explained beside
    the other one. Exit code 4 says that an image could not be read.
    """
    from bench.commands.loading import results_root, tell
    from bench.commands.show_ import find
    from bench.explain import NO_LIME
    from bench.report.render import render
    from bench.report.table import Column, Table
    from bench.report.text import visible
    from bench.store import Store

    stored = find(Store(results_root(results)), cell)
    of_pairs = stored.record["cell"]["kind"] == "verification"
    targets = _pair_targets if of_pairs else _image_targets
    found, problems = targets(stored, images, names, weights)
    _check_installed(NO_LIME)
    folder = _folder(out)
    rows = [row for target in found for row in _explain(target, folder, samples, seed)]
    tell([visible(problem) for problem in problems])
    columns = [
        Column("image", "image"),
        Column("class", "class"),
        Column("probability", "probability", "ratio"),
        Column("fit", "LIME fit R²", "ratio"),
        Column("lime", "LIME"),
        Column("occlusion", "occlusion"),
    ]
    click.echo(render(Table("", columns, rows), fmt))
    return EXIT_SOME_FAILED if problems else EXIT_DONE


@dataclass(frozen=True)
class Target:
    """An image and what is asked of it.

    score: (n, h, w, 3) uint8 -> (n, k). places: of the classes that are asked for.
    """

    path: Path
    number: int
    pixels: Any
    score: Score
    classes: tuple[str, ...]
    places: tuple[int, ...]


def _image_targets(
    stored: Stored, images: tuple[str, ...], names: tuple[str, ...], weights: str | None
) -> tuple[list[Target], list[str]]:
    """Return a target for each image that can be read, and faults; without names, for the likeliest class."""
    from bench.data.examples import ImageError
    from bench.predict import image_files, open_model

    model = open_model(stored, weights)
    classes = model.head.classes
    for name in names:
        if name not in classes:
            raise unknown("class", name, classes, f"bench show {stored.id[:8]} lists them")
    files, problems = image_files(images)
    targets = []
    for number, path in enumerate(files, 1):
        try:
            pixels = model.read(path)
        except ImageError as error:
            problems.append(f"{path}: {error}")
            continue
        places = tuple(dict.fromkeys(classes.index(name) for name in names))
        places = places or (int(model.scores(pixels[None])[0].argmax()),)
        targets.append(Target(path, number, pixels, model.scores, classes, places))
    return targets, problems


def _pair_targets(
    stored: Stored, images: tuple[str, ...], names: tuple[str, ...], weights: str | None
) -> tuple[list[Target], list[str]]:
    """Return a target for each of two photos: that it shows the person of the other one."""
    from bench.data.examples import ImageError
    from bench.verification.predict import open_match

    if len(images) != 2:
        raise BenchError("a pair is two photos: bench explain CELL A.jpg B.jpg --out DIR")
    if names:
        raise BenchError("--class: of two photos there is one question, whether they show one person")
    model = open_match(stored, weights)
    paths = [Path(image).expanduser() for image in images]
    read: list[Any] = []
    problems = []
    for path in paths:
        try:
            read.append(model.read(path))
        except ImageError as error:
            problems.append(f"{path}: {error}")
    if problems:
        return [], problems
    both = zip(paths, read, reversed(read), strict=True)
    return [
        Target(path, number, own, model.against(other), ("same",), (0,))
        for number, (path, own, other) in enumerate(both, 1)
    ], []


def _check_installed(says: str) -> None:
    """Raise BenchError before any image is scored where a library is missing."""
    from importlib.util import find_spec

    if find_spec("lime") is None or find_spec("skimage") is None:
        raise BenchError(says)


def _folder(out: str) -> Path:
    path = Path(out).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"--out {out!r} cannot be made ({error.strerror or error}): choose another"
        ) from None
    return path


def _explain(target: Target, folder: Path, samples: int, seed: int) -> list[dict[str, Any]]:
    """Write two PNG files for each class asked for; return a row for each."""
    from bench.explain import heat_map, lime, occlusion, overlay
    from bench.store import slug

    path, pixels, classes = target.path, target.pixels, target.classes
    scores = target.score(pixels[None])[0]
    found = lime(pixels, target.score, target.places, samples, seed)
    falls = occlusion(pixels, target.score)
    rows = []
    for place in target.places:
        # Numbers keep apart what only differs in letters that a file name cannot hold.
        base = f"{target.number:04d}-{slug(path.stem)[:40]}-{place:03d}-{slug(classes[place])[:40]}"
        title = f"{path.name}: {classes[place]} {scores[place]:.3f}"
        pictures = {
            "lime": overlay(pixels, found[place], title),
            "occlusion": heat_map(pixels, falls[..., place], title),
        }
        row: dict[str, Any] = {
            "image": str(path),
            "class": classes[place],
            "probability": float(scores[place]),
            "fit": found[place].fit,
        }
        for what, picture in pictures.items():
            file = folder / f"{base}-{what}.png"
            try:
                file.write_bytes(picture)
            except OSError as error:
                raise StoreError(f"{file} cannot be written ({error.strerror or error})") from None
            row[what] = str(file)
        rows.append(row)
    return rows
