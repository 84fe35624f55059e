"""`bench export-model CELL`: a saved model as one graph for serving."""

from __future__ import annotations

from typing import Any

import click

from bench.commands.option_values import local_paths
from bench.commands.options import cache_option, cell_options, results_option
from bench.commands.words import Word
from bench.core.paths import user_path
from bench.core.safe_text import visible

NAMES = ("keras", "openvino", "onnx", "litert")


@click.command()
@click.argument("cell")
@click.option(
    "--format", "fmt", required=True, type=Word("format", NAMES), help="Format of the model's file."
)
@click.option("--out", required=True, metavar="DIR", help="New or empty folder for the model.")
@cell_options
@cache_option
@results_option
def command(
    cell: str,
    fmt: str,
    out: str,
    cache: str | None,
    results: str | None,
    **options: Any,
) -> None:
    """Write a stored cell's model as a single graph from pixels to probabilities, with a model card.

    CELL is the beginning of its id, or its folder; it must have been run with --keep-model. DIR gets the
    model, its inputs and outputs (model.json), a program that runs it (predict.py) and the card (README.md).
    Up to 32 test images go through the model. Exit code 3: it does not reproduce their stored scores, and
    nothing is written.
    """
    from bench.commands.loading import stored_cell
    from bench.commands.reproduce_ import options_of
    from bench.core.paths import cache_dir
    from bench.inference.export_model import export_model

    stored = stored_cell(cell, results)
    folder = user_path(out).absolute()
    given = options_of(str(stored.record.get("command", "")))
    place = cache_dir(cache).resolve()
    found = export_model(stored, fmt, folder, local_paths(options), place, given)
    click.echo(
        visible(
            f"wrote {out}; {found.images} test images reproduce their stored scores (largest difference "
            f"{found.largest:.1e})"
        )
    )
