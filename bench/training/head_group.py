"""Heads side by side on the same minibatches, as one TensorFlow graph.

The first kernels of all heads stand side by side in one array, so that one matrix product serves all of them
in a minibatch; everything after it is per head (`bench.training.head`). One Keras optimizer updates each
array, with a learning rate for each column. A head's bits do not depend on the others: a product of more
columns rounds each column alike, losses are computed head by head, and an optimizer works element by element.

Compiling takes longer than training a small head. A pool therefore keeps compiled groups for heads of the
same specs, whose numbers are all arguments or variables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np

from bench.training.fits import TINY, TrainSetting
from bench.training.head import HeadSpec, gradient_function, validation_function
from bench.training.mixing import blended
from bench.training.optimizers import Optimizer

Tensor = Any
Numbers = Sequence[Mapping[str, Any]]

KEPT = 32
"""Largest number of idle compiled groups."""


class Layer:
    """The kernels (d, c) and biases (c,) of one layer of all heads side by side, and their optimizer.

    columns: of each head. A column has the learning rate and decay of its head.
    """

    def __init__(self, inputs: int, columns: Sequence[int], setting: TrainSetting) -> None:
        import keras
        import tensorflow as tf

        self.columns, width = list(columns), sum(columns)
        self.kernel = keras.Variable(np.zeros((inputs, width), np.float32))
        self.bias = keras.Variable(np.zeros(width, np.float32))
        self.decays = tf.Variable(tf.zeros(width))
        self._set: tuple[list[float], list[float]] | None = None
        self.optimizer = Optimizer(setting, [self.kernel, self.bias], (width,))

    def start(self, kernels: Sequence[np.ndarray], biases: Sequence[np.ndarray]) -> None:
        """Set initial kernels and biases, in the order of the heads, and reset the optimizer."""
        self.kernel.assign(np.concatenate(kernels, axis=1))
        self.bias.assign(np.concatenate(biases))
        self.optimizer.reset()

    def begin(self, rates: Sequence[float], decays: Sequence[float]) -> None:
        """Set learning rate and decay of each head."""
        if (wanted := (list(rates), list(decays))) == self._set:
            return
        for variable, values in zip((self.optimizer.rate, self.decays), wanted, strict=True):
            variable.assign(np.repeat(np.asarray(values, np.float32), self.columns))
        self._set = wanted

    def update(self, kernel_gradient: Tensor, bias_gradient: Tensor) -> None:
        """Take one step, inside a graph; decay is the gradient of decay / 2 * kernel squared."""
        self.optimizer.apply([kernel_gradient + self.decays * self.kernel.value, bias_gradient])

    def heads(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the current kernel and bias of each head."""
        ends = np.cumsum(self.columns)[:-1]
        parts = (np.split(one.numpy(), ends, axis=-1) for one in (self.kernel, self.bias))
        return list(zip(*parts, strict=True))

    def state(self, heads: Sequence[int]) -> list[np.ndarray]:
        """Return kernel, bias and the optimizer's slots of some heads."""
        width, ends = sum(self.columns), np.cumsum(self.columns)
        columns = np.concatenate([np.arange(ends[i] - self.columns[i], ends[i]) for i in heads])
        state = [one.numpy() for one in (self.kernel, self.bias, *self.optimizer.slots)]
        return [one[..., columns] if one.ndim and one.shape[-1] == width else one for one in state]

    def restore(self, state: Sequence[np.ndarray]) -> None:
        """Set kernel, bias and the optimizer's slots."""
        for one, value in zip((self.kernel, self.bias, *self.optimizer.slots), state, strict=True):
            one.assign(value)


@dataclass(frozen=True)
class GroupSpec:
    """Key of a compiled group: its heads, the width of its inputs, and the optimizer.

    rows: for each head, which of the group's training rows it has: heads with equal labels share them.
    """

    heads: tuple[HeadSpec, ...]
    rows: tuple[int, ...]
    width: int
    optimizer: str
    momentum: float


