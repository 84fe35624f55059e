"""What is trained, whichever way it is trained: one lane is one head or net of one cell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.methods.registry import LinearHead, LossSpec

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Lane:
    """One head (frozen) or net (scratch) to train, on rows of inputs shared with other lanes.

    rows: (m,) int64 training rows, repeats allowed, in no meaningful order.
    val_rows: (v,) int64; empty trains for exactly `epochs` and keeps the last epoch.
    weights: (k,) float32 per-class sample weights, or None for all ones.
    row_weights: (m,) float32, what each training row's loss is multiplied by besides, or None for all
    ones; validation rows have none. Heads know them, nets do not.
    seed: draws the initial weights and the order of rows in each epoch, and nothing else does.
    epochs: at most so many; with validation rows training stops `patience` epochs after the best one and
    keeps that. stop_by: what is best, the lowest validation `loss` or the highest `top1`.
    """

    rows: np.ndarray
    val_rows: np.ndarray
    loss: LossSpec
    weights: np.ndarray | None
    seed: int
    epochs: int
    row_weights: np.ndarray | None = None
    stop_by: str = "loss"


@dataclass(frozen=True)
class TrainSetting:
    """What all lanes of a cohort share. `patience` 0 never stops early.

    optimizer: `adam`, or `sgd` (with `momentum`). l2: decay added to the gradient of kernels,
    l2 * kernel (not of biases).
    """

    batch_size: int
    lr: float
    optimizer: str = "adam"
    momentum: float = 0.9
    l2: float = 0.0
    patience: int = 10


@dataclass(frozen=True)
class Epoch:
    """One line of a lane's history; validation numbers are None without validation rows."""

    epoch: int
    loss: float
    val_loss: float | None
    val_top1: float | None


@dataclass(frozen=True)
class Trained:
    """A trained lane. `failed` says why there is no usable head ("loss became NaN in epoch 3")."""

    head: LinearHead | None
    best_epoch: int
    history: tuple[Epoch, ...] = field(default_factory=tuple)
    failed: str | None = None
