"""Losses of embeddings on the unit sphere, in keras.ops: one loss per pair, per photo or per triplet.

Rows are (b, k) tensors of length one. A loss is minimised as the mean of what its function returns; where a
minibatch holds nothing to learn from, that is an empty tensor.
"""

from __future__ import annotations

import math
from typing import Any

Tensor = Any

TINY = 1e-12
"""Squared lengths and distances below this have no direction: they are constants to the gradient."""

FAR = 1e9
"""Farther than any two points of the sphere."""


def contrastive(first: Tensor, second: Tensor, same: Tensor, margin: Tensor) -> Tensor:
    """Return (b,) y D^2 / 2 + (1 - y) max(0, margin - D)^2 / 2, D a pair's distance.

    first, second: (b, k). same: (b,) bool, y. (Hadsell, Chopra and LeCun 2006, equation 4.)
    """
    from keras import ops

    squared = ops.sum(ops.square(first - second), axis=1)
    short = ops.maximum(margin - _root(squared), 0.0)
    return ops.where(same, squared, ops.square(short)) / 2


def batch_hard(rows: Tensor, people: Tensor, margin: Tensor) -> Tensor:
    """Return, for each photo, max(0, margin + D(farthest of its person) - D(nearest of the others)).

    people: (b,) integers. A photo without another of its own person, or without one of others, is left out.
    (Hermans, Beyer and Leibe 2017, equation 5.)
    """
    from keras import ops

    distance = _root(_squared_distances(rows))
    own, other = _own_and_other(people)
    far = ops.max(ops.where(own, distance, 0.0), axis=1, initial=0.0)
    near = ops.min(ops.where(other, distance, FAR), axis=1, initial=FAR)
    (anchors,) = ops.nonzero(ops.logical_and(ops.any(own, axis=1), ops.any(other, axis=1)))
    return ops.take(ops.maximum(margin + far - near, 0.0), anchors, axis=0)


def semi_hard(rows: Tensor, people: Tensor, margin: Tensor) -> Tensor:
    """Return, for each ordered pair of one person, max(0, margin + d(own) - d(other)), d squared distances.

    A pair's other photo is the nearest one that is farther from its first photo than its second, or the
    farthest one where none is. people: (b,) integers. (Schroff, Kalenichenko and Philbin 2015, section 3.2.)
    """
    from keras import ops

    squared = _squared_distances(rows)
    own, other = _own_and_other(people)
    anchors, partners = ops.nonzero(ops.logical_and(own, ops.any(other, axis=1, keepdims=True)))
    to_all, is_other = ops.take(squared, anchors, axis=0), ops.take(other, anchors, axis=0)
    to_own = ops.take_along_axis(to_all, partners[:, None], axis=1)[:, 0]
    beyond = ops.logical_and(is_other, to_all > to_own[:, None])
    nearest = ops.min(ops.where(beyond, to_all, FAR), axis=1, initial=FAR)
    farthest = ops.max(ops.where(is_other, to_all, 0.0), axis=1, initial=0.0)
    rival = ops.where(ops.any(beyond, axis=1), nearest, farthest)
    return ops.maximum(margin + to_own - rival, 0.0)


def arcface(cosines: Tensor, people: Tensor, margin: Tensor, scale: Tensor) -> Tensor:
    """Return (b,) cross entropies of softmax over scaled cosines, a margin added to the own person's angle.

    cosines: (b, c), of each photo with each person's direction. people: (b,) below c. Where angle and margin
    exceed half a turn, the cosine less margin * sin(margin) takes the place of the cosine of the sum, which
    would rise again. (Deng et al. 2019, equation 3, and its published code.)
    """
    from keras import ops

    own = ops.clip(_own_cosines(cosines, people), -1.0, 1.0)
    turned = own * ops.cos(margin) - _root(1.0 - ops.square(own)) * ops.sin(margin)
    target = ops.where(own > ops.cos(math.pi - margin), turned, own - margin * ops.sin(margin))
    return _entropies(cosines, people, target, scale)


def cosface(cosines: Tensor, people: Tensor, margin: Tensor, scale: Tensor) -> Tensor:
    """Return (b,) cross entropies of softmax over scaled cosines, a margin taken off the own person's.

    The rest is as in `arcface`. (Wang et al. 2018, equation 4.)
    """
    return _entropies(cosines, people, _own_cosines(cosines, people) - margin, scale)


def unit_length(rows: Tensor, axis: int) -> Tensor:
    """Return rows over their Euclidean length along the axis; rows of zeros stay zeros."""
    from keras import ops

    return rows * ops.rsqrt(ops.maximum(ops.sum(ops.square(rows), axis=axis, keepdims=True), TINY))


def _own_cosines(cosines: Tensor, people: Tensor) -> Tensor:
    from keras import ops

    return ops.sum(ops.where(ops.one_hot(people, cosines.shape[1], dtype="bool"), cosines, 0.0), axis=1)


def _entropies(cosines: Tensor, people: Tensor, target: Tensor, scale: Tensor) -> Tensor:
    """Return (b,) cross entropies, given what stands for the cosine with the own person's direction."""
    from keras import ops

    own = ops.one_hot(people, cosines.shape[1], dtype="bool")
    shares = ops.log_softmax(scale * ops.where(own, target[:, None], cosines), axis=1)
    return -ops.sum(ops.where(own, shares, 0.0), axis=1)


def _root(squared: Tensor) -> Tensor:
    """Return the square root, whose gradient is zero, not infinite, at zero."""
    from keras import ops

    positive = squared > TINY
    return ops.where(positive, ops.sqrt(ops.where(positive, squared, 1.0)), 0.0)


def _squared_distances(rows: Tensor) -> Tensor:
    """Return (b, b) squared distances between rows."""
    from keras import ops

    lengths = ops.sum(ops.square(rows), axis=1)
    squared = lengths[:, None] + lengths[None] - 2.0 * ops.matmul(rows, ops.transpose(rows))
    return ops.maximum(ops.where(ops.eye(ops.shape(rows)[0], dtype="bool"), 0.0, squared), 0.0)


def _own_and_other(people: Tensor) -> tuple[Tensor, Tensor]:
    """Return (b, b) bool, who is the same person on another photo, and who is another person."""
    from keras import ops

    same = ops.equal(people[:, None], people[None])
    return ops.logical_and(
        same, ops.logical_not(ops.eye(ops.shape(people)[0], dtype="bool"))
    ), ops.logical_not(same)
