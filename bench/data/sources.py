"""Where a task's examples come from: the sources by name, each with its reader and its drawn sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.data.examples import Examples
from bench.errors import DataError, nearest, unknown


@dataclass(frozen=True)
class Source:
    """read: opens a data folder, given the cache folder and the needed columns, the label first.

    draw: makes the sample of a size. write: puts a sample into a folder, as `read` reads it. All import
    what they need when they are called.
    """

    read: Callable[[Path, Path, Sequence[str]], Examples]
    draw: Callable[[str], Examples]
    write: Callable[[Examples, Path], None]


def _read_kaggle(data: Path, cache: Path, needed_columns: Sequence[str]) -> Examples:
    from bench.data.kaggle import open_kaggle

    return open_kaggle(data, cache, needed_columns)


def _draw_garments(size: str) -> Examples:
    from bench.data.drawn.garments import draw_garments

    return draw_garments(size)


def _write_kaggle(examples: Examples, folder: Path) -> None:
    from bench.data.drawn.garments import write_kaggle

    write_kaggle(examples, folder)


def _read_listings(data: Path, cache: Path, needed_columns: Sequence[str]) -> Examples:
    from bench.data.listings import open_listings

    return open_listings(data, cache, needed_columns)


def _draw_market(size: str) -> Examples:
    from bench.data.drawn.market import draw_market

    return draw_market(size)


def _write_listings(examples: Examples, folder: Path) -> None:
    from bench.data.drawn.market import write_listings

    write_listings(examples, folder)


def _read_label_file(data: Path, cache: Path, needed_columns: Sequence[str]) -> Examples:
    from bench.data.label_file import open_label_file

    return open_label_file(data, cache, needed_columns)


def _draw_wardrobe(size: str) -> Examples:
    from bench.data.drawn.wardrobe import draw_wardrobe

    return draw_wardrobe(size)


def _write_labels(examples: Examples, folder: Path) -> None:
    from bench.data.drawn.wardrobe import write_labels

    write_labels(examples, folder)


def _read_attributes(data: Path, cache: Path, needed_columns: Sequence[str]) -> Examples:
    from bench.data.attributes import open_fashion_attributes

    return open_fashion_attributes(data, cache, needed_columns)


def _draw_attributes(size: str) -> Examples:
    from bench.data.attributes import with_attributes

    return with_attributes(_draw_garments(size), "the drawn sample")


def _write_attributes(examples: Examples, folder: Path) -> None:
    from bench.data.attributes import without_attributes

    _write_kaggle(without_attributes(examples), folder)


def _read_people(data: Path, cache: Path, needed_columns: Sequence[str]) -> Examples:
    from bench.data.people import open_people

    return open_people(data, cache, needed_columns)


def _draw_faces(size: str) -> Examples:
    from bench.data.drawn.faces import draw_faces

    return draw_faces(size)


def _write_people(examples: Examples, folder: Path) -> None:
    from bench.data.drawn.faces import write_people

    write_people(examples, folder)


SOURCES: Mapping[str, Source] = {
    "kaggle-fashion": Source(_read_kaggle, _draw_garments, _write_kaggle),
    "listings": Source(_read_listings, _draw_market, _write_listings),
    "label-file": Source(_read_label_file, _draw_wardrobe, _write_labels),
    "fashion-attributes": Source(_read_attributes, _draw_attributes, _write_attributes),
    "people": Source(_read_people, _draw_faces, _write_people),
}
"""A new source is one entry; task cards name it as `source`."""


def open_source(
    source: str, data: Path | None, sample: str, cache: Path, needed_columns: Sequence[str]
) -> Examples:
    """Return the examples of a data folder, or of the drawn sample where `data` is None.

    needed_columns: what the task cannot do without, the label first; rows with an empty label are left
    out. Raises BenchError for an unknown source or sample, DataError for a folder that cannot be used.
    """
    if source not in SOURCES:
        raise unknown("source", source, SOURCES, f"known: {', '.join(SOURCES)}")
    if data is not None:
        return SOURCES[source].read(data, cache, needed_columns)
    examples = SOURCES[source].draw(sample)
    for column in needed_columns:
        if column not in examples.columns:
            guess = nearest(column, examples.columns)
            raise DataError(
                f"the drawn sample has no column {column!r}{guess} (it has: {', '.join(examples.columns)})"
            )
    return examples
