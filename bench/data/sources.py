"""Sources of examples by name: a reader of data folders, a synthetic sample, a writer of samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.core import plugins
from bench.core.errors import DataError, unknown
from bench.data.examples import Examples, require_columns
from bench.data.layout import NO_LAYOUT, Layout


class NotInSample(DataError):
    """The synthetic sample lacks a column: the task uses this source, but for other data."""


@dataclass(frozen=True)
class Source:
    """Functions of a source as "module:function", imported when they are called.

    A leading dot stands for `bench.data`. reader: opens a data folder, given the cache folder, the needed
    columns, the label first, and whether links that leave the folder are followed. sample: returns the
    synthetic sample of a size. writer: writes a sample into a folder in the reader's layout. A source without
    a sample always needs a folder. any_columns: whether the reader also takes the card's layout.
    """

    reader: str
    sample: str = ""
    writer: str = ""
    any_columns: bool = False

    def read(
        self,
        data: Path,
        cache: Path,
        needed: Sequence[str],
        follow_links: bool = False,
        layout: Layout = NO_LAYOUT,
    ) -> Examples:
        """Return the examples of a data folder."""
        more = (layout,) if self.any_columns else ()
        examples: Examples = _call(self.reader, data, cache, needed, follow_links, *more)
        return examples

    def draw(self, size: str) -> Examples:
        """Return the synthetic sample of a size. Raises DataError if the source has none."""
        if not self.sample:
            raise DataError("the task's source has no sample: name its data with --data DIR")
        examples: Examples = _call(self.sample, size)
        return examples

    def write(self, examples: Examples, folder: Path) -> None:
        """Write a sample as a data folder. Raises DataError if the source cannot."""
        if not self.writer:
            raise DataError("samples of the task's source cannot be written as a folder")
        _call(self.writer, examples, folder)


def _call(place: str, *args: Any) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module, __package__), name)(*args)


SAMPLE_SIZES = ("tiny", "small")
"""Sizes of every synthetic sample."""

SOURCES: dict[str, Source] = {
    "kaggle-fashion": Source(
        ".kaggle:open_kaggle", ".synthetic.fashion:fashion_sample", ".synthetic.fashion:write_fashion"
    ),
    "listings": Source(
        ".listings:open_listings",
        ".synthetic.marketplace:marketplace_sample",
        ".synthetic.marketplace:write_listings",
    ),
    "label-file": Source(
        ".label_file:open_label_file",
        ".synthetic.multilabel:multilabel_sample",
        ".synthetic.multilabel:write_labels",
    ),
    "fashion-attributes": Source(
        ".fashion_attributes:open_fashion_attributes",
        ".fashion_attributes:attributes_sample",
        ".fashion_attributes:write_attributes",
    ),
    "people": Source(
        ".person_folders:open_people", ".synthetic.faces:faces_sample", ".synthetic.faces:write_people"
    ),
    "folders": Source(".class_folders:open_class_folders", any_columns=True),
    "table": Source(".photo_table:open_photo_table", any_columns=True),
}
"""Sources by their name in task cards; a new one is one entry."""


def register(name: str, source: Source) -> None:
    """Add a source. Raises ValueError if its name is taken."""
    plugins.register("source", SOURCES, name, source)


def open_source(
    source: str,
    data: Path | None,
    sample: str,
    cache: Path,
    needed_columns: Sequence[str],
    follow_links: bool = False,
    layout: Layout = NO_LAYOUT,
) -> Examples:
    """Return the examples of a data folder, or of the synthetic sample where `data` is None.

    needed_columns: the columns that the task requires, the label first; rows with an empty label are left
    out. follow_links: see `bench.data.files.DataFolder`. layout: roles of columns, for sources of any
    columns. Raises BenchError for an unknown source or sample, DataError for a folder that cannot be used.
    """
    if not plugins.find(SOURCES, source):
        raise unknown("source", source, SOURCES, f"known: {', '.join(SOURCES)}")
    if layout.of_any_data and not SOURCES[source].any_columns:
        known = " and ".join(name for name, one in SOURCES.items() if one.any_columns)
        raise DataError(f"the card's [data] is for the sources {known}, but its source is {source!r}")
    if data is not None:
        return SOURCES[source].read(data, cache, needed_columns, follow_links, layout)
    examples = SOURCES[source].draw(sample)
    try:
        require_columns("the synthetic sample", needed_columns, examples.columns)
    except DataError as error:
        raise NotInSample(str(error)) from None
    return examples


def sample_size(source: str) -> str | None:
    """Return the size of the synthetic sample that examples come from, None for the user's data.

    source: of examples, as `drawn-small` or `drawn-small-attributes`.
    """
    first, *parts = source.split("-")
    if first != "drawn":
        return None
    return next((part for part in parts if part in SAMPLE_SIZES), parts[-1])
