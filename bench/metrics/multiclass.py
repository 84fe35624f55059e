"""Metrics of one-label-of-many predictions: pure functions from `Predictions` to numbers.

What is undefined is None (NaN inside arrays), by these rules:

- Macro and weighted averages run over the classes with at least one test item, also where a class without
  any is predicted (scikit-learn's report would add that class to the macro average).
- Recall, top-1, top-5 of a class without test items, and its ROC area, are undefined.
- Precision of a class that is never predicted is undefined for the class, and counts as 0 in the
  averages, as in scikit-learn's report: leaving it out would reward never predicting rare classes.
- F1 is 2 hits / (test items + times predicted): 0 for a class that is never hit, undefined only for a
  class that is neither true nor predicted anywhere.
- Top-5 is undefined with five classes or fewer, where it would always be 1.
- Log loss and calibration error are undefined where scores are no probabilities.

`summary`, `per_class` and `weighted_summary` all read the same `Counts`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.metrics import scores as on_scores
from bench.metrics.means import mean, plain, ratio
from bench.metrics.registry import metrics_of
from bench.spec import Predictions

MANY, FEW = 100, 20
"""Classes with more than MANY training images are `many`, with fewer than FEW `few`, the rest `medium`
(Liu et al. 2019)."""

CHUNK = 1 << 22
"""Weights read at a time while drawing, so that a bootstrap needs no second copy of all its weights."""


@dataclass(frozen=True)
class Counts:
    """All that hits and averages are made of, per draw and class: four (draws, k) arrays.

    support: items of the class. hits: of those, answered right. hits5: of those, among the five highest
    scores (NaN with five classes or fewer). predicted: items answered with the class.
    """

    support: np.ndarray
    hits: np.ndarray
    hits5: np.ndarray
    predicted: np.ndarray

    @property
    def recall(self) -> np.ndarray:
        """(draws, k), NaN without test items."""
        return ratio(self.hits, self.support)

    @property
    def recall5(self) -> np.ndarray:
        """(draws, k), NaN without test items and with five classes or fewer."""
        return ratio(self.hits5, self.support)

    @property
    def precision(self) -> np.ndarray:
        """(draws, k), NaN where never predicted."""
        return ratio(self.hits, self.predicted)

    @property
    def f1(self) -> np.ndarray:
        """(draws, k), NaN where neither true nor predicted."""
        return ratio(2 * self.hits, self.support + self.predicted)


def group_of(train_support: int) -> str:
    """Return `many`, `medium` or `few` for a number of training images.

    >>> [group_of(n) for n in (101, 100, 20, 19)]
    ['many', 'medium', 'medium', 'few']
    """
    if train_support > MANY:
        return "many"
    return "few" if train_support < FEW else "medium"


def hits(pred: Predictions) -> tuple[np.ndarray, np.ndarray | None]:
    """Return whether each item is a top-1 hit and a top-5 hit, (n,) bool each; None with k <= 5.

    Raises ValueError if a score is NaN.
    """
    on_scores.check(pred)
    rank = on_scores.ranks(pred.scores, pred.truth)
    return rank < 1, rank < 5 if len(pred.classes) > 5 else None


def summary(pred: Predictions) -> dict[str, float | None]:
    """Return every registered metric and the counts `n` and `classes_scored`, None where undefined.

    Raises ValueError if a score is NaN.
    """
    n, support = len(pred.items), np.bincount(pred.truth, minlength=len(pred.classes))
    values: dict[str, float | None] = {
        name: plain(drawn[0]) for name, drawn in weighted_summary(pred, np.ones((1, n), np.int64)).items()
    }
    area = on_scores.auc(pred.scores, pred.truth)[None]
    defined = ~np.isnan(area)
    values |= {
        "auc_macro": plain(mean(area, defined)[0]),
        "auc_weighted": plain(mean(area, support[None] * defined)[0]),
        "log_loss": on_scores.log_loss(pred.scores, pred.truth),
        "ece": on_scores.ece(pred.scores, pred.truth),
        "n": n,
        "classes_scored": int(np.count_nonzero(support)),
    }
    return {name: values[name] for name in (*metrics_of("multiclass"), "n", "classes_scored")}


def per_class(pred: Predictions) -> tuple[dict[str, Any], ...]:
    """Return a row for each class, in the order of `pred.classes`, None where undefined.

    Keys: class, train_support, test_support, group, top1_hits, top1, top5_hits, top5, predicted, precision,
    recall, f1, auc (one against the rest). Raises ValueError if a score is NaN.
    """
    counts = _counts(pred, np.ones((1, len(pred.items)), np.int64))
    area = on_scores.auc(pred.scores, pred.truth)
    recall, recall5, precision, f1 = counts.recall[0], counts.recall5[0], counts.precision[0], counts.f1[0]
    return tuple(
        {
            "class": name,
            "train_support": int(pred.train_support[c]),
            "test_support": int(counts.support[0, c]),
            "group": group_of(int(pred.train_support[c])),
            "top1_hits": int(counts.hits[0, c]),
            "top1": plain(recall[c]),
            "top5_hits": None if np.isnan(counts.hits5[0, c]) else int(counts.hits5[0, c]),
            "top5": plain(recall5[c]),
            "predicted": int(counts.predicted[0, c]),
            "precision": plain(precision[c]),
            "recall": plain(recall[c]),
            "f1": plain(f1[c]),
            "auc": plain(area[c]),
        }
        for c, name in enumerate(pred.classes)
    )


def weighted_summary(pred: Predictions, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return the metrics that counts give under many weightings of the items, as a bootstrap draws them.

    weights: (draws, n), not negative; how often each item was drawn. Row d gives what `summary` gives of
    predictions in which item i stands weights[d, i] times. Each value is (draws,) float64, NaN where
    undefined; ROC areas, log loss and calibration error are not among them.
    Raises ValueError if a score is NaN or the weights do not fit the items.
    """
    return of_counts(_counts(pred, weights), pred.train_support)


