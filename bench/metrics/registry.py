"""Table of metrics by name; see `bench.metrics.info` for its fields."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from bench.core import plugins
from bench.core.errors import unknown
from bench.metrics.info import Mean as Mean
from bench.metrics.info import MetricInfo as MetricInfo

METRICS: dict[str, MetricInfo] = {}

COUNTS = {
    "n": "items scored",
    "positives": "pairs of photos of one person",
    "negatives": "pairs of photos of two people, the base of false accept rates",
    "people": "people on the pairs",
    "folds": "folds, each with its own training",
    "cells": "labels scored: item-attribute pairs whose truth is known",
    "classes_scored": "classes with at least one test item; attributes with both a yes and a no",
}
"""Counts in a summary beside the metrics; neither more nor less is better."""


def register(info: MetricInfo) -> MetricInfo:
    """Add a metric to the table. Raises ValueError if its name is taken."""
    if info.name in COUNTS:
        raise ValueError(f"metric {info.name!r} is registered twice")
    plugins.register("metric", METRICS, info.name, info)
    return info


def is_metric(name: str) -> bool:
    """Whether a metric has this name; plug-ins may register some."""
    return plugins.find(METRICS, name)


def get_metric(name: str) -> MetricInfo:
    """Return a metric by name. Raises BenchError that names the nearest one if there is none."""
    if not is_metric(name):
        raise unknown("metric", name, METRICS)
    return METRICS[name]


def metrics_of(kind: str, sets: bool = True) -> tuple[str, ...]:
    """Return the names of the metrics of a kind of task, in the order of the table.

    sets: those of prediction sets too.
    """
    return tuple(name for name, info in METRICS.items() if kind in info.kinds and (sets or not info.sets))


FALSE_ACCEPTS = {"tar_far_1e1": 10, "tar_far_1e2": 100, "tar_far_1e3": 1000}
"""Different pairs per allowed false accept, by metric."""


def compared(kind: str, asked: Collection[str] = ()) -> tuple[str, ...]:
    """Return the metrics for comparisons of runs of a kind: the default ones and those asked for."""
    return tuple(
        name
        for name in metrics_of(kind)
        if METRICS[name].compared and (name in asked or kind not in METRICS[name].on_request)
    )


_BOTH = ("multiclass", "multilabel")
_MANY = ("multilabel",)
_PAIRS = ("verification",)
_ONE = ("multiclass",)
_GROUPS = {"many": "more than 100", "medium": "20 to 100", "few": "fewer than 20"}
_OF_SETS: dict[str, Any] = {"on_request": _ONE, "score_based": True, "sets": True}
_BY_TOP1 = {"multiclass": Mean("top1", "classes")}

for _info in (
    MetricInfo(
        "top1_micro",
        "top-1",
        "share of items whose highest score is the true class (accuracy)",
        means={"multiclass": Mean("top1", "items")},
    ),
    MetricInfo(
        "top1_macro",
        "top-1 macro",
        "mean over classes of each class's top-1",
        per_class=True,
        means={"multiclass": Mean("top1", "classes")},
    ),
    MetricInfo(
        "top5_micro",
        "top-5",
        "share of items with the true class among the five highest scores",
        means={"multiclass": Mean("top5", "items")},
    ),
    MetricInfo(
        "top5_macro",
        "top-5 macro",
        "mean over classes of each class's top-5",
        means={"multiclass": Mean("top5", "classes")},
    ),
    MetricInfo(
        "precision_macro",
        "precision macro",
        "mean over classes; a class that is never predicted counts as 0",
        kinds=_BOTH,
        small=_BY_TOP1,
        on_request=_ONE,
    ),
    MetricInfo(
        "precision_weighted",
        "precision weighted",
        "mean over classes, weighted by test support",
        on_request=_ONE,
    ),
    MetricInfo(
        "precision_micro",
        "precision micro",
        "share of predicted yes that is right, all labels pooled",
        kinds=_MANY,
    ),
    MetricInfo(
        "recall_macro",
        "recall macro",
        "mean over classes of each class's recall",
        kinds=_BOTH,
        means={"multiclass": Mean("top1", "classes")},
        on_request=_ONE,
    ),
    MetricInfo(
        "recall_weighted",
        "recall weighted",
        "weighted by test support; equals top-1",
        on_request=_ONE,
        means={"multiclass": Mean("top1", "items")},
    ),
    MetricInfo(
        "recall_micro", "recall micro", "share of true yes that is found, all labels pooled", kinds=_MANY
    ),
    MetricInfo(
        "specificity_macro",
        "specificity macro",
        "mean over attributes of the true negative rate",
        kinds=_MANY,
    ),
    MetricInfo(
        "gmean_macro",
        "G-mean macro",
        "mean over attributes of the geometric mean of recall and specificity",
        kinds=_MANY,
    ),
    MetricInfo(
        "accuracy_macro", "accuracy macro", "mean over attributes of the share of right answers", kinds=_MANY
    ),
    MetricInfo(
        "f1_micro",
        "F1 micro",
        "F1 of all answers pooled; equals top-1 if items have one label",
        on_request=_ONE,
        kinds=_BOTH,
        means={"multiclass": Mean("top1", "items")},
    ),
    MetricInfo("f1_macro", "F1 macro", "mean over classes of each class's F1", kinds=_BOTH, small=_BY_TOP1),
    MetricInfo(
        "f1_weighted", "F1 weighted", "mean over classes of F1, weighted by test support", on_request=_ONE
    ),
    MetricInfo("cf1", "CF1", "F1 of precision macro and recall macro", kinds=_MANY),
    MetricInfo(
        "auc_macro",
        "AUC macro",
        "mean over classes of the one-vs-rest area",
        chance=0.5,
        kinds=_BOTH,
        score_based=True,
        means={kind: Mean("auc_macro", "items") for kind in _BOTH},
        small={"multiclass": Mean("placement", "classes")},
    ),
    MetricInfo(
        "auc_weighted",
        "AUC weighted",
        "one-vs-rest area, weighted by test support",
        chance=0.5,
        means={"multiclass": Mean("auc_weighted", "items")},
        on_request=_ONE,
        score_based=True,
    ),
    MetricInfo(
        "auc_micro",
        "AUC micro",
        "area of all labels pooled; differences in frequency between attributes alone raise it",
        kinds=_MANY,
        score_based=True,
        means={"multilabel": Mean("auc_micro", "items")},
    ),
    MetricInfo("map", "mAP", "mean over attributes of the average precision", kinds=_MANY, score_based=True),
    MetricInfo(
        "balanced_accuracy",
        "balanced accuracy",
        "mean recall over classes; equals top-1 macro",
        on_request=_ONE,
        per_class=True,
        means={"multiclass": Mean("top1", "classes")},
    ),
    *(
        MetricInfo(
            f"{group}_top1",
            f"{group} top-1",
            f"top-1 macro over classes with {bounds} training images",
            means={"multiclass": Mean("top1", group)},
        )
        for group, bounds in _GROUPS.items()
    ),
    *(
        MetricInfo(
            f"{group}_auc",
            f"{group} AUC",
            f"AUC macro over attributes with {bounds} known yes in training",
            chance=0.5,
            kinds=_MANY,
            score_based=True,
            means={"multilabel": Mean(f"{group}_auc", "items")},
        )
        for group, bounds in _GROUPS.items()
    ),
    MetricInfo("hamming_loss", "Hamming loss", "share of labels predicted wrongly", "lower", kinds=_MANY),
    MetricInfo(
        "jaccard",
        "Jaccard",
        "mean over items of intersection over union of true and predicted yes; 1 if both are empty",
        kinds=_MANY,
    ),
    MetricInfo(
        "exact_match",
        "exact match",
        "share of items with every known label predicted right",
        kinds=_MANY,
        means={"multilabel": Mean("exact_match", "items")},
    ),
    MetricInfo(
        "log_loss",
        "log loss",
        "mean -log score of the true answer, in nats",
        "lower",
        high=None,
        kinds=_BOTH,
        means={kind: Mean("log_loss", "items") for kind in _BOTH},
        score_based=True,
    ),
    MetricInfo(
        "ece",
        "calibration error",
        "expected gap between score and outcome, 15 bins",
        "lower",
        kinds=_BOTH,
        score_based=True,
        no_bootstrap="resampling biases a sum of absolute gaps upwards",
    ),
    MetricInfo(
        "coverage",
        "coverage",
        "share of items whose prediction set has the true class",
        means={"multiclass": Mean("coverage", "items")},
        **_OF_SETS,
    ),
    MetricInfo(
        "coverage_min_class",
        "coverage, worst class",
        "lowest coverage of a class with test items",
        score_based=True,
        no_bootstrap="resampling biases a minimum downwards",
        sets=True,
    ),
    MetricInfo(
        "set_size",
        "set size",
        "mean number of classes in a prediction set",
        "lower",
        high=None,
        means={"multiclass": Mean("set_size", "items")},
        **_OF_SETS,
    ),
    MetricInfo(
        "accuracy",
        "accuracy",
        "share of pairs classified right; mean over folds",
        kinds=_PAIRS,
        means={"verification": Mean("accuracy", "items")},
    ),
    MetricInfo(
        "accuracy_fold_se",
        "accuracy SE",
        "standard error of the accuracy over folds",
        "lower",
        kinds=_PAIRS,
        compared=False,
    ),
    MetricInfo(
        "auc",
        "AUC",
        "area under the ROC curve of the pairs; mean over folds",
        chance=0.5,
        kinds=_PAIRS,
        score_based=True,
        means={"verification": Mean("auc", "items")},
    ),
    MetricInfo(
        "eer",
        "EER",
        "error rate at the threshold where false accepts equal false rejects",
        "lower",
        chance=0.5,
        kinds=_PAIRS,
        score_based=True,
    ),
    *(
        MetricInfo(
            f"tar_far_1e{power}",
            f"TAR at FAR 1e-{power}",
            f"true accept rate at a false accept rate of 1 in {10**power:,}",
            chance=10.0**-power,
            kinds=_PAIRS,
            score_based=True,
        )
        for power in (1, 2, 3)
    ),
    MetricInfo("precision", "precision", 'share of the "same" answers that are right', kinds=_PAIRS),
    MetricInfo("recall", "recall", 'share of the same pairs answered "same"', kinds=_PAIRS, of="positives"),
    MetricInfo("f1", "F1", 'F1 of "same" at the threshold', kinds=_PAIRS),
    MetricInfo(
        "fmr",
        "FMR",
        "false match rate: share of the different pairs accepted at the threshold (ISO/IEC 19795-1)",
        "lower",
        kinds=_PAIRS,
        on_request=_PAIRS,
        of="negatives",
    ),
    MetricInfo(
        "fnmr",
        "FNMR",
        "false non-match rate: share of the same pairs rejected at the threshold (ISO/IEC 19795-1)",
        "lower",
        kinds=_PAIRS,
        on_request=_PAIRS,
        of="positives",
    ),
):
    register(_info)
