"""Parts of the analysis of a cell's answers that kinds share: reliability bins, misclassified items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.metrics import intervals
from bench.metrics import scores as on_scores
from bench.report.plots import Bin

POINTS = 400
"""Most points of a plotted curve."""


def reliability_bins(confidence: np.ndarray, right: np.ndarray) -> list[Bin]:
    """Return the bins that have items. confidence: (n,) probabilities. right: (n,) bool, what came true."""
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


@dataclass(frozen=True)
class Hard:
    """A misclassified item. score: of its true class. answer_score: of the predicted class."""

    item: str
    truth: str
    answer: str
    score: float
    answer_score: float
