"""Metrics of many yes-or-no attributes per item: pure functions from `Predictions` to numbers.

Only observed cells are scored; cells with truth -1 are ignored. A score of at least its attribute's threshold
is answered with yes. What is undefined is None (NaN inside arrays), by these rules:

- An attribute's recall needs an observed yes, its specificity an observed no, its accuracy either; its
  G-mean, ROC area and average precision need both.
- Precision of an attribute that is never answered with yes is undefined for the attribute, and counts as 0 in
  the mean, as in `bench.kinds.multiclass.metrics`. F1 is 2 hits / (yes + answered with yes).
- A macro mean runs over the attributes where the metric is defined; that of precision, and of F1, over those
  with an observed yes. `micro` pools the observed cells of all attributes.
- An item counts for exact match and Jaccard if one of its cells is observed. Jaccard compares the sets of
  attributes that are yes and that are answered with yes; two empty sets are equal, which is a 1. (Left out,
  which items count would depend on the answers.)
- Log loss and calibration error are undefined where a score is no probability.

`summary`, `per_class` and `weighted_summary` all read the same `AttributeCounts`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.core.predictions import Predictions
from bench.metrics import curves as on_curves
from bench.metrics.bootstrap_areas import resampled_areas
from bench.metrics.calibration import ece, log_loss
from bench.metrics.curves import areas
from bench.metrics.groups import GROUPS, group_of
from bench.metrics.means import mean, plain, ratio
from bench.metrics.registry import metrics_of

CHUNK = 1 << 22
"""Weights read at a time while drawing, so that a bootstrap needs no second copy of all its weights."""

MANY = 64
"""Number of weightings from which areas are computed for all at once, in single precision."""

EXACT = 1 << 24
"""Largest sum of whole numbers exact in single precision, where a product takes half the time."""


@dataclass(frozen=True)
class AttributeCounts:
    """Observed cells per draw and attribute, four (draws, k) arrays; three sums over items, (draws,) each.

    seen: observed. yes: of those, true. predicted: of those seen, answered with yes. hits: of those, true.
    items: items with an observed cell. exact: of those, all right. overlap: the sum of their Jaccard indices.
    """

    seen: np.ndarray
    yes: np.ndarray
    predicted: np.ndarray
    hits: np.ndarray
    items: np.ndarray
    exact: np.ndarray
    overlap: np.ndarray

    @property
    def no(self) -> np.ndarray:
        """(draws, k) observed no."""
        out: np.ndarray = self.seen - self.yes
        return out

    @property
    def spared(self) -> np.ndarray:
        """(draws, k) observed no, answered with no."""
        out: np.ndarray = self.no - self.predicted + self.hits
        return out

    @property
    def precision(self) -> np.ndarray:
        """(draws, k), NaN where never answered with yes."""
        return ratio(self.hits, self.predicted)

    @property
    def recall(self) -> np.ndarray:
        """(draws, k), NaN without a yes."""
        return ratio(self.hits, self.yes)

    @property
    def specificity(self) -> np.ndarray:
        """(draws, k), NaN without a no."""
        return ratio(self.spared, self.no)

    @property
    def gmean(self) -> np.ndarray:
        """(draws, k), NaN without both."""
        out: np.ndarray = np.sqrt(self.recall * self.specificity)
        return out

    @property
    def accuracy(self) -> np.ndarray:
        """(draws, k), NaN where nothing is observed."""
        return ratio(self.hits + self.spared, self.seen)

    @property
    def f1(self) -> np.ndarray:
        """(draws, k), NaN where neither true nor answered with yes."""
        return ratio(2 * self.hits, self.yes + self.predicted)


def check(pred: Predictions) -> None:
    """Raise ValueError if the parts of the predictions do not fit, or an observed cell's score is NaN."""
    n, k = len(pred.items), len(pred.classes)
    shapes = {"scores": pred.scores.shape, "truth": pred.truth.shape}
    per_class = {"train_support": pred.train_support, "known": pred.known, "cuts": pred.cuts}
    whole = dict.fromkeys(shapes, (n, k)) | dict.fromkeys(per_class, (k,))
    shapes |= {name: (k,) if array is None else array.shape for name, array in per_class.items()}
    for name, shape in shapes.items():
        if shape != whole[name]:
            raise ValueError(f"{n} items and {k} attributes, but {name} has shape {shape}")
    if n and k and (pred.truth.min() < -1 or pred.truth.max() > 1):
        raise ValueError(f"truth holds {pred.truth.min()}..{pred.truth.max()}, not 1, 0 or -1 for unknown")
    missing = np.isnan(pred.scores) & (pred.truth >= 0)
    if missing.any():
        item, cls = np.argwhere(missing)[0]
        raise ValueError(f"the score of item {pred.items[item]!r} for {pred.classes[cls]!r} is NaN")


