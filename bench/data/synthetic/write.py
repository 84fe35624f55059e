"""Writer of a synthetic sample as a data folder: CSV tables and one file per image."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.core.errors import DataError
from bench.data.examples import Examples

SampleTable = tuple[str, Mapping[str, Sequence[str]]]
"""The header of the column of items, and the other columns."""


def write_sample(
    examples: Examples, folder: Path, tables: Mapping[str, SampleTable], image: str, levels: int = 1
) -> None:
    """Write tables by file name and each image as `image`, its path with {} for the item.

    levels: parts of an item that is a path. JPEG files have quality 95. Raises DataError when the folder
    cannot be written or an item cannot be the name of a file in it.
    """
    from PIL import Image

    for item in examples.items:
        parts = item.split("/")
        if len(parts) != levels or any(
            not part or part[0] == "." or set(part) & set("\\:\0") for part in parts
        ):
            raise DataError(f"item {item!r} cannot be the name of an image file")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, (first, columns) in tables.items():
            with open(folder / name, "w", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow((first, *columns))
                writer.writerows(zip(examples.items, *columns.values(), strict=True))
        for index, item in enumerate(examples.items):
            path = folder / image.format(item)
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(examples.images.read(index)).save(path, quality=95)
    except OSError as error:
        raise DataError(f"cannot write the sample to {folder}: {error.strerror or error}") from error
