"""The same few photos in every layout that a user may have them in."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.data.folders import encoded

COLORS = {"Bag": (200, 60, 60), "Dress": (60, 200, 60), "Hat": (60, 60, 200)}


@dataclass(frozen=True)
class Shot:
    """One photo: its name, class, part of a published split, bytes."""

    name: str
    label: str
    part: str
    data: bytes


def shots(each: int = 16, noise: float = 90.0, form: str = "PNG") -> list[Shot]:
    """Return noisy photos of three classes, in an order of no meaning; every fourth validates or tests."""
    rng = np.random.default_rng(5)
    out: list[Shot] = []
    for label, color in COLORS.items():
        for number in range(each):
            pixels = np.clip(np.array(color) + rng.normal(0, noise, (16, 16, 3)), 0, 255).astype(np.uint8)
            part = ("train", "train", "val", "test")[number % 4]
            out.append(Shot(f"{len(out):03d}", label, part, encoded(Image.fromarray(pixels), form)))
    return [out[place] for place in rng.permutation(len(out))]


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def as_folders(folder: Path, photos: Sequence[Shot], published: bool = False) -> Path:
    """Write `<class>/<photo>`, or `<part>/<class>/<photo>`."""
    for one in photos:
        part = {"val": "valid"}.get(one.part, one.part) + "/" if published else ""
        put(folder / f"{part}{one.label}" / f"{one.name}.png", one.data)
    return folder


def as_kaggle(folder: Path, photos: Sequence[Shot]) -> Path:
    """Write `styles.csv` with ids, and `images/<id>.jpg`."""
    for one in photos:
        put(folder / "images" / f"{one.name}.jpg", one.data)
    rows = [f"{one.name},2012,{one.label},{one.part}" for one in photos]
    (folder / "styles.csv").write_text("\n".join(["id,year,articleType,split", *rows]) + "\n")
    return folder


def as_csv(folder: Path, photos: Sequence[Shot], table: str = "listing.tsv") -> Path:
    """Write a table with paths in folders of no meaning."""
    folder.mkdir(parents=True)
    with (folder / table).open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(["Kind", "split", "file_name"])
        for place, one in enumerate(photos):
            put(folder / f"pics{place % 2}" / f"x{one.name}.png", one.data)
            writer.writerow(
                [one.label, {"val": "Validation"}.get(one.part, one.part), f"pics{place % 2}/x{one.name}.png"]
            )
    return folder


def as_parquet(folder: Path, photos: Sequence[Shot], struct: bool = True, group: int = 5) -> Path:
    """Write two shards of bytes, alone or as Hugging Face writes them, with numbers for classes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True)
    for shard in range(2):
        own = photos[shard::2]
        images: list[Any] = [one.data for one in own]
        columns: dict[str, Any] = {"kind": [one.label for one in own], "split": [one.part for one in own]}
        if struct:
            images = [{"bytes": one.data, "path": f"{one.name}.png"} for one in own]
        table = pa.table({"image": images, **columns})
        pq.write_table(table, folder / f"part-{shard}.parquet", row_group_size=group)
    return folder
