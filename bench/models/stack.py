"""A tile of heads in training: their stacked variables and the compiled epoch that moves them.

Kernels are (g, k, d), biases (g, k). All lanes of a tile have one loss family, and as many training and
validation rows as each other. They share each minibatch, or each brings its own.

A lane's bits do not depend on its company. Each kernel meets its batch in a matrix product of its own
inside one batched operation. A tile's size is a multiple of the number of threads (where threads share
a product, the library would otherwise cut one lane in two); lanes of zeros fill it up. A batch's size is
a multiple of 16 (the last few numbers of an array are computed without vector instructions, and their
exp and log differ in the last bit; no lane may end up there); repeated rows that weigh 0 fill it up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from bench.methods.registry import LinearHead
from bench.models.lanes import Lane, TrainSetting
from bench.models.objective import SLOTS, Tensor, descend, loss_terms, terms_spec, weighted_loss
from bench.models.schedule import epoch_order, initial_kernel

ROW_MULTIPLE = 16
BLOCK = 1024
"""Validation rows scored at a time, at most."""


def lane_multiple() -> int:
    """Return what the number of lanes in a stack must be a multiple of."""
    import tensorflow as tf

    schedulable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = int(os.environ.get("TF_NUM_INTRAOP_THREADS", "0"))
    return max(2, tf.config.threading.get_intra_op_parallelism_threads() or asked or schedulable)


def padded(lanes: int) -> int:
    """Return the size of the stack that holds so many lanes."""
    multiple = lane_multiple()
    return -(-lanes // multiple) * multiple


def batches(rows: np.ndarray, size: int) -> np.ndarray:
    """Cut rows into batches: (steps, width) int32, each row of it filled up by repeating the first row.

    The width is the size, or the number of rows where that is smaller, rounded up to a multiple of 16.

    >>> batches(np.arange(5), 2)[:, :3].tolist()
    [[0, 1, 0], [2, 3, 0], [4, 0, 0]]
    """
    size = max(1, min(size, len(rows)))
    steps, width = -(-len(rows) // size), -(-size // ROW_MULTIPLE) * ROW_MULTIPLE
    filled = np.full(steps * size, rows[0] if len(rows) else 0, np.int32)
    filled[: len(rows)] = rows
    out = np.full((steps, width), filled[0] if len(rows) else 0, np.int32)
    out[:, :size] = filled.reshape(steps, size)
    return out


class Stack:
    """The heads of some lanes, from their initial weights on. `shared` says that they share minibatches."""

    def __init__(
        self, table: Tensor, truth: Tensor, k: int, lanes: Sequence[Lane], shared: bool, setting: TrainSetting
    ) -> None:
        import tensorflow as tf

        self.table, self.truth, self.k, self.shared, self.setting = table, truth, k, shared, setting
        self.step = 0
        d = int(table.shape[1])
        kernels = np.zeros((padded(len(lanes)), k, d), np.float32)
        biases = np.zeros((len(kernels), 1, k), np.float32)
        for place, lane in enumerate(lanes):
            kernels[place] = initial_kernel(lane.seed, d, k).T
            biases[place] = lane.loss.bias
        copies = 1 + SLOTS[setting.optimizer]
        self.kernels = [tf.Variable(value) for value in (kernels, *[np.zeros_like(kernels)] * (copies - 1))]
        self.biases = [tf.Variable(value) for value in (biases, *[np.zeros_like(biases)] * (copies - 1))]
        self._seat(lanes)

    def __len__(self) -> int:
        return int(self.kernels[0].shape[0])

    def keep(self, places: Sequence[int]) -> None:
        """Go on with the lanes at these places alone."""
        import tensorflow as tf

        fill = padded(len(places)) - len(places)

        def shrink(variable: Tensor) -> Tensor:
            kept = tf.gather(variable, list(places))
            return tf.Variable(tf.concat([kept, tf.zeros([fill, *kept.shape[1:]])], axis=0))

        self.kernels = [shrink(variable) for variable in self.kernels]
        self.biases = [shrink(variable) for variable in self.biases]
        self._seat([self.lanes[place] for place in places])

    def epoch(self, number: int) -> np.ndarray:
        """Train every lane for one epoch (counted from 1) and validate: (3, lanes) float32.

        The rows are training loss, validation loss and validation top-1, NaN where undefined.
        """
        import tensorflow as tf

        batch = self.setting.batch_size
        orders = [epoch_order(lane.rows, lane.seed, number) for lane in self._callers()]
        order = self._fill([batches(rows, batch) for rows in orders])
        answer = compiled(self.lanes[0].loss.family, self.setting.optimizer, self.setting.l2 > 0)(
            self.table,
            self.truth,
            order,
            _sizes(len(self.lanes[0].rows), batch),
            self.val_order,
            _sizes(len(self.lanes[0].val_rows), self._block()),
            [variable.handle for variable in (*self.kernels, *self.biases)],
            self.terms,
            tf.constant(float(self.step)),
            tf.constant([self.setting.lr, self.setting.momentum, self.setting.l2], tf.float32),
        )
        self.step += order.shape[1]
        numbers: np.ndarray = answer.numpy()[:, : len(self.lanes)]
        return numbers

    def head(self, place: int) -> LinearHead:
        """Return a copy of the head of the lane at this place."""
        return LinearHead(self.kernels[0][place].numpy().T, self.biases[0][place, 0].numpy())

    def _seat(self, lanes: Sequence[Lane]) -> None:
        """Lay out what depends on which lanes are in the stack and on nothing else."""
        self.lanes = list(lanes)
        spare = len(self) - len(lanes)
        self.terms = loss_terms(
            [lane.loss for lane in lanes] + [lanes[0].loss] * spare,
            [lane.weights for lane in lanes] + [np.zeros(self.k, np.float32)] * spare,
            self.k,
        )
        self.val_order = self._fill([batches(lane.val_rows, self._block()) for lane in self._callers()])

    def _callers(self) -> list[Lane]:
        """Return the lanes whose rows make the minibatches."""
        return self.lanes[:1] if self.shared else self.lanes

    def _fill(self, orders: Sequence[np.ndarray]) -> np.ndarray:
        """Stack (steps, width) row numbers to (1 or g, steps, width)."""
        spare = 0 if self.shared else len(self) - len(orders)
        return np.stack([*orders, *[orders[0]] * spare])

    def _block(self) -> int:
        """Return the number of validation rows in a block, such that blocks are about equal."""
        rows = len(self.lanes[0].val_rows)
        return max(1, -(-rows // max(1, -(-rows // BLOCK))))


def _sizes(rows: int, batch: int) -> np.ndarray:
    """Return the number of rows in each batch, (steps,) int32."""
    return np.diff(np.append(np.arange(0, rows, batch), rows)).astype(np.int32)


@cache
def compiled(family: str, optimizer: str, decays: bool) -> Callable[..., Tensor]:
    """Build the epoch of tiles with this loss family: traced once, whatever the shapes.

    Its arguments: table (n, d); truth (n,); order (1 or g, steps, width) and the sizes (steps,) of its
    batches; the same for validation; the handles of kernel and slots, then of bias and slots; the terms
    of the losses; the number of steps taken before; learning rate, momentum, l2. It gives (3, g).
    """
    import tensorflow as tf

    copies = 1 + SLOTS[optimizer]
    rows, sizes = tf.TensorSpec([None, None, None], tf.int32), tf.TensorSpec([None], tf.int32)

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.float32),
            tf.TensorSpec([None], tf.int32),
            rows,
            sizes,
            rows,
            sizes,
            [tf.TensorSpec([], tf.resource)] * (2 * copies),
            terms_spec(family),
            tf.TensorSpec([], tf.float32),
            tf.TensorSpec([3], tf.float32),
        ]
    )
    def epoch(table, truth, order, sizes, val_order, val_sizes, handles, terms, before, rates):  # type: ignore[no-untyped-def]
        kernels, biases = handles[:copies], handles[copies:]
        learning_rate, momentum, l2 = tf.unstack(rates)
        zeros = tf.zeros_like(terms["weights"][:, 0])
        lost, seen = zeros, zeros
        for i in tf.range(tf.shape(order)[1]):
            inputs, labels, real = _batch(table, truth, order[:, i], sizes[i])
            kernel, logits = _logits(inputs, kernels[0], biases[0])
            with tf.GradientTape() as tape:
                tape.watch(logits)
                loss, weight = weighted_loss(family, logits, labels, real, terms)
                mean = tf.math.divide_no_nan(loss, weight)
            slope = tape.gradient(mean, logits)
            fall = tf.matmul(slope, inputs, transpose_a=True)
            if decays:
                fall += l2 * kernel
            step = before + tf.cast(i + 1, tf.float32)
            descend(optimizer, kernels, fall, step, learning_rate, momentum)
            # A sum over rows would be cut up among threads by its place in the stack; a product is not.
            lean = tf.matmul(tf.ones([1, 1, tf.shape(slope)[1]]), slope)
            descend(optimizer, biases, lean, step, learning_rate, momentum)
            lost, seen = lost + loss, seen + weight
        val_lost, val_seen, hits = zeros, zeros, zeros
        for i in tf.range(tf.shape(val_order)[1]):
            inputs, labels, real = _batch(table, truth, val_order[:, i], val_sizes[i])
            _, logits = _logits(inputs, kernels[0], biases[0])
            loss, weight = weighted_loss(family, logits, labels, real, terms)
            right = tf.cast(tf.equal(tf.argmax(logits, axis=2, output_type=tf.int32), labels), tf.float32)
            val_lost, val_seen = val_lost + loss, val_seen + weight
            hits += tf.reduce_sum(right * real, axis=1)
        tested = tf.cast(tf.reduce_sum(val_sizes), tf.float32)
        return tf.stack([lost / seen, val_lost / val_seen, hits / tested])

    return epoch.get_concrete_function()  # type: ignore[no-any-return]


def _batch(table: Tensor, truth: Tensor, index: Tensor, size: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return inputs (u, width, d), labels (u, width), and (width,) 1.0 for the `size` real rows, else 0.0."""
    import tensorflow as tf

    real = tf.cast(tf.range(tf.shape(index)[1]) < size, tf.float32)
    return tf.gather(table, index), tf.gather(truth, index), real


def _logits(inputs: Tensor, kernel: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Return the kernel (g, k, d) behind its handle, and with it and the bias logits (g, width, k)."""
    import tensorflow as tf

    value, shift = (
        tf.ensure_shape(tf.raw_ops.ReadVariableOp(resource=handle, dtype=tf.float32), [None, None, None])
        for handle in (kernel, bias)
    )
    return value, tf.matmul(inputs, value, transpose_b=True) + shift
