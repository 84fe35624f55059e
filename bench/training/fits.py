"""Fits and their outcomes: one fit is one head or net of one cell, whichever way it is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.training.linear_head import LinearHead, LossSpec

if TYPE_CHECKING:
    from bench.data.augmentation import Recipe


@dataclass(frozen=True)
class Mixing:
    """Mixing of training images and labels.

    way: `mixup` blends inputs (Zhang et al. 2018, arXiv:1710.09412), `cutmix` pastes a patch of another image
    of the minibatch (Yun et al. 2019, arXiv:1905.04899), `cmo` a patch of an image sampled by its class (Park
    et al. 2022, arXiv:2112.00412). alpha: of the Beta(alpha, alpha) distribution of shares. share: share of
    images with a patch. power: see `guest_odds`. minority: whether only images of minority classes change.
    """

    way: str
    alpha: float
    share: float = 1.0
    power: float = 1.0
    minority: bool = False


@dataclass(frozen=True)
class Auxiliary:
    """Auxiliary targets of a fit. labels: (m, t) int32 of its training rows, -1 for unknown.

    sizes: classes of each of the t targets. main, weight: factors of the loss of the rows' own class, and of
    the loss of each target.
    """

    labels: np.ndarray
    sizes: tuple[int, ...]
    main: float
    weight: float


@dataclass(frozen=True)
class Fit:
    """One head (frozen) or net (scratch) to train, on rows of inputs shared with other fits.

    rows: (m,) int64 training rows, repeats allowed, in any order.
    val_rows: (v,) int64; where empty, training takes exactly `epochs` and keeps the last one.
    weights: of each class (k,), or of no and yes of each attribute (2, k); float32, None for ones.
    seed: of the initial weights and of the order of rows in each epoch, and of nothing else.
    epochs: the largest number; with validation rows training stops `patience` epochs after the best one and
    keeps that. row_weights: (m,) float32 factors of the training rows' losses, or None for ones; validation
    rows have none. stop_by: criterion of the best epoch, the lowest validation `loss` or the highest score of
    that name, see `bench.training.validation_scores`; `last`: the last epoch, whatever the validation
    numbers. targets: (m, k) float32 attributes of the training rows (NaN: not trained on), where they differ
    from those that other fits share. units: of a hidden layer in a head, 0 for none. views: (v, m) int64 rows
    that can replace each training row, one of them sampled in every epoch; None for `rows` themselves. rates:
    the learning rate of every epoch, for a fit that repeats another's; else empty. deferred: number of first
    epochs without `weights`, in validation too; the best epoch is one after these. auxiliary: auxiliary
    targets, or None. start: initial variables of a net below its head, in the model's order, or None for
    those of its weights. mixing: of minibatches, or None. recipe: augmentation of a net's images, or None.
    mixed, changed: (m,) bool, training rows that may be mixed, or augmented (and have views of their own);
    None for all. path: weight decays, one after the other, see `bench.training.schedule.decays_along`;
    empty: the setting's. decays: the weight decay of every epoch, for a fit that repeats another's; else
    empty. setting: its own learning rate, decay and batch size; None: those of all fits.
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
    path: tuple[float, ...] = ()
    decays: tuple[float, ...] = ()
    setting: TrainSetting | None = None

    def own(self, setting: TrainSetting) -> TrainSetting:
        """Return its own setting, or the one of all fits."""
        return setting if self.setting is None else self.setting


@dataclass(frozen=True)
class TrainSetting:
    """Values that all fits of a call share. `patience` 0 never stops early.

    optimizer: one of `bench.core.protocol.OPTIMIZERS`; sgd has `momentum`. l2: decay added to the gradient of
    kernels, l2 * kernel (not of biases). schedule, schedule_every, schedule_factor: see
    `bench.training.schedule.rate`. backbone_rate: the learning rate of a net below its head over the head's.
    unfreeze: number of epochs after which one more block of a net is trained, from the top, see
    `bench.training.nets.blocks`, the head alone before; 0: all are trained from the start. precision: the
    Keras dtype policy of a net below its head.
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
    precision: str = "float32"


@dataclass(frozen=True)
class Epoch:
    """One line of a fit's history; validation numbers are None without validation rows.

    val_score: the score that `Trained.score` names. lr: the learning rate.
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
        out: np.ndarray = np.maximum(inputs @ self.kernel + self.bias, np.float32(0))
        return out


TINY = 1e-12
"""Lower limit of the squared length that a row is divided by."""


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Return (..., d) float32 rows divided by their lengths, the inputs of a classifier of cosines."""
    squares = np.square(rows).sum(axis=-1, keepdims=True)
    out: np.ndarray = rows / np.sqrt(np.maximum(squares, np.float32(TINY)))
    return out


@dataclass(frozen=True)
class Trained:
    """A trained fit: its last layer, and the hidden one below it where the head has one.

    failed: reason why there is no usable head ("loss became NaN in epoch 3"). score: name of
    `Epoch.val_score`. unit: whether the last layer takes rows of length one, see `unit_rows`. deferred: that
    of the fit. decays: the weight decay of every epoch up to the best; empty where it was the setting's.
    Arrays of the layers are made read-only.

    Trainers of cells add: embed: rows of examples -> (n, d) inputs of the last layer, and net: returns the
    variables trained below the head; both valid until the next fit is trained. parts: the heads that were
    combined, if there are several. choices: numbers chosen on validation that a refit takes over.
    """

    head: LinearHead | None
    best_epoch: int
    history: tuple[Epoch, ...] = field(default_factory=tuple)
    failed: str | None = None
    hidden: Hidden | None = None
    score: str = "top1"
    unit: bool = False
    deferred: int = 0
    decays: tuple[float, ...] = ()
    embed: Callable[[np.ndarray], np.ndarray] | None = None
    net: Callable[[], tuple[np.ndarray, ...]] = tuple
    parts: tuple[Trained, ...] = ()
    choices: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Cells with equal fits share them: a step that changed them in place would change other cells.
        for layer in (self.head, self.hidden):
            for array in () if layer is None else vars(layer).values():
                if isinstance(array, np.ndarray):
                    array.flags.writeable = False

    @property
    def rows(self) -> tuple[Mapping[str, Any], ...]:
        """The history as rows for a table; the column of the validation score has its name."""
        score = f"val_{self.score}"
        return tuple(
            {score if name == "val_score" else name: value for name, value in vars(epoch).items()}
            for epoch in self.history
        )

    def without_net(self) -> Trained:
        """Return the same without `embed` and `net`, which hold the trained net in memory."""
        return replace(self, embed=None, net=tuple)

    @property
    def rates(self) -> tuple[float, ...]:
        """The learning rate of every epoch up to the best."""
        return tuple(epoch.lr for epoch in self.history[: self.best_epoch])

    @property
    def l2(self) -> float | None:
        """The weight decay of the best epoch, or None where it was the setting's."""
        return self.decays[-1] if self.decays else None
