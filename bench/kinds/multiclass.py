"""The kind of tasks in which each image has exactly one of several classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.kinds.base import Average
from bench.report.table import Column
from bench.spec import Predictions

if TYPE_CHECKING:
    import numpy as np

MICRO = {"top1": "top1_micro", "top5": "top5_micro", "f1": "f1_micro"}
MACRO = {
    "top1": "top1_macro",
    "top5": "top5_macro",
    "precision": "precision_macro",
    "recall": "recall_macro",
    "f1": "f1_macro",
    "auc": "auc_macro",
}
WEIGHTED = {
    "precision": "precision_weighted",
    "recall": "recall_weighted",
    "f1": "f1_weighted",
    "auc": "auc_weighted",
}


@dataclass(frozen=True)
class Multiclass:
    """See `bench.metrics.multiclass` for what each number means and when it is undefined."""

    name: str = "multiclass"
    headline: tuple[str, ...] = (
        "top1_micro",
        "top1_macro",
        "top5_micro",
        "top5_macro",
        "f1_macro",
        "auc_macro",
    )
    selection: str = "top1_macro"
    trivial_names: tuple[str, ...] = ("trivial",)
    class_columns: tuple[Column, ...] = (
        Column("class", "class"),
        Column("train_support", "train", "int"),
        Column("test_support", "test", "int"),
        Column("group", "group"),
        Column("top1", "top-1", "ratio"),
        Column("top5", "top-5", "ratio"),
        Column("precision", "precision", "ratio"),
        Column("recall", "recall", "ratio"),
        Column("f1", "F1", "ratio"),
        Column("auc", "AUC", "ratio"),
    )
    averages: tuple[Average, ...] = (
        Average("micro", MICRO, trivial=True),
        Average("macro", MACRO, trivial=True),
        Average("weighted", WEIGHTED),
        Average("balanced accuracy", {"recall": "balanced_accuracy"}),
        Average("many", {"top1": "many_top1"}, role="group"),
        Average("medium", {"top1": "medium_top1"}, role="group"),
        Average("few", {"top1": "few_top1"}, role="group"),
    )

    def summary(self, pred: Predictions) -> dict[str, float | None]:
        """Return every registered metric, None where undefined."""
        from bench.metrics import multiclass

        return multiclass.summary(pred)

    def per_class(self, pred: Predictions) -> tuple[dict[str, Any], ...]:
        """Return one row per class."""
        from bench.metrics import multiclass

        return multiclass.per_class(pred)

    def trivials(self, pred: Predictions) -> dict[str, Predictions]:
        """Return the majority answer on the same items."""
        from bench.metrics import multiclass

        return {"trivial": multiclass.trivial(pred)}

    def curves(self, pred: Predictions) -> tuple[dict[str, Any], ...]:
        """Return nothing: curves of many classes are computed from predictions where they are wanted."""
        return ()

    def weighted_summary(self, pred: Predictions, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return the metrics that a bootstrap can draw fast."""
        from bench.metrics import multiclass

        return multiclass.weighted_summary(pred, weights)
