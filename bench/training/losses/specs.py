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
from bench.training.losses.priors import log_prior, margins


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

    For the label-distribution-aware margins see `priors.margins`; validation rows have none. With `drw` class
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
