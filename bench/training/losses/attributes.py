"""Losses of many attributes per row: (logits (n, k), targets (n, k), parameters) -> loss and share, (n, k).

The share is a cell's weight in the mean of the objective, sum(share * w * loss) / sum(share * w). Where it is
0, so is the loss. A target is 1 for yes, 0 for no, between them a mixture, whose loss is the mixture of both
losses, and NaN for an unknown cell. `epoch` counts from 1. Otherwise the functions are like those of
`bench.training.losses.classes`.

Unknown cells are left out (`bce`, `focal`, `asl`), or count as no until later epochs doubt it (`splc` and the
`large_loss_*` losses). No loss changes the label of an observed cell.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from bench.training.losses.selection import highest

Tensor = Any

_TINY = 1e-30
"""Replacement of a probability of 0 in a logarithm."""

_SLACK = 1e-6
"""Tolerance of a number of cells: 0.002 * 9 * 1000, which rounds to a little more than 18, is 18 cells."""


def bce(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Binary cross entropy of the observed cells."""
    known, share = observed(targets)
    return share * _entropy(logits, known), share


def focal(logits: Tensor, targets: Tensor, gamma: Tensor = 2.0, alpha: Tensor = 1.0) -> tuple[Tensor, Tensor]:
    """Focal loss of the observed cells: -alpha (1 - p)^gamma log p, p of the true answer (Lin et al. 2017).

    alpha is a factor of every cell, as everywhere here; weights of yes and no are the objective's.
    """
    known, share = observed(targets)
    loss = known * _focused(-logits, gamma) + (1.0 - known) * _focused(logits, gamma)
    return share * alpha * loss, share


def asl(
    logits: Tensor,
    targets: Tensor,
    gamma_pos: Tensor = 0.0,
    gamma_neg: Tensor = 4.0,
    clip: Tensor = 0.05,
) -> tuple[Tensor, Tensor]:
    """Asymmetric loss of the observed cells (Ridnik et al. 2021), p the probability of yes.

    A yes costs -(1 - p)^gamma_pos log p, a no -s^gamma_neg log(1 - s) with s = max(p - clip, 0), so that a no
    with p of at most `clip` costs nothing. The paper's code sums over cells where ours are averaged: its
    learning rates do not carry over. By default that code also lets no gradient through the powers; here it
    is that of the whole formula, as in the paper.
    """
    known, share = observed(targets)
    # Without a clip, 1 - s rounds to 0 for large logits, where the other form is exact.
    s = ops.maximum(ops.sigmoid(logits) - clip, _TINY)
    clipped = -ops.exp(gamma_neg * ops.log(s)) * ops.log(ops.maximum(1.0 - s, _TINY))
    no = ops.where(ops.convert_to_tensor(clip) > 0, clipped, _focused(logits, gamma_neg))
    return share * (known * _focused(-logits, gamma_pos) + (1.0 - known) * no), share


def large_loss_reject(
    logits: Tensor, targets: Tensor, epoch: Tensor, rate: Tensor = 0.002
) -> tuple[Tensor, Tensor]:
    """Unknown cells as no, those with the largest losses left at a loss of 0 (Kim et al. 2022, LL-R).

    In epoch t these are the share rate * (t - 1) of the batch's unknown cells, rounded up; the paper's code
    takes that share of all cells. They still count in the average, which is over all cells there too.
    """
    answers, largest = _doubted(logits, targets, rate * (epoch - 1.0))
    return ops.where(largest, 0.0, _entropy(logits, answers)), ops.ones_like(answers)


def large_loss_correct(
    logits: Tensor, targets: Tensor, epoch: Tensor, rate: Tensor = 0.002
) -> tuple[Tensor, Tensor]:
    """Unknown cells as no, those with the largest losses as yes in this batch (Kim et al. 2022, LL-Ct).

    For which these are see `large_loss_reject`.
    """
    answers, largest = _doubted(logits, targets, rate * (epoch - 1.0))
    return _entropy(logits, ops.where(largest, 1.0, answers)), ops.ones_like(answers)


def large_loss_permanent(
    logits: Tensor, targets: Tensor, epoch: Tensor, past: Tensor, rate: Tensor = 0.002
) -> tuple[Tensor, Tensor, Tensor]:
    """Unknown cells as no, those with the largest losses as yes from now on (Kim et al. 2022, LL-Cp).

    past: (n, k), 1 where a cell has become a yes before, zeros at first. Returns loss, share and the new
    `past`. From the second epoch on, each batch turns the share `rate` of its unknown cells, rounded up,
    among those that are not yes yet.
    """
    known, share = observed(targets)
    unknown = share == 0
    wanted = ops.where(epoch > 1, _count(rate, unknown), 0)
    past = ops.where(highest(logits, unknown & (past == 0), wanted), 1.0, past)
    return _entropy(logits, ops.maximum(known, past)), ops.ones_like(known), past


def splc(
    logits: Tensor,
    targets: Tensor,
    epoch: Tensor,
    tau: Tensor = 0.6,
    change_epoch: Tensor = 2,
    margin: Tensor = 1.0,
    gamma: Tensor = 2.0,
) -> tuple[Tensor, Tensor]:
    """Self-paced loss correction with the focal margin loss (Zhang et al. 2021), as in the paper's code.

    Unknown cells count as no; from epoch `change_epoch` on (counted from 1, the code counts from 0) those
    with a probability of yes above tau as yes. Every cell has the focal factor with `gamma`, and the logit of
    an observed yes is lowered by `margin`; gamma = margin = 0 is cross entropy.
    """
    known, share = observed(targets)
    sure = (ops.sigmoid(logits) > tau) & (epoch >= change_epoch) & (share == 0)
    answers = ops.where(sure, 1.0, known)
    yes = _focused(share * margin - logits, gamma)
    return answers * yes + (1.0 - answers) * _focused(logits, gamma), ops.ones_like(known)


def observed(targets: Tensor) -> tuple[Tensor, Tensor]:
    """Return the targets with 0 for unknown, and 1 for observed cells, 0 for the others."""
    unknown = ops.isnan(targets)
    return ops.where(unknown, 0.0, targets), ops.where(unknown, 0.0, ops.ones_like(targets))


def _entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the cross entropy of every cell for targets from 0 to 1."""
    return ops.binary_crossentropy(targets, logits, from_logits=True)


def _focused(wrong: Tensor, gamma: Tensor) -> Tensor:
    """Return -w^gamma log(1 - w), w the sigmoid of the wrong answer's logit."""
    return ops.exp(-gamma * ops.softplus(-wrong)) * ops.softplus(wrong)


def _doubted(logits: Tensor, targets: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Return the targets with 0 for unknown, and which share of the unknown cells have the largest losses."""
    known, observed_ = observed(targets)
    unknown = observed_ == 0
    return known, highest(logits, unknown, _count(share, unknown))


def _count(share: Tensor, cells: Tensor) -> Tensor:
    """Return this share of the cells that are true, rounded up, as an int32 scalar."""
    return ops.cast(ops.ceil(share * ops.sum(ops.cast(cells, "float32")) * (1.0 - _SLACK)), "int32")
