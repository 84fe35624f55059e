"""`bench fetch-weights`: download ImageNet weights in advance, for machines without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from bench.commands.data_fetch import agree, yes_option
from bench.commands.notices import say
from bench.commands.options import format_option
from bench.commands.output import show_table
from bench.core.errors import EXIT_DONE, EXIT_SOME_FAILED, BenchError, WeightsError

if TYPE_CHECKING:
    from pathlib import Path

    from bench.backbones.info import BackboneInfo
    from bench.backbones.presets import PresetLocation
    from bench.core.table import Table


@click.command()
@click.argument("backbones", nargs=-1, metavar="BACKBONE...")
@click.option(
    "--input-size", default="native", metavar="SIZE", help="Input size, 128 or 96x128 [the net's own]."
)
@click.option("--list", "listing", is_flag=True, help="List the files; nothing is downloaded.")
@yes_option
@format_option
def command(backbones: tuple[str, ...], input_size: str, listing: bool, yes: bool, fmt: str) -> int:
    """Download backbone weights in advance: ImageNet weights, and presets (hub:PRESET).

    Files go to KERAS_HOME/models, those of keras-cv and presets to kagglehub's cache (KAGGLEHUB_CACHE). Copy
    them to the same path on a machine without a network. MobileNet and NASNet have separate files for
    some input sizes: give the size that your runs use. Exit code 4: some could not be downloaded.
    """
    from bench.backbones.external import split_names
    from bench.backbones.info import JOIN
    from bench.backbones.presets import is_preset, place_of
    from bench.backbones.registry import BACKBONES, get_backbone

    names = dict.fromkeys(name for joined in backbones for name in split_names(joined, JOIN))
    if not names and not listing:
        raise BenchError("name the backbones; bench fetch-weights --list shows those with ImageNet weights")
    presets = {name: place_of(name) for name in names if is_preset(name)}
    infos = [get_backbone(name) for name in names if name not in presets]
    if not names:
        infos = [info for info in BACKBONES.values() if "imagenet" in info.weights]
    wanted = [(info, *_file(info, input_size)) for info in infos]
    show_table(weights_table(wanted, presets), fmt)
    missing = [(info, size) for info, size, path in wanted if not path.is_file()]
    lacking = {name: place.handle for name, place in presets.items() if not is_here(place)}
    if listing or not (missing or lacking):
        return EXIT_DONE
    agree(yes)
    return EXIT_SOME_FAILED if _fetch(missing) + _fetch_presets(lacking) else EXIT_DONE


def _file(info: BackboneInfo, input_size: str) -> tuple[tuple[int, int], Path]:
    """Return the size of images and its weights file. Raises BenchError if there is none."""
    from bench.backbones.registry import size_problem
    from bench.backbones.weights import imagenet_file
    from bench.core.protocol import check, image_size

    size = image_size(check("input_size", input_size, "--input-size"), info.input_size)
    path = imagenet_file(info, size)
    if path is None:
        raise BenchError(f"{info.name} has no published ImageNet weights: leave it out")
    if problem := size_problem(info, size):
        raise BenchError(f"--input-size {input_size}: {problem}")
    return size, path


def is_here(place: PresetLocation) -> bool:
    """Return whether a preset's folder has its weights."""
    from bench.backbones.presets import CONFIG, weights_files

    return (place.folder / CONFIG).is_file() and all(
        path.is_file() for path in weights_files(place.folder, str(place.folder))
    )


def weights_table(
    wanted: Sequence[tuple[BackboneInfo, tuple[int, int], Path]], presets: Mapping[str, PresetLocation]
) -> Table:
    """Return backbones, their weights files or folders, sizes, and whether they are present."""
    from bench.core.table import Column, Table

    rows: list[dict[str, object]] = [
        {
            "backbone": info.name,
            "size": path.stat().st_size if (there := path.is_file()) else 4 * info.parameters,
            "state": "present" if there else "missing",
            "file": str(path),
        }
        for info, _, path in wanted
    ]
    rows += [
        {
            "backbone": name,
            "size": sum(path.stat().st_size for path in place.folder.iterdir() if path.is_file()),
            "state": "present",
            "file": str(place.folder),
        }
        if is_here(place)
        else {"backbone": name, "size": None, "state": "missing", "file": str(place.folder)}
        for name, place in presets.items()
    ]
    columns = [
        Column("backbone", "backbone", rank=0),
        Column("size", "size", "bytes", rank=0),
        Column("state", "state", rank=0),
        Column("file", "file"),
    ]
    notes = ("The size of a missing file counts its weights alone; the file itself is larger.",)
    return Table("Weights", columns, rows, notes if any(r["state"] == "missing" for r in rows) else ())


def _fetch(missing: Sequence[tuple[BackboneInfo, tuple[int, int]]]) -> int:
    """Download and load each net's weights; report failures and return their number."""
    from bench.backbones.registry import build_backbone
    from bench.backbones.weights import imagenet_file
    from bench.core.environment import quiet
    from bench.report.render import human_size

    quiet()
    failed = 0
    for info, size in missing:
        try:
            # Only Keras knows the URL of a file; loading it also checks it.
            build_backbone(info, size, "imagenet")
        except WeightsError as error:
            failed += 1
            say(str(error))
            continue
        path = imagenet_file(info, size)
        if path is not None and path.is_file():
            say(f"{info.name}: {path}, {human_size(path.stat().st_size)}")
    return failed


def _fetch_presets(handles: Mapping[str, str]) -> int:
    """Download presets from Kaggle; report failures and return their number."""
    from bench.backbones.weights import fetch_preset

    failed = 0
    for name, handle in handles.items():
        try:
            say(f"{name}: {fetch_preset(name, handle)}")
        except WeightsError as error:
            failed += 1
            say(str(error))
    return failed
