"""One net with a linear head: built and compiled once, started anew for each lane that trains on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from bench.methods.registry import LinearHead
from bench.models.descent import ADADELTA_RHO, BETA1, BETA2, DESCENTS, EPSILON, RMSPROP_RHO
from bench.models.lanes import TrainSetting
from bench.models.mixing import Mix
from bench.models.objective import Objective
from bench.models.schedule import initial_kernel

Tensor = Any


class Net:
    """A keras.Model that gives features, a head on them, and their optimizer.

    build: seed -> the model, its weights drawn from the seed. preprocess: a batch of inputs, inside a
    graph -> what the model is fed. inputs: their type, uint8 for pixels. attributes: whether rows have k
    attributes, or one of k classes. turn: counts the restarts.
    """

    def __init__(
        self,
        build: Callable[[int], Any],
        preprocess: Callable[[Any], Any],
        classes: int,
        setting: TrainSetting,
        inputs: Any = np.uint8,
        attributes: bool = False,
    ) -> None:
        import tensorflow as tf

        self.itemsize = np.dtype(inputs).itemsize
        self.labels_type = tf.float32 if attributes else tf.int32
        self.build, self.preprocess, self.classes, self.setting = build, preprocess, classes, setting
        self.model = build(0)
        self.width = int(self.model.output_shape[-1])
        self.kernel = tf.Variable(tf.zeros([self.width, classes]))
        self.bias = tf.Variable(tf.zeros([classes]))
        self.variables = [*(held.value for held in self.model.variables), self.kernel, self.bias]
        self.learned = [*(held.value for held in self.model.trainable_variables), self.kernel, self.bias]
        self.starts = DESCENTS[setting.optimizer].starts
        self.slots = [[tf.Variable(tf.zeros_like(held)) for _ in self.starts] for held in self.learned]
        self.turn = self.step = 0
        images = tf.TensorSpec([None, *self.model.input_shape[1:]], tf.as_dtype(inputs))
        self.objective: Objective | None = None
        labels = tf.TensorSpec([None, classes] if attributes else [None], self.labels_type)
        self._training = {False: self._compile_training(images, labels, mixed=False)}
        self._mixed = partial(self._compile_training, images, labels, mixed=True)
        self._features = self._compile_features(images)

    def restart(
        self, seed: int, objective: Objective, bias: float, start: Sequence[np.ndarray] | None = None
    ) -> None:
        """Set every variable, random state and optimizer slot to what the seed says; take up an objective.

        start: what the model's variables are set to instead, or None.
        """
        fresh = self.build(seed).variables if start is None else start
        for held, new in zip(self.model.variables, fresh, strict=True):
            held.assign(new)
        self.kernel.assign(initial_kernel(seed, self.width, self.classes))
        self.bias.assign(np.full(self.classes, bias, np.float32))
        for slots in self.slots:
            for slot, value in zip(slots, self.starts, strict=True):
                slot.assign(np.full(slot.shape, value, np.float32))
        self.turn, self.step, self.objective = self.turn + 1, 0, objective

    def train(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        places: np.ndarray,
        lr: float,
        mix: Mix | None = None,
    ) -> np.ndarray:
        """Take the steps that (n, h, w, c) images make: (steps, 2) sums of weight * loss and of weight.

        labels: (n,) classes or (n, k) attributes. places: (n,) the images' positions among the lane's rows.
        mix: how they are mixed, minibatch by minibatch, or None for not at all.
        """
        import tensorflow as tf

        setting, before = self.setting, tf.constant(float(self.step))
        factors = [lr, setting.momentum, setting.l2, lr * setting.backbone_rate]
        rates = tf.constant(factors, tf.float32)
        # Nets that mix nothing pay nothing for it: there are two graphs, the second one when it is asked for.
        if (mix is not None) not in self._training:
            self._training[True] = self._mixed()
        shares, partners = ([], []) if mix is None else (mix.shares, mix.partners)
        sums: np.ndarray = self._training[mix is not None](
            tf.constant(images),
            tf.constant(labels, self.labels_type),
            tf.constant(places, tf.int64),
            before,
            rates,
            tf.constant(shares, tf.float32),
            tf.constant(partners, tf.int64),
        ).numpy()
        self.step += -(-len(images) // setting.batch_size)
        return sums

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return (n, d) float32 features of (n, h, w, c) images."""
        import tensorflow as tf

        features: np.ndarray = self._features(tf.constant(images)).numpy()
        return features

    def head(self) -> LinearHead:
        """Return a copy of the head."""
        return LinearHead(self.kernel.numpy().copy(), self.bias.numpy().copy())

    def state(self) -> list[np.ndarray]:
        """Return a copy of every variable of model and head."""
        return [variable.numpy().copy() for variable in self.variables]

    def motion(self) -> list[np.ndarray]:
        """Return a copy of every optimizer slot."""
        return [slot.numpy().copy() for slots in self.slots for slot in slots]

    def resume(self, state: list[np.ndarray], motion: list[np.ndarray], step: int) -> None:
        """Go on from variables, optimizer slots and the number of steps taken, as they were then."""
        self.restore(state)
        for slot, value in zip((slot for slots in self.slots for slot in slots), motion, strict=True):
            slot.assign(value)
        self.step = step

    def restore(self, state: list[np.ndarray]) -> None:
        """Put every variable of model and head back to a copy."""
        for variable, value in zip(self.variables, state, strict=True):
            variable.assign(value)

    def _compile_training(self, images_spec: Any, labels_spec: Any, mixed: bool) -> Callable[..., Tensor]:
        import tensorflow as tf

        @tf.function(
            input_signature=[
                images_spec,
                labels_spec,
                tf.TensorSpec([None], tf.int64),
                tf.TensorSpec([], tf.float32),
                tf.TensorSpec([4], tf.float32),
                tf.TensorSpec([None], tf.float32),
                tf.TensorSpec([None], tf.int64),
            ]
        )
        def train(images, labels, places, before, rates, shares, partners):  # type: ignore[no-untyped-def]
            batch = self.setting.batch_size
            steps = (tf.shape(images)[0] + batch - 1) // batch
            sums = tf.TensorArray(tf.float32, steps, element_shape=[2])
            for i in tf.range(steps):
                part = images[i * batch : (i + 1) * batch]
                truth, rows = labels[i * batch : (i + 1) * batch], places[i * batch : (i + 1) * batch]
                fed, known = self.preprocess(part), [truth, rows]
                if mixed:
                    own, others = shares[i * batch : (i + 1) * batch], partners[i * batch : (i + 1) * batch]
                    known += [own, others]
                    # Scaling is affine, so that scaled images mix as pixels do.
                    own = tf.reshape(own, [-1, *[1] * (len(images_spec.shape) - 1)])
                    fed = own * fed + (1.0 - own) * tf.gather(fed, others)
                with tf.GradientTape() as tape:
                    features = self.model(fed, training=True)
                    logits = tf.matmul(features, self.kernel) + self.bias
                lost, slope = tf.numpy_function(self._measure, [logits, *known], [tf.float32, tf.float32])
                gradients = tape.gradient(
                    logits,
                    self.learned,
                    output_gradients=tf.ensure_shape(slope, logits.shape),
                    unconnected_gradients=tf.UnconnectedGradients.ZERO,
                )
                self._descend(gradients, before + tf.cast(i + 1, tf.float32), rates)
                sums = sums.write(i, tf.ensure_shape(lost, [2]))
            return sums.stack()

        return train.get_concrete_function()  # type: ignore[no-any-return]

    def _measure(
        self, logits: np.ndarray, labels: np.ndarray, places: np.ndarray, *mix: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return (2,) sums of weight * loss and of weight over a batch, and its slope (n, k).

        mix: the fields of a `Mix`, where the batch is mixed.
        """
        assert self.objective is not None
        with np.errstate(all="ignore"):
            if mix:
                lost, seen, slope = Mix(*mix).measure(self.objective, logits.copy(), labels, places)
            else:
                lost, seen, slope = self.objective(logits.copy(), labels, places)
        return np.array([lost, seen], np.float32), slope

    def _descend(self, gradients: list[Tensor], step: Tensor, rates: Tensor) -> None:
        """Move every learned variable; kernels, not biases and the like, decay."""
        own = [rates[3]] * (len(self.learned) - 2) + [rates[0]] * 2
        for variable, slots, gradient, rate in zip(self.learned, self.slots, gradients, own, strict=True):
            if self.setting.l2 and variable.shape.rank > 1:
                gradient += rates[2] * variable
            handles = [held.handle for held in (variable, *slots)]
            descend(self.setting.optimizer, handles, gradient, step, rate, rates[1])

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


def descend(
    optimizer: str, handles: Sequence[Tensor], gradient: Tensor, step: Tensor, rate: Tensor, momentum: Tensor
) -> None:
    """Take one step of one of Keras's optimizers, in one pass over the variable.

    handles: of the variable and its slots. step: number of the step from 1, as a float.
    """
    import tensorflow as tf

    if optimizer == "rmsprop":
        square = tf.raw_ops.ReadVariableOp(resource=handles[1], dtype=tf.float32)
        square = RMSPROP_RHO * square + (1.0 - RMSPROP_RHO) * gradient * gradient
        tf.raw_ops.AssignVariableOp(resource=handles[1], value=square)
        moved = rate * gradient / tf.sqrt(square + EPSILON)
        tf.raw_ops.AssignSubVariableOp(resource=handles[0], value=moved)
    elif optimizer == "adagrad":
        square = tf.raw_ops.ReadVariableOp(resource=handles[1], dtype=tf.float32) + gradient * gradient
        tf.raw_ops.AssignVariableOp(resource=handles[1], value=square)
        moved = rate * gradient / tf.sqrt(square + EPSILON)
        tf.raw_ops.AssignSubVariableOp(resource=handles[0], value=moved)
    elif optimizer == "adadelta":
        tf.raw_ops.ResourceApplyAdadelta(
            var=handles[0],
            accum=handles[1],
            accum_update=handles[2],
            lr=rate,
            rho=ADADELTA_RHO,
            epsilon=EPSILON,
            grad=gradient,
        )
    elif optimizer == "adam":
        tf.raw_ops.ResourceApplyAdam(
            var=handles[0],
            m=handles[1],
            v=handles[2],
            beta1_power=tf.pow(BETA1, step),
            beta2_power=tf.pow(BETA2, step),
            lr=rate,
            beta1=BETA1,
            beta2=BETA2,
            epsilon=EPSILON,
            grad=gradient,
        )
    else:
        tf.raw_ops.ResourceApplyKerasMomentum(
            var=handles[0], accum=handles[1], lr=rate, grad=gradient, momentum=momentum
        )
