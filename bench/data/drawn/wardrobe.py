"""The embedded sample with many labels per image: garments that are striped, dark, long-sleeved and so on."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.data.drawn.dice import Dice
from bench.data.drawn.outfit import Outfit, OutfitImages
from bench.data.examples import Examples
from bench.errors import DataError, unknown

WARDROBE_VERSION = 1
"""Bumped when the same size and seed would no longer give the same rows and pixels."""

SIZES: Mapping[str, int] = {"tiny": 100, "small": 900}
"""The sample's sizes and how many images each has."""

ATTRIBUTES = ("sleeves", "long sleeves", "dark", "striped", "dotted", "two colours", "collar", "long")
SHOP = "shop"
"""Who sells it: a column that is no attribute, so that hiding labels can depend on something."""

_UNKNOWN = 22  # percent of the labels that nobody entered
_RELISTED = {"tiny": 2, "small": 6}  # pictures that are there twice


class Style(NamedTuple):
    """What garments of a style tend to be.

    share: how many of a hundred are of it. sleeves, pattern, shops: how often each is drawn. dark, two,
    collar, long: percent that are.
    """

    share: int
    sleeves: Mapping[str, int]
    dark: int
    pattern: Mapping[str, int]
    two: int
    collar: int
    long: int
    shops: Mapping[str, int]


STYLES: Mapping[str, Style] = {
    "tee": Style(
        40, {"none": 20, "short": 65, "long": 15}, 42, {"plain": 64, "striped": 32, "dotted": 4}, 42, 10, 3,
        {"Alder": 50, "Brook": 30, "Cove": 20},
    ),
    "shirt": Style(
        28, {"short": 14, "long": 86}, 60, {"plain": 58, "striped": 38, "dotted": 4}, 8, 94, 3,
        {"Alder": 20, "Brook": 60, "Cove": 20},
    ),
    "dress": Style(
        19, {"none": 62, "short": 20, "long": 18}, 34, {"plain": 62, "striped": 8, "dotted": 30}, 40, 6, 94,
        {"Alder": 20, "Brook": 20, "Cove": 60},
    ),
    "jumper": Style(
        13, {"long": 1}, 76, {"plain": 72, "striped": 26, "dotted": 2}, 46, 16, 4,
        {"Alder": 34, "Brook": 33, "Cove": 33},
    ),
}  # fmt: skip


@dataclass(frozen=True)
class _Row:
    shop: str
    outfit: Outfit
    labels: tuple[str, ...]


def draw_wardrobe(size: str, seed: int = 0) -> Examples:
    """Return the sample `tiny` or `small`; no pixel is drawn before it is read.

    Attributes go together as they do in clothes (a collar with long sleeves, dots with dresses); about four
    fifths of the garments have sleeves, a twelfth is dotted. A fifth of the labels is missing at random; the
    true ones are the answers. One row has no label at all; a few pictures are there twice, and of one of
    these pairs a label is wrong: the two disagree. Raises BenchError for an unknown size.
    """
    if size not in SIZES:
        raise unknown("sample", size, SIZES, f"known: {', '.join(SIZES)}")
    rows = [_row(f"{size}/{seed}/{number}") for number in range(SIZES[size])]
    for pair in range(_RELISTED[size]):
        first, second = rows[2 * pair], rows[2 * pair + 1]
        rows[2 * pair + 1] = _Row(
            second.shop, first.outfit, _entered(first.outfit, f"{second.outfit.key}/again")
        )
    d = Dice("wardrobe", WARDROBE_VERSION, size, seed)
    rows[:2] = _torn(rows[0], rows[1], d.between(0, len(ATTRIBUTES) - 1))
    rows[-1] = _Row(rows[-1].shop, rows[-1].outfit, ("",) * len(ATTRIBUTES))
    d.shuffle(rows)
    truth = [truth_of(row.outfit) for row in rows]
    labels = {name: tuple(row.labels[place] for row in rows) for place, name in enumerate(ATTRIBUTES)}
    return Examples(
        items=tuple(f"outfit_{number:04d}.jpg" for number in range(len(rows))),
        columns={SHOP: tuple(row.shop for row in rows), **labels},
        images=OutfitImages(tuple(row.outfit for row in rows)),
        fingerprint=hashlib.sha256(f"wardrobe {WARDROBE_VERSION} {size} {seed}".encode("ascii")).hexdigest(),
        source=f"drawn-wardrobe-{size}",
        attributes=ATTRIBUTES,
        answers={name: tuple(cells[place] for cells in truth) for place, name in enumerate(ATTRIBUTES)},
    )


