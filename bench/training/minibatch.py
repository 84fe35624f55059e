"""Losses of a minibatch inside a graph: of rows that may be mixed, and of auxiliary targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.training.fits import TINY, Fit
from bench.training.mixing import Mix
from bench.training.objective import Numbers, Objective, labels_of, mean, shares_of

Tensor = Any

Rows = Mapping[str, np.ndarray]
"""Training rows in the order of minibatches, (n, ...) arrays by name.

inputs; labels, shares and places, see `Objective`; with auxiliary targets `aside` (n, t). With mixing `kept`
(n,), each row's share of itself, and labels, shares, places and aside of the rows mixed in, their names after
`other_`; where inputs are blended `partners` (n,), the positions of these in the minibatch.
"""


def rows_at(
    fit: Fit, y: np.ndarray, places: np.ndarray, mix: Mix | None, aside: bool
) -> dict[str, np.ndarray]:
    """Return a fit's training rows at these positions, without inputs. aside: with auxiliary targets."""
    remembers = Objective.of(fit, y.ndim > 1).family.memory

    def labelled(prefix: str, at: np.ndarray) -> dict[str, np.ndarray]:
        rows = {"labels": labels_of(fit, y, at), "shares": shares_of(fit, at)}
        if remembers:
            rows["places"] = at
        if aside and fit.auxiliary is not None:
            rows["aside"] = fit.auxiliary.labels[at]
        return {prefix + name: array for name, array in rows.items()}

    rows = labelled("", places)
    if mix is not None:
        rows |= {"kept": mix.shares} | labelled("other_", mix.others)
        if mix.partners is not None and mix.boxes is None:
            rows["partners"] = mix.partners
    return rows


def blended(inputs: Tensor, rows: Mapping[str, Tensor]) -> Tensor:
    """Return (n, ...) inputs of a minibatch, each mixed with its partner: kept * own + (1 - kept) * other."""
    import tensorflow as tf

    kept = tf.reshape(rows["kept"], [-1, *[1] * (len(inputs.shape) - 1)])
    return kept * inputs + (1.0 - kept) * tf.gather(inputs, rows["partners"])


def cosines(inputs: Tensor, kernel: Tensor) -> Tensor:
    """Return (b, k) cosines between (b, d) inputs and the columns of a (d, k) kernel."""
    import tensorflow as tf

    return tf.matmul(tf.math.l2_normalize(inputs, 1, TINY), tf.math.l2_normalize(kernel, 0, TINY))


def losses_of(
    objective: Objective, numbers: Numbers, logits: Tensor, rows: Mapping[str, Tensor], memory: Any = None
) -> list[tuple[Tensor, Tensor]]:
    """Return losses and weights of a minibatch against its labels and, where it is mixed, the others'.

    A mixed row counts as kept * loss against its own label + (1 - kept) * loss against the other's, each with
    the weight of that label's row. Of cross entropy this is the loss against mixed labels.
    """
    measured = []
    for name, kept in _sides(rows):
        labels, shares, places = (rows.get(name + part) for part in ("labels", "shares", "places"))
        own = shares if kept is None else kept * shares
        measured.append(objective(numbers, logits, labels, own, places, memory))
    return measured


def auxiliary_loss(logits: Tensor, sizes: Sequence[int], rows: Mapping[str, Tensor]) -> Tensor:
    """Return the sum over auxiliary targets of each one's mean cross entropy over the rows that know it.

    logits: (n, sum(sizes)), the targets' side by side; labels mix as the class does.
    """
    from keras import ops

    from bench.training.losses.classes import softmax

    total, start = 0.0, 0
    for place, size in enumerate(sizes):
        own, lost, seen = logits[:, start : start + size], 0.0, 0.0
        for name, kept in _sides(rows):
            labels = rows[name + "aside"][:, place]
            known = ops.cast(labels >= 0, "float32")
            weight = known if kept is None else kept * known
            lost, seen = lost + ops.sum(weight * softmax(own, ops.maximum(labels, 0))), seen + ops.sum(weight)
        total, start = total + mean(lost, seen), start + size
    return total


def _sides(rows: Mapping[str, Tensor]) -> list[tuple[str, Tensor | None]]:
    """Return the labels of rows: the prefix of their names, and their share, None for all."""
    return [("", rows["kept"]), ("other_", 1.0 - rows["kept"])] if "kept" in rows else [("", None)]
