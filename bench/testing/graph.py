"""Losses and objectives as NumPy functions: what the graph gives, and its gradient by the logits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.training.fits import Fit
from bench.training.linear_head import LossSpec
from bench.training.losses.families import ATTRIBUTES, CLASSES, class_family, loss_function
from bench.training.objective import Objective, labels_of, mean, shares_of, totals

Arrays = tuple[np.ndarray, np.ndarray]


def class_loss(
    name: str, logits: np.ndarray, labels: np.ndarray, params: Mapping[str, float], past: Any = None
) -> Arrays:
    """Return losses (n,) and gradients (n, k). past: (n, k), updated; None for rows not trained on."""
    labels = labels.astype(np.int32)
    loss, gradient = _measure(class_family(name), name, False, logits, labels, params, past, None)
    return loss, gradient


def attribute_loss(
    name: str,
    logits: np.ndarray,
    targets: np.ndarray,
    params: Mapping[str, float],
    epoch: int,
    past: Any = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return losses, gradients and shares (n, k); epoch 0: of rows that are not trained on."""
    targets = targets.astype(np.float32)
    loss, gradient, share = _measure(ATTRIBUTES[name], name, True, logits, targets, params, past, epoch)
    return loss, gradient, share


def _measure(
    family: Any,
    name: str,
    attributes: bool,
    logits: np.ndarray,
    labels: np.ndarray,
    params: Mapping[str, float],
    past: Any,
    epoch: int | None,
) -> Any:
    import tensorflow as tf

    z = tf.constant(logits, tf.float32)
    more: dict[str, Any] = {key: tf.constant(value, tf.float32) for key, value in params.items()}
    if family.plain and (epoch == 0 or (family.memory and past is None) or family.paired):
        family, name, more = (ATTRIBUTES if attributes else CLASSES)[family.plain], family.plain, {}
    if family.epoch:
        more["epoch"] = tf.constant(epoch, tf.float32)
    if family.memory:
        more["past"] = tf.constant(past, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(z)
        answer = loss_function(name, attributes)(z, labels, **more)
        loss, *rest = answer if isinstance(answer, tuple) else (answer,)
    if family.memory:
        past[...] = rest.pop().numpy()
    return loss.numpy(), tape.gradient(loss, z).numpy(), *(one.numpy() for one in rest)


class Measured:
    """The objective of one fit: sums of weight * loss and of weight over a minibatch, and its gradient."""

    def __init__(
        self,
        loss: LossSpec,
        weights: np.ndarray | None = None,
        row_weights: np.ndarray | None = None,
        rows: int = 0,
        deferred: int = 0,
        targets: np.ndarray | None = None,
        attributes: bool = False,
    ) -> None:
        self.fit = Fit(
            np.arange(rows),
            np.arange(0),
            loss,
            weights,
            0,
            1,
            row_weights,
            targets=targets,
            deferred=deferred,
        )
        self.objective, self.epoch, self._memory = Objective.of(self.fit, attributes), 1, None

    @property
    def memory(self) -> np.ndarray:
        """What it made of training rows before."""
        out: np.ndarray = self._memory.numpy()  # type: ignore[attr-defined]
        return out

    def labels(self, places: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Return what training rows are trained as."""
        return labels_of(self.fit, y, places)

    def __call__(
        self,
        logits: np.ndarray,
        labels: np.ndarray,
        places: np.ndarray | None = None,
        mixed: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> tuple[float, float, np.ndarray]:
        """Return both sums and the gradient of their quotient. mixed: shares of rows, and their partners."""
        import tensorflow as tf

        z, k = tf.constant(logits, tf.float32), logits.shape[1]
        labels = labels.astype(np.float32 if self.objective.attributes else np.int32)
        numbers = self.objective.numbers(self.fit, k, self.epoch)
        if self._memory is None:
            self._memory = tf.Variable(tf.zeros((len(self.fit.rows), k)))
        with tf.GradientTape() as tape:
            tape.watch(z)
            if places is None:
                measured = [self.objective(numbers, z, labels, training=False)]
            else:
                rows = {"labels": labels, "shares": shares_of(self.fit, places), "places": places}
                if mixed is not None:
                    shares, partners = mixed
                    others = {f"other_{name}": array[partners] for name, array in rows.items()}
                    rows |= {"kept": shares.astype(np.float32), **others}
                measured = self.objective.losses(numbers, z, rows, self._memory)
            lost, seen = totals(measured)
            loss = mean(lost, seen)
        return float(lost), float(seen), tape.gradient(loss, z).numpy()
