"""The embedded fashion sample: garments drawn by code, with the columns and the quirks of the Kaggle set."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.data.drawn.catalogue import ARTICLES, Article
from bench.data.drawn.dice import Dice
from bench.data.drawn.drawing import Drawing
from bench.data.drawn.titles import title
from bench.data.examples import Examples
from bench.errors import DataError, unknown

if TYPE_CHECKING:
    import numpy as np

GARMENTS_VERSION = 1
"""Bumped when the same size and seed would no longer give the same rows and pixels."""

COLUMNS = (
    "gender", "masterCategory", "subCategory", "articleType", "baseColour", "season", "year", "usage",
    "productDisplayName",
)  # fmt: skip

_YEAR = COLUMNS.index("year")

SIZES: Mapping[str, int] = {
    "tiny": sum(sum(article.tiny) for article in ARTICLES.values()),
    "small": sum(sum(article.small) for article in ARTICLES.values()),
}
"""The sample's sizes and how many images each has."""

_EVEN = {"2012": 52, "2016": 26, "2014": 10, "2010": 8, "2018": 4}
_ODD = {"2011": 78, "2015": 12, "2013": 8, "2017": 2}
_SEASONS = {"Fall": 44, "Summer": 36, "Winter": 16, "Spring": 4}
_MISLABELLED = 3  # percent of rows whose label names a type that looks alike
_RELISTED = {"tiny": 1, "small": 6}  # rows that show the picture of an earlier row


@dataclass(frozen=True)
class DrawnImages:
    """Draws image i whenever it is asked for; nothing is kept, so any thread may read.

    at_home: on the cluttered ground of a seller's home, not on the white one of a catalogue.
    """

    drawings: tuple[Drawing, ...]
    at_home: bool = False

    def read(self, index: int) -> np.ndarray:
        """Return the picture, (64, 64, 3) uint8 RGB."""
        from bench.data.drawn.picture import render

        return render(self.drawings[index], self.at_home)

    def content_hashes(self) -> tuple[str, ...]:
        """Return one hash per image, from its description: nothing is drawn."""
        return tuple(drawing.content_hash for drawing in self.drawings)


@dataclass(frozen=True)
class _Row:
    columns: tuple[str, ...]
    drawing: Drawing


def draw_garments(size: str, seed: int = 0) -> Examples:
    """Return the sample `tiny` or `small`; no pixel is drawn before it is read.

    As in the real set, types have a long tail, even years hold about half the rows, some types have no
    row in even years and one has none in odd years, one row has no year, a few labels are wrong and a few
    pictures are there twice. Raises BenchError for an unknown size.
    """
    if size not in SIZES:
        raise unknown("sample", size, SIZES, f"known: {', '.join(SIZES)}")
    rows: list[_Row] = []
    for place, (name, article) in enumerate(ARTICLES.items()):
        even, odd = article.tiny if size == "tiny" else article.small
        own = [_row(name, article, k < even, f"{size}/{seed}/{name}/{k}") for k in range(even + odd)]
        if place == 0:
            own[-1] = _dated(own[-1], "")
        if place < _RELISTED[size]:  # across the years and within the even ones by turns
            again = even if place % 2 == 0 else 1
            own[again] = _dated(own[0], own[again].columns[_YEAR])
        rows += own
    d = Dice("garments", GARMENTS_VERSION, size, seed)
    d.shuffle(rows)
    ids: dict[str, None] = {}
    while len(ids) < len(rows):
        ids[str(d.between(1163, 60000))] = None
    return Examples(
        items=tuple(ids),
        columns={name: tuple(row.columns[k] for row in rows) for k, name in enumerate(COLUMNS)},
        images=DrawnImages(tuple(row.drawing for row in rows)),
        fingerprint=hashlib.sha256(f"garments {GARMENTS_VERSION} {size} {seed}".encode("ascii")).hexdigest(),
        source=f"drawn-{size}",
    )


def _row(name: str, article: Article, even: bool, key: str) -> _Row:
    """Roll one row of an article type and the drawing that goes with it."""
    d = Dice("row", GARMENTS_VERSION, key)
    shape = kind = d.one_of(article.alike) if d.chance(_MISLABELLED) else name
    if kind == name and article.passes and d.chance(article.passes[1]):
        shape = article.passes[0]
    shown = ARTICLES[shape]
    gender, colour, pattern = d.pick(shown.genders), d.pick(shown.colours), d.pick(shown.patterns)
    season, year, usage = d.pick(_SEASONS), d.pick(_EVEN if even else _ODD), d.pick(article.usages)
    text = title(Dice("title", GARMENTS_VERSION, key), kind, shown.master, gender, colour, pattern)
    columns = (gender, article.master, article.sub, name, colour, season, year, usage, text)
    return _Row(columns, Drawing(shape, colour, pattern, GARMENTS_VERSION, key))


def _dated(row: _Row, year: str) -> _Row:
    """Return the row, drawing included, with another year."""
    return _Row((*row.columns[:_YEAR], year, *row.columns[_YEAR + 1 :]), row.drawing)


def write_kaggle(examples: Examples, folder: Path) -> None:
    """Write examples in the layout of the Kaggle set: `styles.csv` and `images/<id>.jpg`, quality 95.

    Raises DataError when the folder cannot be written or an id is no file name.
    """
    import csv

    from PIL import Image

    odd = next((item for item in examples.items if not item.isalnum()), None)
    if odd is not None:
        raise DataError(f"id {odd!r} cannot be the name of an image file: only letters and digits can")
    try:
        (folder / "images").mkdir(parents=True, exist_ok=True)
        with open(folder / "styles.csv", "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("id", *examples.columns))
            writer.writerows(zip(examples.items, *examples.columns.values(), strict=True))
        for index, item in enumerate(examples.items):
            Image.fromarray(examples.images.read(index)).save(folder / "images" / f"{item}.jpg", quality=95)
    except OSError as error:
        raise DataError(f"cannot write the sample to {folder}: {error.strerror or error}") from error
