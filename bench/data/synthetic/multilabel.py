"""The synthetic multilabel sample: garments with eight attributes, a fifth of the labels missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from bench.data.examples import Examples
from bench.data.synthetic.colours import RGB, mix
from bench.data.synthetic.images import STREAM, SyntheticImage, SyntheticImages, check_size, fingerprint
from bench.data.synthetic.random_stream import RandomStream
from bench.data.synthetic.write import write_sample

if TYPE_CHECKING:
    import numpy as np

SIZES: Mapping[str, int] = {"tiny": 100, "small": 900}
"""The sample's sizes and how many images each has."""

ATTRIBUTES = ("sleeves", "long sleeves", "dark", "striped", "dotted", "two colours", "collar", "long")
SHOP = "shop"
"""A column that is not an attribute, on which the hiding of labels can depend."""

_DEEP = ("Black", "Navy Blue", "Brown", "Maroon", "Purple", "Green")
_FAIR = ("White", "Silver", "Pink", "Beige", "Yellow", "Cream", "Khaki", "Orange")
_UNKNOWN = 22  # percent of the labels that are missing
_RELISTED = {"tiny": 2, "small": 6}  # images that are there twice


class Garment(NamedTuple):
    """Frequencies of the attributes in one style.

    share: percent of the garments. sleeves, pattern, shops: value -> weight. The others: percent.
    """

    share: int
    sleeves: Mapping[str, int]
    dark: int
    pattern: Mapping[str, int]
    two: int
    collar: int
    long: int
    shops: Mapping[str, int]


STYLES: Mapping[str, Garment] = {
    "tee": Garment(40, {"none": 20, "short": 65, "long": 15}, 42, {"plain": 64, "striped": 32, "dotted": 4},
        42, 10, 3, {"Alder": 50, "Brook": 30, "Cove": 20}),
    "shirt": Garment(28, {"short": 14, "long": 86}, 60, {"plain": 58, "striped": 38, "dotted": 4},
        8, 94, 3, {"Alder": 20, "Brook": 60, "Cove": 20}),
    "dress": Garment(19, {"none": 62, "short": 20, "long": 18}, 34, {"plain": 62, "striped": 8, "dotted": 30},
        40, 6, 94, {"Alder": 20, "Brook": 20, "Cove": 60}),
    "jumper": Garment(13, {"long": 1}, 76, {"plain": 72, "striped": 26, "dotted": 2},
        46, 16, 4, {"Alder": 34, "Brook": 33, "Cove": 33}),
}  # fmt: skip


@dataclass(frozen=True)
class Outfit(SyntheticImage):
    """One garment.

    sleeves: none, short or long. pattern: plain, striped or dotted. two: the lower half has another colour.
    """

    sleeves: str
    dark: bool
    pattern: str
    two: bool
    collar: bool
    long: bool

    def truth(self) -> tuple[str, ...]:
        """Return the true label, "1" or "0", for each of ATTRIBUTES."""
        facts = (
            self.sleeves != "none", self.sleeves == "long", self.dark, self.pattern == "striped",
            self.pattern == "dotted", self.two, self.collar, self.long,
        )  # fmt: skip
        return tuple("1" if fact else "0" for fact in facts)

    def render(self) -> np.ndarray:
        """Return the image, (64, 64, 3) uint8 RGB; measures that no attribute names are random."""
        from bench.data.synthetic import picture, raster
        from bench.data.synthetic.topwear import Top, topwear

        s = RandomStream("outfit picture", repr(self.values))
        top = Top(
            {"none": {0: 1}, "short": {20: 30, 34: 70}, "long": {100: 1}}[self.sleeves],
            hem=(88, 104) if self.long else (40, 58), shoulder=(36, 46),
            waist=(72, 92) if self.long else (84, 98), flare=(108, 160) if self.long else (86, 106),
            necks={"collar": 1} if self.collar else {"round": 50, "vee": 30, "wide": 20},
            fronts={"buttons": 1} if self.collar else {"plain": 80, "pocket": 20},
            worn=25, legs=raster.SKIN if self.long else raster.OTHER,
        )  # fmt: skip
        names = _DEEP if self.dark else _FAIR
        first = s.integer(0, len(names) - 1)
        second = (first + s.integer(1, len(names) - 1)) % len(names)
        main, other = RGB[names[first]], RGB[names[second]]
        ink = mix(main, picture.WHITE if self.dark else picture.BLACK, s.integer(65, 95))
        look = picture.Look(main, other, ink, self.pattern, s.integer(9, 15), self.two)
        return picture.draw(s, topwear(s, top), look, at_home=False)


