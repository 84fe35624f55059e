"""What a lane minimises: the weighted mean of its loss over a batch."""

from __future__ import annotations

import numpy as np

from bench.methods.losses import FAMILIES
from bench.methods.registry import LossSpec


class Objective:
    """The loss of one lane: its family, its numbers, its offset, its class weights.

    weights: (k,) float32 by class, or None for all ones.
    """

    def __init__(self, loss: LossSpec, weights: np.ndarray | None) -> None:
        self.family, self.params = FAMILIES[loss.family], loss.params
        self.offset = None if loss.offset is None else np.asarray(loss.offset, np.float32)
        self.weights = None if weights is None else np.asarray(weights, np.float32)

    def __call__(self, logits: np.ndarray, labels: np.ndarray) -> tuple[float, float, np.ndarray]:
        """Return sum(w * loss) and sum(w) over a batch, and the slope of their quotient.

        logits: (n, k) float32, without offset; they may be overwritten. labels: (n,) classes. w is the
        weight of a row's class. The slope is (n, k), zero where all weights are.
        """
        if self.offset is not None:
            logits = logits + self.offset
        logits = np.ascontiguousarray(logits)
        loss, slope = self.family(logits, labels, self.params)
        if self.weights is None:
            slope *= np.float32(1.0 / max(len(loss), 1))
            return float(loss.sum()), float(len(loss)), slope
        share = self.weights[labels]
        lost, seen = float((share * loss).sum()), float(share.sum())
        share /= seen if seen else 1.0
        slope *= share[:, None]
        return lost, seen, slope
