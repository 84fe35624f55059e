"""Data without a card as a task of pairs of photos: the label is the person."""

from __future__ import annotations

from collections.abc import Sequence

from bench.data.layout import Layout
from bench.data.photo_table import PERSON
from bench.data.split_rules import PEOPLE
from bench.kinds.own_data import ClassData


class PeopleData(ClassData):
    """See `bench.core.facets.OwnData`."""

    rule = PEOPLE
    unsplit = "a task of pairs is split by person"

    def of_folders(self, published: bool) -> Layout:
        """Return the layout of a folder for each person."""
        return Layout(label=PERSON)

    def of_table(self, labels: Sequence[str]) -> Layout:
        """Return the layout of a table: the first column is the person."""
        return Layout(label=PERSON, person=labels[0])
