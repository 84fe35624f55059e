"""Data without a card as a task in which each photo has one class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.core.errors import DataError
from bench.core.kind import Kind
from bench.data.class_folders import CLASS, SPLIT
from bench.data.layout import Layout


class ClassData:
    """See `bench.core.facets.OwnData`; a kind overrides what differs."""

    rule = "stratified"
    unsplit = ""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def of_folders(self, published: bool) -> Layout:
        """Return the layout of class folders."""
        return Layout(label=CLASS, split=SPLIT if published else "")

    def of_table(self, labels: Sequence[str]) -> Layout:
        """Return the layout of a table: the first column is the class."""
        return Layout(label=labels[0])

    def classes(self, labels: Sequence[str], columns: Mapping[str, Sequence[str]]) -> Sequence[str]:
        """Return the classes."""
        return columns[labels[0]]

    def note(self, where: str, labels: Sequence[str], columns: Mapping[str, Sequence[str]]) -> str:
        """Return the number of classes. Raises DataError for a single one."""
        cells = columns[labels[0]]
        count = len(set(cells) - {""})
        if cells and count < 2:
            raise DataError(
                f"{where}: label {labels[0]!r} has fewer than two classes, so nothing can be learned"
            )
        return f"label {labels[0]!r}: {count:,} classes"
