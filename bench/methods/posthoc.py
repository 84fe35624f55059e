"""Changes of a trained head: logit adjustment, tau-normalisation, temperature and thresholds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from bench.core.errors import BenchError
from bench.training.linear_head import LinearHead, link
from bench.training.losses.specs import log_prior

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


COLDEST, WARMEST = 0.01, 100.0
"""Temperatures that are searched."""


def temperature(
    args: Mapping[str, Any], head: LinearHead, features: np.ndarray, y: np.ndarray, counts: np.ndarray
) -> tuple[LinearHead, Choices]:
    """Divide all logits by one number, the one with the lowest log loss (Guo et al. 2017, section 4.2).

    No answer changes its rank, only its probability. features, y: of the calibration part; y: (n,) classes,
    or (n, k) of 1, 0 and NaN for unknown cells, which are ignored. Where all of it is answered right, the log
    loss falls towards t = 0 without a minimum, and t is 1. Raises BenchError for t = auto without known
    labels there.
    """
    value, choices = args["t"], {}
    if value == "auto":
        logits = head.logits(features).astype(np.float64)
        if y.ndim > 1:
            known = ~np.isnan(y)
            # A yes costs log(1 + exp(-logit)), a no log(1 + exp(logit)).
            logits = np.where(y[known] == 1, -logits[known], logits[known])[:, None]
        if not len(logits):
            raise BenchError(
                "temperature is fitted on a calibration part, which has no labels here; raise share, or give "
                "t a number"
            )

        def log_loss(log_t: float) -> float:
            scaled = logits / np.exp(log_t)
            if y.ndim > 1:
                return float(np.logaddexp(0.0, scaled).mean())
            return float((logsumexp(scaled, axis=1) - scaled[np.arange(len(y)), y]).mean())

        right = logits < 0 if y.ndim > 1 else logits.argmax(axis=1) == y
        log_t = 0.0
        if not right.all():
            log_t = float(minimize_scalar(log_loss, bounds=np.log((COLDEST, WARMEST)), method="bounded").x)
        value = float(np.exp(log_t))
        choices = {"t": value, "log_loss": log_loss(log_t), "log_loss_before": log_loss(0.0)}
    kernel, bias = ((part / np.float32(value)).astype(np.float32) for part in (head.kernel, head.bias))
    return replace(head, kernel=kernel, bias=bias), choices


def threshold(
    args: Mapping[str, Any], head: LinearHead, features: np.ndarray, y: np.ndarray, counts: np.ndarray
) -> tuple[LinearHead, Choices]:
    """Choose each attribute's threshold: where F1, the G-mean or Youden's J is highest.

    y: (n, k) of 1, 0 and NaN, unknown cells are ignored. The thresholds tried lie between neighbouring
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
    """Return the threshold with the highest score. shares: (n,) probabilities; yes: (n,) bool."""
    if yes.all() or not yes.any():
        return 0.5
    levels = np.unique(shares)
    # Below the lowest everything is a yes, above the highest nothing is.
    ends = [levels[0] / 2, (levels[-1] + 1.0) / 2]
    cuts = np.concatenate([(levels[1:] + levels[:-1]) / 2, ends, [0.5]])
    above, hits = np.sort(shares), np.sort(shares[yes])
    positive = len(above) - np.searchsorted(above, cuts)
    true = len(hits) - np.searchsorted(hits, cuts)
    found = true / len(hits)
    spared = 1.0 - (positive - true) / (len(above) - len(hits))
    score = {
        "f1": 2 * true / (positive + len(hits)),
        "gmean": np.sqrt(found * spared),
        "youden": found + spared - 1.0,
    }[by]
    best = np.flatnonzero(score >= score.max() - 1e-12)
    return float(cuts[best[np.argmin(np.abs(cuts[best] - 0.5))]])


def _strength(
    asked: float | str,
    max_tau: float,
    y: np.ndarray,
    logits: np.ndarray,
    adjusted: Callable[[np.ndarray, float], np.ndarray],
) -> tuple[float, Choices]:
    """Return the given tau, or for `auto` the one of 0, 0.1, ... `max_tau` with the best macro top-1.

    Macro top-1 is the mean accuracy over the classes that validation has. Equal scores go to the
    smaller tau, the smaller change.
    """
    if asked != "auto":
        return float(asked), {}
    if len(y) == 0:
        raise BenchError("tau=auto is chosen on validation, which has no images; give tau a number")
    present, position, support = np.unique(y, return_inverse=True, return_counts=True)
    best_tau, best_score = 0.0, -1.0
    for tau in np.arange(round(max_tau * 10) + 1) / 10:
        hits = adjusted(logits, float(tau)).argmax(axis=1) == y
        score = float(np.mean(np.bincount(position, weights=hits, minlength=len(present)) / support))
        if score > best_score + 1e-12:
            best_tau, best_score = float(tau), score
    return best_tau, {"tau": best_tau, "val_top1_macro": best_score}
