"""Tables of results of items with one class each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.core.predictions import Predictions
from bench.core.table import Table
from bench.kinds.tables import ClassTables
from bench.store.settings import mean_of

MOST = 5
"""Most settings with prediction sets that notes name."""


class SetTables(ClassTables):
    """See `bench.core.shown_facets.Tables`; with the prediction sets of methods that have some."""

    def extra_tables_of(self, stored: Any) -> list[Table]:
        """Return coverage and size of a cell's prediction sets by class, if it has any."""
        if stored.record.get("cuts") is None:
            return []
        from bench.kinds.multiclass.set_tables import sets_by_class

        return [sets_by_class(stored)]

    def notes(self, settings: Sequence[Any], metric: str) -> list[str]:
        """Return coverage and size of prediction sets, a line for each setting that has some."""
        lines = []
        for setting in settings:
            values = [mean_of(setting.values("test", name)) for name in ("coverage", "set_size")]
            if None not in values:
                covered, size = values
                lines.append(
                    f"Prediction sets of {setting.name} ({setting.cell['stage']}): coverage {covered:.3f}, "
                    f"{size:.2f} classes on average; bench show CELL has each class."
                )
        more = [f"{len(lines) - MOST} more settings have prediction sets."] if len(lines) > MOST else []
        return [*lines[:MOST], *more]

    def answers(self, pred: Predictions) -> dict[str, Any]:
        """Return the true class, the predicted one, whether sets have the true one, scores."""
        out = super().answers(pred)
        if pred.cuts is None:
            return out
        from bench.kinds.multiclass.metrics import covered, sets

        own = {"covered": covered(pred), "set size": sets(pred).sum(axis=1)}
        return {**{key: out.pop(key) for key in ("truth", "predicted")}, **own, **out}
