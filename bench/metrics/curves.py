"""ROC and precision-recall curves of binary scores, and their areas under many weightings.

Truth is 1 for yes and 0 for no; items of truth -1 (unknown) are skipped. Equal scores are one step of a
curve.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bench.core.predictions import Predictions
from bench.metrics.means import ratio

POINTS = 200
"""Maximum number of points of one curve."""

BLOCK = 1 << 17
"""Number of weights processed at a time; they fit a core's cache."""


class Ranked(NamedTuple):
    """Ranking of an attribute's m known labels, highest score first, with its p positives.

    order: (m,) items by falling score. yes: (p,) ranks of the positives. above, upto: (p,) numbers of labels
    that score higher than the positive, and at least as high. yes_above, yes_upto: the same among positives.
    """

    order: np.ndarray
    yes: np.ndarray
    above: np.ndarray
    upto: np.ndarray
    yes_above: np.ndarray
    yes_upto: np.ndarray


def ranked(scores: np.ndarray, truth: np.ndarray) -> Ranked:
    """Rank an attribute's known labels. scores, truth: (n,)."""
    seen = np.flatnonzero(truth >= 0)
    order = seen[np.argsort(-scores[seen], kind="stable")]
    own, is_yes = scores[order], truth[order] == 1
    starts = np.flatnonzero(np.concatenate([[True], own[1:] != own[:-1]])[: len(own)])
    step = np.cumsum(np.bincount(starts, minlength=len(own))) - 1
    yes = np.flatnonzero(is_yes)
    above, upto = starts[step[yes]], np.append(starts, len(own))[step[yes] + 1]
    among_yes = np.concatenate([[0], np.cumsum(is_yes)])
    return Ranked(order, yes, above, upto, among_yes[above], among_yes[upto])


def areas(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ROC areas and average precisions, (draws, k) float64 each, NaN without both a yes and a no.

    scores, truth: (n, k). weights: (draws, n), not negative: how often each item counts.
    The ROC area is the share of positive-negative pairs in which the positive scores higher; ties count half.
    Average precision is the mean over positives of the precision at their score, without interpolation, as in
    scikit-learn. It is undefined without negatives, where it would always be 1.
    """
    (draws, n), k = weights.shape, scores.shape[1]
    auc, ap = np.full((2, draws, k), np.nan)
    columns = [ranked(scores[:, c], truth[:, c]) for c in range(k)]
    size = max(8, BLOCK // max(n, 1))
    for first in range(0, draws, size):
        block = slice(first, first + size)
        # One contiguous row of memory per item.
        by_item = np.ascontiguousarray(weights[block].T, dtype=np.float64)
        for c, column in enumerate(columns):
            auc[block, c], ap[block, c] = _areas(column, by_item)
    return auc, ap


def roc_areas(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the ROC areas that `areas` gives for unit weights: (k,) float64.

    scores, truth: (n, k). Much faster: only the positives are looked up among the sorted scores.
    """
    # Unknown cells come last, where they are cut off.
    columns = np.sort(np.where(truth.T >= 0, scores.T, np.inf), axis=1)
    area = np.full(scores.shape[1], np.nan)
    for c, column in enumerate(columns):
        is_yes = truth[:, c] == 1
        yes, seen = np.count_nonzero(is_yes), np.count_nonzero(truth[:, c] >= 0)
        if 0 < yes < seen:
            mine, column = scores[is_yes, c], column[:seen]
            lower = column.searchsorted(mine, "left").sum() + column.searchsorted(mine, "right").sum()
            # Each pair of positives, and each positive with itself, added a half.
            area[c] = (lower / 2 - yes * yes / 2) / (yes * (seen - yes))
    return area


def _areas(cells: Ranked, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ROC area and average precision, (draws,) each. weights: (n, draws)."""
    sums = np.zeros((len(cells.order) + 1, weights.shape[1]))
    np.take(weights, cells.order, axis=0, out=sums[1:], mode="clip")
    own = sums[1:][cells.yes]
    np.add.accumulate(sums, axis=0, out=sums)
    yes_sums = np.zeros((len(cells.yes) + 1, weights.shape[1]))
    np.add.accumulate(own, axis=0, out=yes_sums[1:])
    yes, no = yes_sums[-1], sums[-1] - yes_sums[-1]
    upto, yes_upto = sums[cells.upto], yes_sums[cells.yes_upto]
    # Discordant pairs: the negatives above each positive, and half of those tied with it.
    lost = upto - yes_upto
    lost += sums[cells.above]
    lost -= yes_sums[cells.yes_above]
    lost *= own
    pairs = yes * no
    auc = ratio(pairs - lost.sum(axis=0) / 2, pairs)
    yes_upto /= np.maximum(upto, np.finfo(np.float64).tiny)
    yes_upto *= own
    ap = ratio(yes_upto.sum(axis=0), yes)
    ap[np.isnan(auc)] = np.nan
    return auc, ap


def curves(pred: Predictions) -> tuple[dict[str, Any], ...]:
    """Return the points of the ROC and PR curves of every attribute that has both a yes and a no.

    Keys: class; curve, `roc` (x is 1 - specificity, y recall) or `pr` (x is recall, y precision); cut, the
    decision threshold, falling along the curve, None at the start of a ROC curve. Points within a straight
    segment of a ROC curve are left out. At most POINTS of each curve are kept, evenly spaced, first and last
    included.
    """
    rows: list[dict[str, Any]] = []
    for c, name in enumerate(pred.classes):
        seen = np.flatnonzero(pred.truth[:, c] >= 0)
        order = seen[np.argsort(-pred.scores[seen, c], kind="stable")]
        own, is_yes = pred.scores[order, c], pred.truth[order, c] == 1
        if not is_yes.any() or is_yes.all():
            continue
        ends = np.append(np.flatnonzero(own[1:] != own[:-1]), len(own) - 1)
        yes = np.cumsum(is_yes)[ends]
        no = ends + 1 - yes
        roc = _thinned(_corners(np.append(0, no), np.append(0, yes)))
        for i in roc.tolist():
            x, y = (no[i - 1] / no[-1], yes[i - 1] / yes[-1]) if i else (0.0, 0.0)
            rows.append(_point(name, "roc", x, y, own[ends[i - 1]] if i else None))
        # A PR curve bends where the ROC curve is straight, so no point is left out as collinear.
        for i in _thinned(np.arange(len(ends))).tolist():
            y = yes[i] / (yes[i] + no[i])
            rows.append(_point(name, "pr", yes[i] / yes[-1], y, own[ends[i]]))
    return tuple(rows)


def _point(name: str, curve: str, x: float, y: float, threshold: float | None) -> dict[str, Any]:
    cut = None if threshold is None else float(threshold)
    return {"class": name, "curve": curve, "x": float(x), "y": float(y), "cut": cut}


def _corners(no: np.ndarray, yes: np.ndarray) -> np.ndarray:
    """Return the indices of the points where a ROC curve bends, first and last included."""
    bends = (np.diff(no, 2) != 0) | (np.diff(yes, 2) != 0)
    return np.flatnonzero(np.concatenate([[True], bends, [True]])[: len(no)])


def _thinned(points: np.ndarray) -> np.ndarray:
    if len(points) <= POINTS:
        return points
    return points[np.linspace(0, len(points) - 1, POINTS).round().astype(np.int64)]
