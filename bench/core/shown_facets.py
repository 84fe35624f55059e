"""Protocols of the facets of a kind of task that show data and results: tables and sections of pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from bench.core.predictions import Predictions
from bench.core.table import Table

if TYPE_CHECKING:
    import numpy as np


class Tables(Protocol):
    """Rows and notes of tables of results. Imports nothing heavy.

    published_note, paired_note: notes on intervals below comparisons with published numbers and paired runs.
    extra_splits: splits of predictions beside `val` and `test`, with a note on each.
    """

    published_note: str
    paired_note: str
    extra_splits: Mapping[str, str]

    def extra_tables(self, records: Sequence[Mapping[str, Any]]) -> list[Table]:
        """Return tables of stored cells' extra splits, mean over seeds."""
        ...

    def extra_tables_of(self, stored: Any) -> list[Table]:
        """Return tables of the extra splits of one cell, `bench.store.read.Stored`."""
        ...

    def shown(self, rows: Sequence[Mapping[str, Any]], whole: bool) -> Sequence[Mapping[str, Any]]:
        """Return the rows of classes that a table shows. whole: all of them."""
        ...

    def published_keys(self, published: Any, result: Mapping[str, Any]) -> set[str] | None:
        """Return the class columns of a published result to show beside ours, None to leave it out.

        published: `bench.compare.baselines.types.PublishedResult`. result: a stored cell's record.
        """
        ...

    def below(self, average: Any, result: Mapping[str, Any]) -> dict[str, Any]:
        """Return the name and supports of an average's row. average: `bench.core.kind.Average`."""
        ...

    def class_notes(self, result: Mapping[str, Any]) -> list[str]:
        """Return the kind's own notes below a cell's table of classes."""
        ...

    def notes(self, settings: Sequence[Any], metric: str) -> list[str]:
        """Return the notes below a table of measured settings of this kind.

        settings: `bench.store.settings.Setting`. metric: the ranking metric, or "".
        """
        ...

    def head_parameters(self, features: int, classes: int) -> int:
        """Return the number of weights of a head."""
        ...

    def answers(self, pred: Predictions) -> dict[str, Any]:
        """Return the columns of a table of items, except their ids: truth, answers, scores."""
        ...


class Confusion(Protocol):
    """Confusion tables. A kind without them explains why in `Nouns.no_confusion`."""

    def report_table(self, pred: Predictions, title: str, digits: int | None) -> Table:
        """Return precision, recall, F1 and support of each class. digits: decimals, None: unrounded."""
        ...

    def matrix_table(self, pred: Predictions, numbered: bool) -> Table:
        """Return the confusion matrix. numbered: whether columns have numbers instead of names."""
        ...

    def confusion_table(self, pred: Predictions, rows: int = 25) -> Table:
        """Return the most frequent wrong answers, by falling number of items."""
        ...

    def confusion_shares(self, pred: Predictions) -> np.ndarray:
        """Return (k, k) shares of each true class's items by answer, NaN for a class without items."""
        ...

    def listing_table(self, pred: Predictions, listings: Sequence[str], title: str, what: str) -> Table:
        """Return the accuracy on groups of items. listings: n ids. what: the noun for a group."""
        ...


class Description(Protocol):
    """Description of a data set before training.

    view: `bench.report.data.tables.DataView`. report: `bench.data.check.DataReport`.
    """

    def labels(self, parts: Any) -> Any:
        """Return the labels, `bench.data.label_table.Labels`. parts: `bench.data.labels.Parts`."""
        ...

    def without_label(self, report: Any) -> tuple[str, int]:
        """Return the count of images that decode but have no label, or are not used, with its title."""
        ...

    def check_figures(self, report: Any) -> list[tuple[str, int]]:
        """Return counts of checked labels, with titles."""
        ...

    def check_tables(self, report: Any) -> list[Table]:
        """Return tables of checked labels."""
        ...

    def figures(self, view: Any) -> list[tuple[str, Any]]:
        """Return counts of the labels, with titles."""
        ...

    def tables(self, view: Any) -> list[Table]:
        """Return tables of the labels."""
        ...

    def sections(self, view: Any) -> list[Any]:
        """Return sections of a page about the labels; empty ones are left out."""
        ...


class Sections(Protocol):
    """Sections of a report about one stage. stage: `bench.report.stage.StageReport`."""

    def scored(self, stage: Any) -> str:
        """Return the numbers of scored items and of their classes or people, in words."""
        ...

    def sections(self, stage: Any) -> list[Any]:
        """Return the sections about the answers of the stage's best cell, except the hardest items."""
        ...

    def hardest(self, stage: Any) -> Any:
        """Return the section of the best cell's worst errors."""
        ...
