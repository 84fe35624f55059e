"""ROC and precision-recall of yes-or-no scores: their areas under many weightings, their curves.

Only observed cells exist here: truth is 1 for yes, 0 for no, and a cell of -1 is passed over, whatever its
score. Equal scores are one step of a curve: no order among them is made up.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from bench.metrics.means import ratio
from bench.spec import Predictions

POINTS = 200
"""Of one curve, at most."""

BLOCK = 1 << 17
"""Weights whose sums are kept at a time: what stays in a core's cache."""


class Ranked(NamedTuple):
    """The m observed cells of an attribute, highest score first, and where the p that are yes stand there.

    order: (m,) their items. yes: (p,) places of yes in that order. above, upto: (p,) cells that score higher
    than this one, and that score at least as high; yes_above, yes_upto: of those, the cells of yes.
    """

    order: np.ndarray
    yes: np.ndarray
    above: np.ndarray
    upto: np.ndarray
    yes_above: np.ndarray
    yes_upto: np.ndarray


def ranked(scores: np.ndarray, truth: np.ndarray) -> Ranked:
    """Rank an attribute's observed cells. scores, truth: (n,)."""
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

    scores, truth: (n, k). weights: (draws, n), not negative; how often each item is there.
    The ROC area is the share of pairs of a yes and a no in which the yes scores higher, ties counting half.
    Average precision is the mean over yes of the share of yes among the cells that score at least as high, as
    scikit-learn has it, without interpolation. Where all cells are yes it would always be 1.
    """
    (draws, n), k = weights.shape, scores.shape[1]
    auc, ap = np.full((2, draws, k), np.nan)
    columns = [ranked(scores[:, c], truth[:, c]) for c in range(k)]
    size = max(8, BLOCK // max(n, 1))
    for first in range(0, draws, size):
        drawn = slice(first, first + size)
        # One item is one row of memory: picked and added up as a whole.
        part = np.ascontiguousarray(weights[drawn].T, dtype=np.float64)
        for c, column in enumerate(columns):
            auc[drawn, c], ap[drawn, c] = _areas(column, part)
    return auc, ap


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
    # Of no, those above, and half of those that score the same, are pairs lost.
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
    """Return the ROC and PR curves of every attribute that has both a yes and a no, point by point.

    Keys: class; curve, `roc` (x is 1 - specificity, y recall) or `pr` (x is recall, y precision); cut, the
    score from which on a cell is taken as yes, None at the start of a ROC curve, where none is. Cuts fall
    along a curve. Points on a straight line of a ROC curve are left out; of what remains, and of the points
    of a PR curve, POINTS at most are kept, evenly picked, the first and the last included.
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
        # A PR curve bends where a ROC curve is straight: only how many points there are counts here.
        for i in _thinned(np.arange(len(ends))).tolist():
            y = yes[i] / (yes[i] + no[i])
            rows.append(_point(name, "pr", yes[i] / yes[-1], y, own[ends[i]]))
    return tuple(rows)


def _point(name: str, curve: str, x: float, y: float, cut: float | None) -> dict[str, Any]:
    cut = None if cut is None else float(cut)
    return {"class": name, "curve": curve, "x": float(x), "y": float(y), "cut": cut}


def _corners(no: np.ndarray, yes: np.ndarray) -> np.ndarray:
    """Return which points of a ROC curve lie on no straight line from the point before to the one after."""
    bends = (np.diff(no, 2) != 0) | (np.diff(yes, 2) != 0)
    return np.flatnonzero(np.concatenate([[True], bends, [True]])[: len(no)])


def _thinned(points: np.ndarray) -> np.ndarray:
    if len(points) <= POINTS:
        return points
    return points[np.linspace(0, len(points) - 1, POINTS).round().astype(np.int64)]
