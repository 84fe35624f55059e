"""The kind of tasks that ask of pairs of photos whether one person is on both."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from bench.core.facets import Conditions, OwnData
from bench.core.kind import Average, Columns, Facet, Kind, Nouns
from bench.core.shown_facets import Tables
from bench.core.table import Column
from bench.data.split_rules import PEOPLE


class Verification(Kind):
    """See `bench.kinds.verification.metrics` for the meaning of each number and when it is undefined.

    Its rows of classes are the people on the test pairs.
    """

    package = __name__
    name: str = "verification"
    steps_of: str = "verification"
    first_methods: tuple[str, ...] = ("cosine", "pair_logistic")
    plain_method: str = "cosine"
    headline: tuple[str, ...] = ("accuracy", "accuracy_fold_se", "auc", "eer", "tar_far_1e2", "f1")
    subgroup_metrics: tuple[str, ...] = ("fmr", "fnmr", "accuracy", "auc")
    selection: str = "auc"
    trivial_notes: Mapping[str, str] = MappingProxyType(
        {
            "constant": "every pair is given the answer that most training pairs have",
        }
    )
    label_column: bool = True
    split_rule: str = PEOPLE
    columns: Columns = Columns(
        classes=(
            Column("class", "person"),
            Column("test_support", "pairs", "int"),
            Column("same", "same", "int"),
            Column("different", "different", "int"),
            Column("accuracy", "accuracy", "ratio"),
            Column("errors", "errors", "int"),
            Column("false_accepts", "false accepts", "int"),
            Column("false_rejects", "false rejects", "int"),
            Column("confused_with", "mistaken for"),
        ),
        averages=(Average("all pairs", {"accuracy": "accuracy"}, trivial=True),),
    )
    nouns: Nouns = Nouns(
        item="pair",
        label="person",
        group="person",
        resampled="the people on test pairs",
        no_confusion=("pairs of photos are judged, not classes", "lists who is mistaken for whom"),
        leaked="test pairs have a photo that is also in train",
        cure="",
        signal=("pairs of one person score higher", "pairs of one person score no higher than others"),
    )
    own_data = Facet[OwnData](".own_data:PeopleData")
    conditions = Facet[Conditions]()
    pairing = Facet[Any](".pairing:PairPairing")
    pinning = Facet[Any]()
    published = Facet[Any]()
    tables = Facet[Tables]()
