"""Trainable variables of a net in parts, each with an optimizer, that start to train one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from bench.backbones.precision import loss_scale
from bench.training.fits import TrainSetting
from bench.training.nets.blocks import blocks_of
from bench.training.optimizers import Optimizer

Tensor = Any

HEAD = -1
"""The block of a net's heads, above the others, which count from the top."""


class NetPart:
    """Variables that start to train together, and their optimizer, which counts steps from there.

    The optimizer updates one vector of all of them: its rules are elementwise, and one variable takes a tenth
    of the operations of a hundred.
    """

    def __init__(self, variables: Sequence[Any], block: int, setting: TrainSetting, decays: bool) -> None:
        import keras

        self.variables, self.block = list(variables), block
        self.sizes = [int(np.prod(variable.shape)) for variable in self.variables]
        self.whole = keras.Variable(np.zeros(sum(self.sizes), np.float32))
        self.optimizer, self.scale = Optimizer(setting, [self.whole]), loss_scale(setting.precision)
        # Kernels decay, not biases and the like.
        kernels = [np.full(size, len(one.shape) > 1) for one, size in zip(variables, self.sizes, strict=True)]
        self.kernels = np.concatenate(kernels).astype(np.float32) if decays else None

    def begin(self, rate: float) -> None:
        """Copy the variables into the vector, and set the learning rate."""
        self.optimizer.rate.assign(rate)
        self.whole.assign(np.concatenate([variable.numpy().ravel() for variable in self.variables]))

    def update(self, gradients: Sequence[Tensor], l2: Tensor) -> None:
        """Update the variables by the gradients of the scaled loss, inside a graph."""
        import tensorflow as tf

        gradient = tf.concat([tf.reshape(one, [-1]) for one in gradients], axis=0)
        if self.scale != 1.0:
            gradient /= self.scale
        if self.kernels is not None:
            gradient += l2 * self.kernels * self.whole
        self.optimizer.apply([gradient])
        for variable, value in zip(self.variables, tf.split(self.whole.value, self.sizes), strict=True):
            variable.assign(tf.reshape(value, variable.shape))


class Learned:
    """The variables of a model, of its head, and of auxiliary heads, which not every fit has.

    level: number of blocks trained in this epoch, from the top, or None for all; see
    `TrainSetting.unfreeze`. decays: whether kernels decay.
    """

    def __init__(
        self, model: Any, head: Sequence[Any], beside: Sequence[Any], setting: TrainSetting, decays: bool
    ) -> None:
        self.setting, self.with_beside = setting, False
        self.blocks = blocks_of(model) if setting.unfreeze else []
        self.level: int | None = None
        self.held = [*model.variables, *head]
        self.held_beside = list(beside)
        place = {
            id(held): number
            for number, block in enumerate(self.blocks)
            for layer in block
            for held in layer.trainable_variables
        }
        below: dict[int, list[Any]] = {}
        for variable in model.trainable_variables:
            below.setdefault(place.get(id(variable), 0), []).append(variable)
        self.own = [NetPart(variables, block, setting, decays) for block, variables in sorted(below.items())]
        self.own.append(NetPart(head, HEAD, setting, decays))
        self.beside = [NetPart(beside, HEAD, setting, decays)] if beside else []

    @property
    def variables(self) -> list[Any]:
        """Every variable of the model and of the fit's heads."""
        return [*self.held, *self.held_beside] if self.with_beside else self.held

    @property
    def slots(self) -> list[Any]:
        """Every optimizer slot of the fit's parts, counts of steps included."""
        return [slot for part in self.of(None) for slot in part.optimizer.slots]

    def restart(self, with_beside: bool) -> None:
        """Reset all slots, and choose whether there are auxiliary heads."""
        self.with_beside = with_beside
        for part in self.of(None):
            part.optimizer.reset()

    def begin(self, epoch: int, rate: float) -> None:
        """Prepare an epoch, counted from 1. rate: of the heads."""
        every = self.setting.unfreeze
        level = (epoch - 1) // every if every else len(self.blocks)
        self.level = level if level < len(self.blocks) else None
        for part in self.of(None):
            part.begin(rate if part.block == HEAD else rate * self.setting.backbone_rate)

    def of(self, level: int | None) -> list[NetPart]:
        """Return the parts that train while so many blocks do."""
        every = [*self.own, *(self.beside if self.with_beside else ())]
        return every if level is None else [part for part in every if part.block < level]

    @contextmanager
    def frozen_below(self, level: int | None) -> Iterator[None]:
        """Freeze all but so many blocks, batch statistics included, in functions compiled in this context."""
        late = [] if level is None else [layer for block in self.blocks[level:] for layer in block]
        # `trainable` of a nested net sets that of all its layers, so that it comes before them.
        inside = [one for layer in late for one in layer._flatten_layers()]
        trained = [one.trainable for one in inside]
        for layer in late:
            layer.trainable = False
        try:
            yield
        finally:
            for one, trains in zip(inside, trained, strict=True):
                one.trainable = trains
