"""The kind of tasks in which each image has many attributes, each of them yes, no or unknown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.kinds.base import Average
from bench.report.table import Column
from bench.spec import Predictions

if TYPE_CHECKING:
    import numpy as np

MACRO = {
    "precision": "precision_macro",
    "recall": "recall_macro",
    "specificity": "specificity_macro",
    "gmean": "gmean_macro",
    "accuracy": "accuracy_macro",
    "f1": "f1_macro",
    "auc": "auc_macro",
    "ap": "map",
}
MICRO = {"precision": "precision_micro", "recall": "recall_micro", "f1": "f1_micro", "auc": "auc_micro"}


@dataclass(frozen=True)
class Multilabel:
    """See `bench.metrics.multilabel` for what each number means and when it is undefined."""

    name: str = "multilabel"
    headline: tuple[str, ...] = (
        "auc_macro",
        "map",
        "f1_macro",
        "gmean_macro",
        "accuracy_macro",
        "f1_micro",
        "exact_match",
    )
    selection: str = "auc_macro"
    trivial_names: tuple[str, ...] = ("majority", "all_positive", "prior")
    class_columns: tuple[Column, ...] = (
        Column("class", "attribute"),
        Column("train_support", "train yes", "int"),
        Column("train_known", "train known", "int"),
        Column("positives", "test yes", "int"),
        Column("test_support", "test known", "int"),
        Column("group", "group"),
        Column("precision", "precision", "ratio"),
        Column("recall", "recall", "ratio"),
        Column("specificity", "specificity", "ratio"),
        Column("gmean", "G-mean", "ratio"),
        Column("accuracy", "accuracy", "ratio"),
        Column("f1", "F1", "ratio"),
        Column("auc", "AUC", "ratio"),
        Column("ap", "AP", "ratio"),
    )
    averages: tuple[Average, ...] = (
        Average("macro", MACRO, trivial=True),
        Average("micro", MICRO, trivial=True),
        Average("F1 of macro precision and recall", {"f1": "cf1"}),
        Average("many", {"auc": "many_auc"}, role="group"),
        Average("medium", {"auc": "medium_auc"}, role="group"),
        Average("few", {"auc": "few_auc"}, role="group"),
    )

    def summary(self, pred: Predictions) -> dict[str, float | None]:
        """Return every registered metric of attributes, None where undefined."""
        from bench.metrics import multilabel

        return multilabel.summary(pred)

    def per_class(self, pred: Predictions) -> tuple[dict[str, Any], ...]:
        """Return one row per attribute."""
        from bench.metrics import multilabel

        return multilabel.per_class(pred)

    def trivials(self, pred: Predictions) -> dict[str, Predictions]:
        """Return the majority answer, yes to everything, and the shares of yes, on the same items."""
        from bench.metrics import multilabel

        return multilabel.trivials(pred)

    def curves(self, pred: Predictions) -> tuple[dict[str, Any], ...]:
        """Return the ROC and PR curves of each attribute, point by point."""
        from bench.metrics import curves

        return curves.curves(pred)

    def weighted_summary(self, pred: Predictions, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return the metrics that a bootstrap can draw fast."""
        from bench.metrics import multilabel

        return multilabel.weighted_summary(pred, weights)
