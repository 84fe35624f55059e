"""Recall of planted near duplicates by transformation, and the near duplicates of a data set.

    python -m benchmarks.near_duplicates --task fashion --data DIR [--photos 300] [--cache DIR]
    python -m benchmarks.near_duplicates --hashes 10000,100000

Prints a Markdown row for each transformation: the share of copies that are found, and the share of the pairs
found that join a photo with its copy. Then the pairs of the data set itself, and the seconds it took.
--hashes: instead, the seconds in which the index finds neighbours of so many random hashes.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from bench.commands.option_values import request_options
from bench.core.paths import search_path
from bench.data.images import decode, resize
from bench.data.near_duplicates import SIDE, near_duplicate_pairs
from bench.data.phash import LOW, HashIndex
from bench.data.pixels import Pixels, ensure_pixels
from bench.runs.open_task import open_task

Change = Callable[[Image.Image, np.random.Generator], Image.Image]


def cropped(image: Image.Image, low: float, high: float, rng: np.random.Generator) -> Image.Image:
    """Cut a share of each side, drawn between low and high, off each of its ends."""
    left, top, right, bottom = rng.uniform(low, high, 4)
    width, height = image.size
    box = (left * width, top * height, width - right * width, height - bottom * height)
    return image.crop(tuple(map(round, box)))


def scaled(image: Image.Image, share: float) -> Image.Image:
    """Return the image at this share of its width and height."""
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    return image.resize(size, Image.Resampling.BICUBIC)


def mirrored(image: Image.Image) -> Image.Image:
    """Return the mirror image."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def lit(image: Image.Image, levels: int) -> Image.Image:
    """Return the image with so many grey levels added, clipped."""
    return Image.fromarray(np.clip(np.asarray(image).astype(int) + levels, 0, 255).astype(np.uint8))


CHANGES: dict[str, tuple[Change, int]] = {
    "80% of the size": (lambda image, rng: scaled(image, 0.8), 90),
    "50% of the size": (lambda image, rng: scaled(image, 0.5), 90),
    "JPEG quality 40": (lambda image, rng: image, 40),
    "mirrored": (lambda image, rng: mirrored(image), 90),
    "2% off each end": (lambda image, rng: cropped(image, 0.02, 0.02, rng), 90),
    "4% off each end": (lambda image, rng: cropped(image, 0.04, 0.04, rng), 90),
    "6% off each end": (lambda image, rng: cropped(image, 0.06, 0.06, rng), 90),
    "2% to 6% off, each end its own": (lambda image, rng: cropped(image, 0.02, 0.06, rng), 90),
    "8 levels brighter": (lambda image, rng: lit(image, 8), 90),
    "15 levels brighter": (lambda image, rng: lit(image, 15), 90),
    "mirrored, 2% to 6% off, 80%, quality 60": (
        lambda image, rng: scaled(cropped(mirrored(image), 0.02, 0.06, rng), 0.8),
        60,
    ),
}
"""What is done to a copy, and the JPEG quality it is written with."""


class Planted:
    """Photos and then their copies, in the place of `bench.data.pixels.Pixels`."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the images at these positions."""
        chosen: np.ndarray = self.images[rows]
        return chosen


def copies(photos: list[Image.Image], change: Change, quality: int) -> np.ndarray:
    """Return a changed copy of each photo, written and read again, as they are compared."""
    rng, out = np.random.default_rng(0), []
    for photo in photos:
        file = io.BytesIO()
        change(photo, rng).save(file, "JPEG", quality=quality)
        out.append(resize(decode(file.getvalue()), (SIDE, SIDE), "squash"))
    return np.stack(out)


def neighbours(count: int) -> int:
    """Return how many pairs of so many random hashes, each with itself too, the index finds."""
    hashes = np.random.default_rng(0).random((count, LOW * LOW)) < 0.5
    return sum(len(one) for one, _ in HashIndex(hashes).near(hashes))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--task")
    parser.add_argument("--data")
    parser.add_argument("--hashes")
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--cache")
    options = parser.parse_args()
    if options.hashes:
        for count in map(int, options.hashes.split(",")):
            used = time.process_time()
            found = neighbours(count)
            print(
                f"{count:,} hashes: {found} neighbours, {time.process_time() - used:.2f} s of CPU", flush=True
            )
        return
    if not (options.task and options.data):
        parser.error("name --task and --data, or --hashes")
    place = Path(options.cache or tempfile.mkdtemp())
    asked = {"task": options.task, "data": options.data, "sample": None, "follow_links": False}
    _, examples = open_task(request_options(asked, None, None, ()), search_path("tasks", None), place)
    began = time.monotonic()
    pixels: Pixels = ensure_pixels(examples, (SIDE, SIDE), "squash", place)
    decoded = time.monotonic() - began
    first = {content: row for row, content in reversed(list(enumerate(examples.images.content_hashes())))}
    rows = np.array(sorted(row for row in first.values() if pixels.ok[row]))
    chosen = np.sort(np.random.default_rng(1).choice(rows, min(options.photos, len(rows)), replace=False))
    photos = [Image.fromarray(examples.images.read(row)) for row in chosen.tolist()]
    print(f"| {options.task}, {len(photos)} photos | recall | precision |\n|:--|--:|--:|")
    for name, (change, quality) in CHANGES.items():
        images = np.concatenate([pixels.read(chosen), copies(photos, change, quality)])
        pairs = near_duplicate_pairs(Planted(images), np.arange(len(images)))  # type: ignore[arg-type]
        own = int((pairs[:, 1] - pairs[:, 0] == len(photos)).sum())
        print(f"| {name} | {own / len(photos):.3f} | {own / max(len(pairs), 1):.3f} |", flush=True)
    began, used = time.monotonic(), time.process_time()
    pairs = near_duplicate_pairs(pixels, rows)
    took, worked = time.monotonic() - began, time.process_time() - used
    cost = f"decoding {decoded:.1f} s, looking {took:.1f} s ({worked:.1f} s of CPU)"
    print(f"{len(rows)} images: {len(pairs)} pairs; {cost}")
    for one, two in rows[pairs].tolist():
        print(f"  {examples.items[one]} {examples.items[two]}")


if __name__ == "__main__":
    main()
