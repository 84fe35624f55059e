"""Metrics of class scores: rank of the true class, ROC areas, log loss, calibration."""

from __future__ import annotations

import numpy as np

from bench.core.predictions import Predictions

ECE_BINS = 15


def check(pred: Predictions) -> None:
    """Raise ValueError if array shapes disagree or a score is NaN."""
    n, k = len(pred.items), len(pred.classes)
    if pred.scores.shape != (n, k) or pred.truth.shape != (n,) or pred.train_support.shape != (k,):
        raise ValueError(
            f"{n} items and {k} classes, but scores are {pred.scores.shape}, truth is {pred.truth.shape} "
            f"and train_support is {pred.train_support.shape}"
        )
    if n and (pred.truth.min() < 0 or pred.truth.max() >= k):
        raise ValueError(f"truth holds {pred.truth.min()}..{pred.truth.max()}, but there are {k} classes")
    missing = np.isnan(pred.scores)
    if missing.any():
        item, cls = np.argwhere(missing)[0]
        raise ValueError(f"the score of item {pred.items[item]!r} for class {pred.classes[cls]!r} is NaN")


def ranks(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the rank of the true class from 0, (n,) int64; 0 is a top-1 hit.

    Ties are ranked by index, so that rank 0 is exactly `scores.argmax(axis=1) == truth`.

    >>> ranks(np.array([[0.5, 0.5], [0.5, 0.5]]), np.array([0, 1]))
    array([0, 1])
    """
    own = scores[np.arange(len(truth)), truth][:, None]
    higher = np.count_nonzero(scores > own, axis=1)
    tied_before = (scores == own) & (np.arange(scores.shape[1]) < truth[:, None])
    rank: np.ndarray = higher + np.count_nonzero(tied_before, axis=1)
    return rank


def auc(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return each class's one-vs-rest ROC area, (k,) float64; NaN where all or no items are positive.

    The Mann-Whitney form (Hanley and McNeil 1982): the share of positive-negative pairs in which the positive
    scores higher, ties counting half.

    >>> auc(np.array([[0.9, 0.1], [0.4, 0.6], [0.4, 0.6]]), np.array([0, 0, 1]))
    array([0.75, 0.75])
    """
    n, k = scores.shape
    support = np.bincount(truth, minlength=k)
    defined = np.flatnonzero((support > 0) & (support < n))
    order = np.argsort(truth, kind="stable")
    own, ends = scores[order, truth[order]], np.cumsum(support)
    columns = np.sort(scores.T, axis=1)
    lower = np.zeros(k, np.int64)
    for c in defined.tolist():
        mine = own[ends[c] - support[c] : ends[c]]
        lower[c] = columns[c].searchsorted(mine, "left").sum() + columns[c].searchsorted(mine, "right").sum()
    area, m = np.full(k, np.nan), support[defined]
    # Counts include positives: each pair of them, and each with itself, added a half.
    area[defined] = (lower[defined] / 2 - m * m / 2) / (m * (n - m))
    return area


def are_probabilities(scores: np.ndarray) -> bool:
    """Whether every row is a distribution: no score below 0 and a sum of 1 within a thousandth."""
    if not scores.size or not np.isfinite(scores).all() or scores.min() < 0:
        return False
    return bool(np.all(np.abs(scores.sum(axis=1, dtype=np.float64) - 1) <= 1e-3))


def log_loss(scores: np.ndarray, truth: np.ndarray) -> float | None:
    """Return the mean of -log(score of the true class) in nats, or None if scores are not probabilities.

    Scores are clipped at the eps of their float type, as in scikit-learn, so that one score of 0 does not
    make the mean infinite.
    """
    if not are_probabilities(scores):
        return None
    eps = np.finfo(scores.dtype).eps
    own = scores[np.arange(len(truth)), truth].clip(eps, 1)
    return float(-np.log(own.astype(np.float64)).mean())


def ece(scores: np.ndarray, truth: np.ndarray) -> float | None:
    """Return the expected calibration error (Guo et al. 2017), or None if scores are not probabilities.

    15 bins of equal width, (0, 1/15], (1/15, 2/15], ... by highest score; the mean over bins, weighted by
    their size, of |accuracy - mean highest score|.
    """
    if not are_probabilities(scores):
        return None
    confidence = scores.max(axis=1).astype(np.float64)
    bins = np.clip(np.ceil(confidence * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)
    gap = (scores.argmax(axis=1) == truth) - confidence
    return float(np.abs(np.bincount(bins, gap, minlength=ECE_BINS)).sum() / len(truth))


def hits(pred: Predictions) -> tuple[np.ndarray, np.ndarray | None]:
    """Return whether each item is a top-1 hit and a top-5 hit, (n,) bool each; top-5 is None for k <= 5.

    Raises ValueError if a score is NaN.
    """
    check(pred)
    rank = ranks(pred.scores, pred.truth)
    return rank < 1, rank < 5 if len(pred.classes) > 5 else None
