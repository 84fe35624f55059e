"""What of a net is trained: its variables, their optimizer's slots, and which of them have begun."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.models.blocks import blocks_of
from bench.models.descent import ADADELTA_RHO, BETA1, BETA2, DESCENTS, EPSILON, RMSPROP_RHO
from bench.models.lanes import TrainSetting

Tensor = Any


@dataclass(frozen=True)
class One:
    """One variable, its optimizer's slots, and its block, counted from the top: -1 for those of heads."""

    variable: Any
    slots: Sequence[Any]
    block: int


class Learned:
    """The variables of a model, of its head, and of heads beside it that a lane may do without.

    level: how many blocks are trained in this epoch, from the top, or None for all of them; see
    `TrainSetting.unfreeze`.
    """

    def __init__(self, model: Any, head: Sequence[Any], beside: Sequence[Any], setting: TrainSetting) -> None:
        import tensorflow as tf

        self.setting, self.with_beside = setting, False
        self.blocks = blocks_of(model) if setting.unfreeze else []
        self.level: int | None = None
        self.held = [*(held.value for held in model.variables), *head]
        self.held_beside = list(beside)
        self.starts = DESCENTS[setting.optimizer].starts
        place = {
            id(held): number
            for number, block in enumerate(self.blocks)
            for layer in block
            for held in layer.trainable_variables
        }

        def one(variable: Any, block: int) -> One:
            return One(variable, [tf.Variable(tf.zeros_like(variable)) for _ in self.starts], block)

        below = [one(held.value, place.get(id(held), 0)) for held in model.trainable_variables]
        self.own = [*below, *(one(variable, -1) for variable in head)]
        self.beside = [one(variable, -1) for variable in beside]

    @property
    def variables(self) -> list[Any]:
        """Every variable of the model and of the lane's heads."""
        return [*self.held, *self.held_beside] if self.with_beside else self.held

    @property
    def slots(self) -> list[Any]:
        """Every optimizer slot of what the lane trains."""
        return [slot for one in self.of(None) for slot in one.slots]

    def restart(self, with_beside: bool) -> None:
        """Begin anew with empty slots, and with the heads beside or without."""
        self.with_beside = with_beside
        self.begin(1)
        for one in self.of(None):
            for slot, value in zip(one.slots, self.starts, strict=True):
                slot.assign(np.full(slot.shape, value, np.float32))

    def begin(self, epoch: int) -> None:
        """Say which epoch is trained next, counted from 1."""
        every = self.setting.unfreeze
        level = (epoch - 1) // every if every else len(self.blocks)
        self.level = level if level < len(self.blocks) else None

    def waits(self, batches: int) -> list[int]:
        """Return how many steps are taken before each block begins; batches: steps of an epoch."""
        return [self.setting.unfreeze * batches * (place + 1) for place in range(len(self.blocks))]

    def of(self, level: int | None) -> list[One]:
        """Return what is trained while so many blocks are."""
        every = [*self.own, *(self.beside if self.with_beside else ())]
        return every if level is None else [one for one in every if one.block < level]

    @contextmanager
    def frozen_below(self, level: int | None) -> Iterator[None]:
        """Let all but so many blocks stay as they are, batch statistics included, in what is compiled."""
        late = [] if level is None else [layer for block in self.blocks[level:] for layer in block]
        # A net inside the net sets all of its layers, those that never train as well; it comes before them.
        inside = [one for layer in late for one in layer._flatten_layers()]
        trained = [one.trainable for one in inside]
        for layer in late:
            layer.trainable = False
        try:
            yield
        finally:
            for one, trains in zip(inside, trained, strict=True):
                one.trainable = trains

    def move(
        self, learned: Sequence[One], gradients: Sequence[Tensor], step: Tensor, rates: Tensor, waits: Tensor
    ) -> None:
        """Move variables by their gradients, inside a graph; kernels, not biases and the like, decay.

        step: its number from 1. rates: of the head, momentum, decay, and of what is below the head. waits:
        as `waits` says: the optimizer of a block counts from where the block begins.
        """
        for one, gradient in zip(learned, gradients, strict=True):
            if self.setting.l2 and one.variable.shape.rank > 1:
                gradient += rates[2] * one.variable
            handles = [held.handle for held in (one.variable, *one.slots)]
            rate, own = (rates[0], step) if one.block < 0 else (rates[3], step)
            if self.blocks and one.block >= 0:
                own = step - waits[one.block]
            descend(self.setting.optimizer, handles, gradient, own, rate, rates[1])


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
