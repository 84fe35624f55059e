"""The synthetic fashion sample: article types with a long tail, in the columns of the Kaggle set."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from bench.data.examples import Examples
from bench.data.synthetic.catalogue import ARTICLES, Article
from bench.data.synthetic.images import STREAM, GoodsImage, SyntheticImages, check_size, fingerprint
from bench.data.synthetic.random_stream import RandomStream
from bench.data.synthetic.titles import title
from bench.data.synthetic.write import write_sample

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
_RELISTED = {"tiny": 1, "small": 6}  # rows with the image of an earlier row


class _Row(NamedTuple):
    columns: tuple[str, ...]
    image: GoodsImage


def fashion_sample(size: str, seed: int = 0) -> Examples:
    """Return the sample `tiny` or `small`; no image is rendered before it is read.

    As in the real set, types have a long tail, even years hold about half the rows, some types have no row
    in even years and one has none in odd years, one row has no year, some labels are wrong and some images
    are there twice. Raises BenchError for an unknown size.
    """
    check_size(size, SIZES)
    rows: list[_Row] = []
    for index, (name, article) in enumerate(ARTICLES.items()):
        even, odd = article.tiny if size == "tiny" else article.small
        own = [_row(name, article, k < even, f"{size}/{seed}/{name}/{k}") for k in range(even + odd)]
        if index == 0:
            own[-1] = _dated(own[-1], "")
        if index < _RELISTED[size]:  # across the years and within the even ones by turns
            again = even if index % 2 == 0 else 1
            own[again] = _dated(own[0], own[again].columns[_YEAR])
        rows += own
    s = RandomStream("garments", STREAM, size, seed)
    s.shuffle(rows)
    ids: dict[str, None] = {}
    while len(ids) < len(rows):
        ids[str(s.integer(1163, 60000))] = None
    return Examples(
        items=tuple(ids),
        columns={name: tuple(row.columns[k] for row in rows) for k, name in enumerate(COLUMNS)},
        images=SyntheticImages(tuple(row.image for row in rows)),
        fingerprint=fingerprint("garments", size, seed),
        source=f"drawn-{size}",
    )


def _row(name: str, article: Article, even: bool, key: str) -> _Row:
    """Return one row of an article type and its image."""
    s = RandomStream("row", STREAM, key)
    shape = kind = s.choice(article.alike) if s.chance(_MISLABELLED) else name
    if kind == name and article.passes and s.chance(article.passes[1]):
        shape = article.passes[0]
    shown = ARTICLES[shape]
    gender, colour, pattern = s.weighted(shown.genders), s.weighted(shown.colours), s.weighted(shown.patterns)
    year_weights = _EVEN if even else _ODD
    season, year, usage = s.weighted(_SEASONS), s.weighted(year_weights), s.weighted(article.usages)
    text = title(RandomStream("title", STREAM, key), kind, shown.master, gender, colour, pattern)
    columns = (gender, article.master, article.sub, name, colour, season, year, usage, text)
    return _Row(columns, GoodsImage(key, shape, colour, pattern))


def _dated(row: _Row, year: str) -> _Row:
    """Return the row, image included, with another year."""
    return _Row((*row.columns[:_YEAR], year, *row.columns[_YEAR + 1 :]), row.image)


def write_fashion(examples: Examples, folder: Path) -> None:
    """Write examples in the layout of the Kaggle set; raises DataError as `write_sample` does."""
    write_sample(examples, folder, {"styles.csv": ("id", examples.columns)}, "images/{}.jpg")
