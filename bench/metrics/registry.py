"""Every number a result holds: its name, which way is better, its range, and what chance would give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.errors import unknown

Direction = Literal["higher", "lower"]


@dataclass(frozen=True)
class MetricInfo:
    """One metric.

    title: what tables call it. kinds: the kinds of task that have it. low, high: its range, None where it
    has no bound. compared: whether a side is better for having more or less of it.
    chance: what scores without information are expected to reach, where that is one number for all data;
    None where it depends on the classes (then the trivial row beside the model's shows it).
    """

    name: str
    title: str
    summary: str
    direction: Direction = "higher"
    chance: float | None = None
    low: float = 0.0
    high: float | None = 1.0
    kinds: tuple[str, ...] = ("multiclass",)
    compared: bool = True

    @property
    def best(self) -> float | None:
        """The value of a perfect prediction."""
        return self.high if self.direction == "higher" else self.low

    def better(self, ours: float | None, theirs: float | None) -> bool:
        """Say whether `ours` beats `theirs`; an undefined value beats nothing and loses to any other.

        >>> METRICS["log_loss"].better(0.1, 0.2), METRICS["f1_macro"].better(None, 0.2)
        (True, False)
        """
        if ours is None or theirs is None:
            return ours is not None
        return ours > theirs if self.direction == "higher" else ours < theirs


METRICS: dict[str, MetricInfo] = {}

COUNTS = {
    "n": "items scored",
    "positives": "pairs of photos of one person",
    "negatives": "pairs of photos of two people: what rates of false accepts rest on",
    "people": "people on the pairs",
    "folds": "folds, each with a training of its own",
    "cells": "cells scored: of all items and attributes, those whose truth is known",
    "classes_scored": "classes with at least one test item; attributes with both a yes and a no",
}
"""What a summary holds beside metrics: how much they rest on. More of it is neither better nor worse."""


def register(info: MetricInfo) -> MetricInfo:
    """Add a metric to the table. Raises ValueError if its name is taken."""
    if info.name in METRICS or info.name in COUNTS:
        raise ValueError(f"metric {info.name!r} is registered twice")
    METRICS[info.name] = info
    return info


def get_metric(name: str) -> MetricInfo:
    """Return a metric by name. Raises BenchError naming the nearest one if there is none."""
    if name not in METRICS:
        raise unknown("metric", name, METRICS)
    return METRICS[name]


def metrics_of(kind: str) -> tuple[str, ...]:
    """Return the names of the metrics that a kind of task has, in the order of the table."""
    return tuple(name for name, info in METRICS.items() if kind in info.kinds)


FALSE_ACCEPTS = {"tar_far_1e1": 10, "tar_far_1e2": 100, "tar_far_1e3": 1000}
"""Of how many different pairs one may be accepted, by the metric that says how many same pairs then are."""

_BOTH = ("multiclass", "multilabel")
_MANY = ("multilabel",)
_PAIRS = ("verification",)

for _info in (
    MetricInfo("top1_micro", "top-1", "share of items whose highest score is the true class (accuracy)"),
    MetricInfo("top1_macro", "top-1 macro", "mean over classes of each class's top-1"),
    MetricInfo("top5_micro", "top-5", "share of items with the true class among the five highest scores"),
    MetricInfo("top5_macro", "top-5 macro", "mean over classes of each class's top-5"),
    MetricInfo(
        "precision_macro", "precision macro", "mean over classes; never predicted counts as 0", kinds=_BOTH
    ),
    MetricInfo("precision_weighted", "precision weighted", "mean over classes, weighted by test support"),
    MetricInfo(
        "precision_micro", "precision micro", "of all cells answered with yes, the share that is", kinds=_MANY
    ),
    MetricInfo("recall_macro", "recall macro", "mean over classes of each class's recall", kinds=_BOTH),
    MetricInfo("recall_weighted", "recall weighted", "weighted by test support; equals top-1"),
    MetricInfo("recall_micro", "recall micro", "of all cells that are yes, the share found", kinds=_MANY),
    MetricInfo(
        "specificity_macro",
        "specificity macro",
        "mean over attributes of the share of no that is answered with no",
        kinds=_MANY,
    ),
    MetricInfo(
        "gmean_macro",
        "G-mean macro",
        "mean over attributes of the root of recall times specificity",
        kinds=_MANY,
    ),
    MetricInfo(
        "accuracy_macro", "accuracy macro", "mean over attributes of the share of right answers", kinds=_MANY
    ),
    MetricInfo(
        "f1_micro", "F1 micro", "F1 of all answers pooled; with one label per item, top-1", kinds=_BOTH
    ),
    MetricInfo("f1_macro", "F1 macro", "mean over classes of each class's F1", kinds=_BOTH),
    MetricInfo("f1_weighted", "F1 weighted", "mean over classes of F1, weighted by test support"),
    MetricInfo("cf1", "CF1", "F1 of precision macro and recall macro", kinds=_MANY),
    MetricInfo(
        "auc_macro", "AUC macro", "mean over classes of the one-vs-rest area", chance=0.5, kinds=_BOTH
    ),
    MetricInfo("auc_weighted", "AUC weighted", "one-vs-rest area, weighted by test support", chance=0.5),
    MetricInfo(
        "auc_micro",
        "AUC micro",
        "area of all cells pooled; the attributes' shares of yes alone raise it",
        kinds=_MANY,
    ),
    MetricInfo("map", "mAP", "mean over attributes of the average precision", kinds=_MANY),
    MetricInfo("balanced_accuracy", "balanced accuracy", "mean recall over classes; equals top-1 macro"),
    MetricInfo("many_top1", "many top-1", "top-1 macro over classes with more than 100 training images"),
    MetricInfo("medium_top1", "medium top-1", "top-1 macro over classes with 20 to 100 training images"),
    MetricInfo("few_top1", "few top-1", "top-1 macro over classes with fewer than 20 training images"),
    *(
        MetricInfo(
            f"{group}_auc",
            f"{group} AUC",
            f"AUC macro over attributes with {bounds} known yes in training",
            chance=0.5,
            kinds=_MANY,
        )
        for group, bounds in (("many", "more than 100"), ("medium", "20 to 100"), ("few", "fewer than 20"))
    ),
    MetricInfo(
        "hamming_loss", "Hamming loss", "of all cells, the share answered wrongly", "lower", kinds=_MANY
    ),
    MetricInfo(
        "jaccard",
        "Jaccard",
        "mean over items of shared yes by all yes, true or answered; 1 where there is none",
        kinds=_MANY,
    ),
    MetricInfo(
        "exact_match", "exact match", "share of items with every known cell answered right", kinds=_MANY
    ),
    MetricInfo(
        "log_loss",
        "log loss",
        "mean -log score of the true answer, in nats",
        "lower",
        high=None,
        kinds=_BOTH,
    ),
    MetricInfo(
        "ece", "calibration error", "expected gap of score and outcome, 15 bins", "lower", kinds=_BOTH
    ),
    MetricInfo("accuracy", "accuracy", "share of pairs answered right; the mean over folds", kinds=_PAIRS),
    MetricInfo(
        "accuracy_fold_se",
        "accuracy SE",
        "standard error of the accuracy over folds",
        "lower",
        kinds=_PAIRS,
        compared=False,
    ),
    MetricInfo(
        "auc", "AUC", "area under the ROC curve of the pairs; the mean over folds", chance=0.5, kinds=_PAIRS
    ),
    MetricInfo(
        "eer",
        "EER",
        "where as many different pairs are accepted as same ones rejected, the share of them",
        "lower",
        chance=0.5,
        kinds=_PAIRS,
    ),
    *(
        MetricInfo(
            f"tar_far_1e{power}",
            f"TAR at FAR 1e-{power}",
            f"share of same pairs accepted where of {10**power:,} different pairs at most one is",
            chance=10.0**-power,
            kinds=_PAIRS,
        )
        for power in (1, 2, 3)
    ),
    MetricInfo("precision", "precision", 'share of the pairs answered with "same" that are', kinds=_PAIRS),
    MetricInfo("recall", "recall", 'share of the same pairs answered with "same"', kinds=_PAIRS),
    MetricInfo("f1", "F1", 'F1 of "same" at the cut', kinds=_PAIRS),
):
    register(_info)