class HeadGroup:
    """Heads with equal units, cosines, auxiliary targets and mixing: variables and compiled functions."""

    def __init__(self, spec: GroupSpec) -> None:
        import tensorflow as tf

        one, heads = spec.heads[0], spec.heads
        setting = TrainSetting(0, 0.0, spec.optimizer, spec.momentum)
        self.batch_size = tf.Variable(0)
        self.spec, self.unit = spec, one.cosine and not one.units
        self.layers = [Layer(spec.width, [head.columns for head in heads], setting)]
        if one.units:
            self.layers.append(Layer(one.units, [head.last_columns for head in heads], setting))
        if one.sides:
            self.layers.append(Layer(one.units, [head.side_columns for head in heads], setting))
        self.memories = [
            tf.Variable(tf.zeros((0, head.k)), shape=(None, head.k)) if head.objective.family.memory else None
            for head in heads
        ]
        self._step = (
            tf.function(self._update, jit_compile=True, autograph=False) if one.fused else self._update
        )
        self._compiled: dict[str, Any] = {}

    def begin(self, rates: Sequence[float], decays: Sequence[float], batch_size: int) -> None:
        """Set each head's learning rate and decay, and the batch size, for the next epoch."""
        self.batch_size.assign(batch_size)
        for layer in self.layers:
            layer.begin(rates, decays)

    def state(self, heads: Sequence[int]) -> tuple[list[list[np.ndarray]], list[np.ndarray | None]]:
        """Return the state of every layer, and the memory of every loss, of some heads."""
        memories = [None if own is None else own.numpy() for own in self.memories]
        return [layer.state(heads) for layer in self.layers], [memories[place] for place in heads]

    def restore(self, layers: Sequence[Sequence[np.ndarray]], memories: Sequence[np.ndarray | None]) -> None:
        """Set all variables to a `state`."""
        for layer, state in zip(self.layers, layers, strict=True):
            layer.restore(state)
        for memory, value in zip(self.memories, memories, strict=True):
            if memory is not None:
                memory.assign(value)

    def train(
        self, table: Any, at: np.ndarray, numbers: Numbers, rows: Sequence[Mapping[str, np.ndarray]]
    ) -> np.ndarray:
        """Take the steps of the rows at (n,) positions of a table, minibatch by minibatch.

        Returns (2, g) sums of w * loss and of w. numbers: of each head, see `gradient_function`, as tensors.
        rows: at all n positions, see `GroupSpec.rows`.
        """
        sums: np.ndarray = self._call(self._train, table, numbers, (at, rows)).numpy()
        return sums

    def validate(
        self, table: Any, at: np.ndarray, numbers: Numbers, labels: np.ndarray
    ) -> tuple[np.ndarray, list[np.ndarray]]:
        """Return (2, g) sums of w * loss and of w over rows of a table, and every head's (n, k) logits."""
        sums, logits = self._call(self._validate, table, numbers, (at, labels))
        return sums.numpy(), [one.numpy() for one in logits]

    def _call(self, function: Any, table: Any, numbers: Any, rows: Any) -> Any:
        """Call a method of the group, compiled once for any number of rows."""
        import tensorflow as tf

        table, rows = tf.nest.map_structure(tf.convert_to_tensor, (table, rows))
        if function.__name__ not in self._compiled:
            of_any_length = tf.nest.map_structure(
                lambda one: tf.TensorSpec([None, *one.shape[1:]], one.dtype), (table, rows)
            )
            fixed = tf.nest.map_structure(lambda one: tf.TensorSpec(one.shape, one.dtype), numbers)
            graph = tf.function(function, autograph=False)
            signature = of_any_length[0], fixed, *of_any_length[1]
            self._compiled[function.__name__] = graph.get_concrete_function(*signature)
        return self._compiled[function.__name__](table, numbers, *rows)

    def _train(self, table: Tensor, numbers: Numbers, at: Tensor, rows: Any) -> Tensor:
        import tensorflow as tf

        size, count = self.batch_size.value(), tf.shape(at)[0]

        def step(start: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
            end = tf.minimum(start + size, count)
            part = tf.nest.map_structure(lambda one: one[start:end], rows)
            batch = self._mix(tf.gather(table, at[start:end]), part[0])
            return end, sums + self._descend(batch, numbers, part)

        zeros = tf.zeros((2, len(self.spec.heads)))
        _, sums = tf.while_loop(
            lambda start, _: start < count, step, (tf.constant(0), zeros), parallel_iterations=1
        )
        return sums

    def _mix(self, batch: Tensor, rows: Mapping[str, Tensor]) -> Tensor:
        """Return a minibatch with rows blended, and of length one for linear heads of cosines."""
        import tensorflow as tf

        if "partners" in rows:
            batch = blended(batch, rows)
        return tf.math.l2_normalize(batch, 1, TINY) if self.unit else batch

    def _descend(self, batch: Tensor, numbers: Numbers, rows: Any) -> Tensor:
        """Update every head with one minibatch; return its sums."""
        import tensorflow as tf

        with tf.GradientTape() as tape:
            outputs = tf.matmul(batch, self.layers[0].kernel.value)
        heads, sums, slopes = self._heads(outputs), [], []
        each = [rows[place] for place in self.spec.rows]
        for spec, layers, own, data, memory in zip(
            self.spec.heads, heads, numbers, each, self.memories, strict=True
        ):
            lost, seen, slope = gradient_function(spec)(layers, own, data, memory)
            sums.append((lost, seen))
            slopes.append(slope)
        whole = {name: tf.concat([slope[name] for slope in slopes], -1) for name in slopes[0]}
        first = tape.gradient(outputs, self.layers[0].kernel.value, output_gradients=whole["outputs"])
        if "kernel" in whole:
            first += whole["kernel"]
        gradients = [first, whole["bias"]]
        for name in ("last", "side"):
            gradients += [whole[f"{name}_{part}"] for part in ("kernel", "bias") if f"{name}_bias" in whole]
        self._step(*gradients)
        return tf.transpose(tf.stack(sums))

    def _update(self, *gradients: Tensor) -> None:
        for place, layer in enumerate(self.layers):
            layer.update(*gradients[2 * place : 2 * place + 2])

    def _heads(self, outputs: Tensor) -> list[dict[str, Tensor]]:
        """Return the layers of each head, see `bench.training.head`."""
        import tensorflow as tf

        one, first = self.spec.heads[0], self.layers[0]
        wholes = {
            "outputs": tf.split(outputs, first.columns, axis=-1),
            "bias": tf.split(first.bias.value, first.columns),
        }
        if self.unit:
            wholes["kernel"] = tf.split(first.kernel.value, first.columns, axis=-1)
        names = [name for name, there in (("last", one.units), ("side", one.sides)) if there]
        for name, layer in zip(names, self.layers[1:], strict=True):
            for part, variable in (("kernel", layer.kernel), ("bias", layer.bias)):
                wholes[f"{name}_{part}"] = tf.split(variable.value, layer.columns, axis=-1)
        return [dict(zip(wholes, parts, strict=True)) for parts in zip(*wholes.values(), strict=True)]

    def _validate(self, table: Tensor, numbers: Numbers, at: Tensor, labels: Tensor) -> Any:
        import tensorflow as tf

        outputs = tf.matmul(self._mix(tf.gather(table, at), {}), self.layers[0].kernel.value)
        answers = [
            validation_function(spec)(layers, own, labels)
            for spec, layers, own in zip(self.spec.heads, self._heads(outputs), numbers, strict=True)
        ]
        lost, seen, logits = zip(*answers, strict=True)
        return tf.stack([tf.stack(lost), tf.stack(seen)]), list(logits)


_kept: dict[GroupSpec, list[HeadGroup]] = {}
_lock = Lock()


def borrow_group(spec: GroupSpec) -> HeadGroup:
    """Return a group of this spec that is not in use; its variables hold values of its last use."""
    with _lock:
        idle = _kept.get(spec, [])
        if idle:
            return idle.pop()
    return HeadGroup(spec)


def return_group(group: HeadGroup) -> None:
    """Put a group back into the pool; drop the oldest ones beyond `KEPT`."""
    with _lock:
        _kept.setdefault(group.spec, []).append(group)
        while sum(map(len, _kept.values())) > KEPT:
            oldest = next(spec for spec, idle in _kept.items() if idle)
            _kept[oldest].pop(0)
