"""Two heads that teach each other: co-teaching (Han et al. 2018, arXiv:1804.06872).

In each minibatch each head names the rows that it finds easy, and the other one learns from those alone: a
wrong label is hard for both at first, and what one head has learnt by mistake the other need not have. Both
answer together, by the mean of their logits: neither is the better one, and no choice is left to make.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from bench.methods.losses import FAMILIES
from bench.methods.registry import LinearHead
from bench.models.lanes import Hidden

PEER = 100
"""Added to a layer's number, it gives the stream that the second head's initial weights are drawn from."""


def kept_share(params: Mapping[str, float], epoch: int) -> float:
    """Return which share of a minibatch is learnt from in an epoch, counted from 1.

    1 - forget * min(epoch / gradual, 1), the paper's R(T).
    """
    return 1.0 - params["forget"] * min(epoch / params["gradual"], 1.0)


def easy_rows(logits: np.ndarray, labels: np.ndarray, share: float) -> np.ndarray:
    """Return (n,) float32 ones at the rows of smallest cross entropy, zeros at the others.

    logits: (n, k) of a minibatch, left as they are. They are floor(share * n) rows, at least one; of equals
    the first. A loss that is not a number is the largest.
    """
    losses, _ = FAMILIES["softmax"](logits.copy(), labels, {})
    # Of 10 rows .9 are 9, whatever is lost in the last digit.
    count = max(1, math.floor(share * len(losses) + 1e-6))
    chosen = np.zeros(len(losses), np.float32)
    chosen[np.argsort(losses, kind="stable")[:count]] = 1.0
    return chosen


def taught_rows(
    logits: tuple[np.ndarray, np.ndarray], labels: np.ndarray, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return what each of two heads learns from: the rows that are easy for the other one."""
    one, other = (easy_rows(own, labels, share) for own in logits)
    return other, one


def mean_head(
    one: LinearHead, other: LinearHead, below: tuple[Hidden, Hidden] | None
) -> tuple[LinearHead, Hidden | None]:
    """Return the head whose logits are the mean of two heads' logits.

    Of linear heads that is the mean of their layers. With hidden layers it is one head with the units of
    both, whose last layers are halved.
    """
    half = np.float32(0.5)
    bias = (one.bias + other.bias) * half
    if below is None:
        return LinearHead((one.kernel + other.kernel) * half, bias), None
    hidden = Hidden(
        np.concatenate([layer.kernel for layer in below], axis=1),
        np.concatenate([layer.bias for layer in below]),
    )
    return LinearHead(np.concatenate([one.kernel, other.kernel]) * half, bias), hidden
