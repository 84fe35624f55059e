"""Data without a card as a task of attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.core.errors import BenchError
from bench.data.layout import Layout
from bench.kinds.own_data import ClassData


class AttributeData(ClassData):
    """See `bench.core.facets.OwnData`."""

    rule = "random"

    def of_folders(self, published: bool) -> Layout:
        """Raise BenchError: folders have no attributes."""
        raise BenchError(f"--kind {self.kind.name}: class folders give one label for each photo; use a table")

    def of_table(self, labels: Sequence[str]) -> Layout:
        """Return the layout of a table: every column is an attribute."""
        return Layout(attributes=tuple(labels))

    def classes(self, labels: Sequence[str], columns: Mapping[str, Sequence[str]]) -> Sequence[str]:
        """Return the same word for every row: none is left out for want of a label."""
        return ("1",) * len(columns[labels[0]])

    def note(self, where: str, labels: Sequence[str], columns: Mapping[str, Sequence[str]]) -> str:
        """Return the attributes."""
        return f"{len(labels)} attributes: {', '.join(labels)[:200]}"
