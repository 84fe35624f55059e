"""The optimizers of protocols: those of Keras, with its constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.training.fits import TrainSetting


class Optimizer:
    """A Keras optimizer of some variables, with a learning rate that can be set, and slots that can be reset.

    columns: shape of the rate, () for one number, (c,) for one for each column. Keras multiplies an update by
    its schedule's learning rate, which may be a vector along columns. slots: its variables, the count of
    steps included.
    """

    def __init__(
        self, setting: TrainSetting, variables: Sequence[Any], columns: tuple[int, ...] = ()
    ) -> None:
        import tensorflow as tf
        from keras import optimizers

        rate = tf.Variable(tf.zeros(columns))

        class Rate(optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
            def __call__(self, step: Any) -> Any:
                return rate

            def get_config(self) -> dict[str, Any]:
                return {}

        made = {
            "adam": optimizers.Adam,
            "rmsprop": optimizers.RMSprop,
            "adagrad": optimizers.Adagrad,
            "adadelta": optimizers.Adadelta,
            "sgd": optimizers.SGD,
        }
        own = {"momentum": setting.momentum} if setting.optimizer == "sgd" else {}
        self.rate, self.variables = rate, list(variables)
        self.keras = made[setting.optimizer](Rate(), **own)
        self.keras.build(self.variables)
        self.slots = self.keras.variables
        # Every slot has one initial value throughout.
        self._initial = [float(np.ravel(slot.numpy())[0]) for slot in self.slots]

    def reset(self) -> None:
        """Set every slot, and the count of steps, to its initial value."""
        for slot, value in zip(self.slots, self._initial, strict=True):
            slot.assign(np.full(slot.shape, value))

    def apply(self, gradients: Sequence[Any]) -> None:
        """Update the variables by their gradients, inside a graph."""
        self.keras.apply(gradients, self.variables)
