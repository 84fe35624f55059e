"""Findings for a report on one cell of pairs of photos. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.core.predictions import Predictions
from bench.kinds.verification.metrics import answers, facts
from bench.report.findings import decision_curves
from bench.report.plots import Line

BINS = 30
"""Of a histogram of scores."""


def roc(name: str, pred: Predictions) -> Line | None:
    """Return the ROC curve of all pairs, None without both same and different ones.

    Its rates are shown on a scale of powers of ten, so its start is kept dense.
    """
    truth = pred.truth == 1
    if not truth.any() or truth.all():
        return None
    return decision_curves(name, pred.scores[:, 0], truth, dense_start=True)[0]


@dataclass(frozen=True)
class Histogram:
    """Histogram of scores less their cuts. edges: (bins + 1,). same, different: (bins,) shares of them."""

    edges: np.ndarray
    same: np.ndarray
    different: np.ndarray


def histogram(pred: Predictions) -> Histogram:
    """Count scores less their folds' cuts; the outermost hundredth of the pairs stands in the end bins."""
    above = pred.scores[:, 0].astype(np.float64) - facts(pred).cuts
    low, high = np.quantile(above, [0.005, 0.995])
    if high <= low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, BINS + 1)
    shares = []
    for side in (pred.truth == 1, pred.truth == 0):
        counts, _ = np.histogram(above[side].clip(low, high), edges)
        shares.append(counts / max(1, side.sum()))
    return Histogram(edges, *shares)


def by_fold(pred: Predictions) -> list[float]:
    """Return the accuracy of each fold, in their order."""
    folds, right = facts(pred).folds, answers(pred) == (pred.truth == 1)
    return [float(right[folds == fold].mean()) for fold in np.unique(folds)]


@dataclass(frozen=True)
class HardPair:
    """A pair answered wrong. row: its place. margin: how far its score lies on the wrong side of its cut."""

    row: int
    photos: tuple[str, str]
    people: tuple[str, str]
    score: float
    cut: float
    margin: float

    @property
    def same(self) -> bool:
        """Whether one person is on both photos."""
        return self.people[0] == self.people[1]


def hardest(pred: Predictions, count: int) -> list[HardPair]:
    """Return the pairs answered wrong whose scores lie farthest from their cuts, the farthest first.

    Half of them are of one person and half of two, as far as there are so many.
    """
    pairs, groups = facts(pred), pred.groups or ()
    scores = pred.scores[:, 0].astype(np.float64)
    margin = np.abs(scores - pairs.cuts)
    wrong = answers(pred) != (pred.truth == 1)
    order = np.lexsort((np.arange(len(margin)), -margin))
    sides = [[row for row in order.tolist() if wrong[row] and pred.truth[row] == truth] for truth in (1, 0)]
    least = count // 2
    counts = [max(least, count - len(other)) for other in reversed(sides)]
    chosen = {row for side, most in zip(sides, counts, strict=True) for row in side[:most]}
    return [
        HardPair(
            row,
            pairs.photos[row],
            (groups[row], pairs.partners[row]),
            float(scores[row]),
            float(pairs.cuts[row]),
            float(margin[row]),
        )
        for row in order.tolist()
        if row in chosen
    ][:count]
