"""The optimizers of stacked heads: Keras's rules on NumPy arrays, in place."""

from __future__ import annotations

import math

import numpy as np

from bench.models.lanes import TrainSetting

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-7
"""Adam's constants, those of Keras."""

RMSPROP_RHO, ADADELTA_RHO, ADAGRAD_START = 0.9, 0.95, 0.1
"""The constants of the others, those of Keras."""


class Descent:
    """Moves one array of weights of several lanes, (g, ...), and has slots beside it of the same shape."""

    starts: tuple[float, ...] = ()
    """What every slot is filled with at first."""

    def __init__(self, shape: tuple[int, ...], setting: TrainSetting) -> None:
        self.setting = setting
        self.slots = [np.full(shape, start, np.float32) for start in self.starts]
        self.spare = np.empty(shape, np.float32)

    def move(self, weights: np.ndarray, gradient: np.ndarray, step: int, rates: np.ndarray) -> None:
        """Take one step, counted from 1, in place; the gradient is overwritten.

        rates: (g,) float64, the learning rate of each lane.
        """
        raise NotImplementedError

    def keep(self, places: list[int]) -> None:
        """Keep these entries of the slots' first axis."""
        self.slots = [slot[places] for slot in self.slots]
        self.spare = self.spare[: len(places)]

    def _factors(self, rates: np.ndarray, factor: float = 1.0) -> np.ndarray:
        """Return rates * factor in the shape that multiplies every lane's weights by its own."""
        return (rates * factor).astype(np.float32).reshape(-1, *(1,) * (self.spare.ndim - 1))


class Adam(Descent):
    """Kingma and Ba 2015, with bias correction.

    The slots are sums, mean / (1 - beta1) and square / (1 - beta2), which takes two passes fewer over
    memory; passes over memory are what a step costs.
    """

    starts = (0.0, 0.0)

    def move(self, weights: np.ndarray, gradient: np.ndarray, step: int, rates: np.ndarray) -> None:
        """Take one step, see `Descent.move`."""
        (mean, square), spare = self.slots, self.spare
        mean *= np.float32(BETA1)
        mean += gradient
        np.multiply(gradient, gradient, out=gradient)
        square *= np.float32(BETA2)
        square += gradient
        np.sqrt(square, out=spare)
        spare += np.float32(EPSILON / math.sqrt(1.0 - BETA2))
        np.divide(mean, spare, out=spare)
        corrected = math.sqrt((1.0 - BETA2**step) / (1.0 - BETA2)) * (1.0 - BETA1) / (1.0 - BETA1**step)
        spare *= self._factors(rates, corrected)
        weights -= spare


class Momentum(Descent):
    """Stochastic gradient descent with momentum: v = momentum * v - rate * gradient; weights += v."""

    starts = (0.0,)

    def move(self, weights: np.ndarray, gradient: np.ndarray, step: int, rates: np.ndarray) -> None:
        """Take one step, see `Descent.move`."""
        (speed,) = self.slots
        gradient *= self._factors(rates)
        speed *= np.float32(self.setting.momentum)
        speed -= gradient
        weights += speed


class RMSProp(Descent):
    """Tieleman and Hinton 2012: the gradient over the root of its running mean square."""

    starts = (0.0,)

    def move(self, weights: np.ndarray, gradient: np.ndarray, step: int, rates: np.ndarray) -> None:
        """Take one step, see `Descent.move`."""
        (square,), spare = self.slots, self.spare
        np.multiply(gradient, gradient, out=spare)
        spare *= np.float32(1.0 - RMSPROP_RHO)
        square *= np.float32(RMSPROP_RHO)
        square += spare
        np.sqrt(square + np.float32(EPSILON), out=spare)
        gradient *= self._factors(rates)
        gradient /= spare
        weights -= gradient


class Adagrad(Descent):
    """Duchi et al. 2011: the gradient over the root of the sum of its squares."""

    starts = (ADAGRAD_START,)

    def move(self, weights: np.ndarray, gradient: np.ndarray, step: int, rates: np.ndarray) -> None:
        """Take one step, see `Descent.move`."""
        (square,), spare = self.slots, self.spare
        np.multiply(gradient, gradient, out=spare)
        square += spare
        np.sqrt(square + np.float32(EPSILON), out=spare)
        gradient *= self._factors(rates)
        gradient /= spare
        weights -= gradient


class Adadelta(Descent):
    """Zeiler 2012, arXiv:1212.5701; its own rate is 1."""

    starts = (0.0, 0.0)

    def move(self, weights: np.ndarray, gradient: np.ndarray, step: int, rates: np.ndarray) -> None:
        """Take one step, see `Descent.move`."""
        (square, moved), spare = self.slots, self.spare
        rho, epsilon = np.float32(ADADELTA_RHO), np.float32(EPSILON)
        np.multiply(gradient, gradient, out=spare)
        spare *= np.float32(1.0 - ADADELTA_RHO)
        square *= rho
        square += spare
        gradient *= np.sqrt(moved + epsilon)
        gradient /= np.sqrt(square + epsilon)
        np.multiply(gradient, gradient, out=spare)
        spare *= np.float32(1.0 - ADADELTA_RHO)
        moved *= rho
        moved += spare
        gradient *= self._factors(rates)
        weights -= gradient


DESCENTS: dict[str, type[Descent]] = {
    "adam": Adam,
    "sgd": Momentum,
    "rmsprop": RMSProp,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
}
