"""Loss families of many attributes per item as NumPy functions, and the loss steps that pick one.

A family takes logits (n, k), targets (n, k), named numbers and the epoch, and gives three (n, k) arrays, cell
by cell: the loss, its slope with regard to the logit, and the share with which the cell counts in the mean.
The mean is the trainer's: sum(share * w * loss) / sum(share * w). A target is 1 for yes, 0 for no, between
them a mixture, whose loss is the mixture of both losses, and NaN where nothing was observed. Epochs count
from 1; 0 stands for rows that are not trained on. Where the share is 0, so are loss and slope.

Unknown cells are left out (`bce`, `focal`, `asl`), or taken as no and doubted as training goes on: by `splc`
and the `large_loss_*` families, which in epoch 0 are `bce`. No family changes the label of an observed cell.

Logits and the array of a family that remembers lie row by row in memory (C order); logits may be overwritten.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bench.methods.cell_math import (
    clipped,
    entropy,
    focused,
    highest,
    how_many,
    masked,
    mixed,
    observed,
)
from bench.methods.registry import LossSpec

Measured = tuple[np.ndarray, np.ndarray, np.ndarray]
CellFamily = Callable[[np.ndarray, np.ndarray, Mapping[str, float], int], Measured]
CellRemembering = Callable[[np.ndarray, np.ndarray, Mapping[str, float], int, np.ndarray], Measured]


def bce_loss(logits: np.ndarray, targets: np.ndarray, params: Mapping[str, float], epoch: int) -> Measured:
    """Binary cross entropy of the observed cells."""
    known, share = observed(targets)
    return masked(*entropy(logits, known), share)


def focal_loss(logits: np.ndarray, targets: np.ndarray, params: Mapping[str, float], epoch: int) -> Measured:
    """Focal loss of the observed cells: -alpha (1 - p)^gamma log p, p of the true answer (Lin et al. 2017).

    alpha is a factor of every cell alike, as everywhere here: what a yes weighs against a no is the weights'.
    """
    gamma, alpha = params.get("gamma", 2.0), params.get("alpha", 1.0)
    known, share = observed(targets)

    def side(against: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return focused(against, gamma)

    loss, slope = mixed(logits, known, side, side)
    if alpha != 1.0:
        loss *= alpha
        slope *= alpha
    return masked(loss, slope, share)


def asl_loss(logits: np.ndarray, targets: np.ndarray, params: Mapping[str, float], epoch: int) -> Measured:
    """Asymmetric loss of the observed cells (Ridnik et al. 2021), p the probability of yes.

    A yes costs -(1 - p)^gamma_pos log p, a no -s^gamma_neg log(1 - s) with s = max(p - clip, 0), so that a no
    with p of at most `clip` costs nothing. The paper's code sums over cells where ours are averaged: its
    learning rates do not carry over. By default that code also lets no gradient through the powers; here the
    slope is that of the whole formula, as in the paper.
    """
    gamma_pos, gamma_neg = params.get("gamma_pos", 0.0), params.get("gamma_neg", 4.0)
    clip = params.get("clip", 0.05)
    known, share = observed(targets)

    def no(logit: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return clipped(logit, gamma_neg, clip) if clip else focused(logit, gamma_neg)

    def yes(against: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return focused(against, gamma_pos)

    return masked(*mixed(logits, known, no, yes), share)


def large_loss_reject(
    logits: np.ndarray, targets: np.ndarray, params: Mapping[str, float], epoch: int
) -> Measured:
    """Unknown cells as no, those with the largest losses left at a loss of 0 (Kim et al. 2022, LL-R).

    In epoch t these are the share rate * (t - 1) of the batch's unknown cells, rounded up; the paper's code
    takes that share of all cells. They still count in the average, which is over all cells there too.
    """
    if not epoch:
        return bce_loss(logits, targets, params, epoch)
    answers, chosen = _doubted(logits, targets, params, epoch)
    loss, slope = entropy(logits, answers)
    loss.ravel()[chosen] = slope.ravel()[chosen] = 0.0
    return loss, slope, np.ones(targets.shape, np.float32)


def large_loss_correct(
    logits: np.ndarray, targets: np.ndarray, params: Mapping[str, float], epoch: int
) -> Measured:
    """Unknown cells as no, those with the largest losses as yes in this batch (Kim et al. 2022, LL-Ct).

    Which these are is told at `large_loss_reject`.
    """
    if not epoch:
        return bce_loss(logits, targets, params, epoch)
    answers, chosen = _doubted(logits, targets, params, epoch)
    answers.ravel()[chosen] = 1.0
    return *entropy(logits, answers), np.ones(targets.shape, np.float32)


def large_loss_permanent(
    logits: np.ndarray, targets: np.ndarray, params: Mapping[str, float], epoch: int, past: np.ndarray
) -> Measured:
    """Unknown cells as no, those with the largest losses as yes from now on (Kim et al. 2022, LL-Cp).

    past: (n, k) float32, 1 where a cell has become a yes; it is updated. From the second epoch on, each batch
    turns the share `rate` of its unknown cells, rounded up, among those that are not yes yet.
    """
    if not epoch:
        return bce_loss(logits, targets, params, epoch)
    unknown = np.isnan(targets)
    answers = np.fmax(targets, past)
    if epoch > 1:
        wanted = how_many(params.get("rate", 0.002), int(np.count_nonzero(unknown)))
        chosen = highest(logits, (unknown & (past == 0.0)).ravel().nonzero()[0], wanted)
        past.ravel()[chosen] = 1.0
        answers.ravel()[chosen] = 1.0
    return *entropy(logits, answers), np.ones(targets.shape, np.float32)


def splc_loss(logits: np.ndarray, targets: np.ndarray, params: Mapping[str, float], epoch: int) -> Measured:
    """Self-paced loss correction with the focal margin loss (Zhang et al. 2021), as in the paper's code.

    Unknown cells are taken as no; from epoch `change_epoch` on (counted from 1, the code counts from 0) those
    with a probability of yes above tau as yes. Every cell has the focal factor with `gamma`, and the logit of
    an observed yes is lowered by `margin`; gamma = margin = 0 is cross entropy.
    """
    if not epoch:
        return bce_loss(logits, targets, params, epoch)
    gamma, margin, tau = params.get("gamma", 2.0), params.get("margin", 1.0), params.get("tau", 0.6)
    answers, share = observed(targets)
    if epoch >= params.get("change_epoch", 2):
        sure = logits > math.log(tau / (1.0 - tau))
        np.copyto(answers, 1.0, where=sure & (share == 0.0))
    lowered = share * margin if margin else None

    def side(against: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return focused(against, gamma)

    return *mixed(logits, answers, side, side, lowered), np.ones(targets.shape, np.float32)


CELL_FAMILIES: dict[str, CellFamily] = {
    "bce": bce_loss,
    "focal": focal_loss,
    "asl": asl_loss,
    "large_loss_reject": large_loss_reject,
    "large_loss_correct": large_loss_correct,
    "large_loss_permanent": bce_loss,
    "splc": splc_loss,
}

CELL_REMEMBERING: dict[str, CellRemembering] = {"large_loss_permanent": large_loss_permanent}
"""Families that keep an array (n, k) float32 of what they made of a training row before, zeros at first, and
update it in place; on rows that are not trained on they are what CELL_FAMILIES says."""

CELL_PARAMETERS: dict[str, tuple[str, ...]] = {
    "bce": (),
    "focal": ("gamma", "alpha"),
    "asl": ("gamma_pos", "gamma_neg", "clip"),
    "large_loss_reject": ("rate",),
    "large_loss_correct": ("rate",),
    "large_loss_permanent": ("rate",),
    "splc": ("tau", "change_epoch", "margin", "gamma"),
}
"""The names of the numbers that each family knows."""


def _doubted(
    logits: np.ndarray, targets: np.ndarray, params: Mapping[str, float], epoch: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the targets with 0 for unknown, and where the unknown cells with the largest losses stand."""
    unknown = np.isnan(targets).ravel().nonzero()[0]
    wanted = how_many(params.get("rate", 0.002) * (epoch - 1), len(unknown))
    return np.fmax(targets, 0.0), highest(logits, unknown, wanted)


def asl(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
    """Asymmetric loss: easy no cells count less than easy yes cells, the easiest not at all."""
    names = ("gamma_pos", "gamma_neg", "clip")
    return LossSpec(family="asl", params={name: args[name] for name in names}, link="sigmoid")


def large_loss(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
    """Unknown cells as no, until their loss is among the largest (Kim et al. 2022)."""
    return LossSpec(family=f"large_loss_{args['form']}", params={"rate": args["rate"]}, link="sigmoid")


def splc(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
    """Unknown cells as no, until the model is sure that they are yes (Zhang et al. 2021)."""
    names = ("tau", "change_epoch", "margin", "gamma")
    return LossSpec(family="splc", params={name: args[name] for name in names}, link="sigmoid")
