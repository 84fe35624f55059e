"""Tables of results of items with many attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from bench.core.predictions import Predictions
from bench.core.table import Table
from bench.kinds.multilabel.imputation_tables import hidden_table, imputation_tables
from bench.kinds.multilabel.packing import IMPUTED
from bench.kinds.tables import ClassTables


class AttributeTables(ClassTables):
    """See `bench.core.shown_facets.Tables`."""

    unscored = "Attributes without an observed test cell"
    extra_splits: Mapping[str, str] = MappingProxyType(
        {IMPUTED: "the method's estimates of hidden training labels, scored by the truth."}
    )

    def extra_tables(self, records: Sequence[Mapping[str, Any]]) -> list[Table]:
        """Return the scores of imputed labels, if a method imputed any."""
        return imputation_tables(records)

    def extra_tables_of(self, stored: Any) -> list[Table]:
        """Return the scores of a cell's imputed labels by attribute, if it has any."""
        if IMPUTED not in stored.record["metrics"]:
            return []
        from bench.kinds.multilabel.metrics import per_class

        return [hidden_table(per_class(stored.predictions(IMPUTED)))]

    def published_keys(self, published: Any, result: Mapping[str, Any]) -> set[str] | None:
        """Return the published metrics of attributes and of means over them; None for other attributes.

        Files without a line of names share their default attribute names.
        """
        if set(published.classes) != set(result["classes"]):
            return None
        shown = {key for numbers in published.classes.values() for key in numbers}
        averages = [average.columns for average in self.columns.averages]
        return shown | {key for row in averages for key, name in row.items() if name in published.metrics}

    def answers(self, pred: Predictions) -> dict[str, Any]:
        """Return of each attribute truth (1, 0, None where not known), prediction and score."""
        from bench.kinds.multilabel.metrics import answers

        yes = answers(pred)
        out: dict[str, Any] = {}
        for index, name in enumerate(pred.classes):
            out[f"truth {name}"] = [None if cell < 0 else int(cell) for cell in pred.truth[:, index]]
            out[f"predicted {name}"] = yes[:, index].astype(int)
        return out | {f"score {name}": pred.scores[:, index] for index, name in enumerate(pred.classes)}