def of_counts(counts: Counts, train_support: np.ndarray) -> dict[str, np.ndarray]:
    """Return what `weighted_summary` does, of counts that were added up already. train_support: (k,)."""
    support, n = counts.support, counts.support.sum(axis=1)
    scored = support > 0
    precision = np.nan_to_num(counts.precision)
    micro = ratio(counts.hits.sum(axis=1), n)
    macro = mean(counts.recall, scored)
    values = {
        "top1_micro": micro,
        "top1_macro": macro,
        "top5_micro": ratio(counts.hits5.sum(axis=1), n),
        "top5_macro": mean(counts.recall5, scored),
        "precision_macro": mean(precision, scored),
        "precision_weighted": mean(precision, support),
        "recall_macro": macro,
        "recall_weighted": micro,
        "f1_micro": micro,
        "f1_macro": mean(counts.f1, scored),
        "f1_weighted": mean(counts.f1, support),
        "balanced_accuracy": macro,
    }
    groups = np.array([group_of(int(count)) for count in train_support])
    for group in ("many", "medium", "few"):
        values[f"{group}_top1"] = mean(counts.recall, scored & (groups == group))
    return values


def trivial(pred: Predictions) -> Predictions:
    """Return what the majority answer gives on the same items: the class shares of train as every score.

    With no training images known at all, every class scores the same.
    """
    total = int(pred.train_support.sum())
    k = len(pred.classes)
    prior = pred.train_support / total if total else np.full(k, 1 / k)
    return replace(pred, scores=np.broadcast_to(prior.astype(np.float32), (len(pred.items), k)))


def _counts(pred: Predictions, weights: np.ndarray) -> Counts:
    top1, top5 = hits(pred)
    if weights.ndim != 2 or weights.shape[1] != len(pred.items):
        raise ValueError(f"weights are {weights.shape}, but there are {len(pred.items)} items")
    k = len(pred.classes)
    # One class after the other, each with its misses, its hits among the five, its hits at the top.
    depth = 2 * top1 if top5 is None else top1.astype(np.int64) + top5
    by_outcome = _sums(weights, 3 * pred.truth.astype(np.int64) + depth, 3 * k).reshape(-1, k, 3)
    return Counts(
        support=by_outcome.sum(axis=2),
        hits=by_outcome[:, :, 2],
        hits5=by_outcome[:, :, 1:].sum(axis=2) if top5 is not None else np.full(by_outcome.shape[:2], np.nan),
        predicted=_sums(weights, pred.scores.argmax(axis=1), k),
    )


def _sums(weights: np.ndarray, labels: np.ndarray, size: int) -> np.ndarray:
    """Sum the columns of (draws, n) that share a label: (draws, size) float64."""
    out = np.zeros((len(weights), size))
    if not len(labels):
        return out
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    step = max(1, CHUNK // len(labels))
    for first in range(0, len(weights), step):
        part = weights[first : first + step].take(order, axis=1)
        out[first : first + step, present] = np.add.reduceat(part, starts, axis=1, dtype=np.float64)
    return out
