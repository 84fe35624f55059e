"""Analysis of one cell's answers for a report: confusions, calibration, curves, hardest items."""

from __future__ import annotations

import numpy as np

from bench.core.predictions import Predictions
from bench.core.table import Column, Table
from bench.metrics import scores as on_scores
from bench.metrics.confusion import confusion
from bench.report.findings import Hard, decision_curves, reliability_bins
from bench.report.plots import Bin, Line


def confusion_shares(pred: Predictions) -> np.ndarray:
    """Return (k, k) shares of each true class's items by answer, NaN for a class without items."""
    counts = confusion(pred)
    total = counts.sum(axis=1, keepdims=True)
    shares: np.ndarray = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    return shares


def confusion_table(pred: Predictions, rows: int = 25) -> Table:
    """Return the most frequent wrong answers, by falling number of items."""
    counts = confusion(pred)
    total = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    places = np.argsort(-counts, axis=None, kind="stable")[:rows]
    pairs = [(int(true), int(answer)) for true, answer in zip(*np.divmod(places, len(total)), strict=True)]
    body = [
        {
            "true": pred.classes[true],
            "answered": pred.classes[answer],
            "items": int(counts[true, answer]),
            "share": float(counts[true, answer] / total[true]),
        }
        for true, answer in pairs
        if counts[true, answer]
    ]
    columns = [
        Column("true", "true class"),
        Column("answered", "answered"),
        Column("items", "items", "int"),
        Column("share", "share of the true class", "ratio"),
    ]
    return Table("Most frequent confusions", columns, body)


def calibration(pred: Predictions) -> list[Bin]:
    """Return the non-empty bins of the calibration error; none if scores are not probabilities."""
    if not on_scores.are_probabilities(pred.scores):
        return []
    confidence = pred.scores.max(axis=1).astype(np.float64)
    return reliability_bins(confidence, pred.scores.argmax(axis=1) == pred.truth)


def pooled_curves(name: str, pred: Predictions) -> tuple[Line, Line]:
    """Return the micro-averaged ROC and precision-recall curves over all item-class pairs."""
    positive = np.arange(pred.scores.shape[1]) == pred.truth[:, None]
    return decision_curves(name, pred.scores.ravel(), positive.ravel(), dense_start=True)


def hardest(pred: Predictions, count: int) -> list[Hard]:
    """Return the misclassified items with the lowest scores of their true class, lowest first."""
    rows = np.arange(len(pred.items))
    own, answers = pred.scores[rows, pred.truth], pred.scores.argmax(axis=1)
    order = np.lexsort((rows, own))
    return [
        Hard(
            item=pred.items[row],
            truth=pred.classes[pred.truth[row]],
            answer=pred.classes[answers[row]],
            score=float(own[row]),
            answer_score=float(pred.scores[row, answers[row]]),
        )
        for row in order[answers[order] != pred.truth[order]][:count]
    ]
