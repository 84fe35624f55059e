"""Every number a result holds: its name, which way is better, its range, and what chance would give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.errors import unknown

Direction = Literal["higher", "lower"]


@dataclass(frozen=True)
class MetricInfo:
    """One metric.

    title: what tables call it. low, high: its range, None where it has no bound.
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
    "classes_scored": "classes with at least one test item",
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


for _info in (
    MetricInfo("top1_micro", "top-1", "share of items whose highest score is the true class (accuracy)"),
    MetricInfo("top1_macro", "top-1 macro", "mean over classes of each class's top-1"),
    MetricInfo("top5_micro", "top-5", "share of items with the true class among the five highest scores"),
    MetricInfo("top5_macro", "top-5 macro", "mean over classes of each class's top-5"),
    MetricInfo("precision_macro", "precision macro", "mean over classes; never predicted counts as 0"),
    MetricInfo("precision_weighted", "precision weighted", "mean over classes, weighted by test support"),
    MetricInfo("recall_macro", "recall macro", "mean over classes of the recall; equals top-1 macro"),
    MetricInfo("recall_weighted", "recall weighted", "weighted by test support; equals top-1"),
    MetricInfo("f1_micro", "F1 micro", "F1 of all answers pooled; with one label per item, top-1"),
    MetricInfo("f1_macro", "F1 macro", "mean over classes of each class's F1"),
    MetricInfo("f1_weighted", "F1 weighted", "mean over classes of F1, weighted by test support"),
    MetricInfo("auc_macro", "AUC macro", "mean over classes of the one-vs-rest area", chance=0.5),
    MetricInfo("auc_weighted", "AUC weighted", "one-vs-rest area, weighted by test support", chance=0.5),
    MetricInfo("balanced_accuracy", "balanced accuracy", "mean recall over classes; equals top-1 macro"),
    MetricInfo("many_top1", "many top-1", "top-1 macro over classes with more than 100 training images"),
    MetricInfo("medium_top1", "medium top-1", "top-1 macro over classes with 20 to 100 training images"),
    MetricInfo("few_top1", "few top-1", "top-1 macro over classes with fewer than 20 training images"),
    MetricInfo("log_loss", "log loss", "mean -log score of the true class, in nats", "lower", high=None),
    MetricInfo("ece", "calibration error", "expected gap of confidence and accuracy, 15 bins", "lower"),
):
    register(_info)
