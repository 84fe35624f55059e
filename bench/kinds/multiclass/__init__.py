"""The kind of tasks in which each image has exactly one of several classes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from bench.core.facets import Predictor
from bench.core.kind import Average, Columns, Facet, Kind, Nouns
from bench.core.shown_facets import Confusion, Tables
from bench.core.table import Column

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


class Multiclass(Kind):
    """See `bench.kinds.multiclass.metrics` for the meaning of each number and when it is undefined."""

    package = __name__
    name: str = "multiclass"
    steps_of: str = "multiclass"
    first_methods: tuple[str, ...] = ("none", "class_weight", "logit_adjust")
    headline: tuple[str, ...] = (
        "top1_micro",
        "top1_macro",
        "top5_micro",
        "top5_macro",
        "f1_macro",
        "auc_macro",
    )
    selection: str = "top1_macro"
    trivial_notes: Mapping[str, str] = MappingProxyType(
        {
            "trivial": "every image is given the shares of the classes in train as its scores",
        }
    )
    label_column: bool = True
    supports: frozenset[str] = frozenset({"auxiliary", "episodes", "rehearsal", "review"})
    columns: Columns = Columns(
        classes=(
            Column("class", "class"),
            Column("train_support", "train", "int", group="images"),
            Column("test_support", "test", "int", group="images"),
            Column("group", "group"),
            Column("top1", "top-1", "ratio", group="scores"),
            Column("top5", "top-5", "ratio", group="scores"),
            Column("precision", "precision", "ratio", group="scores"),
            Column("recall", "recall", "ratio", group="scores"),
            Column("f1", "F1", "ratio", group="scores"),
            Column("auc", "AUC", "ratio", group="scores"),
        ),
        averages=(
            Average("micro", MICRO, trivial=True),
            Average("macro", MACRO, trivial=True),
            Average("weighted", WEIGHTED),
            Average("balanced accuracy", {"recall": "balanced_accuracy"}),
            Average("many", {"top1": "many_top1"}, role="group"),
            Average("medium", {"top1": "medium_top1"}, role="group"),
            Average("few", {"top1": "few_top1"}, role="group"),
        ),
    )
    nouns: Nouns = Nouns(item="image", label="class", group="listing")
    confusion = Facet[Confusion]()
    tables = Facet[Tables](".tables:SetTables")
    pinning = Facet[Any]()
    pairing = Facet[Any](".pairing:ClassPairing")
    predictor = Facet[Predictor](".predictor:ClassPredictor")
