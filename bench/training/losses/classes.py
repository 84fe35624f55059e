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


def _wrong(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the logit of the wrong answer for every class: (n, k)."""
    return logits * (1.0 - 2.0 * ops.one_hot(labels, logits.shape[-1]))
