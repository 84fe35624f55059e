"""Losses of one class per row: (logits (n, k), labels (n,) int32, parameters) -> loss of every row, (n,).

They are functions of tensors in `keras.ops`, without gradients: training differentiates them. Every form is
finite, and so is its gradient, for any finite logits. Parameters are numbers or scalar tensors, so that one
compiled graph serves heads with different parameters. Weights and averages belong to the objective
(`bench.training.objective`); the logits here include a loss's offset.
"""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any

_FAR = -1e9
"""Replacement of minus infinity, which would give 0 * inf."""

_SURE = 1e-4
"""Lower limit of 1 less the product of a prediction and the mean of earlier ones."""


def softmax(logits: Tensor, labels: Tensor, smoothing: Tensor = 0.0) -> Tensor:
    """Cross entropy against (1 - smoothing) * onehot + smoothing / k (Szegedy et al. 2016)."""
    target = ops.one_hot(labels, logits.shape[-1]) * (1.0 - smoothing) + smoothing / logits.shape[-1]
    return -ops.sum(target * ops.log_softmax(logits), axis=-1)


def focal(logits: Tensor, labels: Tensor, gamma: Tensor = 2.0, alpha: Tensor = 1.0) -> Tensor:
    """Focal loss of the true class's softmax probability p: -alpha (1 - p)^gamma log p (Lin et al. 2017).

    With m the true logit less the logarithm of the other classes' sum of powers, p is sigmoid(m): both
    logarithms come from m, and neither overflows for p near 0 or 1.
    """
    onehot = ops.one_hot(labels, logits.shape[-1])
    others = ops.logsumexp(ops.where(onehot > 0, _FAR, logits), axis=-1)
    margin = ops.sum(onehot * logits, axis=-1) - others
    return alpha * ops.exp(-gamma * ops.softplus(margin)) * ops.softplus(-margin)


def sigmoid(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross entropy of every class against the rest, summed over classes.

    Cui et al. 2019 divide the sum over a batch by its number of positives: one per image here, so
    the batch mean of this sum is theirs.
    """
    return ops.sum(ops.softplus(_wrong(logits, labels)), axis=-1)


def sigmoid_focal(logits: Tensor, labels: Tensor, gamma: Tensor = 2.0) -> Tensor:
    """Focal loss of every class against the rest, summed over classes: -(1 - p_t)^gamma log p_t.

    p_t is sigmoid(logit) for the true class and 1 - sigmoid(logit) for the others (Lin et al. 2017;
    Cui et al. 2019, whose alpha is the class weight). For the division by positives see `sigmoid`.
    """
    wrong = _wrong(logits, labels)
    return ops.sum(ops.exp(-gamma * ops.softplus(-wrong)) * ops.softplus(wrong), axis=-1)


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


def _wrong(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the logit of the wrong answer for every class: (n, k)."""
    return logits * (1.0 - 2.0 * ops.one_hot(labels, logits.shape[-1]))


def _chosen(log_p: Tensor, labels: Tensor) -> Tensor:
    """Return each row's entry at its label."""
    return ops.sum(log_p * ops.one_hot(labels, log_p.shape[-1]), axis=-1)


def _true_log_p(logits: Tensor, labels: Tensor) -> Tensor:
    return _chosen(ops.log_softmax(logits), labels)