def thresholds(pred: Predictions) -> np.ndarray:
    """Return each attribute's threshold, (k,) float64."""
    return np.full(len(pred.classes), 0.5) if pred.cuts is None else np.asarray(pred.cuts, np.float64)


def decisions(pred: Predictions) -> np.ndarray:
    """Return which attributes of each item are answered with yes, observed or not, (n, k) bool."""
    predicted: np.ndarray = pred.scores >= thresholds(pred)
    return predicted


def answers(pred: Predictions) -> np.ndarray:
    """Return which observed cells are answered with yes, (n, k) bool."""
    cuts = np.float32(0.5) if pred.cuts is None else pred.cuts
    predicted: np.ndarray = (pred.scores >= cuts) & (pred.truth >= 0)
    return predicted


def summary(pred: Predictions) -> dict[str, float | None]:
    """Return every metric registered for attributes and three counts, None where undefined.

    The counts are `n` (items with an observed cell), `cells` (observed) and `classes_scored` (attributes with
    both a yes and a no). Raises ValueError if an observed cell's score is NaN.
    """
    seen, yes = pred.truth >= 0, pred.truth == 1
    ones = np.ones((1, len(pred.items)), np.int64)
    values: dict[str, float | None] = {
        name: plain(drawn[0]) for name, drawn in weighted_summary(pred, ones).items()
    }
    scores, is_yes = pred.scores[seen], yes[seen]
    pooled = areas(scores[:, None], is_yes[:, None].astype(np.int32), np.ones((1, len(scores)), np.int64))[0]
    values |= {
        "auc_micro": plain(pooled[0, 0]),
        "log_loss": log_loss(scores, is_yes),
        "ece": ece(scores, is_yes),
    }
    both = yes.any(axis=0) & (seen & ~yes).any(axis=0)
    return {name: values[name] for name in metrics_of("multilabel")} | {
        "n": int(seen.any(axis=1).sum()),
        "cells": int(seen.sum()),
        "classes_scored": int(both.sum()),
    }


def per_class(pred: Predictions) -> tuple[dict[str, Any], ...]:
    """Return a row for each attribute, in the order of `pred.classes`, None where undefined.

    Keys: class, train_support (observed yes in training), train_known (observed there), group (by
    train_support), test_support (observed), positives (of those yes), tp, fp, tn, fn, precision, recall (also
    called sensitivity), specificity, gmean, accuracy, f1, auc, ap, log_loss, ece.
    Raises ValueError if an observed cell's score is NaN.
    """
    ones = np.ones((1, len(pred.items)), np.int64)
    counts = _counts(pred, ones)
    auc, ap = areas(pred.scores, pred.truth, ones)
    numbers = {name: getattr(counts, name)[0] for name in _RATIOS} | {"auc": auc[0], "ap": ap[0]}
    rows = []
    for c, name in enumerate(pred.classes):
        seen, yes, predicted, hits = (
            int(part[0, c]) for part in (counts.seen, counts.yes, counts.predicted, counts.hits)
        )
        column = pred.truth[:, c] >= 0
        scores, is_yes = pred.scores[column, c], pred.truth[column, c] == 1
        rows.append(
            {
                "class": name,
                "train_support": int(pred.train_support[c]),
                "train_known": None if pred.known is None else int(pred.known[c]),
                "group": group_of(int(pred.train_support[c])),
                "test_support": seen,
                "positives": yes,
                "tp": hits,
                "fp": predicted - hits,
                "tn": seen - yes - predicted + hits,
                "fn": yes - hits,
                **{key: plain(values[c]) for key, values in numbers.items()},
                "log_loss": log_loss(scores, is_yes),
                "ece": ece(scores, is_yes),
            }
        )
    return tuple(rows)


_RATIOS = ("precision", "recall", "specificity", "gmean", "accuracy", "f1")


