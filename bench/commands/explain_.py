"""`bench explain CELL IMAGE...`: LIME and occlusion maps of a saved model's answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bench.commands.options import allow_code_option, format_option, results_option, weights_file_option
from bench.commands.output import show_table
from bench.core.errors import EXIT_DONE, EXIT_SOME_FAILED, BenchError, StoreError
from bench.core.paths import user_path

if TYPE_CHECKING:
    from bench.inference.explain import Target


@click.command()
@click.argument("cell")
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--out", required=True, metavar="DIR", help="Folder for the PNG files.")
@click.option(
    "--class",
    "names",
    multiple=True,
    help="Class or attribute to explain; may be repeated [the top one].",
)
@click.option(
    "--samples",
    type=click.IntRange(min=50, max=100_000),
    default=1000,
    show_default=True,
    help="Perturbed images for LIME.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, help="Seed of LIME's samples [0].")
@weights_file_option
@allow_code_option
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
    allow_code: bool,
    results: str | None,
    fmt: str,
) -> int:
    """Draw which parts of an image a stored cell's prediction depends on, as PNG files.

    CELL and IMAGE are as for bench predict. Each image and class gets two files: LIME's superpixels, and a
    map of the score's drop when a region is hidden. For a task of pairs name two photos: each is explained
    given the other. Exit code 4: an image could not be read.
    """
    from bench.commands.loading import report_problems, stored_cell
    from bench.core.kind import get_kind
    from bench.core.safe_text import visible
    from bench.core.table import Column, Table
    from bench.inference.explain import NO_LIME

    stored = stored_cell(cell, results)
    predictor = get_kind(stored.record["cell"]["kind"]).predictor
    found, problems = predictor.targets(stored, images, names, weights, allow_code)
    _check_installed(NO_LIME)
    folder = _folder(out)
    rows = [row for target in found for row in _explain(target, folder, samples, seed)]
    report_problems([visible(problem) for problem in problems])
    columns = [
        Column("image", "image"),
        Column("class", "class"),
        Column("probability", "probability", "ratio"),
        Column("fit", "LIME fit R²", "ratio"),
        Column("lime", "LIME"),
        Column("occlusion", "occlusion"),
    ]
    show_table(Table("", columns, rows), fmt)
    return EXIT_SOME_FAILED if problems else EXIT_DONE


def _check_installed(says: str) -> None:
    """Raise BenchError if a library is missing, before any image is scored."""
    from importlib.util import find_spec

    if find_spec("lime") is None or find_spec("skimage") is None:
        raise BenchError(says)


def _folder(out: str) -> Path:
    path = user_path(out)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"--out {out!r}: cannot be made ({error.strerror or error}); choose another"
        ) from None
    return path


def _explain(target: Target, folder: Path, samples: int, seed: int) -> list[dict[str, Any]]:
    """Write two PNG files for each class to explain; return a row for each."""
    from bench.core.atomic_files import replacing
    from bench.inference.explain import heat_map, lime, occlusion, overlay
    from bench.store.write import slug

    path, pixels, classes = target.path, target.pixels, target.classes
    scores = target.score(pixels[None])[0]
    found = lime(pixels, target.score, target.places, samples, seed)
    falls = occlusion(pixels, target.score)
    rows = []
    for place in target.places:
        # Numbered: names may differ only in characters that a file name cannot have.
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
                with replacing(file) as fresh:
                    fresh.write_bytes(picture)
            except OSError as error:
                raise StoreError(f"{file} cannot be written ({error.strerror or error})") from None
            row[what] = str(file)
        rows.append(row)
    return rows
