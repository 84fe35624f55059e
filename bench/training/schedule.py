"""Initial weights, order of rows, learning rates, weight decays, and early stopping of a fit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from bench.core.cell import Value
from bench.core.protocol import AUTO
from bench.training.fits import Epoch, Fit, Hidden, Trained, TrainSetting
from bench.training.linear_head import LinearHead
from bench.training.validation_scores import score_name

_WEIGHTS, _ORDER, _VIEWS = 0, 1, 2
"""Random streams of a seed."""

PATH = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""The decays of `l2=auto`, in the order of training. Chosen on validation (docs/benchmarks.md)."""

HIDDEN_PATH = PATH[3:]
"""Those of a head with a hidden layer: large ones make both kernels zero, where gradients vanish."""

UNSEEN = 0.01
"""The decay of `l2=auto` without validation rows."""


def initial_kernel(seed: int, d: int, k: int, layer: int = 0) -> np.ndarray:
    """Draw a (d, k) float32 kernel, uniform within +-sqrt(6 / (d + k)) (Glorot and Bengio 2010).

    layer: counted from the inputs; every layer has its own random stream.
    """
    limit = math.sqrt(6.0 / max(d + k, 1))
    stream = [_WEIGHTS, seed, layer] if layer else [_WEIGHTS, seed]
    draw = np.random.default_rng(stream).random((d, k), dtype=np.float32)
    kernel: np.ndarray = (2.0 * draw - 1.0) * np.float32(limit)
    return kernel


