"""What is trained, whichever way it is trained: one lane is one head or net of one cell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bench.methods.registry import LinearHead, LossSpec

if TYPE_CHECKING:
    import numpy as np

    from bench.models.augment import Recipe
    from bench.models.auxiliary import Auxiliary
    from bench.models.mixing import Mixing


@dataclass(frozen=True)
class Lane:
    """One head (frozen) or net (scratch) to train, on rows of inputs shared with other lanes.

    rows: (m,) int64 training rows, repeats allowed, in no meaningful order.
    val_rows: (v,) int64; empty trains for exactly `epochs` and keeps the last epoch.
    weights: per class (k,), or per attribute (2, k), of a no and of a yes; float32, None for all ones.
    seed: draws the initial weights and the order of rows in each epoch, and nothing else does.
    epochs: at most so many; with validation rows training stops `patience` epochs after the best one and
    keeps that. row_weights: (m,) float32, what each training row's loss is multiplied by besides, or None
    for all ones; validation rows have none. stop_by: what is best, the lowest validation `loss` or the
    highest score of that name, see `bench.models.judging`; `last`: the last epoch, whatever validation says.
    targets: (m, k) float32, what the attributes of each training row are trained as (NaN: not at all), where
    that differs from what the others of its rows know. units: of a hidden layer in a head, 0 for none.
    views: (v, m) int64 rows that can stand for each training row, one of them drawn in every epoch; None for
    `rows` themselves. rates: the learning rate of every epoch, for a lane that repeats another's; else empty.
    deferred: how many epochs, the first ones, know no `weights`, on validation either; the best epoch is one
    after these. auxiliary: what its training rows are trained as besides, or None. start: what the variables
    of a net below its head begin as, in the model's order, or None for what its weights say. mixing: how
    minibatches are mixed, or None for not at all; recipe: how a net's images are changed in every epoch, or
    None for not at all. mixed, changed: (m,) bool, which of the training rows that may befall (changed: also
    which have views of their own), or None for all.
    """

    rows: np.ndarray
    val_rows: np.ndarray
    loss: LossSpec
    weights: np.ndarray | None
    seed: int
    epochs: int
    row_weights: np.ndarray | None = None
    stop_by: str = "loss"
    targets: np.ndarray | None = None
    units: int = 0
    views: np.ndarray | None = None
    rates: tuple[float, ...] = ()
    start: tuple[np.ndarray, ...] | None = None
    mixing: Mixing | None = None
    mixed: np.ndarray | None = None
    recipe: Recipe | None = None
    changed: np.ndarray | None = None
    deferred: int = 0
    auxiliary: Auxiliary | None = None


@dataclass(frozen=True)
class TrainSetting:
    """What all lanes of a cohort share. `patience` 0 never stops early.

    optimizer: one of `bench.protocol.OPTIMIZERS`; sgd has `momentum`. l2: decay added to the gradient of
    kernels, l2 * kernel (not of biases). schedule, schedule_every, schedule_factor: see
    `bench.models.schedule.rate`. backbone_rate: the learning rate of a net below its head over the head's.
    unfreeze: after every so many epochs one more block of a net begins to train, from the top, see
    `bench.models.blocks`, the head alone training before; 0: all train from the start.
    """

    batch_size: int
    lr: float
    optimizer: str = "adam"
    momentum: float = 0.9
    l2: float = 0.0
    patience: int = 10
    schedule: str = "constant"
    schedule_every: int = 10
    schedule_factor: float = 0.5
    backbone_rate: float = 1.0
    unfreeze: int = 0


@dataclass(frozen=True)
class Epoch:
    """One line of a lane's history; validation numbers are None without validation rows.

    val_score: by the measure `Trained.score` names. lr: the learning rate.
    """

    epoch: int
    loss: float
    val_loss: float | None
    val_score: float | None
    lr: float


@dataclass(frozen=True)
class Hidden:
    """A head's hidden layer: relu(inputs @ kernel + bias). kernel: (d, u), bias: (u,), float32."""

    kernel: np.ndarray
    bias: np.ndarray

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        """Return (n, u) float32 for (n, d) float32."""
        import numpy as np

        out: np.ndarray = np.maximum(inputs @ self.kernel + self.bias, np.float32(0))
        return out


TINY = 1e-12
"""Squared length below which a row is not made longer."""


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Return (..., d) float32 rows divided by their lengths: what a classifier of cosines takes."""
    import numpy as np

    squares = np.square(rows).sum(axis=-1, keepdims=True)
    out: np.ndarray = rows / np.sqrt(np.maximum(squares, np.float32(TINY)))
    return out


@dataclass(frozen=True)
class Trained:
    """A trained lane: its last layer, and the hidden one below it where the head has one.

    failed says why there is no usable head ("loss became NaN in epoch 3"). score: what `Epoch.val_score` is.
    unit: whether the last layer takes rows of length one, see `unit_rows`. deferred: as the lane had it.
    """

    head: LinearHead | None
    best_epoch: int
    history: tuple[Epoch, ...] = field(default_factory=tuple)
    failed: str | None = None
    hidden: Hidden | None = None
    score: str = "top1"
    unit: bool = False
    deferred: int = 0

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rate of every epoch up to the best."""
        return tuple(epoch.lr for epoch in self.history[: self.best_epoch])
