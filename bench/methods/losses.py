"""Loss families as NumPy functions, and the loss steps that pick a family and its numbers.

A family takes logits (n, k), the classes (n,) and named numbers, and gives the loss of every row, (n,),
and its slope with regard to that row's logits, (n, k): the one formula serves heads, which are trained
without TensorFlow, and whole nets, whose gradients start from the slope. The offset of a LossSpec is
already in the logits. Averaging belongs to the trainer: sum(w * loss) / sum(w), where w is the weight of
the row. The logits lie row by row in memory (C order), and a family may overwrite them.

Counts given to the loss steps are those the loss sees, after resampling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bench.methods.doubt import (
    elr_loss,
    gce_loss,
    hard_bootstrap_loss,
    sce_loss,
    soft_bootstrap_loss,
    true_places,
)
from bench.methods.registry import LossSpec
from bench.methods.weights import log_prior, margins

Family = Callable[[np.ndarray, np.ndarray, Mapping[str, float]], tuple[np.ndarray, np.ndarray]]
Remembering = Callable[
    [np.ndarray, np.ndarray, Mapping[str, float], np.ndarray], tuple[np.ndarray, np.ndarray]
]

_FAR = -1e9
"""Stands for minus infinity where a real one would give 0 * inf."""


def softmax_loss(
    logits: np.ndarray, truth: np.ndarray, params: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Cross entropy against (1 - smoothing) * onehot + smoothing / k (Szegedy et al. 2016)."""
    smoothing = params.get("smoothing", 0.0)
    k, places = logits.shape[1], true_places(logits, truth)
    logits -= logits.max(axis=1, keepdims=True)
    target = logits.ravel()[places]
    if smoothing:
        target = (1.0 - smoothing) * target + smoothing * logits.mean(axis=1)
    slope = np.exp(logits, out=logits)
    total = slope.sum(axis=1)
    slope /= total[:, None]
    slope.ravel()[places] -= 1.0 - smoothing
    if smoothing:
        slope -= smoothing / k
    return np.log(total) - target, slope


