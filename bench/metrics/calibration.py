"""Log loss and calibration error of binary labels."""

from __future__ import annotations

import numpy as np

from bench.metrics.scores import ECE_BINS


def log_loss(scores: np.ndarray, yes: np.ndarray) -> float | None:
    """Return the mean of -log(score of the true answer) in nats, or None if scores are not probabilities.

    scores: (m,) of yes. yes: (m,) bool. Scores are clipped at the eps of their float type, as in
    scikit-learn, so that one score of 0 does not make the mean infinite.
    """
    if not _are_probabilities(scores):
        return None
    return float(losses(scores, yes).mean())


def losses(scores: np.ndarray, yes: np.ndarray) -> np.ndarray:
    """Return -log of the score of the true answer, (m,) float64, the terms of `log_loss`."""
    of_yes = scores.astype(np.float64)
    own = np.where(yes, of_yes, 1.0 - of_yes).clip(np.finfo(scores.dtype).eps, 1.0)
    out: np.ndarray = -np.log(own)
    return out


def ece(scores: np.ndarray, yes: np.ndarray) -> float | None:
    """Return the expected calibration error of scores of yes, or None if they are not probabilities.

    15 bins of equal width, [0, 1/15], (1/15, 2/15], ... by score; the mean over bins, weighted by their size,
    of |share of yes - mean score| (Naeini et al. 2015).
    """
    if not _are_probabilities(scores):
        return None
    of_yes = scores.astype(np.float64)
    bins = np.clip(np.ceil(of_yes * ECE_BINS).astype(np.int64) - 1, 0, ECE_BINS - 1)
    return float(np.abs(np.bincount(bins, yes - of_yes, minlength=ECE_BINS)).sum() / len(scores))


def _are_probabilities(scores: np.ndarray) -> bool:
    return bool(scores.size and scores.min() >= 0 and scores.max() <= 1)
