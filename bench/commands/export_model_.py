"""`bench export-model CELL`: a saved model as one graph for serving."""

from __future__ import annotations

import click

from bench.commands.options import (
    allow_code_option,
    cache_option,
    follow_links_option,
    plugin_option,
    results_option,
    tasks_option,
)
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
@click.option("--data", metavar="DIR", help="Folder with the data [the one the cell was run with].")
@follow_links_option
@click.option("--labels", metavar="FILE", help="Table of reviewed labels [the one the cell was run with].")
@click.option("--weights", metavar="FILE", help="The weights file that the cell was run with, if any.")
@allow_code_option
@plugin_option
@cache_option
@tasks_option
@results_option
def command(
    cell: str,
    fmt: str,
    out: str,
    data: str | None,
    follow_links: bool,
    labels: str | None,
    weights: str | None,
    allow_code: bool,
    plugins: tuple[str, ...],
    cache: str | None,
    tasks: str | None,
    results: str | None,
) -> None:
    """Write a stored cell's model as one graph, from pixels to probabilities, with a model card.

    CELL is the beginning of its id, or its folder; it must have been run with --keep-model. DIR gets the
    model, its inputs and outputs (model.json), a program that runs it (predict.py) and the card (README.md).
    Up to 32 test images go through the model. Exit code 3: it does not give their stored scores, and nothing
    is written.
    """
    from bench.commands.loading import results_root
    from bench.commands.options import data_folder
    from bench.commands.reproduce_ import options_of
    from bench.commands.show_ import find
    from bench.core.paths import cache_dir, search_path
    from bench.inference.export_model import export_model
    from bench.runs.reproduce import LocalPaths
    from bench.store.write import Store

    stored = find(Store(results_root(results)), cell)
    folder = user_path(out).absolute()
    place = LocalPaths(
        tasks=search_path("tasks", tasks),
        data=data_folder(data, None),
        labels=labels,
        weights=weights,
        follow_links=follow_links,
        allow_code=allow_code,
        plugins=plugins,
    )
    options = options_of(str(stored.record.get("command", "")))
    found = export_model(stored, fmt, folder, place, cache_dir(cache).resolve(), options)
    click.echo(
        visible(
            f"wrote {out}; {found.images} test images give their stored scores (largest difference "
            f"{found.largest:.1e})"
        )
    )
