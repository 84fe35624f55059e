"""One fit's head in a TensorFlow graph: from the product with its first kernel to its loss and its gradient.

One compiled function serves all heads of equal `HeadSpec`; their numbers are its arguments. Every head has
tensors of its own, with shapes that do not depend on other heads, so that the bits of its loss do not depend
on them either.

The function gets a head as a dictionary `layers`:

    outputs            (b, c) product of the minibatch and the head's columns of the first kernel
    bias               (c,) of the first layer
    kernel             (d, c), the columns themselves, for a linear head of cosines alone
    last_kernel, last_bias, side_kernel, side_bias     of a head with a hidden layer

Two heads that teach each other are side by side: the first half of all columns is the first head's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from bench.training.auxiliary import auxiliary_loss
from bench.training.fits import TINY, Fit
from bench.training.objective import Numbers, Objective, totals

Tensor = Any
Layers = Mapping[str, Tensor]

PAD = 8
"""Divisor of the columns of a head in a shared kernel: products round alike at its multiples."""

FUSED = 2e7
"""Updates of single weights in a fit's training from which fusing them is worth the time of compiling."""


def padded(columns: int) -> int:
    """Return the number of columns rounded up to a multiple of `PAD`."""
    return -(-columns // PAD) * PAD


@dataclass(frozen=True)
class HeadSpec:
    """Key of a head's graph.

    k: classes or attributes. units: of a hidden layer, 0 for none. cosine: whether its outputs are scaled
    cosines. sides: classes of each auxiliary target. mixed: whether minibatches are mixed. fused: whether XLA
    compiles the optimizer into one pass, which takes half a second and changes the rounding, so that only the
    fit's own size decides, see `FUSED`. multitask: whether the loss of the rows' own class has a factor,
    `Auxiliary.main`, with or without auxiliary targets.
    """

    objective: Objective
    k: int
    units: int = 0
    cosine: bool = False
    sides: tuple[int, ...] = ()
    mixed: bool = False
    fused: bool = False
    multitask: bool = False

    @classmethod
    def of(cls, fit: Fit, width: int, k: int, attributes: bool, batch_size: int) -> HeadSpec:
        """Return that of a fit's head on (n, width) features.

        Auxiliary targets need a hidden layer to change anything.
        """
        sides = fit.auxiliary.sizes if fit.auxiliary is not None and fit.units else ()
        cosine, mixed = fit.loss.scale > 0, fit.mixing is not None
        moved = fit.epochs * -(-len(fit.rows) // batch_size) * width * (fit.units or k)
        multitask = fit.auxiliary is not None
        objective = Objective.of(fit, attributes)
        return cls(objective, k, fit.units, cosine, sides, mixed, moved >= FUSED, multitask)

    @property
    def heads(self) -> int:
        """Number of heads of a fit: two that teach each other, else one."""
        return 2 if self.objective.family.paired else 1

    @property
    def by_epoch(self) -> bool:
        """Whether its numbers change from epoch to epoch, and not only where class weights begin to count."""
        return self.objective.family.epoch or self.heads > 1

    @property
    def columns(self) -> int:
        """The width of the first layer, padded, of all its heads."""
        return self.heads * padded(self.units or self.k)

    @property
    def last_columns(self) -> int:
        """The width of the layer above a hidden one, padded."""
        return self.heads * padded(self.k) if self.units else 0

    @property
    def side_columns(self) -> int:
        """The width of the auxiliary layer, padded."""
        return padded(sum(self.sides)) if self.sides else 0

    def numbers(self, fit: Fit, epoch: int) -> dict[str, Any]:
        """Return the numbers of an epoch as float32 arrays, see `Objective.numbers`."""
        numbers = self.objective.numbers(fit, self.k, epoch)
        if self.cosine:
            numbers["scale"] = np.float32(fit.loss.scale)
        if fit.auxiliary is not None:
            numbers["main"] = np.float32(fit.auxiliary.main)
            numbers["side"] = np.float32(fit.auxiliary.weight)
        if self.heads > 1:
            forgotten = fit.loss.params["forget"] * min(epoch / fit.loss.params["gradual"], 1.0)
            numbers["easy"] = np.float32(1.0 - forgotten)
        return numbers


@cache
def gradient_function(spec: HeadSpec) -> Callable[..., Any]:
    """Return f(layers, numbers, rows, memory) -> sum(w * loss), sum(w), gradient by each layer.

    rows: of the minibatch, see `bench.training.objective`.
    """
    import tensorflow as tf

    def gradient(layers: Layers, numbers: Numbers, rows: Layers, memory: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(layers)
            logits, sides = _forward(spec, layers, numbers)
            measured = _losses(spec, logits, numbers, rows, memory)
            losses = [loss for one in measured for loss, _ in one]
            if spec.sides:
                losses.append(auxiliary_loss(sides, spec.sides, rows))
        sums, slopes = [totals(one) for one in measured], []
        # The mean's slope by a loss is its weight over their sum: differentiating that takes many operations.
        for one, (_, seen) in zip(measured, sums, strict=True):
            factor = (numbers["main"] if spec.multitask else 1.0) / tf.where(seen > 0, seen, 1.0)
            slopes += [weight * factor for _, weight in one]
        if spec.sides:
            slopes.append(numbers["side"])
        by_layer = tape.gradient(losses, layers, slopes, tf.UnconnectedGradients.ZERO)
        lost, seen = (sum(part) for part in zip(*sums, strict=True))
        return lost, seen, by_layer

    return tf.function(gradient, autograph=False)  # type: ignore[no-any-return]


@cache
def validation_function(spec: HeadSpec) -> Callable[..., Any]:
    """Return f(layers, numbers, labels) -> sum(w * loss), sum(w), logits (n, k) of validation rows."""
    import tensorflow as tf

    def validate(layers: Layers, numbers: Numbers, labels: Tensor) -> Any:
        logits, _ = _forward(spec, layers, numbers)
        answer = logits[0] if len(logits) == 1 else 0.5 * (logits[0] + logits[1])
        return *totals([spec.objective(numbers, answer, labels, training=False)]), answer

    return tf.function(validate, autograph=False)  # type: ignore[no-any-return]


def _forward(spec: HeadSpec, layers: Layers, numbers: Numbers) -> tuple[list[Tensor], Tensor]:
    """Return the logits (b, k) of each head, and those of the auxiliary targets side by side, or None."""
    import tensorflow as tf

    width, logits, sides = spec.units or spec.k, [], None
    for place in range(spec.heads):
        outputs = _part(spec, layers["outputs"], place, width)
        if not spec.units and spec.cosine:
            squares = tf.reduce_sum(tf.square(_part(spec, layers["kernel"], place, width)), axis=0)
            logits.append(numbers["scale"] * outputs * tf.math.rsqrt(tf.maximum(squares, TINY)))
            continue
        outputs = outputs + _part(spec, layers["bias"], place, width)
        if not spec.units:
            logits.append(outputs)
            continue
        # A relu that keeps NaN: TensorFlow's own, fused with the product, turns it into zero.
        hidden = tf.where(outputs <= 0.0, 0.0, outputs)
        last = _part(spec, layers["last_kernel"], place, spec.k)
        if spec.cosine:
            logits.append(numbers["scale"] * cosines(hidden, last))
        else:
            logits.append(tf.matmul(hidden, last) + _part(spec, layers["last_bias"], place, spec.k))
        if spec.sides:
            sides = tf.matmul(hidden, layers["side_kernel"]) + layers["side_bias"]
    return logits, sides


def cosines(inputs: Tensor, kernel: Tensor) -> Tensor:
    """Return (b, k) cosines between (b, d) inputs and the columns of a (d, k) kernel."""
    import tensorflow as tf

    return tf.matmul(tf.math.l2_normalize(inputs, 1, TINY), tf.math.l2_normalize(kernel, 0, TINY))


def _part(spec: HeadSpec, wide: Tensor, place: int, width: int) -> Tensor:
    """Return one head's columns of a tensor of all heads of a fit, without the padding."""
    own = padded(width)
    return wide if own * spec.heads == width else wide[..., place * own : place * own + width]


def _losses(
    spec: HeadSpec, logits: list[Tensor], numbers: Numbers, rows: Layers, memory: Any
) -> list[list[tuple[Tensor, Tensor]]]:
    """Return losses and weights of each head, see `Objective.losses`."""
    from bench.training.co_teaching import taught_rows

    if len(logits) == 1 or spec.mixed:
        return [spec.objective.losses(numbers, own, rows, memory) for own in logits]
    taught = taught_rows(logits, rows["labels"], numbers["easy"])
    return [
        spec.objective.losses(numbers, own, {**rows, "shares": rows["shares"] * easy}, memory)
        for own, easy in zip(logits, taught, strict=True)
    ]
