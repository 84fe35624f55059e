"""The loss steps of methods: each picks a loss and its numbers, given a step's arguments and class counts.

Counts are those after resampling. `bench.training.losses.families` finds the losses by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bench.training.linear_head import LossSpec
from bench.training.losses.own import check_own_loss, family_of

EMPTY_CLASS = 0.5
"""Count of an empty class in a prior, so that its logarithm is finite."""


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

    Shares replace counts: a softmax ignores the constant factor between them.
    """
    return LossSpec(offset=log_prior(counts).astype(np.float32))


def logit_adjust(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
    """Cross entropy of logits + tau * log prior (Menon et al. 2021, eq. 10); scores have no offset."""
    return LossSpec(offset=(args["tau"] * log_prior(counts)).astype(np.float32))


def ldam(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
    """Cross entropy of scale * cosines, the own class's cosine less a margin of its class (Cao et al. 2019).

    For the label-distribution-aware margins see `margins`; validation rows have none. With `drw` class
    weights count only in the last epochs, the share `late` of all.
    """
    scale = float(args["scale"])
    lowered = (scale * margins(counts, float(args["margin"]))).astype(np.float32)
    return LossSpec(scale=scale, margins=lowered, late=float(args["late"]) if args["drw"] else 1.0)


def own(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
    """Return a user's loss, tried on a few rows. Raises BenchError where it does not work."""
    check_own_loss(args, len(counts))
    return LossSpec(family=family_of(args))


def label_smoothing(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
    """Cross entropy against labels with the share epsilon spread over all classes (Szegedy et al. 2016)."""
    return LossSpec(params={"smoothing": args["epsilon"]})


def margins(counts: np.ndarray, largest: float) -> np.ndarray:
    """Return the margin between each class and the others: (k,) counts -> (k,) float64.

    C / count^(1/4), with C so that the largest is `largest` (Cao et al. 2019, as in their program); 0 for an
    empty class, which has no training row.

    >>> margins(np.array([16, 1, 0]), 0.5).tolist()
    [0.25, 0.5, 0.0]
    """
    present = counts > 0
    roots = np.where(present, np.maximum(counts, 1).astype(np.float64) ** -0.25, 0.0)
    scaled: np.ndarray = roots * (largest / max(roots.max(initial=0.0), 1e-12))
    return scaled


def log_prior(counts: np.ndarray) -> np.ndarray:
    """Return the logarithm of each class's share, always finite: (k,) counts -> (k,) float64.

    An empty class counts as half an image; the counts of the others stay as they are.

    >>> np.exp(log_prior(np.array([6, 2]))).round(6).tolist()
    [0.75, 0.25]
    """
    images = np.where(counts > 0, counts, EMPTY_CLASS).astype(np.float64)
    shares: np.ndarray = np.log(images) - np.log(images.sum())
    return shares


def _of(family: str, *names: str, link: str = "softmax") -> Callable[..., LossSpec]:
    """Return the loss step of a family whose parameters are the step's arguments of these names."""

    def step(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
        return LossSpec(family.format(**args), {name: args[name] for name in names}, link=link)

    step.__doc__ = f"Loss of the family {family!r} of `bench.training.losses.families`."
    return step


focal = _of("focal", "gamma", "alpha")
gce = _of("gce", "q")
sce = _of("sce", "alpha", "beta", "log_zero")
bootstrap = _of("{mode}_bootstrap", "beta")
elr = _of("elr", "beta", "lam")
co_teaching = _of("co_teaching", "forget", "gradual")
asl = _of("asl", "gamma_pos", "gamma_neg", "clip", link="sigmoid")
large_loss = _of("large_loss_{form}", "rate", link="sigmoid")
splc = _of("splc", "tau", "change_epoch", "margin", "gamma", link="sigmoid")
