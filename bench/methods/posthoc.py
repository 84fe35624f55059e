"""What is done to a trained head: logit adjustment and tau-normalisation, fitted on validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bench.errors import BenchError
from bench.methods.links import link
from bench.methods.registry import LinearHead
from bench.methods.weights import log_prior

Choices = dict[str, Any]


def logit_adjust(
    args: Mapping[str, Any], head: LinearHead, features: np.ndarray, y: np.ndarray, counts: np.ndarray
) -> tuple[LinearHead, Choices]:
    """Subtract tau * log prior from the logits, through the bias (Menon et al. 2021, eq. 9).

    tau = auto takes the best of 0, 0.1, ... 2. Raises BenchError for auto without validation rows.
    """
    prior = log_prior(counts)
    tau, choices = _strength(args["tau"], 2.0, y, head.logits(features), lambda logits, t: logits - t * prior)
    return LinearHead(head.kernel, (head.bias - tau * prior).astype(np.float32)), choices


def tau_norm(
    args: Mapping[str, Any], head: LinearHead, features: np.ndarray, y: np.ndarray, counts: np.ndarray
) -> tuple[LinearHead, Choices]:
    """Divide each class's kernel w by |w|^tau and drop the bias (Kang et al. 2020, eq. 6).

    The bias goes because it carries the class sizes that the method removes; the paper's code drops it
    too, at tau = 0 as well. A class whose kernel is zero keeps it. tau = auto takes the best of 0, 0.1,
    ... 1, the paper's range. Raises BenchError for auto without validation rows.
    """
    norms = np.linalg.norm(head.kernel.astype(np.float64), axis=0)
    norms = np.where(norms > 0, norms, 1.0)
    tau, choices = _strength(args["tau"], 1.0, y, features @ head.kernel, lambda logits, t: logits / norms**t)
    return LinearHead((head.kernel / norms**tau).astype(np.float32), np.zeros_like(head.bias)), choices


def threshold(
    args: Mapping[str, Any], head: LinearHead, features: np.ndarray, y: np.ndarray, counts: np.ndarray
) -> tuple[LinearHead, Choices]:
    """Say from which probability each attribute is a yes: where F1, the G-mean or Youden's J is highest.

    y: (n, k) of 1, 0 and NaN, unknown cells are not looked at. The cuts tried lie between neighbouring
    probabilities, below the lowest and above the highest; of equally good ones the nearest to one half is
    taken, and an attribute without a known yes and a known no on validation keeps one half. Raises BenchError
    without validation rows.
    """
    if "cuts" in args:
        return replace(head, cuts=np.array(args["cuts"], np.float32)), {}
    if len(y) == 0:
        raise BenchError("threshold is chosen on validation, which has no images; raise val_fraction")
    shares = link("sigmoid", head.logits(features)).astype(np.float64)
    cuts = np.full(y.shape[1], 0.5, np.float32)
    for column in range(y.shape[1]):
        known = ~np.isnan(y[:, column])
        cuts[column] = _best_cut(args["by"], shares[known, column], y[known, column] == 1)
    return replace(head, cuts=cuts), {"cuts": [float(cut) for cut in cuts]}


def _best_cut(by: str, shares: np.ndarray, yes: np.ndarray) -> float:
    """Return the cut with the highest score. shares: (n,) probabilities; yes: (n,) bool."""
    if yes.all() or not yes.any():
        return 0.5
    levels = np.unique(shares)
    # Below the lowest everything is a yes, above the highest nothing is.
    ends = [levels[0] / 2, (levels[-1] + 1.0) / 2]
    cuts = np.concatenate([(levels[1:] + levels[:-1]) / 2, ends, [0.5]])
    above, hits = np.sort(shares), np.sort(shares[yes])
    said = len(above) - np.searchsorted(above, cuts)
    true = len(hits) - np.searchsorted(hits, cuts)
    found = true / len(hits)
    spared = 1.0 - (said - true) / (len(above) - len(hits))
    score = {
        "f1": 2 * true / (said + len(hits)),
        "gmean": np.sqrt(found * spared),
        "youden": found + spared - 1.0,
    }[by]
    best = np.flatnonzero(score >= score.max() - 1e-12)
    return float(cuts[best[np.argmin(np.abs(cuts[best] - 0.5))]])


def _strength(
    asked: float | str,
    most: float,
    y: np.ndarray,
    logits: np.ndarray,
    adjusted: Callable[[np.ndarray, float], np.ndarray],
) -> tuple[float, Choices]:
    """Return tau: as asked, or for `auto` the one of 0, 0.1, ... `most` with the best macro top-1.

    Macro top-1 is the mean accuracy over the classes that validation has. Equal scores go to the
    smaller tau, the smaller change.
    """
    if asked != "auto":
        return float(asked), {}
    if len(y) == 0:
        raise BenchError("tau=auto is chosen on validation, which has no images; give tau a number")
    present, position, support = np.unique(y, return_inverse=True, return_counts=True)
    best_tau, best_score = 0.0, -1.0
    for tau in np.arange(round(most * 10) + 1) / 10:
        hits = adjusted(logits, float(tau)).argmax(axis=1) == y
        score = float(np.mean(np.bincount(position, weights=hits, minlength=len(present)) / support))
        if score > best_score + 1e-12:
            best_tau, best_score = float(tau), score
    return best_tau, {"tau": best_tau, "val_top1_macro": best_score}
