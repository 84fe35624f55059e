"""Loss families as TensorFlow functions, and the loss steps that pick a family and its numbers.

A family takes logits (..., B, k), one-hot truth that broadcasts to it, and named parameters that
broadcast to (..., B): with logits of g heads (g, B, k) each parameter is (g, 1). It gives the loss
of every sample, (..., B). The offset of a LossSpec is already in the logits. Averaging belongs to
the trainer: sum(w * loss) / sum(w), where w is the weight of the sample's class.

Counts given to the loss steps are those the loss sees, after resampling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bench.methods.registry import LossSpec
from bench.methods.weights import log_prior

Tensor = Any
Family = Callable[[Tensor, Tensor, Mapping[str, Any]], Tensor]

_FAR = -1e9
"""Stands for minus infinity where a real one would give 0 * inf in a gradient."""


def softmax_loss(logits: Tensor, onehot: Tensor, params: Mapping[str, Any]) -> Tensor:
    """Cross entropy against (1 - smoothing) * onehot + smoothing / k (Szegedy et al. 2016)."""
    import tensorflow as tf

    targets = tf.broadcast_to(tf.cast(onehot, logits.dtype), tf.shape(logits))
    if "smoothing" in params:
        smoothing = tf.expand_dims(_parameter("softmax", "smoothing", params, logits), -1)
        classes = tf.cast(tf.shape(logits)[-1], logits.dtype)
        targets = (1.0 - smoothing) * targets + smoothing / classes
    return tf.nn.softmax_cross_entropy_with_logits(labels=targets, logits=logits)


def focal_loss(logits: Tensor, onehot: Tensor, params: Mapping[str, Any]) -> Tensor:
    """Focal loss of the true class's softmax probability p: -alpha (1 - p)^gamma log p (Lin et al. 2017).

    log(1 - p) is taken from the other classes' logits, so that neither the loss nor its gradient
    overflows for p near 1 and gamma below 1.
    """
    import tensorflow as tf

    others = tf.reduce_logsumexp(logits + tf.cast(onehot, logits.dtype) * _FAR, axis=-1)
    log_rest = others - tf.reduce_logsumexp(logits, axis=-1)
    gamma = _parameter("focal", "gamma", params, logits)
    alpha = _parameter("focal", "alpha", params, logits)
    return alpha * tf.exp(gamma * log_rest) * softmax_loss(logits, onehot, {})


def sigmoid_loss(logits: Tensor, onehot: Tensor, params: Mapping[str, Any]) -> Tensor:
    """Binary cross entropy of every class against the rest, summed over classes.

    Cui et al. 2019 divide the sum over a batch by its number of positives: one per image here, so
    the batch mean of this sum is theirs.
    """
    import tensorflow as tf

    return tf.reduce_sum(tf.nn.softplus(_against(logits, onehot)), axis=-1)


def sigmoid_focal_loss(logits: Tensor, onehot: Tensor, params: Mapping[str, Any]) -> Tensor:
    """Focal loss of every class against the rest, summed over classes: -(1 - p_t)^gamma log p_t.

    p_t is sigmoid(logit) for the true class and 1 - sigmoid(logit) for the others (Lin et al. 2017;
    Cui et al. 2019, whose alpha is the class weight). For the division by positives see sigmoid_loss.
    """
    import tensorflow as tf

    against = _against(logits, onehot)
    gamma = tf.expand_dims(_parameter("sigmoid_focal", "gamma", params, logits), -1)
    return tf.reduce_sum(tf.exp(-gamma * tf.nn.softplus(-against)) * tf.nn.softplus(against), axis=-1)


def _against(logits: Tensor, onehot: Tensor) -> Tensor:
    """Return the logit of the wrong answer for every class, so that -log p_t is its softplus."""
    import tensorflow as tf

    return (1.0 - 2.0 * tf.cast(onehot, logits.dtype)) * logits


def _parameter(family: str, name: str, params: Mapping[str, Any], logits: Tensor) -> Tensor:
    import tensorflow as tf

    return tf.cast(params.get(name, DEFAULTS[family][name]), logits.dtype)


FAMILIES: dict[str, Family] = {
    "softmax": softmax_loss,
    "focal": focal_loss,
    "sigmoid": sigmoid_loss,
    "sigmoid_focal": sigmoid_focal_loss,
}

DEFAULTS: dict[str, dict[str, float]] = {
    "softmax": {"smoothing": 0.0},
    "focal": {"gamma": 2.0, "alpha": 1.0},
    "sigmoid": {},
    "sigmoid_focal": {"gamma": 2.0},
}
"""The parameters of each family; one that a LossSpec leaves out has this value."""


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


def label_smoothing(args: Mapping[str, Any], counts: np.ndarray) -> LossSpec:
    """Cross entropy against labels with the share epsilon spread over all classes (Szegedy et al. 2016)."""
    return LossSpec(params={"smoothing": args["epsilon"]})
