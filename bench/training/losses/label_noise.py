"""Losses for wrong labels, in the form that `bench.training.losses.classes` describes."""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any

_SURE = 1e-4
"""Lower limit of 1 less the product of a prediction and the mean of earlier ones."""


def gce(logits: Tensor, labels: Tensor, q: Tensor = 0.7) -> Tensor:
    """(1 - p^q) / q of the true class's softmax probability p (Zhang and Sabuncu 2018).

    q near 0 is cross entropy, q = 1 is 1 - p, half the mean absolute error. The form without truncation:
    every row counts in every epoch.
    """
    return -ops.expm1(q * _true_log_p(logits, labels)) / q


def sce(
    logits: Tensor, labels: Tensor, alpha: Tensor = 0.1, beta: Tensor = 1.0, log_zero: Tensor = -4.0
) -> Tensor:
    """Cross entropy times alpha plus reverse cross entropy times beta (Wang et al. 2019).

    The reverse one is -sum over j of p_j log(onehot_j) with log 0 taken as `log_zero`, which leaves
    -log_zero * (1 - p) of the true class's probability p.
    """
    log_p = _true_log_p(logits, labels)
    return beta * log_zero * ops.expm1(log_p) - alpha * log_p


def soft_bootstrap(logits: Tensor, labels: Tensor, beta: Tensor = 0.95) -> Tensor:
    """Cross entropy against beta * onehot + (1 - beta) * p, p the prediction itself (Reed et al. 2015).

    That is beta * cross entropy + (1 - beta) * entropy of p. The gradient goes through both p, so that it
    is the softmax regression with minimum entropy that the paper takes it for.
    """
    log_p = ops.log_softmax(logits)
    entropy = -ops.sum(ops.exp(log_p) * log_p, axis=-1)
    return (1.0 - beta) * entropy - beta * _chosen(log_p, labels)


def hard_bootstrap(logits: Tensor, labels: Tensor, beta: Tensor = 0.8) -> Tensor:
    """Cross entropy against beta * onehot + (1 - beta) * the predicted class (Reed et al. 2015).

    The predicted class is a constant: no gradient goes through the choice.
    """
    log_p = ops.log_softmax(logits)
    return -beta * _chosen(log_p, labels) - (1.0 - beta) * _chosen(log_p, ops.argmax(logits, axis=-1))


def elr(
    logits: Tensor, labels: Tensor, past: Tensor, beta: Tensor = 0.7, lam: Tensor = 3.0
) -> tuple[Tensor, Tensor]:
    """Cross entropy + lam * log(1 - p . t), t the running mean of the row's own p (Liu et al. 2020).

    past: (n, k), t of every row before, zeros at first. Returns the loss and t after:
    beta * t + (1 - beta) * p, through which no gradient goes. Early in training p is right more often than
    the labels are, and the term holds it there. 1 - p . t is kept from falling below 1e-4, as the paper's
    code does by its bounds on p.
    """
    log_p = ops.log_softmax(logits)
    p = ops.exp(log_p)
    mean = beta * past + (1.0 - beta) * ops.stop_gradient(p)
    gap = ops.maximum(1.0 - ops.sum(p * mean, axis=-1), _SURE)
    return lam * ops.log(gap) - _chosen(log_p, labels), mean


def _chosen(log_p: Tensor, labels: Tensor) -> Tensor:
    """Return each row's entry at its label."""
    return ops.sum(log_p * ops.one_hot(labels, log_p.shape[-1]), axis=-1)


def _true_log_p(logits: Tensor, labels: Tensor) -> Tensor:
    return _chosen(ops.log_softmax(logits), labels)
