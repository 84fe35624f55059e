"""`bench explain CELL IMAGE...`: pictures of what a kept model's answer rests on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import format_option, results_option
from bench.errors import EXIT_DONE, EXIT_SOME_FAILED, StoreError, unknown

if TYPE_CHECKING:
    from bench.predict import Predictor


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
    fall of the score where a place is hidden. Exit code 4 says that an image could not be read.
    """
    from bench.commands.loading import results_root, tell
    from bench.commands.show_ import find
    from bench.data.examples import ImageError
    from bench.explain import NO_LIME
    from bench.predict import image_files, open_model
    from bench.report.render import render
    from bench.report.table import Column, Table
    from bench.report.text import visible
    from bench.store import Store

    stored = find(Store(results_root(results)), cell)
    model = open_model(stored, weights)
    for name in names:
        if name not in model.head.classes:
            raise unknown("class", name, model.head.classes, f"bench show {stored.id[:8]} lists them")
    _check_installed(NO_LIME)
    files, problems = image_files(images)
    folder = _folder(out)
    rows: list[dict[str, Any]] = []
    for number, path in enumerate(files, 1):
        try:
            pixels = model.read(path)
        except ImageError as error:
            problems.append(f"{path}: {error}")
            continue
        rows += _explain(model, pixels, path, names, folder, number, samples, seed)
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


def _check_installed(says: str) -> None:
    """Raise BenchError before any image is scored where a library is missing."""
    from importlib.util import find_spec

    from bench.errors import BenchError

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


def _explain(
    model: Predictor,
    pixels: Any,
    path: Path,
    names: tuple[str, ...],
    folder: Path,
    number: int,
    samples: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Write two PNG files for each class asked for, or for the likeliest; return a row for each class."""
    from bench.explain import heat_map, lime, occlusion, overlay
    from bench.store import slug

    classes = model.head.classes
    scores = model.scores(pixels[None])[0]
    places = tuple(dict.fromkeys(classes.index(name) for name in names)) or (int(scores.argmax()),)
    found = lime(pixels, model.scores, places, samples, seed)
    falls = occlusion(pixels, model.scores)
    rows = []
    for place in places:
        # Numbers keep apart what only differs in letters that a file name cannot hold.
        base = f"{number:04d}-{slug(path.stem)[:40]}-{place:03d}-{slug(classes[place])[:40]}"
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
