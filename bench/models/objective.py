"""What a lane minimises: the weighted mean of its loss over a batch, of classes or of attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from bench.methods.losses import FAMILIES, REMEMBERING
from bench.methods.registry import LossSpec
from bench.models.lanes import Lane


class Objective(Protocol):
    """The loss of one lane: its family, its numbers, its weights.

    epoch: the number of the epoch in training, which some losses go by. memory: (m, k) float32, what a loss
    made of each training row before, empty for most. params: the numbers of its family.
    """

    params: Mapping[str, float]
    epoch: int
    memory: np.ndarray

    def labels(self, places: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return what training rows are trained as, given what they are known as. places: see below."""
        ...

    def __call__(
        self,
        logits: np.ndarray,
        labels: np.ndarray,
        places: np.ndarray | None = None,
        shares: np.ndarray | None = None,
    ) -> tuple[float, float, np.ndarray]:
        """Return sum(w * loss) and sum(w) over a batch, and the slope of their quotient.

        logits: (n, k) float32, without offset; they may be overwritten. labels: (n,) classes, or (n, k)
        attributes. places: (n,) the rows' positions among the lane's training rows, or None where they are
        not training rows. shares: (n,) float32, what weights are multiplied by in this batch, or None for
        all ones. The slope is (n, k), zero where all weights are.
        """
        ...


def objective_of(lane: Lane, attributes: bool) -> Objective:
    """Return the objective of a lane whose rows have attributes, or one class each."""
    if attributes:
        return AttributeObjective(lane.loss, lane.weights, lane.targets, len(lane.rows))
    return ClassObjective(lane.loss, lane.weights, lane.row_weights, len(lane.rows), lane.deferred)


class ClassObjective:
    """Of rows with one class each; w is the weight of a row's class times its own.

    weights: (k,) float32 by class, or None for all ones. row_weights: (m,) float32 by position among the
    lane's training rows, or None for all ones. rows: m, how many rows a family that remembers has to.
    deferred: how many epochs, the first ones, know no weights of classes.
    """

    def __init__(
        self,
        loss: LossSpec,
        weights: np.ndarray | None,
        row_weights: np.ndarray | None = None,
        rows: int = 0,
        deferred: int = 0,
    ) -> None:
        self.family, self.params, self.rows, self.epoch = FAMILIES[loss.family], loss.params, rows, 0
        self.remembering, self.memory = REMEMBERING.get(loss.family), np.empty((0, 0), np.float32)
        self.offset = None if loss.offset is None else np.asarray(loss.offset, np.float32)
        self.margins = None if loss.margins is None else np.asarray(loss.margins, np.float32)
        self.deferred = deferred
        self.weights = None if weights is None else np.asarray(weights, np.float32)
        self.row_weights = None if row_weights is None else np.asarray(row_weights, np.float32)

    def labels(self, places: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the classes as they are."""
        return labels

    def __call__(
        self,
        logits: np.ndarray,
        labels: np.ndarray,
        places: np.ndarray | None = None,
        shares: np.ndarray | None = None,
    ) -> tuple[float, float, np.ndarray]:
        """Return the sums and the slope, see `Objective`."""
        if self.offset is not None:
            logits = logits + self.offset
        logits = np.ascontiguousarray(logits)
        if self.margins is not None and places is not None:
            logits[np.arange(len(logits)), labels] -= self.margins[labels]
        loss, slope = self._measure(logits, labels, places)
        share = self._share(labels, places)
        if shares is not None:
            share = shares.copy() if share is None else share * shares
        if share is None:
            slope *= np.float32(1.0 / max(len(loss), 1))
            return float(loss.sum()), float(len(loss)), slope
        lost, seen = float((share * loss).sum()), float(share.sum())
        share /= seen if seen else 1.0
        slope *= share[:, None]
        return lost, seen, slope

    def _measure(
        self, logits: np.ndarray, labels: np.ndarray, places: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return losses (n,) and slopes (n, k), and keep what a family that remembers makes of the rows."""
        if self.remembering is None or places is None:
            return self.family(logits, labels, self.params)
        if not self.memory.size:
            self.memory = np.zeros((self.rows, logits.shape[1]), np.float32)
        past = self.memory[places]
        answer = self.remembering(logits, labels, self.params, past)
        self.memory[places] = past
        return answer

    def _share(self, labels: np.ndarray, places: np.ndarray | None) -> np.ndarray | None:
        """Return a new (n,) array of weights, or None for all ones."""
        own = None if self.row_weights is None or places is None else self.row_weights[places]
        if self.weights is None or 0 < self.epoch <= self.deferred:
            return own
        share: np.ndarray = self.weights[labels]
        return share if own is None else share * own


class AttributeObjective:
    """Of rows with k attributes; the mean is over cells, unknown ones left out as the family says.

    weights: (2, k) float32, of a no and of a yes cell, between them for a soft label, or None for all ones.
    targets: (m, k) float32 what the lane's training rows are trained as, or None for what they are known as.
    rows: m, how many rows a family that remembers has to.
    """

    def __init__(
        self, loss: LossSpec, weights: np.ndarray | None, targets: np.ndarray | None = None, rows: int = 0
    ) -> None:
        from bench.methods.cells import CELL_FAMILIES, CELL_REMEMBERING

        self.family, self.params, self.rows, self.epoch = CELL_FAMILIES[loss.family], loss.params, rows, 0
        self.remembering, self.memory = CELL_REMEMBERING.get(loss.family), np.empty((0, 0), np.float32)
        self.targets = targets
        self.weights = None if weights is None else np.asarray(weights, np.float32)

    def labels(self, places: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return the lane's own targets where it has some."""
        return labels if self.targets is None else self.targets[places]

    def __call__(
        self,
        logits: np.ndarray,
        labels: np.ndarray,
        places: np.ndarray | None = None,
        shares: np.ndarray | None = None,
    ) -> tuple[float, float, np.ndarray]:
        """Return the sums and the slope, see `Objective`."""
        loss, slope, share = self._measure(np.ascontiguousarray(logits), labels, places)
        if self.weights is not None:
            yes = np.where(np.isnan(labels), np.float32(0), labels)
            share = share * (self.weights[0] + yes * (self.weights[1] - self.weights[0]))
        if shares is not None:
            share = share * shares[:, None]
        seen = float(share.sum())
        lost = float((share * loss).sum())
        slope *= share
        slope *= np.float32(1.0 / seen if seen else 0.0)
        return lost, seen, slope

    def _measure(
        self, logits: np.ndarray, labels: np.ndarray, places: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return losses, slopes and shares, (n, k) each; what is no training row belongs to epoch 0."""
        if self.remembering is None or places is None:
            return self.family(logits, labels, self.params, 0 if places is None else self.epoch)
        if not self.memory.size:
            self.memory = np.zeros((self.rows, logits.shape[1]), np.float32)
        past = self.memory[places]
        answer = self.remembering(logits, labels, self.params, self.epoch, past)
        self.memory[places] = past
        return answer
