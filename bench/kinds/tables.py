"""Tables of results of kinds whose items have classes or attributes; a kind overrides what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from bench.core.kind import Average, Kind
from bench.core.plural import counted
from bench.core.predictions import Predictions
from bench.core.table import Table


class ClassTables:
    """See `bench.core.shown_facets.Tables`."""

    unscored = "Classes without a test image"
    """Noun for classes without test items, at the start of a note."""

    extra_splits: Mapping[str, str] = MappingProxyType({})

    def __init__(self, kind: Kind) -> None:
        self.columns = kind.columns

    @property
    def published_note(self) -> str:
        """Wilson's and Newcombe's intervals."""
        return (
            "Intervals are 95%: Wilson for the published number, Newcombe for the difference (means over "
            "classes: normal). A class needs q <= .05 as well (score test, Benjamini-Hochberg)."
        )

    @property
    def paired_note(self) -> str:
        """The paired bootstrap and McNemar's test."""
        return (
            "Intervals are 95% of the paired bootstrap (over seeds too where there are several); p is "
            "McNemar's for hits of one seed, else Student's. "
            "A class needs q <= .05 as well (Benjamini-Hochberg)."
        )

    def extra_tables(self, records: Sequence[Mapping[str, Any]]) -> list[Table]:
        """Return nothing."""
        return []

    def extra_tables_of(self, stored: Any) -> list[Table]:
        """Return nothing."""
        return []

    def shown(self, rows: Sequence[Mapping[str, Any]], whole: bool) -> Sequence[Mapping[str, Any]]:
        """Return all rows."""
        return rows

    def published_keys(self, published: Any, result: Mapping[str, Any]) -> set[str] | None:
        """Return top-1 and top-5."""
        return {"top1", "top5"}

    def below(self, average: Average, result: Mapping[str, Any]) -> dict[str, Any]:
        """Return name and supports: of all classes, or of those of a group."""
        rows = result["per_class"]
        rows = [row for row in rows if average.role != "group" or row.get("group") == average.name]
        scored = sum(bool(row.get("test_support")) for row in rows)
        keys = ("train_support", "test_support")
        totals = {key: sum(row[key] for row in rows if row.get(key)) for key in keys}
        first = self.columns.classes[0]
        return {first.key: f"{average.name} ({counted(scored, first.title)})", **totals}

    def class_notes(self, result: Mapping[str, Any]) -> list[str]:
        """Return notes on what no average includes."""
        unscored = any(not row.get("test_support") for row in result["per_class"])
        return [f"{self.unscored} are in no average."] if unscored else []

    def notes(self, settings: Sequence[Any], metric: str) -> list[str]:
        """Return nothing."""
        return []

    def head_parameters(self, features: int, classes: int) -> int:
        """Return weights and biases of a linear head."""
        return (features + 1) * classes

    def answers(self, pred: Predictions) -> dict[str, Any]:
        """Return the true class, the predicted one, and a score for each class."""
        names = pred.classes
        return {
            "truth": [names[index] for index in pred.truth],
            "predicted": [names[index] for index in pred.scores.argmax(axis=1)],
            **{f"score {name}": pred.scores[:, index] for index, name in enumerate(names)},
        }