def focal_loss(
    logits: np.ndarray, truth: np.ndarray, params: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Focal loss of the true class's softmax probability p: -alpha (1 - p)^gamma log p (Lin et al. 2017).

    log(1 - p) is taken from the other classes' logits, so that neither the loss nor its slope
    overflows for p near 1 and gamma below 1.
    """
    gamma, alpha = params.get("gamma", 2.0), params.get("alpha", 1.0)
    places = true_places(logits, truth)
    logits -= logits.max(axis=1, keepdims=True)
    true = logits.ravel()[places]
    logits.ravel()[places] = _FAR
    top = logits.max(axis=1, keepdims=True)
    others = np.exp(logits - top)
    rest = others.sum(axis=1, keepdims=True)
    others /= rest
    # Logarithms of 1 - p and p, less the log of what both are divided by.
    log_rest, total = (np.log(rest) + top)[:, 0], np.empty_like(true)
    np.logaddexp(log_rest, true, out=total)
    log_rest, log_p = log_rest - total, true - total
    focus = alpha * np.exp(gamma * log_rest)
    # With p_j of class j and q_j its share among the others, the slope of log(1 - p) is q_j - p_j and
    # that of log p is onehot_j - p_j.
    p = others * np.exp(log_rest)[:, None]
    p.ravel()[places] = np.exp(log_p)
    others.ravel()[places] = 0.0
    slope = (gamma * log_p)[:, None] * (others - p) - p
    slope.ravel()[places] += 1.0
    slope *= -focus[:, None]
    return -focus * log_p, slope


def sigmoid_loss(
    logits: np.ndarray, truth: np.ndarray, params: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Binary cross entropy of every class against the rest, summed over classes.

    Cui et al. 2019 divide the sum over a batch by its number of positives: one per image here, so
    the batch mean of this sum is theirs.
    """
    against, places = _against(logits, truth)
    slope, surprise = _logistic(against)
    slope.ravel()[places] *= -1.0
    return surprise.sum(axis=1), slope


def sigmoid_focal_loss(
    logits: np.ndarray, truth: np.ndarray, params: Mapping[str, float]
) -> tuple[np.ndarray, np.ndarray]:
    """Focal loss of every class against the rest, summed over classes: -(1 - p_t)^gamma log p_t.

    p_t is sigmoid(logit) for the true class and 1 - sigmoid(logit) for the others (Lin et al. 2017;
    Cui et al. 2019, whose alpha is the class weight). For the division by positives see sigmoid_loss.
    """
    gamma = params.get("gamma", 2.0)
    against, places = _against(logits, truth)
    wrong, surprise = _logistic(against)
    focus = np.exp(gamma * (against - surprise))
    slope = focus * (gamma * (1.0 - wrong) * surprise + wrong)
    slope.ravel()[places] *= -1.0
    return (focus * surprise).sum(axis=1), slope


def _against(logits: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the logit of the wrong answer for every class, and where each row's own class stands."""
    places = true_places(logits, truth)
    logits.ravel()[places] *= -1.0
    return logits, places


def _logistic(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sigmoid(logits) and its integral log(1 + exp(logits)), without overflow."""
    powers = np.exp(-np.abs(logits))
    share = np.where(logits < 0, powers, 1.0) / (1.0 + powers)
    return share, np.maximum(logits, 0.0) + np.log1p(powers)


FAMILIES: dict[str, Family] = {
    "softmax": softmax_loss,
    "focal": focal_loss,
    "sigmoid": sigmoid_loss,
    "sigmoid_focal": sigmoid_focal_loss,
    "gce": gce_loss,
    "sce": sce_loss,
    "soft_bootstrap": soft_bootstrap_loss,
    "hard_bootstrap": hard_bootstrap_loss,
    "elr": softmax_loss,
    "co_teaching": softmax_loss,
}

REMEMBERING: dict[str, Remembering] = {"elr": elr_loss}
"""Families that keep an array (n, k) of what they made of a training row before, zeros at first, and update
it in place; on rows that are not trained on they are what FAMILIES says."""

PAIRED = frozenset({"co_teaching"})
"""Families of two heads, each of which learns from rows that the other one picks (`bench.models.pairs`); of a
row that was picked, and on rows that are not trained on, the loss is what FAMILIES says."""

PARAMETERS: dict[str, tuple[str, ...]] = {
    "softmax": ("smoothing",),
    "focal": ("gamma", "alpha"),
    "sigmoid": (),
    "sigmoid_focal": ("gamma",),
    "gce": ("q",),
    "sce": ("alpha", "beta", "log_zero"),
    "soft_bootstrap": ("beta",),
    "hard_bootstrap": ("beta",),
    "elr": ("beta", "lam"),
    "co_teaching": ("forget", "gradual"),
}
"""The names of the numbers that each family knows."""


def focal(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
    """Focal loss on softmax probabilities (Lin et al. 2017), averaged like every other loss here."""
    return LossSpec(family="focal", params={"gamma": args["gamma"], "alpha": args["alpha"]})


def class_balanced(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
    """The loss under the class-balanced weights of Cui et al. 2019 (`weights.class_balanced`).

    The one-vs-rest forms start with every class's bias at -log(k - 1), a prior of 1 / k, as in the
    paper's code; their scores are sigmoids.
    """
    if args["loss"] == "softmax":
        return LossSpec()
    bias = -math.log(len(counts) - 1) if len(counts) > 1 else 0.0
    if args["loss"] == "sigmoid":
        return LossSpec(family="sigmoid", link="sigmoid", bias=bias)
    return LossSpec(family="sigmoid_focal", params={"gamma": args["gamma"]}, link="sigmoid", bias=bias)


def balanced_softmax(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
    """Softmax weighted by class counts while training (Ren et al. 2020): logits + log count.

    Shares stand for counts: the constant between them leaves a softmax as it is.
    """
    return LossSpec(offset=log_prior(counts).astype(np.float32))


def logit_adjust(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
    """Cross entropy of logits + tau * log prior (Menon et al. 2021, eq. 10); scores have no offset."""
    return LossSpec(offset=(args["tau"] * log_prior(counts)).astype(np.float32))


def ldam(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
    """Cross entropy of scale * cosines, the own class's cosine less a margin of its class (Cao et al. 2019).

    The margins are label-distribution-aware, see `weights.margins`; validation rows have none. With `drw` the
    weights of the classes count in the share `late` of the epochs alone, the last ones.
    """
    scale = float(args["scale"])
    lowered = (scale * margins(counts, float(args["margin"]))).astype(np.float32)
    return LossSpec(scale=scale, margins=lowered, late=float(args["late"]) if args["drw"] else 1.0)


def label_smoothing(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
    """Cross entropy against labels with the share epsilon spread over all classes (Szegedy et al. 2016)."""
    return LossSpec(params={"smoothing": args["epsilon"]})
