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
- Coverage and size of prediction sets exist only where thresholds do; the worst class is one with test items.

`summary`, `per_class` and `weighted_summary` all read the same `ConfusionCounts`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from bench.core.predictions import Predictions
from bench.metrics import scores as on_scores
from bench.metrics.groups import GROUPS, group_of
from bench.metrics.means import mean, plain, ratio
from bench.metrics.registry import METRICS, metrics_of

CHUNK = 1 << 22
"""Weights read at a time while drawing, so that a bootstrap needs no second copy of all its weights."""


@dataclass(frozen=True)
class ConfusionCounts:
    """Counts behind hits and averages, per draw and class: four (draws, k) arrays.

    support: items of the class. hits: of those, answered right. hits5: of those, among the five highest
    scores (NaN with five classes or fewer). predicted: items answered with the class.
    """

    support: np.ndarray
    hits: np.ndarray
    hits5: np.ndarray
    predicted: np.ndarray

    @cached_property
    def recall(self) -> np.ndarray:
        """(draws, k), NaN without test items."""
        return ratio(self.hits, self.support)

    @cached_property
    def recall5(self) -> np.ndarray:
        """(draws, k), NaN without test items and with five classes or fewer."""
        return ratio(self.hits5, self.support)

    @cached_property
    def precision(self) -> np.ndarray:
        """(draws, k), NaN where never predicted."""
        return ratio(self.hits, self.predicted)

    @cached_property
    def f1(self) -> np.ndarray:
        """(draws, k), NaN where neither true nor predicted."""
        return ratio(2 * self.hits, self.support + self.predicted)


def summary(pred: Predictions) -> dict[str, float | None]:
    """Return every registered metric and the counts `n` and `classes_scored`, None where undefined.

    Those of prediction sets are there only if there are sets. Raises ValueError if a score is NaN.
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
        **_of_sets(pred),
        "n": n,
        "classes_scored": int(np.count_nonzero(support)),
    }
    names = metrics_of("multiclass", sets=pred.cuts is not None)
    return {name: values[name] for name in (*names, "n", "classes_scored")}


def sets(pred: Predictions) -> np.ndarray:
    """Return which classes are in the prediction set of each item, (n, k) bool. There must be thresholds."""
    assert pred.cuts is not None
    inside: np.ndarray = pred.scores >= pred.cuts
    return inside


def covered(pred: Predictions) -> np.ndarray:
    """Return whether the prediction set of each item has its true class, (n,) bool."""
    own: np.ndarray = sets(pred)[np.arange(len(pred.items)), pred.truth]
    return own


def _of_sets(pred: Predictions) -> dict[str, float | None]:
    if pred.cuts is None or not len(pred.items):
        return dict.fromkeys((name for name in metrics_of("multiclass") if METRICS[name].sets), None)
    found = covered(pred)
    return {
        "coverage": float(found.mean()),
        "coverage_min_class": min(
            float(found[pred.truth == label].mean()) for label in np.unique(pred.truth)
        ),
        "set_size": float(sets(pred).sum(axis=1).mean()),
    }


def per_class(pred: Predictions) -> tuple[dict[str, Any], ...]:
    """Return a row for each class, in the order of `pred.classes`, None where undefined.

    Keys: class, train_support, test_support, group, top1_hits, top1, top5_hits, top5, predicted, precision,
    recall, f1, auc (one against the rest); with prediction sets cut (the class's threshold), covered (items
    of the class with it in their sets), coverage and set_size (both on items of the class). Raises ValueError
    if a score is NaN.
    """
    counts = counter(pred)(np.ones((1, len(pred.items)), np.int64))
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
            **({} if pred.cuts is None else _set_row(pred, c)),
        }
        for c, name in enumerate(pred.classes)
    )


def _set_row(pred: Predictions, c: int) -> dict[str, Any]:
    """Return a class's own numbers of prediction sets."""
    assert pred.cuts is not None
    own = pred.truth == c
    hits, inside = int(covered(pred)[own].sum()), sets(pred)[own]
    return {
        "cut": float(pred.cuts[c]),
        "covered": hits,
        "coverage": hits / len(inside) if len(inside) else None,
        "set_size": float(inside.sum(axis=1).mean()) if len(inside) else None,
    }