def epoch_order(rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Return the rows in the order of an epoch, counted from 1.

    Every epoch has its own random stream, so that it does not depend on the ones before it.
    """
    return np.random.default_rng([_ORDER, seed, epoch]).permutation(rows)


def epoch_views(rows: int, views: int, seed: int, epoch: int) -> np.ndarray:
    """Return the number of each row's view in an epoch, counted from 1: (rows,) int64 below `views`."""
    return np.random.default_rng([_VIEWS, seed, epoch]).integers(0, views, rows)


def rate(setting: TrainSetting, epochs: int, history: Sequence[Epoch]) -> float:
    """Return the learning rate of the epoch after these, of at most `epochs`.

    `step`: times factor after every so many epochs. `cosine`: down to 0 along half a cosine over all epochs
    (Loshchilov and Hutter 2017, without restarts). `plateau`: times factor whenever so many epochs in a row
    brought no lower validation loss (training loss where nothing is validated).
    """
    done = len(history)
    if setting.schedule == "step":
        return float(setting.lr * setting.schedule_factor ** (done // setting.schedule_every))
    if setting.schedule == "cosine":
        return setting.lr * 0.5 * (1.0 + math.cos(math.pi * done / max(epochs, 1)))
    if setting.schedule == "plateau":
        falls, waited, lowest = 0, 0, math.inf
        for epoch in history:
            loss = epoch.loss if epoch.val_loss is None else epoch.val_loss
            waited = 0 if loss < lowest else waited + 1
            lowest = min(loss, lowest)
            if waited == setting.schedule_every:
                falls, waited = falls + 1, 0
        return float(setting.lr * setting.schedule_factor**falls)
    return setting.lr


def decay_path(setting: Mapping[str, Value], validates: bool, hidden: bool = False) -> tuple[float, ...]:
    """Return the decays of a head, one after the other; empty for the setting's."""
    if setting["l2"] != AUTO:
        return ()
    if not validates:
        return (UNSEEN,)
    return HIDDEN_PATH if hidden else PATH


def decays_along(
    path: Sequence[float], history: Sequence[Epoch], by_score: bool, deferred: int = 0
) -> list[float]:
    """Return the decay of every epoch of a history, and of the one after it.

    Each epoch without a lower validation loss, or a higher score, than all before moves to the next decay of
    the path. After the first `deferred` epochs, when class weights start to count, the path starts again.
    """
    decays, place, lowest = [path[0]], 0, math.inf
    for epoch in history:
        value = epoch.val_score if by_score else epoch.val_loss
        cost = math.inf if value is None else -value if by_score else value
        if not cost < lowest:
            place = min(place + 1, len(path) - 1)
        lowest = min(cost, lowest)
        if epoch.epoch == deferred:
            place, lowest = 0, math.inf
        decays.append(path[place])
    return decays


class Watch:
    """History of one fit in training: its best epoch, next learning rate and decay, and early stopping.

    best_epoch: the epoch with the lowest validation loss, or the highest score where the fit stops by one,
    the first of equals; without validation rows, or where the fit stops by `last`, the last one. Of a fit
    with `deferred` epochs it is one after these, and patience counts from there. failed: the reason why there
    is no head, or None.
    """

    def __init__(self, fit: Fit, setting: TrainSetting, attributes: bool) -> None:
        self.epochs, self.setting, self.rates = fit.epochs, setting, fit.rates
        self.path, self.given_decays = fit.path, fit.decays
        self.by_score, self.score = fit.stop_by != "loss", score_name(fit.stop_by, attributes)
        self.chooses, self.deferred, self.unit = fit.stop_by != "last", fit.deferred, fit.loss.scale > 0
        self.validates = len(fit.val_rows) > 0
        self.history: list[Epoch] = []
        self.best_epoch = 0
        self.best_cost = math.inf
        self.failed: str | None = None
        if not len(fit.rows) or fit.epochs < 1:
            self.failed = "no training rows" if fit.epochs >= 1 else "no epochs to train for"

    @property
    def stopped(self) -> bool:
        """Whether training is over."""
        done = len(self.history)
        since = max(self.best_epoch, self.deferred)
        waited = self.stops_early and self.setting.patience <= done - since
        return self.failed is not None or done >= self.epochs or waited

    @property
    def stops_early(self) -> bool:
        """Whether epochs without a gain can end training."""
        return self.validates and self.chooses and self.setting.patience > 0

    @property
    def done(self) -> int:
        """Number of epochs done; all of them once training is over."""
        return self.epochs if self.stopped else len(self.history)

    @property
    def rate(self) -> float:
        """The learning rate of the next epoch."""
        done = len(self.history)
        return self.rates[done] if done < len(self.rates) else rate(self.setting, self.epochs, self.history)

    @property
    def decay(self) -> float:
        """The weight decay of the next epoch."""
        own = self._decays()
        return own[-1] if own else self.setting.l2

    def _decays(self) -> Sequence[float]:
        """Return the decay of every epoch and of the next one; empty where it is the setting's."""
        if self.given_decays:
            return self.given_decays[: len(self.history) + 1]
        by_score = self.by_score and self.chooses
        return decays_along(self.path, self.history, by_score, self.deferred) if self.path else ()

    def record(self, loss: float, val_loss: float, val_score: float) -> bool:
        """Record one epoch; return whether its weights are the best so far.

        Validation numbers count only where the fit has validation rows. A loss that is not finite fails the
        fit and adds no line to its history.
        """
        epoch, lr = len(self.history) + 1, self.rate
        losses = {"loss": loss, "validation loss": val_loss} if self.validates else {"loss": loss}
        for name, value in losses.items():
            if not math.isfinite(value):
                self.failed = f"{name} became {_infinity_or_nan(value)} in epoch {epoch}"
                return False
        if not self.validates:
            self.history.append(Epoch(epoch, loss, None, None, lr))
            self.best_epoch = epoch
            return epoch == self.epochs
        self.history.append(Epoch(epoch, loss, val_loss, val_score, lr))
        if not self.chooses:
            self.best_epoch = epoch
            return epoch == self.epochs
        cost = -val_score if self.by_score else val_loss
        if epoch <= self.deferred or not cost < self.best_cost:
            return False
        self.best_epoch, self.best_cost = epoch, cost
        return True

    def trained(self, head: LinearHead | None, hidden: Hidden | None = None) -> Trained:
        """Return the outcome, given the layers of the best epoch."""
        if self.failed is None and head is not None and not _finite(head):
            self.failed = f"weights became NaN in epoch {self.best_epoch}"
        kept = None if self.failed else head
        return Trained(
            kept,
            self.best_epoch,
            tuple(self.history),
            self.failed,
            hidden,
            self.score,
            self.unit,
            self.deferred,
            tuple(self._decays()[: self.best_epoch]),
        )


def _finite(head: LinearHead) -> bool:
    return bool(np.isfinite(head.kernel).all() and np.isfinite(head.bias).all())


def _infinity_or_nan(value: float) -> str:
    return "NaN" if math.isnan(value) else "infinite"
