"""A few heads in training that share their minibatches: stacked variables, moved by NumPy and BLAS.

Kernels are (g, d, k), biases (g, k). A lane's bits do not depend on its company: each kernel meets the
batch in a matrix product of its own, losses are computed lane by lane, and what remains is arithmetic
of one number at a time, which rounds alike wherever a number stands.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.methods.registry import LinearHead
from bench.models.descent import DESCENTS
from bench.models.lanes import Lane, TrainSetting
from bench.models.objective import Objective
from bench.models.schedule import epoch_order, initial_kernel

BLOCK = 1024
"""Validation rows scored at a time, at most."""


class Stack:
    """The heads of lanes with equal rows, validation rows and seed, from their initial weights on."""

    def __init__(
        self, table: np.ndarray, truth: np.ndarray, k: int, lanes: Sequence[Lane], setting: TrainSetting
    ) -> None:
        self.table, self.truth, self.setting = table, truth, setting
        self.rows, self.val_rows, self.seed = lanes[0].rows, lanes[0].val_rows, lanes[0].seed
        d = table.shape[1]
        self.objectives = [
            Objective(lane.loss, lane.weights, lane.row_weights, len(lane.rows)) for lane in lanes
        ]
        self.kernels = np.stack([initial_kernel(lane.seed, d, k) for lane in lanes])
        self.biases = np.stack([np.full(k, lane.loss.bias, np.float32) for lane in lanes])
        descent = DESCENTS[setting.optimizer]
        self.descents = descent(self.kernels.shape, setting), descent(self.biases.shape, setting)
        self.step = 0
        self._lay_out()

    def keep(self, places: list[int]) -> None:
        """Go on with the lanes at these places alone."""
        self.objectives = [self.objectives[place] for place in places]
        self.kernels, self.biases = self.kernels[places], self.biases[places]
        for descent in self.descents:
            descent.keep(places)
        self._lay_out()

    def epoch(self, number: int) -> np.ndarray:
        """Train every lane for one epoch (counted from 1) and validate: (3, g) float64.

        The rows are training loss, validation loss and validation top-1, NaN where undefined.
        """
        size = max(1, self.setting.batch_size)
        # Positions are drawn as the rows themselves would be, so that a row's own weight can be found.
        order = epoch_order(np.arange(len(self.rows)), self.seed, number)
        sums = np.zeros((2, len(self.objectives)))
        for start in range(0, len(order), size):
            sums += self._descend(order[start : start + size])
        return np.stack([sums[0] / sums[1], *self._validate()])

    def head(self, place: int) -> LinearHead:
        """Return a copy of the head of the lane at this place."""
        return LinearHead(self.kernels[place].copy(), self.biases[place].copy())

    def _lay_out(self) -> None:
        """Set room aside for what every step writes anew."""
        self.falls, self.leans = np.empty_like(self.kernels), np.empty_like(self.biases)
        rows = max(min(self.setting.batch_size, len(self.rows)), min(BLOCK, len(self.val_rows)))
        self.inputs = np.empty((rows, self.table.shape[1]), np.float32)

    def _descend(self, places: np.ndarray) -> np.ndarray:
        """Move every lane by the minibatch at these places of `rows`.

        Returns (2, g) sums of weight * loss and of weight.
        """
        inputs, labels, logits = self._forward(self.rows[places])
        sums = np.empty((2, len(self.objectives)))
        for place, objective in enumerate(self.objectives):
            sums[0, place], sums[1, place], slope = objective(logits[place], labels, places)
            np.matmul(inputs.T, slope, out=self.falls[place])
            np.sum(slope, axis=0, out=self.leans[place])
        if self.setting.l2:
            self.falls += np.float32(self.setting.l2) * self.kernels
        self.step += 1
        for descent, weights, gradient in zip(
            self.descents, (self.kernels, self.biases), (self.falls, self.leans), strict=True
        ):
            descent.move(weights, gradient, self.step)
        return sums

    def _validate(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (g,) losses and (g,) top-1 over the validation rows."""
        sums, hits = np.zeros((2, len(self.objectives))), np.zeros(len(self.objectives))
        for start in range(0, len(self.val_rows), BLOCK):
            _, labels, logits = self._forward(self.val_rows[start : start + BLOCK])
            for place, objective in enumerate(self.objectives):
                hits[place] += np.count_nonzero(logits[place].argmax(axis=1) == labels)
                sums[:, place] += objective(logits[place], labels)[:2]
        return sums[0] / sums[1], hits / np.float64(len(self.val_rows))

    def _forward(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the inputs (b, d), labels (b,) and logits (g, b, k) of these rows."""
        inputs = self.inputs[: len(rows)]
        # Rows are known to exist; any mode but "raise" spares a copy of the output.
        np.take(self.table, rows, axis=0, out=inputs, mode="clip")
        logits = np.matmul(inputs, self.kernels)
        logits += self.biases[:, None]
        return inputs, self.truth[rows], logits
