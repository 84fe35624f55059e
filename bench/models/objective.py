"""The loss of a batch and the step that lowers it, as TensorFlow operations over stacked lanes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.methods.losses import DEFAULTS, FAMILIES
from bench.methods.registry import LossSpec

Tensor = Any

SLOTS = {"adam": 2, "sgd": 1}
"""How many arrays of its own size each optimizer keeps beside a variable."""

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-7
"""Adam's constants, those of Keras."""


def loss_terms(losses: Sequence[LossSpec], weights: Sequence[np.ndarray | None], k: int) -> dict[str, Tensor]:
    """Stack what tells the objectives of g lanes of one loss family apart.

    Returns `weights` (g, k) per class, `offset` (g, 1, k), and each of the family's parameters (g, 1).
    """
    import tensorflow as tf

    ones, zeros = np.ones(k, np.float32), np.zeros(k, np.float32)
    columns: dict[str, Any] = {
        "weights": [ones if weight is None else weight for weight in weights],
        "offset": [[zeros if loss.offset is None else loss.offset] for loss in losses],
    }
    for name, default in DEFAULTS[losses[0].family].items():
        columns[name] = [[loss.params.get(name, default)] for loss in losses]
    return {name: tf.constant(np.asarray(column, np.float32)) for name, column in columns.items()}


def terms_spec(family: str) -> dict[str, Any]:
    """Return the signature of what `loss_terms` gives, for compiled functions."""
    import tensorflow as tf

    numbers = {name: tf.TensorSpec([None, 1], tf.float32) for name in DEFAULTS[family]}
    weights, offset = (tf.TensorSpec(shape, tf.float32) for shape in ([None, None], [None, 1, None]))
    return {"weights": weights, "offset": offset, **numbers}


def weighted_loss(
    family: str, logits: Tensor, labels: Tensor, real: Tensor, terms: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor]:
    """Return (g,) sums of weight * loss over a batch and (g,) sums of weight.

    logits: (g, b, k). labels: (g, b) or (1, b) classes. real: (b,), 1.0 for a row and 0.0 for a
    repeated one that only fills the batch up. terms: see `loss_terms`.
    """
    import tensorflow as tf

    shape = tf.shape(logits)
    onehot = tf.one_hot(labels, shape[2], dtype=logits.dtype)
    weight = tf.gather(terms["weights"], tf.broadcast_to(labels, shape[:2]), batch_dims=1) * real
    params = {name: term for name, term in terms.items() if name not in ("weights", "offset")}
    loss = FAMILIES[family](logits + terms["offset"], onehot, params)
    return tf.reduce_sum(weight * loss, axis=1), tf.reduce_sum(weight, axis=1)


def descend(
    optimizer: str, handles: Sequence[Tensor], gradient: Tensor, step: Tensor, rate: Tensor, momentum: Tensor
) -> None:
    """Take one step of Keras's Adam or SGD with momentum, in one pass over the variable.

    handles: of the variable and its slots. step: number of the step from 1, as a float.
    """
    import tensorflow as tf

    if optimizer == "adam":
        tf.raw_ops.ResourceApplyAdam(
            var=handles[0],
            m=handles[1],
            v=handles[2],
            beta1_power=tf.pow(BETA1, step),
            beta2_power=tf.pow(BETA2, step),
            lr=rate,
            beta1=BETA1,
            beta2=BETA2,
            epsilon=EPSILON,
            grad=gradient,
        )
    else:
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=handles[0], accum=handles[1], lr=rate, grad=gradient, momentum=momentum
        )
