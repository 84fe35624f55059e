"""Two heads that teach each other: co-teaching (Han et al. 2018, arXiv:1804.06872).

In each minibatch each head picks the rows that are easy for it, and the other head learns from those alone: a
wrong label is hard for both at first, and the heads make different mistakes. The prediction is the mean of
both heads' logits. The loss is averaged once over the rows picked; the paper's code divides that mean by
their number again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.training.fits import Hidden
from bench.training.linear_head import LinearHead

Tensor = Any

PEER = 100
"""Layer number of the second head's first layer in `initial_kernel`."""

_SLACK = 1e-6
"""Tolerance of a number of rows: a share of .9 of 10 rows is 9 in spite of rounding."""


def taught_rows(logits: Sequence[Tensor], labels: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rows that each of two heads learns from, (b,) ones and zeros: those easy for the other one.

    Easy are the floor(share * b) rows of smallest cross entropy, at least one; of equals the first.
    """
    import tensorflow as tf

    from bench.training.losses.classes import softmax
    from bench.training.losses.selection import lowest

    rows = tf.cast(tf.shape(labels)[0], tf.float32)
    wanted = tf.cast(tf.maximum(tf.floor(share * rows * (1.0 + _SLACK)), 1.0), tf.int32)
    one, other = (
        tf.cast(lowest(softmax(tf.stop_gradient(own), labels), wanted), tf.float32) for own in logits
    )
    return other, one


def mean_head(
    one: tuple[LinearHead, Hidden | None], other: tuple[LinearHead, Hidden | None]
) -> tuple[LinearHead, Hidden | None]:
    """Return the head whose logits are the mean of two heads' logits, and the hidden layer below it.

    Of linear heads that is the mean of their layers. With hidden layers it is one head with the units of
    both, whose last layers are halved.
    """
    half, (a, below_a), (b, below_b) = np.float32(0.5), one, other
    bias = (a.bias + b.bias) * half
    if below_a is None or below_b is None:
        return LinearHead((a.kernel + b.kernel) * half, bias), None
    hidden = Hidden(
        np.concatenate([below_a.kernel, below_b.kernel], axis=1), np.concatenate([below_a.bias, below_b.bias])
    )
    return LinearHead(np.concatenate([a.kernel, b.kernel]) * half, bias), hidden
