"""What a lane's seed and validation losses decide: where it starts, the order of its rows, when it stops."""

from __future__ import annotations

import math

import numpy as np

from bench.methods.registry import LinearHead
from bench.models.lanes import Epoch, Lane, Trained

_WEIGHTS, _ORDER = 0, 1
"""The two streams of random numbers that one seed gives."""


def initial_kernel(seed: int, d: int, k: int) -> np.ndarray:
    """Draw a (d, k) float32 kernel, uniform within +-sqrt(6 / (d + k)) (Glorot and Bengio 2010)."""
    limit = math.sqrt(6.0 / max(d + k, 1))
    draw = np.random.default_rng([_WEIGHTS, seed]).random((d, k), dtype=np.float32)
    kernel: np.ndarray = (2.0 * draw - 1.0) * np.float32(limit)
    return kernel


def epoch_order(rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Return the rows in the order in which the epoch (counted from 1) sees them.

    Every epoch draws from a stream of its own, so that no epoch depends on how the ones before it ran.
    """
    return np.random.default_rng([_ORDER, seed, epoch]).permutation(rows)


class Watch:
    """One lane in training: its history, its best epoch, and whether it goes on.

    best_epoch: the epoch with the lowest validation loss, or the highest top-1 where the lane stops by that,
    the first of equals; without validation rows the last one. failed: why there will be no head, or None.
    """

    def __init__(self, lane: Lane, patience: int) -> None:
        self.epochs, self.patience, self.by_top1 = lane.epochs, patience, lane.stop_by == "top1"
        self.validates = len(lane.val_rows) > 0
        self.history: list[Epoch] = []
        self.best_epoch = 0
        self.best_cost = math.inf
        self.failed: str | None = None
        if not len(lane.rows) or lane.epochs < 1:
            self.failed = "no training rows" if lane.epochs >= 1 else "no epochs to train for"

    @property
    def stopped(self) -> bool:
        """Whether no further epoch is to be trained."""
        done = len(self.history)
        waited = self.validates and 0 < self.patience <= done - self.best_epoch
        return self.failed is not None or done >= self.epochs or waited

    @property
    def done(self) -> int:
        """How many of its epochs are behind it, counting those it need not train."""
        return self.epochs if self.stopped else len(self.history)

    def record(self, loss: float, val_loss: float, val_top1: float) -> bool:
        """Take down one epoch; return whether its weights must be kept: they are the best so far.

        Validation numbers are looked at only where the lane has validation rows. A loss that is not
        finite fails the lane and leaves no line in its history.
        """
        epoch = len(self.history) + 1
        losses = {"loss": loss, "validation loss": val_loss} if self.validates else {"loss": loss}
        for name, value in losses.items():
            if not math.isfinite(value):
                self.failed = f"{name} became {_infinity_or_nan(value)} in epoch {epoch}"
                return False
        if not self.validates:
            self.history.append(Epoch(epoch, loss, None, None))
            self.best_epoch = epoch
            return epoch == self.epochs
        self.history.append(Epoch(epoch, loss, val_loss, val_top1))
        cost = -val_top1 if self.by_top1 else val_loss
        if not cost < self.best_cost:
            return False
        self.best_epoch, self.best_cost = epoch, cost
        return True

    def trained(self, head: LinearHead | None) -> Trained:
        """Return the outcome, given the head of the best epoch."""
        if self.failed is None and head is not None and not _finite(head):
            self.failed = f"weights became NaN in epoch {self.best_epoch}"
        return Trained(None if self.failed else head, self.best_epoch, tuple(self.history), self.failed)


def _finite(head: LinearHead) -> bool:
    return bool(np.isfinite(head.kernel).all() and np.isfinite(head.bias).all())


def _infinity_or_nan(value: float) -> str:
    return "NaN" if math.isnan(value) else "infinite"
