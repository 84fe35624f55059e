"""One layer of every head of a stack, and what moves it; plain, or of cosines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.methods.registry import LinearHead
from bench.models.descent import DESCENTS
from bench.models.lanes import TINY, TrainSetting, unit_rows


class Layer:
    """One layer of every head: kernels (h, d, u), biases (h, u), and what moves them."""

    def __init__(self, kernels: np.ndarray, biases: np.ndarray, setting: TrainSetting) -> None:
        self.kernels, self.biases, self.l2 = kernels, biases, setting.l2
        descent = DESCENTS[setting.optimizer]
        self.descents = descent(kernels.shape, setting), descent(biases.shape, setting)
        self.falls, self.leans = np.empty_like(kernels), np.empty_like(biases)

    def keep(self, places: list[int]) -> None:
        """Go on with the heads at these places alone."""
        self.kernels, self.biases = self.kernels[places], self.biases[places]
        self.falls, self.leans = np.empty_like(self.kernels), np.empty_like(self.biases)
        for descent in self.descents:
            descent.keep(places)

    def forward(self, inputs: np.ndarray) -> np.ndarray:
        """Return (h, b, u) for inputs (b, d) that all share, or (h, b, d)."""
        outputs: np.ndarray = np.matmul(inputs, self.kernels)
        outputs += self.biases[:, None]
        return outputs

    def lean(self, place: int, inputs: np.ndarray, slope: np.ndarray) -> None:
        """Take down one head's gradient: inputs (b, d), slope (b, u) of the loss by the outputs."""
        np.matmul(inputs.T, slope, out=self.falls[place])
        np.sum(slope, axis=0, out=self.leans[place])

    def back(self, place: int, inputs: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """Return the (b, d) slope of one head's loss by its inputs (b, d), given that by its outputs."""
        out: np.ndarray = slope @ self.kernels[place].T
        return out

    def move(self, step: int, rates: np.ndarray) -> None:
        """Move every head by what was taken down, each at its own rate."""
        if self.l2:
            self.falls += np.float32(self.l2) * self.kernels
        for descent, weights, gradient in zip(
            self.descents, (self.kernels, self.biases), (self.falls, self.leans), strict=True
        ):
            descent.move(weights, gradient, step, rates)

    def head(self, place: int) -> LinearHead:
        """Return a copy of one head's layer, as what is linear in its inputs."""
        return LinearHead(self.kernels[place].copy(), self.biases[place].copy())


class CosineLayer(Layer):
    """A last layer whose outputs are scale * cosine of a row and a kernel's column; biases stay as they are.

    scales: of each head. This is the normalised classifier that margins are meant for (Cao et al. 2019,
    arXiv:1906.07413). What is moved are kernels of any length: the gradient has no part along them.
    """

    def __init__(
        self, kernels: np.ndarray, biases: np.ndarray, scales: Sequence[float], setting: TrainSetting
    ) -> None:
        super().__init__(kernels, biases, setting)
        self.scales = np.array(scales, np.float32)
        self._turn()

    def _turn(self) -> None:
        """Say where the kernels point, head by head: sums are taken alike in any company."""
        self.columns, self.lengths = np.empty_like(self.kernels), np.empty_like(self.biases)
        for kernel, column, length in zip(self.kernels, self.columns, self.lengths, strict=True):
            np.sqrt(np.maximum(np.square(kernel).sum(axis=0), np.float32(TINY)), out=length)
            np.divide(kernel, length, out=column)

    def keep(self, places: list[int]) -> None:
        """Go on with the heads at these places alone."""
        super().keep(places)
        self.scales = self.scales[places]
        self._turn()

    def forward(self, inputs: np.ndarray) -> np.ndarray:
        """Return (h, b, u) for inputs (b, d) that all share, or (h, b, d), which need not have length one."""
        outputs: np.ndarray = np.matmul(unit_rows(inputs), self.columns)
        outputs *= self.scales[:, None, None]
        return outputs

    def lean(self, place: int, inputs: np.ndarray, slope: np.ndarray) -> None:
        """Take down one head's gradient, see `Layer.lean`."""
        fall, column = self.falls[place], self.columns[place]
        np.matmul(unit_rows(inputs).T, slope, out=fall)
        fall -= column * (column * fall).sum(axis=0)
        fall *= self.scales[place] / self.lengths[place]
        self.leans[place] = 0.0

    def back(self, place: int, inputs: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """Return the (b, d) slope by the inputs, which has no part along them, see `Layer.back`."""
        unit, lengths = unit_rows(inputs), np.sqrt(np.square(inputs).sum(axis=1, keepdims=True))
        out: np.ndarray = slope @ self.columns[place].T
        out -= unit * (unit * out).sum(axis=1, keepdims=True)
        out *= self.scales[place] / np.maximum(lengths, np.float32(np.sqrt(TINY)))
        return out

    def move(self, step: int, rates: np.ndarray) -> None:
        """Move every head by what was taken down, each at its own rate."""
        super().move(step, rates)
        self._turn()

    def head(self, place: int) -> LinearHead:
        """Return a copy of one head's layer, as what is linear in rows of length one."""
        return LinearHead(self.columns[place] * self.scales[place], np.zeros_like(self.biases[place]))
