"""Validation scores of an epoch, which can pick the best one instead of the loss."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def top1(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the share of rows whose highest logit is their class. logits: (n, k); labels: (n,)."""
    return float(np.count_nonzero(logits.argmax(axis=1) == labels) / np.float64(len(labels)))


def f1(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over attributes of F1 at probability one half, of attributes with a known yes.

    logits: (n, k). labels: (n, k) of 1, 0 and NaN for unknown cells, which are not counted. 0 where no
    attribute has a yes.
    """
    yes, no, says = labels == 1, labels == 0, logits >= 0
    hits = (yes & says).sum(axis=0)
    wrong = (no & says).sum(axis=0) + (yes & ~says).sum(axis=0)
    own = yes.any(axis=0)
    return float((2 * hits[own] / (2 * hits[own] + wrong[own])).mean()) if own.any() else 0.0


def auc(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean over attributes of the ROC area, of attributes with a known yes and a known no.

    Arguments as in `f1`; one half where no attribute has both.
    """
    from bench.metrics.curves import areas

    truth = np.where(np.isnan(labels), -1, labels).astype(np.int32)
    found = areas(logits, truth, np.ones((1, len(truth)), np.float32))[0][0]
    defined = found[~np.isnan(found)]
    return float(defined.mean()) if len(defined) else 0.5


SCORES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {"top1": top1, "f1": f1, "auc": auc}
"""Scores by the names that `Fit.stop_by` gives them; higher is better."""


def score_name(stop_by: str, attributes: bool) -> str:
    """Return the score of a fit's history: the one it stops by, or the cheapest of its kind."""
    return stop_by if stop_by in SCORES else "f1" if attributes else "top1"