def weighted_summary(pred: Predictions, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return the metrics that counts give under many weightings of the items, as a bootstrap draws them.

    weights: (draws, n), not negative; how often each item was drawn. Row d gives what `summary` gives of
    predictions in which item i stands weights[d, i] times. Each value is (draws,) float64, NaN where
    undefined; ROC areas, log loss and calibration error are not among them.
    Raises ValueError if a score is NaN or the weights do not fit the items.
    """
    return of_counts(counter(pred)(weights), pred.train_support)


def of_counts(counts: ConfusionCounts, train_support: np.ndarray) -> dict[str, np.ndarray]:
    """Return the result of `weighted_summary` from summed counts. train_support: (k,)."""
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
    for group in GROUPS:
        values[f"{group}_top1"] = mean(counts.recall, scored & (groups == group))
    return values


def decisions(pred: Predictions) -> np.ndarray:
    """Return the class with the highest score of each item, (n,)."""
    best: np.ndarray = pred.scores.argmax(axis=1)
    return best


def thresholds(pred: Predictions) -> np.ndarray:
    """Return the thresholds of prediction sets, if there are some: classes are ranked."""
    return np.empty(0) if pred.cuts is None else np.asarray(pred.cuts, np.float64)


def trivial(pred: Predictions) -> Predictions:
    """Return the majority answer's metrics on the same items: class shares of train as scores.

    With no training images known at all, every class scores the same.
    """
    total = int(pred.train_support.sum())
    k = len(pred.classes)
    prior = pred.train_support / total if total else np.full(k, 1 / k)
    scores = np.broadcast_to(prior.astype(np.float32), (len(pred.items), k))
    return replace(pred, scores=scores, cuts=None)


def trivials(pred: Predictions) -> dict[str, Predictions]:
    """Return the majority answer on the same items, see `trivial`."""
    return {"trivial": trivial(pred)}


def curves(pred: Predictions) -> tuple[dict[str, Any], ...]:
    """Return nothing: curves of many classes are computed from predictions on demand."""
    return ()


def report_rows(pred: Predictions) -> tuple[dict[str, Any], ...]:
    """Return scikit-learn's classification report as rows of class, precision, recall, f1, support.

    Below the classes stand `accuracy` (in the f1 column, as printed there), `macro avg`, `weighted avg`.
    Unlike there, a class without test items has an undefined recall and no part in the macro average.
    """
    overall = summary(pred)
    rows = [
        {key: row[key] for key in ("class", "precision", "recall", "f1")} | {"support": row["test_support"]}
        for row in per_class(pred)
    ]
    accuracy = {"class": "accuracy", "precision": None, "recall": None, "f1": overall["top1_micro"]}
    averages = [
        {"class": f"{name} avg"} | {key: overall[f"{key}_{name}"] for key in ("precision", "recall", "f1")}
        for name in ("macro", "weighted")
    ]
    return (*rows, *({**row, "support": overall["n"]} for row in (accuracy, *averages)))


def counter(pred: Predictions) -> Callable[[np.ndarray], ConfusionCounts]:
    """Return the function of (draws, n) weights behind `weighted_summary`.

    Everything independent of the weights is computed once. Both raise ValueError as described there.
    """
    top1, top5 = on_scores.hits(pred)
    n, k = len(pred.items), len(pred.classes)
    # One class after the other, each with its misses, its hits among the five, its hits at the top.
    depth = 2 * top1 if top5 is None else top1.astype(np.int64) + top5
    outcomes = _adder(3 * pred.truth.astype(np.int64) + depth, 3 * k)
    answers = _adder(decisions(pred), k)

    def count(weights: np.ndarray) -> ConfusionCounts:
        if weights.ndim != 2 or weights.shape[1] != n:
            raise ValueError(f"weights are {weights.shape}, but there are {n} items")
        by_outcome = outcomes(weights).reshape(-1, k, 3)
        none = np.full(by_outcome.shape[:2], np.nan)
        return ConfusionCounts(
            support=by_outcome.sum(axis=2),
            hits=by_outcome[:, :, 2],
            hits5=none if top5 is None else by_outcome[:, :, 1:].sum(axis=2),
            predicted=answers(weights),
        )

    return count


def _adder(labels: np.ndarray, size: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function that sums the columns of (draws, n) which share a label: (draws, size) float64."""
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)

    def add(weights: np.ndarray) -> np.ndarray:
        out = np.zeros((len(weights), size))
        if not len(labels):
            return out
        # Single precision, in which whole weights add up exactly to 2^24, is several times faster.
        kind = np.float32 if weights.dtype == np.float32 else np.float64
        step = max(1, CHUNK // len(labels))
        for first in range(0, len(weights), step):
            part = weights[first : first + step].take(order, axis=1)
            out[first : first + step, present] = np.add.reduceat(part, starts, axis=1, dtype=kind)
        return out

    return add
