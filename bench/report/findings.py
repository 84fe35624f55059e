"""Analysis of predictions, shared by kinds: reliability bins, curves, misclassified items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.metrics import intervals
from bench.metrics import scores as on_scores
from bench.report.plots import Bin, Line

POINTS = 400
"""Maximum number of points of a plotted curve."""


def reliability_bins(confidence: np.ndarray, right: np.ndarray) -> list[Bin]:
    """Return the bins that have items. confidence: (n,) probabilities. right: (n,) bool, the outcomes."""
    width = on_scores.ECE_BINS
    place = np.clip(np.ceil(confidence * width).astype(np.int64) - 1, 0, width - 1)
    out = []
    for index in np.unique(place):
        inside = place == index
        n, hits = int(inside.sum()), int(right[inside].sum())
        interval = intervals.wilson(hits, n)
        mean = float(confidence[inside].mean())
        out.append(Bin(index / width, (index + 1) / width, n, mean, hits / n, interval.low, interval.high))
    return out


def decision_curves(name: str, scores: np.ndarray, yes: np.ndarray, dense_start: bool) -> tuple[Line, Line]:
    """Return the ROC and the precision-recall curve; equal scores are decided together.

    scores, yes: (n,), the latter bool with at least one True. dense_start: whether a curve of more
    than POINTS points is thinned least at few false positives; otherwise, evenly.
    """
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    if dense_start:
        some = np.unique(np.geomspace(1, len(ends), POINTS).astype(np.int64)) - 1
    else:
        some = np.unique(np.linspace(0, len(ends) - 1, POINTS).astype(np.int64))
    hits, chosen = np.cumsum(yes[order])[ends][some], ends[some] + 1
    recall, start = hits / yes.sum(), np.zeros(1)
    alarms = (chosen - hits) / max(1, (~yes).sum())
    roc = Line(name, np.concatenate([start, alarms]), np.concatenate([start, recall]))
    return roc, Line(name, recall, hits / chosen)


@dataclass(frozen=True)
class Hard:
    """A misclassified item. score: of its true class. answer_score: of the predicted class."""

    item: str
    truth: str
    answer: str
    score: float
    answer_score: float
