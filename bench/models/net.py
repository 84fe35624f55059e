"""One net with a linear head: built and compiled once, started anew for each lane that trains on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.methods.registry import LinearHead
from bench.models.auxiliary import SideObjective, side_kernel
from bench.models.lanes import TINY, Lane, TrainSetting
from bench.models.learned import Learned
from bench.models.mixing import Mix, measure_mixed
from bench.models.objective import Objective
from bench.models.schedule import initial_kernel

Tensor = Any


@dataclass(frozen=True)
class Graph:
    """What a compiled training step does.

    mixed: whether losses are mixed; blended: whether inputs are; cosine: whether the head is of cosines;
    beside: whether auxiliary targets are trained on; level: how many blocks are trained, from the top, or
    None for all.
    """

    mixed: bool = False
    blended: bool = False
    cosine: bool = False
    beside: bool = False
    level: int | None = None


class Net:
    """A keras.Model that gives features, a head on them, and their optimizer.

    build: seed -> the model, its weights drawn from the seed. preprocess: a batch of inputs, inside a
    graph -> what the model is fed. inputs: their type, uint8 for pixels. attributes: whether rows have k
    attributes, or one of k classes. aside: classes of each auxiliary target that lanes may have. turn: counts
    the restarts.
    """

    def __init__(
        self,
        build: Callable[[int], Any],
        preprocess: Callable[[Any], Any],
        classes: int,
        setting: TrainSetting,
        inputs: Any = np.uint8,
        attributes: bool = False,
        aside: Sequence[int] = (),
    ) -> None:
        import tensorflow as tf

        self.itemsize = np.dtype(inputs).itemsize
        self.labels_type = tf.float32 if attributes else tf.int32
        self.build, self.preprocess, self.classes, self.setting = build, preprocess, classes, setting
        self.model = build(0)
        self.width = int(self.model.output_shape[-1])
        self.kernel = tf.Variable(tf.zeros([self.width, classes]))
        self.bias = tf.Variable(tf.zeros([classes]))
        self.side: SideObjective | None = None
        # The auxiliary targets' kernel and bias, all side by side; lanes without any never see them.
        shapes = ([self.width, sum(aside)], [sum(aside)]) if aside else ()
        self.beside = [tf.Variable(tf.zeros(shape)) for shape in shapes]
        self.learned = Learned(self.model, [self.kernel, self.bias], self.beside, setting)
        self.turn = self.step = 0
        images = tf.TensorSpec([None, *self.model.input_shape[1:]], tf.as_dtype(inputs))
        self.objective: Objective | None = None
        labels = tf.TensorSpec([None, classes] if attributes else [None], self.labels_type)
        self._specs = images, labels
        self._training: dict[Graph, Callable[..., Tensor]] = {}
        self._features = self._compile_features(images)

    def restart(self, lane: Lane, objective: Objective) -> None:
        """Set every variable, random state and optimizer slot to what a lane begins with."""
        seed, bias, start = lane.seed, lane.loss.bias, lane.start
        fresh = self.build(seed).variables if start is None else start
        for held, new in zip(self.model.variables, fresh, strict=True):
            held.assign(new)
        self.kernel.assign(initial_kernel(seed, self.width, self.classes))
        self.bias.assign(np.full(self.classes, bias, np.float32))
        self.scale, self.batches = lane.loss.scale, -(-len(lane.rows) // self.setting.batch_size)
        self.side = None if lane.auxiliary is None else SideObjective(lane.auxiliary)
        if lane.auxiliary is not None:
            kernel = side_kernel(seed, self.width, lane.auxiliary.sizes)
            for variable, value in zip(self.beside, (kernel, np.zeros(kernel.shape[1])), strict=True):
                variable.assign(value)
        self.learned.restart(self.side is not None)
        self.turn, self.step, self.objective = self.turn + 1, 0, objective

    def train(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        places: np.ndarray,
        lr: float,
        mix: Mix | None = None,
        other_labels: np.ndarray | None = None,
    ) -> np.ndarray:
        """Take the steps that (n, h, w, c) images make: (steps, 2) sums of weight * loss and of weight.

        labels: (n,) classes or (n, k) attributes. places: (n,) the images' positions among the lane's rows.
        mix: how they are mixed, minibatch by minibatch, or None for not at all; what is pasted must be there.
        other_labels: of the rows that they are mixed with.
        """
        import tensorflow as tf

        setting, before = self.setting, tf.constant(float(self.step))
        factors = [lr, setting.momentum, setting.l2, lr * setting.backbone_rate, self.scale]
        rates = tf.constant(factors, tf.float32)
        mixed, blended = mix is not None, mix is not None and mix.boxes is None
        # Nets that mix nothing pay nothing for it: graphs are made when they are asked for.
        graph = Graph(mixed, blended, self.scale > 0, self.side is not None, self.learned.level)
        if graph not in self._training:
            self._training[graph] = self._compile_training(*self._specs, graph)
        if mix is None:
            mix, other_labels = Mix(np.empty(0), np.empty(0, np.int64)), labels[:0]
        sums: np.ndarray = self._training[graph](
            tf.constant(images),
            tf.constant(labels, self.labels_type),
            tf.constant(places, tf.int64),
            before,
            rates,
            tf.constant(self.learned.waits(self.batches), tf.float32),
            tf.constant(mix.shares, tf.float32),
            tf.constant(other_labels, self.labels_type),
            tf.constant(mix.others, tf.int64),
            tf.constant(mix.partners if blended else [], tf.int64),
        ).numpy()
        self.step += -(-len(images) // setting.batch_size)
        return sums

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return (n, d) float32 features of (n, h, w, c) images."""
        import tensorflow as tf

        features: np.ndarray = self._features(tf.constant(images)).numpy()
        return features

    def head(self) -> LinearHead:
        """Return a copy of the head; one of cosines takes rows of length one."""
        kernel = self.kernel.numpy().copy()
        if self.scale:
            kernel *= self.scale / np.sqrt(np.maximum(np.square(kernel).sum(axis=0), np.float32(TINY)))
        return LinearHead(kernel, self.bias.numpy().copy())

    def state(self) -> list[np.ndarray]:
        """Return a copy of every variable of model and head."""
        return [variable.numpy().copy() for variable in self.learned.variables]

    def motion(self) -> list[np.ndarray]:
        """Return a copy of every optimizer slot."""
        return [slot.numpy().copy() for slot in self.learned.slots]

    def resume(self, state: list[np.ndarray], motion: list[np.ndarray], step: int) -> None:
        """Go on from variables, optimizer slots and the number of steps taken, as they were then."""
        self.restore(state)
        for slot, value in zip(self.learned.slots, motion, strict=True):
            slot.assign(value)
        self.step = step

    def restore(self, state: list[np.ndarray]) -> None:
        """Put every variable of model and head back to a copy."""
        for variable, value in zip(self.learned.variables, state, strict=True):
            variable.assign(value)

    def _compile_training(self, images_spec: Any, labels_spec: Any, graph: Graph) -> Callable[..., Tensor]:
        """Return what takes the steps of `train`."""
        import tensorflow as tf

        learned = self.learned.of(graph.level)

        @tf.function(
            input_signature=[
                images_spec,
                labels_spec,
                tf.TensorSpec([None], tf.int64),
                tf.TensorSpec([], tf.float32),
                tf.TensorSpec([5], tf.float32),
                tf.TensorSpec([None], tf.float32),
                tf.TensorSpec([None], tf.float32),
                labels_spec,
                tf.TensorSpec([None], tf.int64),
                tf.TensorSpec([None], tf.int64),
            ]
        )
        def train(  # type: ignore[no-untyped-def]
            images, labels, places, before, rates, waits, shares, other_labels, others, partners
        ):
            batch = self.setting.batch_size
            steps = (tf.shape(images)[0] + batch - 1) // batch
            sums = tf.TensorArray(tf.float32, steps, element_shape=[2])
            for i in tf.range(steps):
                part = images[i * batch : (i + 1) * batch]
                rows = [labels, places, *([shares, other_labels, others] if graph.mixed else [])]
                fed, known = self.preprocess(part), [array[i * batch : (i + 1) * batch] for array in rows]
                if graph.blended:
                    # Scaling is affine, so that scaled images mix as pixels do.
                    own = tf.reshape(known[2], [-1, *[1] * (len(images_spec.shape) - 1)])
                    pair = tf.gather(fed, partners[i * batch : (i + 1) * batch])
                    fed = own * fed + (1.0 - own) * pair
                with tf.GradientTape() as tape:
                    features = self.model(fed, training=True)
                    logits = [self._logits(features, rates[4] if graph.cosine else None)]
                    if graph.beside:
                        logits.append(tf.matmul(features, self.beside[0]) + self.beside[1])
                lost, *slopes = tf.numpy_function(
                    self._measure, [logits[0], *logits[1:], *known], [tf.float32] * (1 + len(logits))
                )
                gradients = tape.gradient(
                    logits,
                    [one.variable for one in learned],
                    output_gradients=[
                        tf.ensure_shape(slope, own.shape) for slope, own in zip(slopes, logits, strict=True)
                    ],
                    unconnected_gradients=tf.UnconnectedGradients.ZERO,
                )
                self.learned.move(learned, gradients, before + tf.cast(i + 1, tf.float32), rates, waits)
                sums = sums.write(i, tf.ensure_shape(lost, [2]))
            return sums.stack()

        with self.learned.frozen_below(graph.level):
            return train.get_concrete_function()  # type: ignore[no-any-return]

    def _logits(self, features: Tensor, scale: Tensor | None) -> Tensor:
        """Return the head's logits; scale: of a head of cosines, or None for a plain one."""
        import tensorflow as tf

        if scale is None:
            return tf.matmul(features, self.kernel) + self.bias
        unit = tf.math.l2_normalize(features, axis=1, epsilon=TINY)
        return scale * tf.matmul(unit, tf.math.l2_normalize(self.kernel, axis=0, epsilon=TINY))

    def _measure(self, logits: np.ndarray, *told: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return (2,) sums of weight * loss and of weight over a batch, and its slope (n, k).

        told: the logits of auxiliary targets, where there are some, whose slope comes last then; labels and
        places; and, where the batch is mixed, shares, and labels and places of the others.
        """
        assert self.objective is not None
        labels, places, *mix = told if self.side is None else told[1:]
        with np.errstate(all="ignore"):
            if mix:
                lost, seen, slope = measure_mixed(self.objective, logits.copy(), labels, places, *mix)
            else:
                lost, seen, slope = self.objective(logits.copy(), labels, places)
            sums = np.array([lost, seen], np.float32)
            if self.side is None:
                return sums, slope
            own = Mix(mix[0], mix[2]) if mix else None
            return sums, self.side.main * slope, self.side.slope(told[0], places, own)

    def _compile_features(self, images_spec: Any) -> Callable[..., Tensor]:
        import tensorflow as tf

        @tf.function(input_signature=[images_spec])
        def features(images):  # type: ignore[no-untyped-def]
            batch = self.setting.batch_size
            steps = (tf.shape(images)[0] + batch - 1) // batch
            parts = tf.TensorArray(tf.float32, steps, infer_shape=False, element_shape=[None, self.width])
            for i in tf.range(steps):
                part = images[i * batch : (i + 1) * batch]
                parts = parts.write(i, self.model(self.preprocess(part), training=False))
            return parts.concat()

        return features.get_concrete_function()  # type: ignore[no-any-return]
