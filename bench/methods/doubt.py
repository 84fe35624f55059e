"""Losses that doubt labels: families for wrong ones among the training labels, and the steps that pick them.

What a family takes and gives is told in `bench.methods.losses`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.methods.registry import LossSpec

_SURE = 1e-4
"""Of 1, what is left at least between a prediction and the memory of earlier ones."""


def gce_loss(
    logits: np.ndarray, truth: np.ndarray, params: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """(1 - p^q) / q of the true class's softmax probability p (Zhang and Sabuncu 2018).

    q near 0 is cross entropy, q = 1 is 1 - p, half the mean absolute error.
    """
    q = params.get("q", 0.7)
    places = true_places(logits, truth)
    log_p = log_softmax(logits)
    scaled = q * log_p.ravel()[places]
    slope = np.exp(log_p, out=log_p)
    slope.ravel()[places] -= 1.0
    slope *= np.exp(scaled)[:, None]
    return -np.expm1(scaled) / q, slope


def sce_loss(
    logits: np.ndarray, truth: np.ndarray, params: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Cross entropy times alpha plus reverse cross entropy times beta (Wang et al. 2019).

    The reverse one is -sum over j of p_j log(onehot_j) with log 0 taken as `log_zero`, which leaves
    -log_zero * (1 - p) of the true class's probability p.
    """
    alpha, beta, zero = params.get("alpha", 0.1), params.get("beta", 1.0), params.get("log_zero", -4.0)
    places = true_places(logits, truth)
    log_p = log_softmax(logits)
    true = log_p.ravel()[places]
    slope = np.exp(log_p, out=log_p)
    slope.ravel()[places] -= 1.0
    slope *= (alpha - beta * zero * np.exp(true))[:, None]
    return beta * zero * np.expm1(true) - alpha * true, slope


def soft_bootstrap_loss(
    logits: np.ndarray, truth: np.ndarray, params: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Cross entropy against beta * onehot + (1 - beta) * p, p the prediction itself (Reed et al. 2015).

    That is beta * cross entropy + (1 - beta) * entropy of p. The slope goes through both p, so that it
    is the softmax regression with minimum entropy that the paper takes it for.
    """
    beta = params.get("beta", 0.95)
    places = true_places(logits, truth)
    log_p = log_softmax(logits)
    true = log_p.ravel()[places]
    p = np.exp(log_p)
    entropy = -(p * log_p).sum(axis=1)
    slope = p * (beta - (1.0 - beta) * (log_p + entropy[:, None]))
    slope.ravel()[places] -= beta
    return (1.0 - beta) * entropy - beta * true, slope


def hard_bootstrap_loss(
    logits: np.ndarray, truth: np.ndarray, params: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Cross entropy against beta * onehot + (1 - beta) * the predicted class (Reed et al. 2015).

    The prediction is taken as it is: no slope goes through the choice of the class.
    """
    beta = params.get("beta", 0.8)
    places, predicted = true_places(logits, truth), true_places(logits, logits.argmax(axis=1))
    log_p = log_softmax(logits)
    loss = -beta * log_p.ravel()[places] - (1.0 - beta) * log_p.ravel()[predicted]
    slope = np.exp(log_p, out=log_p)
    slope.ravel()[places] -= beta
    slope.ravel()[predicted] -= 1.0 - beta
    return loss, slope


def elr_loss(
    logits: np.ndarray, truth: np.ndarray, params: Mapping[str, float], past: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cross entropy + lam * log(1 - p . t), t the running mean of the row's own p (Liu et al. 2020).

    past: (n, k) float32, t of every row; it becomes beta * t + (1 - beta) * p first, through which no
    slope goes. Early in training p is right more often than the labels are, and the term holds it there.
    1 - p . t is kept from falling below 1e-4, as the paper's code does by its bounds on p.
    """
    beta, lam = params.get("beta", 0.7), params.get("lam", 3.0)
    places = true_places(logits, truth)
    log_p = log_softmax(logits)
    loss = -log_p.ravel()[places]
    p = np.exp(log_p, out=log_p)
    past *= beta
    past += (1.0 - beta) * p
    agreed = (p * past).sum(axis=1)
    gap = 1.0 - agreed
    loss += lam * np.log(np.maximum(gap, _SURE))
    pull = np.where(gap > _SURE, lam / np.maximum(gap, _SURE), 0.0)
    slope = p * (1.0 - pull[:, None] * (past - agreed[:, None]))
    slope.ravel()[places] -= 1.0
    return loss, slope


def true_places(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return where in the flat logits each row's own class stands."""
    places: np.ndarray = np.arange(0, logits.size, logits.shape[1]) + truth
    return places


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Turn logits into log probabilities, in place."""
    logits -= logits.max(axis=1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return logits


def gce(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
    """Generalised cross entropy, between cross entropy and absolute error (Zhang and Sabuncu 2018).

    The form without truncation: every row counts in every epoch.
    """
    return LossSpec(family="gce", params={"q": args["q"]})


def sce(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
    """Symmetric cross entropy: cross entropy and its reverse, which doubts labels (Wang et al. 2019)."""
    return LossSpec(family="sce", params={name: args[name] for name in ("alpha", "beta", "log_zero")})


def bootstrap(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
    """Labels mixed with what the model itself predicts, as probabilities or as a class (Reed et al. 2015)."""
    return LossSpec(family=f"{args['mode']}_bootstrap", params={"beta": args["beta"]})


def elr(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
    """Early-learning regularisation: hold on to early predictions, not to labels (Liu et al. 2020)."""
    return LossSpec(family="elr", params={"beta": args["beta"], "lam": args["lam"]})


def co_teaching(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
    """Two heads, each learning from the rows that are easy for the other (Han et al. 2018).

    Cross entropy, averaged once over the rows that were picked: the paper's code divides that mean by their
    number again. What is done in a minibatch is told in `bench.models.pairs`.
    """
    return LossSpec(family="co_teaching", params={"forget": args["forget"], "gradual": args["gradual"]})