def weighted_summary(pred: Predictions, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Return all but the pooled ROC area, log loss and calibration error under many weightings of the items.

    weights: (draws, n), not negative; how often each item was drawn. Row d gives what `summary` gives of
    predictions in which item i stands weights[d, i] times. Each value is (draws,) float64, NaN where
    undefined; areas of MANY draws are right to six digits. Raises ValueError if an observed cell's score is
    NaN or the weights do not fit the items.
    """
    return weighted_parts(pred, weights)[0]


def weighted_parts(
    pred: Predictions, weights: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return `weighted_summary`, and the attributes' own values of each of its means over attributes.

    These are (draws, k) by the mean's name, NaN for an attribute that is not in the mean.
    """
    counts = _counts(pred, weights)
    auc, ap = (areas if len(weights) < MANY else resampled_areas)(pred.scores, pred.truth, weights)
    true, false, both = counts.yes > 0, counts.no > 0, ~np.isnan(auc)
    means = {
        "auc_macro": (auc, both),
        "map": (ap, both),
        "precision_macro": (np.nan_to_num(counts.precision), true),
        "recall_macro": (counts.recall, true),
        "specificity_macro": (counts.specificity, false),
        "gmean_macro": (counts.gmean, true & false),
        "accuracy_macro": (counts.accuracy, counts.seen > 0),
        "f1_macro": (counts.f1, true),
    }
    values = {name: mean(own, inside) for name, (own, inside) in means.items()}
    seen, yes, predicted, hits = (
        part.sum(axis=1) for part in (counts.seen, counts.yes, counts.predicted, counts.hits)
    )
    precision, recall = values["precision_macro"], values["recall_macro"]
    values |= {
        "precision_micro": ratio(hits, predicted),
        "recall_micro": ratio(hits, yes),
        "f1_micro": ratio(2 * hits, yes + predicted),
        "cf1": np.where(precision + recall == 0, 0.0, ratio(2 * precision * recall, precision + recall)),
        "hamming_loss": ratio(yes + predicted - 2 * hits, seen),
        "jaccard": ratio(counts.overlap, counts.items),
        "exact_match": ratio(counts.exact, counts.items),
    }
    groups = np.array([group_of(int(count)) for count in pred.train_support])
    for group in GROUPS:
        values[f"{group}_auc"] = mean(auc, both & (groups == group))
    return values, {name: np.where(inside, own, np.nan) for name, (own, inside) in means.items()}


def trivials(pred: Predictions) -> dict[str, Predictions]:
    """Return three trivial answers on the same items, each with threshold one half.

    majority: 1 where at least half of the attribute's observed training cells are yes, else 0.
    all_positive: 1. prior: that share of yes itself; one half where no training cell is known.
    """
    known = np.zeros(len(pred.classes), np.int64) if pred.known is None else pred.known
    share = np.where(known > 0, pred.train_support / np.maximum(known, 1), 0.5).astype(np.float32)
    columns = {"majority": share >= 0.5, "all_positive": np.ones(len(share)), "prior": share}
    return {
        name: replace(pred, scores=np.broadcast_to(column.astype(np.float32), pred.truth.shape), cuts=None)
        for name, column in columns.items()
    }


def curves(pred: Predictions) -> tuple[dict[str, Any], ...]:
    """Return the ROC and PR curves of each attribute, see `bench.metrics.curves.curves`."""
    return on_curves.curves(pred)


def _counts(pred: Predictions, weights: np.ndarray) -> AttributeCounts:
    check(pred)
    n, k = pred.truth.shape
    if weights.ndim != 2 or weights.shape[1] != n:
        raise ValueError(f"weights are {weights.shape}, but there are {n} items")
    seen, yes, predicted = pred.truth >= 0, pred.truth == 1, answers(pred)
    cells = np.hstack([seen, yes, predicted, yes & predicted])
    scored = seen.any(axis=1)
    shared, either = (yes & predicted).sum(axis=1), (yes | predicted).sum(axis=1)
    overlap = np.where(either > 0, shared / np.maximum(either, 1), 1.0) * scored
    items = np.stack([scored, scored & (yes == predicted).all(axis=1), overlap], axis=1)
    sums, item_sums = np.empty((len(weights), 4 * k)), np.empty((len(weights), 3))
    size = max(1, CHUNK // max(n, 1))
    for first in range(0, len(weights), size):
        part = weights[first : first + size]
        kind = np.float32 if _add_up_exactly(part) else np.float64
        sums[first : first + size] = part.astype(kind) @ cells.astype(kind)
        item_sums[first : first + size] = part.astype(np.float64) @ items
    return AttributeCounts(*np.hsplit(sums, 4), *item_sums.T)


def _add_up_exactly(weights: np.ndarray) -> bool:
    """Return whether single precision is exact for every partial sum of a row's weights."""
    if not weights.size or (weights.dtype.kind not in "bui" and (weights != np.rint(weights)).any()):
        return False
    return bool(weights.sum(axis=1, dtype=np.float64).max() < EXACT)