def truth_of(outfit: Outfit) -> tuple[str, ...]:
    """Return what is true of a garment, "1" or "0" for each of ATTRIBUTES."""
    facts = (
        outfit.sleeves != "none",
        outfit.sleeves == "long",
        outfit.dark,
        outfit.pattern == "striped",
        outfit.pattern == "dotted",
        outfit.two,
        outfit.collar,
        outfit.long,
    )
    return tuple("1" if fact else "0" for fact in facts)


def _row(key: str) -> _Row:
    """Roll one garment, where it is sold and what is entered of it."""
    d = Dice("outfit", WARDROBE_VERSION, key)
    style = STYLES[d.pick({name: style.share for name, style in STYLES.items()})]
    outfit = Outfit(
        sleeves=d.pick(style.sleeves),
        dark=d.chance(style.dark),
        pattern=d.pick(style.pattern),
        two=d.chance(style.two),
        collar=d.chance(style.collar),
        long=d.chance(style.long),
        version=WARDROBE_VERSION,
        key=key,
    )
    return _Row(d.pick(style.shops), outfit, _entered(outfit, key))


def _entered(outfit: Outfit, key: str) -> tuple[str, ...]:
    """Return the labels of a garment that somebody entered, "" for the others."""
    d = Dice("entered", WARDROBE_VERSION, key)
    return tuple("" if d.chance(_UNKNOWN) else cell for cell in truth_of(outfit))


def _torn(first: _Row, second: _Row, place: int) -> list[_Row]:
    """Return two rows of one picture that disagree on one attribute: the second one is wrong."""
    told = truth_of(first.outfit)[place]
    wrong = "0" if told == "1" else "1"
    return [
        _Row(row.shop, row.outfit, (*row.labels[:place], cell, *row.labels[place + 1 :]))
        for row, cell in ((first, told), (second, wrong))
    ]


def write_labels(examples: Examples, folder: Path) -> None:
    """Write examples as a folder that the `label-file` source reads: `labels.csv`, `truth.csv`, `images/`.

    Raises DataError when the folder cannot be written or an item is no file name.
    """
    from PIL import Image

    odd = next((item for item in examples.items if Path(item).name != item or item.startswith(".")), None)
    if odd is not None:
        raise DataError(f"item {odd!r} cannot be the name of an image file")
    own = set(examples.attributes)
    columns = {
        name: tuple(cell or "NA" for cell in cells) if name in own else cells
        for name, cells in examples.columns.items()
    }
    truth = {name: tuple(cell or "NA" for cell in cells) for name, cells in examples.answers.items()}
    try:
        (folder / "images").mkdir(parents=True, exist_ok=True)
        _write_table(folder / "labels.csv", examples.items, columns)
        if truth:
            _write_table(folder / "truth.csv", examples.items, truth)
        for index, item in enumerate(examples.items):
            Image.fromarray(examples.images.read(index)).save(folder / "images" / item, quality=95)
    except OSError as error:
        raise DataError(f"cannot write the sample to {folder}: {error.strerror or error}") from error


def _write_table(path: Path, items: Sequence[str], columns: Mapping[str, Sequence[str]]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("image", *columns))
        writer.writerows(zip(items, *columns.values(), strict=True))
