"""Findings for a report on one cell with many attributes per item. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from bench.core.predictions import Predictions
from bench.metrics import intervals
from bench.metrics.rank_sums import attribute_parts
from bench.report.bars import Mark
from bench.report.findings import Hard, decision_curves, reliability_bins
from bench.report.plots import Bin, Line


def area_marks(seeds: Sequence[Predictions]) -> list[Mark]:
    """Return the ROC area of each attribute, mean over seeds, with its 95% interval over items.

    seeds: one cell's predictions each; only those of the same items as the first take part. The interval is
    the normal one of the areas' first-order parts, items of a group taken together (DeLong et al. 1988).
    """
    first = seeds[0]
    alike = [pred for pred in seeds if pred.items == first.items and pred.classes == first.classes]
    found = [attribute_parts(pred.scores, pred.truth) for pred in alike]
    areas, parts = (np.mean([part[i] for part in found], axis=0) for i in (0, 1))
    if first.groups is not None:
        _, member = np.unique(np.array(first.groups), return_inverse=True)
        parts = np.stack([np.bincount(member, part) for part in parts])
    half = NormalDist().inv_cdf((1 + intervals.CONFIDENCE) / 2) * np.sqrt((parts**2).sum(axis=1))
    marks = []
    for name, area, wide in zip(first.classes, areas, half, strict=True):
        if np.isnan(area):
            marks.append(Mark(name, None))
        else:
            marks.append(Mark(name, float(area), max(0.0, float(area - wide)), min(1.0, float(area + wide))))
    return marks


def calibration(pred: Predictions) -> list[Bin]:
    """Return bins of all scored cells by score, with the share of yes; none without probabilities."""
    seen = pred.truth >= 0
    scores, yes = pred.scores[seen].astype(np.float64), pred.truth[seen] == 1
    if not len(scores) or scores.min() < 0 or scores.max() > 1:
        return []
    return reliability_bins(scores, yes)


def curves(pred: Predictions, limit: int) -> list[tuple[Line, Line]]:
    """Return the ROC and the precision-recall curve of the attributes with most yes, at most so many.

    Equal scores are decided together; an attribute without a yes or without a no has none.
    """
    out = []
    for c in np.argsort(-(pred.truth == 1).sum(axis=0), kind="stable"):
        seen = pred.truth[:, c] >= 0
        scores, yes = pred.scores[seen, c], pred.truth[seen, c] == 1
        if not yes.any() or yes.all():
            continue
        out.append(decision_curves(pred.classes[c], scores, yes, dense_start=False))
    return out[:limit]


def hardest(pred: Predictions, cuts: np.ndarray | None, count: int) -> list[Hard]:
    """Return the items with the lowest score of a true attribute value, the lowest first.

    Each item stands once, with its worst scored cell that is answered wrong.
    """
    answered = pred.scores >= (np.float32(0.5) if cuts is None else cuts)
    own = np.where(pred.truth == 1, pred.scores, 1 - pred.scores)
    wrong = (pred.truth >= 0) & (answered != (pred.truth == 1))
    own = np.where(wrong, own, np.inf)
    worst = own.argmin(axis=1)
    lowest = own[np.arange(len(worst)), worst]
    out = []
    for row in np.argsort(lowest, kind="stable")[:count]:
        if not np.isfinite(lowest[row]):
            break
        name = pred.classes[worst[row]]
        yes = bool(pred.truth[row, worst[row]] == 1)
        truth, answer = (name, f"not {name}") if yes else (f"not {name}", name)
        score = float(lowest[row])
        out.append(Hard(pred.items[row], truth, answer, score, 1 - score))
    return out
