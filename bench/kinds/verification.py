"""The kind of tasks that ask of pairs of photos whether one person is on both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.kinds.base import Average
from bench.report.table import Column
from bench.spec import Predictions

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Verification:
    """See `bench.metrics.verification` for what each number means and when it is undefined.

    What other kinds have of classes this one has of the people on the test pairs.
    """

    name: str = "verification"
    headline: tuple[str, ...] = ("accuracy", "accuracy_fold_se", "auc", "eer", "tar_far_1e2", "f1")
    selection: str = "auc"
    trivial_names: tuple[str, ...] = ("constant",)
    class_columns: tuple[Column, ...] = (
        Column("class", "person"),
        Column("test_support", "pairs", "int"),
        Column("same", "same", "int"),
        Column("different", "different", "int"),
        Column("accuracy", "accuracy", "ratio"),
        Column("errors", "errors", "int"),
        Column("false_accepts", "false accepts", "int"),
        Column("false_rejects", "false rejects", "int"),
        Column("confused_with", "taken for"),
    )
    averages: tuple[Average, ...] = (Average("all pairs", {"accuracy": "accuracy"}, trivial=True),)

    def summary(self, pred: Predictions) -> dict[str, float | None]:
        """Return every registered metric of pairs, None where undefined."""
        from bench.metrics import verification

        return verification.summary(pred)

    def per_class(self, pred: Predictions) -> tuple[dict[str, Any], ...]:
        """Return one row per person, those with most wrong answers first."""
        from bench.metrics import verification

        return verification.per_class(pred)

    def trivials(self, pred: Predictions) -> dict[str, Predictions]:
        """Return what most training pairs are, for all pairs."""
        from bench.metrics import verification

        return {"constant": verification.constant(pred)}

    def curves(self, pred: Predictions) -> tuple[dict[str, Any], ...]:
        """Return the ROC curve of all pairs, point by point."""
        from bench.metrics import verification

        return verification.curves(pred)

    def weighted_summary(self, pred: Predictions, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return all metrics under many weightings of the pairs."""
        from bench.metrics import verification

        return verification.weighted_summary(pred, weights)
