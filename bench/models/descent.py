"""The optimizers of stacked heads: Keras's rules on NumPy arrays, in place."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from bench.models.lanes import TrainSetting

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-7
"""Adam's constants, those of Keras."""


class Descent(Protocol):
    """Moves one array of weights, and has slots beside it of the same shape."""

    def move(self, weights: np.ndarray, gradient: np.ndarray, step: int) -> None:
        """Take one step, counted from 1, in place; the gradient is overwritten."""
        ...

    def keep(self, places: list[int]) -> None:
        """Keep these entries of the slots' first axis."""
        ...


class Adam:
    """Kingma and Ba 2015, with bias correction.

    The slots are sums, mean / (1 - beta1) and square / (1 - beta2), which takes two passes fewer over
    memory; passes over memory are what a step costs.
    """

    def __init__(self, shape: tuple[int, ...], setting: TrainSetting) -> None:
        self.rate = setting.lr
        self.mean, self.square, self.spare = (np.zeros(shape, np.float32) for _ in range(3))

    def move(self, weights: np.ndarray, gradient: np.ndarray, step: int) -> None:
        """Take one step, counted from 1, in place; the gradient is overwritten."""
        mean, square, spare = self.mean, self.square, self.spare
        mean *= np.float32(BETA1)
        mean += gradient
        np.multiply(gradient, gradient, out=gradient)
        square *= np.float32(BETA2)
        square += gradient
        np.sqrt(square, out=spare)
        spare += np.float32(EPSILON / math.sqrt(1.0 - BETA2))
        np.divide(mean, spare, out=spare)
        corrected = math.sqrt((1.0 - BETA2**step) / (1.0 - BETA2)) * (1.0 - BETA1) / (1.0 - BETA1**step)
        spare *= np.float32(self.rate * corrected)
        weights -= spare

    def keep(self, places: list[int]) -> None:
        """Keep these entries of the slots' first axis."""
        self.mean, self.square = self.mean[places], self.square[places]
        self.spare = np.empty_like(self.mean)


class Momentum:
    """Stochastic gradient descent with momentum: v = momentum * v - rate * gradient; weights += v."""

    def __init__(self, shape: tuple[int, ...], setting: TrainSetting) -> None:
        self.rate, self.momentum = np.float32(setting.lr), np.float32(setting.momentum)
        self.speed = np.zeros(shape, np.float32)

    def move(self, weights: np.ndarray, gradient: np.ndarray, step: int) -> None:
        """Take one step, counted from 1, in place; the gradient is overwritten."""
        gradient *= self.rate
        self.speed *= self.momentum
        self.speed -= gradient
        weights += self.speed

    def keep(self, places: list[int]) -> None:
        """Keep these entries of the slots' first axis."""
        self.speed = self.speed[places]


DESCENTS: dict[str, type[Adam] | type[Momentum]] = {"adam": Adam, "sgd": Momentum}
