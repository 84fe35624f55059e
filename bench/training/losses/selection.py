"""Masks of the largest or smallest entries of a tensor; of equal ones the first, so that counts are exact."""

from __future__ import annotations

from typing import Any

from keras import ops

Tensor = Any


def highest(values: Tensor, among: Tensor, wanted: Tensor) -> Tensor:
    """Return a mask of the `wanted` highest values among those that `among` marks, or of all of them.

    values: of any shape. among: bool, of the same shape. wanted: int32 scalar. Of equal values the first in
    row order are marked.
    """
    flat = ops.reshape(ops.where(among, values, -float("inf")), (-1,))
    count, inside = ops.shape(flat)[0], ops.reshape(among, (-1,))
    border = ops.take(ops.sort(flat), ops.clip(count - wanted, 0, count - 1))
    above, tied = inside & (flat > border), inside & (flat == border)
    left = wanted - ops.sum(ops.cast(above, "int32"))
    chosen = above | (tied & (ops.cumsum(ops.cast(tied, "int32")) <= left))
    return ops.reshape(chosen & (wanted > 0), ops.shape(values))


def lowest(values: Tensor, wanted: Tensor) -> Tensor:
    """Return a mask of the `wanted` lowest values; NaN counts as the highest."""
    known = ops.where(ops.isnan(values), float("inf"), values)
    return highest(-known, ops.ones_like(values, dtype="bool"), wanted)
