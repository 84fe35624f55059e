"""The kind of tasks in which each image has many attributes, each of them yes, no or unknown."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from bench.core.facets import OwnData, Predictor
from bench.core.kind import Average, Columns, Facet, Kind, Nouns
from bench.core.shown_facets import Tables
from bench.core.table import Column

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


class Multilabel(Kind):
    """See `bench.kinds.multilabel.metrics` for the meaning of each number and when it is undefined."""

    package = __name__
    name: str = "multilabel"
    steps_of: str = "multilabel"
    first_methods: tuple[str, ...] = ("mask", "class_weight")
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
    trivial_notes: Mapping[str, str] = MappingProxyType(
        {
            "majority": "every image is given each attribute's more frequent answer in train",
            "all_positive": "every image is given every attribute",
            "prior": "every image is given each attribute's share of yes in train as its score",
        }
    )
    label_column: bool = False
    columns: Columns = Columns(
        classes=(
            Column("class", "attribute"),
            Column("train_support", "train yes", "int", group="labels"),
            Column("train_known", "train known", "int", group="labels"),
            Column("positives", "test yes", "int", group="labels"),
            Column("test_support", "test known", "int", group="labels"),
            Column("group", "group"),
            Column("precision", "precision", "ratio", group="decisions"),
            Column("recall", "recall", "ratio", group="decisions"),
            Column("specificity", "specificity", "ratio", group="decisions"),
            Column("gmean", "G-mean", "ratio", group="decisions"),
            Column("accuracy", "accuracy", "ratio", group="decisions"),
            Column("f1", "F1", "ratio", group="decisions"),
            Column("auc", "AUC", "ratio", group="ranking"),
            Column("ap", "AP", "ratio", group="ranking"),
        ),
        averages=(
            Average("macro", MACRO, trivial=True),
            Average("micro", MICRO, trivial=True),
            Average("F1 of macro precision and recall", {"f1": "cf1"}),
            Average("many", {"auc": "many_auc"}, role="group"),
            Average("medium", {"auc": "medium_auc"}, role="group"),
            Average("few", {"auc": "few_auc"}, role="group"),
        ),
    )
    nouns: Nouns = Nouns(
        item="image",
        label="attribute",
        group="listing",
        no_confusion=("an item has many labels and none is mistaken for another", "lists its attributes"),
    )
    own_data = Facet[OwnData](".own_data:AttributeData")
    pairing = Facet[Any](".pairing:AttributePairing")
    predictor = Facet[Predictor](".predictor:AttributePredictor")
    tables = Facet[Tables](".tables:AttributeTables")
