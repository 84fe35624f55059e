"""A Keras model with a linear head, compiled once and re-initialised for each fit."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from bench.backbones.precision import loss_scale
from bench.training.auxiliary import auxiliary_loss, side_kernel
from bench.training.fits import TINY, Fit, TrainSetting
from bench.training.head import cosines
from bench.training.linear_head import LinearHead
from bench.training.mixing import blended
from bench.training.nets.trainable import Learned
from bench.training.objective import Objective, Rows, mean, totals
from bench.training.schedule import initial_kernel

Tensor = Any


class Net:
    """A keras.Model that gives features, a head on them, and their optimizers.

    build: seed -> the model, its weights drawn from the seed. preprocess: a batch of inputs, inside a
    graph -> the model's inputs. inputs: their type, uint8 for pixels. attributes: whether rows have k
    attributes, or one of k classes. aside: classes of each auxiliary target that fits may have. decays:
    whether any fit has a weight decay. turn: number of restarts. memory: of the loss, for each training row,
    (m, k), empty for most losses.
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
        decays: bool = False,
    ) -> None:
        import keras
        import tensorflow as tf

        self.itemsize = np.dtype(inputs).itemsize
        self.build, self.preprocess, self.classes, self.setting = build, preprocess, classes, setting
        self.attributes, self.sizes = attributes, tuple(aside)
        self.model = build(0)
        self.width = int(self.model.output_shape[-1])
        self.kernel = keras.Variable(np.zeros((self.width, classes), np.float32))
        self.bias = keras.Variable(np.zeros(classes, np.float32))
        # The auxiliary targets' kernel and bias, all side by side; fits without any never see them.
        shapes = ((self.width, sum(aside)), (sum(aside),)) if aside else ()
        self.beside = [keras.Variable(np.zeros(shape, np.float32)) for shape in shapes]
        self.learned = Learned(self.model, [self.kernel, self.bias], self.beside, setting, decays)
        self.memory = tf.Variable(tf.zeros((0, classes)), shape=(None, classes))
        self.turn = 0
        self._training: dict[Hashable, Callable[..., Tensor]] = {}
        images = tf.TensorSpec([None, *self.model.input_shape[1:]], inputs)
        self._features = tf.function(self._embed, input_signature=[images], autograph=False)

    def restart(self, fit: Fit) -> None:
        """Set every variable, random state and optimizer slot to a fit's initial values."""
        seed, bias, start, side = fit.seed, fit.loss.bias, fit.start, fit.auxiliary
        fresh = self.build(seed).variables if start is None else start
        for held, new in zip(self.model.variables, fresh, strict=True):
            held.assign(new)
        self.kernel.assign(initial_kernel(seed, self.width, self.classes))
        self.bias.assign(np.full(self.classes, bias, np.float32))
        if side is not None:
            kernel = side_kernel(seed, self.width, side.sizes)
            for variable, value in zip(self.beside, (kernel, np.zeros(kernel.shape[1])), strict=True):
                variable.assign(value)
        self.learned.restart(side is not None)
        self.fit, self.scale, self.turn = fit, fit.loss.scale, self.turn + 1
        self.objective = Objective.of(fit, self.attributes)
        rows = len(fit.rows) if self.objective.family.memory else 0
        self.memory.assign(np.zeros((rows, self.classes), np.float32))

    def begin(self, epoch: int, rate: float, l2: float) -> None:
        """Prepare an epoch, counted from 1, with its learning rate and decay of kernels."""
        import tensorflow as tf

        self.learned.begin(epoch, rate)
        numbers, side = self.objective.numbers(self.fit, self.classes, epoch), self.fit.auxiliary
        factors = {"l2": l2, "scale": self.scale}
        if side is not None:
            factors |= {"main": side.main, "side": side.weight}
        numbers |= {name: np.float32(value) for name, value in factors.items()}
        self.numbers = tf.nest.map_structure(tf.constant, numbers)

    def train(self, rows: Rows) -> np.ndarray:
        """Train on rows, minibatch by minibatch: (steps, 2) sums of weight * loss and of weight."""
        import tensorflow as tf

        # A graph has no inputs that the fit does not need; it is compiled at its first use.
        specs = {name: tf.TensorSpec((None, *rows[name].shape[1:]), rows[name].dtype) for name in rows}
        cosine, level = self.scale > 0, self.learned.level
        graph = self.objective, tuple(specs.items()), tuple(self.numbers["params"]), cosine, level
        if graph not in self._training:
            self._training[graph] = self._compile_training(specs, cosine, level)
        taken: np.ndarray = self._training[graph](dict(rows), self.numbers).numpy()
        return taken

    def validation_loss(self, logits: np.ndarray, labels: np.ndarray) -> float:
        """Return the weighted mean loss of validation rows in the current epoch."""
        lost, seen = totals([self.objective(self.numbers, logits, labels, training=False)])
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.float64(lost) / np.float64(seen))

    def features(self, images: np.ndarray) -> np.ndarray:
        """Return (n, d) float32 features of (n, h, w, c) images, a batch at a time."""
        size = self.setting.batch_size
        starts = range(0, len(images), size)
        return np.concatenate([self._features(images[start : start + size]).numpy() for start in starts])

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
        return [np.array(slot.numpy()) for slot in self.learned.slots]

    def resume(self, state: Sequence[np.ndarray], motion: Sequence[np.ndarray], memory: np.ndarray) -> None:
        """Set variables, optimizer slots and the loss's memory to those of a checkpoint."""
        self.restore(state)
        for slot, value in zip(self.learned.slots, motion, strict=True):
            slot.assign(value)
        self.memory.assign(memory)

    def restore(self, state: Sequence[np.ndarray]) -> None:
        """Set every variable of model and head to a copy."""
        for variable, value in zip(self.learned.variables, state, strict=True):
            variable.assign(value)

    def _compile_training(
        self, specs: Mapping[str, Any], cosine: bool, level: int | None
    ) -> Callable[..., Tensor]:
        """Return the compiled function of `train`."""
        import tensorflow as tf

        parts = self.learned.of(level)
        batch, scale = self.setting.batch_size, loss_scale(self.setting.precision)

        def train(rows: Any, numbers: Any) -> Tensor:
            steps = (tf.shape(rows["labels"])[0] + batch - 1) // batch

            def step(i: Tensor, taken: Any) -> tuple[Tensor, Any]:
                own = {name: array[i * batch : (i + 1) * batch] for name, array in rows.items()}
                fed = self._fed(own)
                with tf.GradientTape() as tape:
                    features = tf.cast(self.model(fed, training=True), tf.float32)
                    loss, lost, seen = self._loss(features, own, numbers, cosine)
                    scaled = loss if scale == 1.0 else scale * loss
                gradients = tape.gradient(
                    scaled,
                    [[variable.value for variable in part.variables] for part in parts],
                    unconnected_gradients=tf.UnconnectedGradients.ZERO,
                )
                for part, slopes in zip(parts, gradients, strict=True):
                    part.update(slopes, numbers["l2"])
                return i + 1, taken.write(i, tf.stack([lost, seen]))

            taken = tf.TensorArray(tf.float32, steps, element_shape=[2])
            _, taken = tf.while_loop(lambda i, _: i < steps, step, (0, taken), parallel_iterations=1)
            return taken.stack()

        numbers = tf.nest.map_structure(lambda one: tf.TensorSpec(one.shape, one.dtype), self.numbers)
        compiled = tf.function(train, input_signature=[dict(specs), numbers], autograph=False)
        with self.learned.frozen_below(level):
            return compiled.get_concrete_function()  # type: ignore[no-any-return]

    def _embed(self, images: Tensor) -> Tensor:
        import tensorflow as tf

        return tf.cast(self.model(self.preprocess(images), training=False), tf.float32)

    def _fed(self, rows: Mapping[str, Tensor]) -> Tensor:
        """Return the model's inputs for a minibatch."""
        fed = self.preprocess(rows["inputs"])
        if "partners" in rows:
            # Scaling is affine, so that scaled images mix as pixels do.
            fed = blended(fed, rows)
        return fed

    def _loss(
        self, features: Tensor, rows: Mapping[str, Tensor], numbers: Mapping[str, Any], cosine: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the loss of a minibatch, and the sums of the labels' weight * loss and weight."""
        import tensorflow as tf

        if cosine:
            logits = numbers["scale"] * cosines(features, self.kernel)
        else:
            logits = tf.matmul(features, self.kernel) + self.bias
        memory = self.memory if self.objective.family.memory else None
        lost, seen = totals(self.objective.losses(numbers, logits, rows, memory))
        minimised = mean(lost, seen)
        if "aside" in rows:
            beside = tf.matmul(features, self.beside[0]) + self.beside[1]
            aside = auxiliary_loss(beside, self.sizes, rows)
            minimised = numbers["main"] * minimised + numbers["side"] * aside
        return minimised, lost, seen
