"""Objective of a fit: the weighted mean of its loss over a minibatch, as part of a TensorFlow graph.

A graph is compiled for an `Objective`; all numbers are its arguments, so that fits with the same objective
share a graph:

    objective = Objective.of(fit, attributes)
    numbers = objective.numbers(fit, k, epoch)            # NumPy arrays: arguments of the compiled function
    memory = tf.Variable(tf.zeros((len(fit.rows), k)))    # only for a family with a memory
    rows = rows_at(fit, y, places, None, False)           # outside the graph
    ...
    lost, seen = totals(objective.losses(numbers, logits, rows, memory))        # in the graph
    loss = mean(lost, seen)                                                     # to differentiate
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np

from bench.training.fits import Fit
from bench.training.losses.families import ATTRIBUTES, Family, class_family, loss_function
from bench.training.mixing import Mix

Tensor = Any
Numbers = Mapping[str, Any]

Rows = Mapping[str, np.ndarray]
"""Training rows in the order of minibatches, (n, ...) arrays by name.

inputs; labels, shares and places, see `Objective`; with auxiliary targets `aside` (n, t). With mixing `kept`
(n,), each row's share of itself, and labels, shares, places and aside of the rows mixed in, their names after
`other_`; where inputs are blended `partners` (n,), the positions of these in the minibatch.
"""


@dataclass(frozen=True)
class Objective:
    """The kind of a fit's loss. loss: its name. margins: whether training rows' own logits are lowered."""

    loss: str
    attributes: bool
    margins: bool = False

    @classmethod
    def of(cls, fit: Fit, attributes: bool) -> Objective:
        """Return the objective of a fit whose rows have attributes, or one class each."""
        return cls(fit.loss.family, attributes, fit.loss.margins is not None)

    @property
    def family(self) -> Family:
        """The family of its loss."""
        return ATTRIBUTES[self.loss] if self.attributes else class_family(self.loss)

    def numbers(self, fit: Fit, k: int, epoch: int) -> dict[str, Any]:
        """Return the numbers of an epoch, counted from 1, as float32 arrays by name.

        params: by the names of the loss's parameters that the fit has. weights: (k,) or (2, k). offset: (k,).
        """
        loss, one = fit.loss, np.ones((2, k) if self.attributes else k, np.float32)
        weights = one if fit.weights is None or epoch <= fit.deferred else fit.weights
        offset = np.zeros(k, np.float32) if loss.offset is None else loss.offset
        names = () if self.family.paired else self.family.parameters
        defaults = signature(loss_function(self.loss, self.attributes)).parameters
        numbers: dict[str, Any] = {
            "params": {name: np.float32(loss.params.get(name, defaults[name].default)) for name in names},
            "weights": np.asarray(weights, np.float32),
            "offset": np.asarray(offset, np.float32),
        }
        if self.family.epoch:
            numbers["epoch"] = np.float32(epoch)
        if loss.margins is not None:
            numbers["margins"] = np.asarray(loss.margins, np.float32)
        return numbers

    def __call__(
        self,
        numbers: Numbers,
        logits: Tensor,
        labels: Tensor,
        shares: Tensor | None = None,
        places: Tensor | None = None,
        memory: Any = None,
        training: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Return loss and weight of every row (n,) of a minibatch, or of every cell (n, k).

        logits: (n, k), without offset. labels: (n,) int32 classes or (n, k) float32 attributes. shares: (n,),
        factors of the rows' weights, None for ones. places: (n,) int64, the rows' positions among the fit's
        training rows, for a loss with a memory, which is updated. training: False for validation rows, which
        have no margins and may have a plainer loss.
        """
        from keras import ops

        logits = logits + numbers["offset"]
        if self.margins and training:
            onehot = ops.one_hot(labels, logits.shape[-1])
            logits = logits - onehot * numbers["margins"]
        loss, weight = self._measure(numbers, logits, labels, places, memory, training)
        if shares is not None:
            weight = weight * (ops.expand_dims(shares, -1) if self.attributes else shares)
        return loss, weight

    def losses(
        self, numbers: Numbers, logits: Tensor, rows: Mapping[str, Tensor], memory: Any = None
    ) -> list[tuple[Tensor, Tensor]]:
        """Return losses and weights of a minibatch against its labels and, where it is mixed, the others'.

        A mixed row counts as kept * loss against its own label + (1 - kept) * loss against the other's, each
        with the weight of that label's row. Of cross entropy this is the loss against mixed labels.
        """
        measured = []
        for name, kept in sides(rows):
            labels, shares, places = (rows.get(name + part) for part in ("labels", "shares", "places"))
            own = shares if kept is None else kept * shares
            measured.append(self(numbers, logits, labels, own, places, memory))
        return measured

    def _measure(
        self, numbers: Numbers, logits: Tensor, labels: Tensor, places: Tensor, memory: Any, training: bool
    ) -> tuple[Tensor, Tensor]:
        """Return loss and weight of every row, or of every cell."""
        import tensorflow as tf

        family, params = self.family, dict(numbers["params"])
        if not training and family.plain:
            loss = loss_function(family.plain, self.attributes)(logits, labels)
        else:
            if family.epoch:
                params["epoch"] = numbers["epoch"]
            if family.memory:
                params["past"] = tf.gather(memory, places)
            loss = loss_function(self.loss, self.attributes)(logits, labels, **params)
            if family.memory:
                *loss, past = loss
                memory.scatter_nd_update(places[:, None], tf.stop_gradient(past))
                loss = loss if self.attributes else loss[0]
        if not self.attributes:
            return loss, tf.gather(numbers["weights"], labels)
        (loss, share), (no, yes) = loss, tf.unstack(numbers["weights"])
        known = tf.where(tf.math.is_nan(labels), 0.0, labels)
        return loss, share * (no + known * (yes - no))


def sides(rows: Mapping[str, Tensor]) -> list[tuple[str, Tensor | None]]:
    """Return the labels of rows: the prefix of their names, and their share, None for all."""
    return [("", rows["kept"]), ("other_", 1.0 - rows["kept"])] if "kept" in rows else [("", None)]


def totals(measured: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Return sum(w * loss) and sum(w) of losses and weights."""
    from keras import ops

    lost, seen = 0.0, 0.0
    for loss, weight in measured:
        sums = weight * loss, weight
        if len(weight.shape) > 1:
            # Row by row first: a large array's sum in one step rounds by the number of cores.
            sums = ops.sum(sums[0], axis=-1), ops.sum(sums[1], axis=-1)
        lost, seen = lost + ops.sum(sums[0]), seen + ops.sum(sums[1])
    return lost, seen


def mean(lost: Tensor, seen: Tensor) -> Tensor:
    """Return lost / seen, and 0 where nothing was seen."""
    from keras import ops

    return lost / ops.where(seen > 0, seen, 1.0)


def labels_of(fit: Fit, y: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the (n,) classes or (n, k) attributes of the training rows at these positions."""
    labels: np.ndarray = y[fit.rows[places]] if fit.targets is None else fit.targets[places]
    return labels


def shares_of(fit: Fit, places: np.ndarray) -> np.ndarray:
    """Return the (n,) float32 weights of training rows at these positions: row weights, or ones."""
    if fit.row_weights is None:
        return np.ones(len(places), np.float32)
    shares: np.ndarray = np.asarray(fit.row_weights, np.float32)[places]
    return shares


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