class _Row(NamedTuple):
    shop: str
    outfit: Outfit
    labels: tuple[str, ...]


def multilabel_sample(size: str, seed: int = 0) -> Examples:
    """Return the sample `tiny` or `small`; no image is rendered before it is read.

    Attributes go together as they do in clothes (a collar with long sleeves, dots with dresses); about four
    fifths of the garments have sleeves, a twelfth is dotted. A fifth of the labels is missing at random; the
    true ones are the answers. One row has no label at all; a few pictures are there twice, and of one of
    these pairs a label is wrong: the two disagree. Raises BenchError for an unknown size.
    """
    check_size(size, SIZES)
    rows = [_row(f"{size}/{seed}/{number}") for number in range(SIZES[size])]
    for pair in range(_RELISTED[size]):
        first, second = rows[2 * pair], rows[2 * pair + 1]
        again = _entered(first.outfit, f"{second.outfit.key}/again")
        rows[2 * pair + 1] = second._replace(outfit=first.outfit, labels=again)
    s = RandomStream("wardrobe", STREAM, size, seed)
    wrong = s.integer(0, len(ATTRIBUTES) - 1)
    for row, answers in enumerate(({"0": "0", "1": "1"}, {"0": "1", "1": "0"})):  # the second one is wrong
        labels = list(rows[row].labels)
        labels[wrong] = answers[rows[row].outfit.truth()[wrong]]
        rows[row] = rows[row]._replace(labels=tuple(labels))
    rows[-1] = rows[-1]._replace(labels=("",) * len(ATTRIBUTES))
    s.shuffle(rows)
    truth = [row.outfit.truth() for row in rows]
    given = {name: tuple(row.labels[index] for row in rows) for index, name in enumerate(ATTRIBUTES)}
    return Examples(
        items=tuple(f"outfit_{number:04d}.jpg" for number in range(len(rows))),
        columns={SHOP: tuple(row.shop for row in rows), **given},
        images=SyntheticImages(tuple(row.outfit for row in rows)),
        fingerprint=fingerprint("wardrobe", size, seed),
        source=f"drawn-wardrobe-{size}",
        attributes=ATTRIBUTES,
        answers={name: tuple(cells[index] for cells in truth) for index, name in enumerate(ATTRIBUTES)},
    )


def _row(key: str) -> _Row:
    """Return one garment, its shop and its labels."""
    s = RandomStream("outfit", STREAM, key)
    style = STYLES[s.weighted({name: style.share for name, style in STYLES.items()})]
    sleeves, dark, pattern = s.weighted(style.sleeves), s.chance(style.dark), s.weighted(style.pattern)
    two, collar, long = s.chance(style.two), s.chance(style.collar), s.chance(style.long)
    outfit = Outfit(key, sleeves, dark, pattern, two, collar, long)
    return _Row(s.weighted(style.shops), outfit, _entered(outfit, key))


def _entered(outfit: Outfit, key: str) -> tuple[str, ...]:
    """Return the known labels of a garment and "" for the missing ones."""
    s = RandomStream("entered", STREAM, key)
    return tuple("" if s.chance(_UNKNOWN) else cell for cell in outfit.truth())


def write_labels(examples: Examples, folder: Path) -> None:
    """Write examples as the `label-file` source reads them; raises DataError as `write_sample` does."""
    known = {name: tuple(cell or "NA" for cell in examples.columns[name]) for name in examples.attributes}
    truth = {name: tuple(cell or "NA" for cell in cells) for name, cells in examples.answers.items()}
    tables = {"labels.csv": ("image", {**examples.columns, **known})}
    if truth:
        tables["truth.csv"] = ("image", truth)
    write_sample(examples, folder, tables, "images/{}")
