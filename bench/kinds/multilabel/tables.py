"""Tables of results of items with many attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.core.predictions import Predictions
from bench.kinds.tables import ClassTables


class AttributeTables(ClassTables):
    """See `bench.core.facets.Tables`."""

    unscored = "Attributes without an observed test cell"

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
