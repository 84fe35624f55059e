"""What a lane minimises: the weighted mean of its loss over a batch."""

from __future__ import annotations

import numpy as np

from bench.methods.losses import FAMILIES, REMEMBERING
from bench.methods.registry import LossSpec


class Objective:
    """The loss of one lane: its family, its numbers, its offset, its weights.

    weights: (k,) float32 by class, or None for all ones. row_weights: (m,) float32 by position among the
    lane's training rows, or None for all ones. rows: m, how many rows a family that remembers has to.
    """

    def __init__(
        self,
        loss: LossSpec,
        weights: np.ndarray | None,
        row_weights: np.ndarray | None = None,
        rows: int = 0,
    ) -> None:
        self.family, self.params, self.rows = FAMILIES[loss.family], loss.params, rows
        self.remembering, self.memory = REMEMBERING.get(loss.family), np.empty((0, 0), np.float32)
        self.offset = None if loss.offset is None else np.asarray(loss.offset, np.float32)
        self.weights = None if weights is None else np.asarray(weights, np.float32)
        self.row_weights = None if row_weights is None else np.asarray(row_weights, np.float32)

    def __call__(
        self, logits: np.ndarray, labels: np.ndarray, places: np.ndarray | None = None
    ) -> tuple[float, float, np.ndarray]:
        """Return sum(w * loss) and sum(w) over a batch, and the slope of their quotient.

        logits: (n, k) float32, without offset; they may be overwritten. labels: (n,) classes. places: (n,)
        the rows' positions among the lane's training rows, or None where they are not training rows. w is
        the weight of a row's class times its own. The slope is (n, k), zero where all weights are.
        """
        if self.offset is not None:
            logits = logits + self.offset
        logits = np.ascontiguousarray(logits)
        loss, slope = self._measure(logits, labels, places)
        share = self._share(labels, places)
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
        if self.weights is None:
            return own
        share: np.ndarray = self.weights[labels]
        return share if own is None else share * own
