"""Training orders and their results, in any regime."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import Protocol, Self

import numpy as np

from bench.core.cell import MethodSpec, Value
from bench.core.errors import BenchError
from bench.core.protocol import AUTO
from bench.methods.apply import Resolved, resolve
from bench.methods.shape import shape_of, step_with
from bench.training.auxiliary import Targets, auxiliary_of
from bench.training.fits import Fit, Trained, TrainSetting
from bench.training.linear_head import LinearHead
from bench.training.weight_decay import decay_path


@dataclass(frozen=True)
class BaseOrder:
    """Training order of any kind.

    epochs: exact number; None trains by the protocol and restores the epoch that is best on validation.
    rates, decays: learning rate and weight decay of every epoch, if known. name: of its checkpoint, "" for
    none.
    """

    method: MethodSpec
    seed: int
    _: KW_ONLY
    epochs: int | None = None
    rates: tuple[float, ...] = ()
    decays: tuple[float, ...] = ()
    name: str = ""

    def until_best_epoch(self, trained: Trained) -> Self:
        """Return the order that trains for the best number of epochs."""
        return replace(
            self,
            epochs=trained.best_epoch,
            rates=trained.rates,
            decays=trained.decays,
            name=f"{self.name}-refit" if self.name else "",
        )


@dataclass(frozen=True)
class Order(BaseOrder):
    """Training order of one cell; rows are positions among all examples.

    start: see `Fit`. parts: epochs, rates and decays of each of several heads. deferred: number of epochs
    without class weights, if known. targets: auxiliary targets of all examples, or None. setting: the
    protocol of its cell; None: the trainer's.
    """

    rows: np.ndarray
    val_rows: np.ndarray
    start: tuple[np.ndarray, ...] | None = None
    parts: tuple[tuple[int, tuple[float, ...], tuple[float, ...]], ...] = ()
    deferred: int | None = None
    targets: Targets | None = None
    setting: Mapping[str, Value] | None = None

    def part(self, number: int) -> Order:
        """Return the order of one of several heads, counted from 0."""
        if not self.parts:
            return self
        epochs, rates, decays = self.parts[number]
        return replace(self, epochs=epochs, rates=rates, decays=decays, parts=())

    def refit(self, trained: Trained, parts: Sequence[Trained] = ()) -> Order:
        """Return the order that refits on training and validation rows for the best number of epochs.

        parts: the trained heads, if there are several.
        """
        both = np.sort(np.concatenate([self.rows, self.val_rows]))
        return replace(
            self.until_best_epoch(trained),
            rows=both,
            val_rows=both[:0],
            deferred=trained.deferred,
            parts=tuple((one.best_epoch, one.rates, one.decays) for one in parts),
        )


@dataclass(frozen=True)
class Fitted:
    """A trained cell. embed: rows -> (n, d) inputs of its head, valid until the next `Fitted`.

    made: the result of its method on the training rows, None if that failed. mean, scale: of standardised
    features, or of maps by channel; None without. net: returns the variables trained below the head. head is
    None if training failed. parts: the heads that were combined, if there are several.
    """

    trained: Trained
    embed: Callable[[np.ndarray], np.ndarray]
    made: Resolved | None
    mean: np.ndarray | None = None
    scale: np.ndarray | None = None
    net: Callable[[], tuple[np.ndarray, ...]] = tuple
    parts: tuple[Trained, ...] = ()

    @property
    def head(self) -> LinearHead | None:
        """The trained head, or its last layer."""
        return self.trained.head

    @classmethod
    def failed(cls, why: str) -> Fitted:
        """Return the result of a cell that could not be trained."""
        return cls(Trained(None, 0, failed=why), lambda rows: rows, None)


class Trainer(Protocol):
    """Trainer of orders, which yields results in the same order.

    truth: labels of all n examples: (n,) int32 classes, or (n, k) float32 attributes, NaN if unknown.
    """

    truth: np.ndarray

    def fit(self, orders: Sequence[Order]) -> Iterator[Fitted]:
        """Train; use each result before the next is requested."""
        ...


class Resolver(Protocol):
    """Application of a method to an order's rows: `resolve_order`, or that of a kind."""

    def __call__(
        self,
        order: Order,
        truth: np.ndarray,
        classes: int,
        inputs: np.ndarray | None,
        groups: Sequence[str] | None,
        prices: Sequence[str] | None = None,
    ) -> Resolved | str:
        """Return the result, or the reason of its failure. See `resolve_order`."""
        ...


def train_setting(setting: Mapping[str, Value]) -> TrainSetting:
    """Return the training values of a protocol."""
    names = (
        *("batch_size", "lr", "optimizer", "momentum", "l2", "patience"),
        *("schedule", "schedule_every", "schedule_factor", "backbone_rate", "unfreeze", "precision"),
    )
    # A `Fit` that chooses its decay holds it.
    chosen = {"l2": 0.0} if setting["l2"] == AUTO else {}
    return TrainSetting(**{**{name: setting[name] for name in names}, **chosen})  # type: ignore[arg-type]


def resolve_order(
    order: Order,
    truth: np.ndarray,
    classes: int,
    inputs: np.ndarray | None,
    groups: Sequence[str] | None,
    prices: Sequence[str] | None = None,
) -> Resolved | str:
    """Apply an order's method to its rows; return the result, or the reason of its failure.

    truth, groups, prices: of all examples; groups and prices may be None. inputs: (m, d) features of the
    order's rows, or None.
    """
    known = truth[order.rows]
    auxiliary = step_with(order.method, ("shared",))
    if auxiliary and (order.targets is None or not order.targets.names):
        return f"{auxiliary}: no auxiliary column has two values in the stage's training rows"
    try:
        subsets = (
            None if column is None else [column[row] for row in order.rows] for column in (groups, prices)
        )
        made = resolve(order.method, known, inputs, classes, order.seed, *subsets)
    except BenchError as error:
        return str(error)
    if not auxiliary or order.targets is None:
        return made
    return replace(made, found={**made.found, auxiliary: order.targets.found(order.rows)})


def fit_of(
    order: Order, made: Resolved, rows: np.ndarray, val_rows: np.ndarray, setting: Mapping[str, Value]
) -> Fit:
    """Return the `Fit` of an order on these rows of the inputs. setting: the trainer's."""
    setting = setting if order.setting is None else order.setting
    epochs = int(setting["epochs"] or 0)
    if setting["steps"]:
        batches = math.ceil(len(rows) / int(setting["batch_size"] or 1))
        epochs = math.ceil(int(setting["steps"]) / max(batches, 1))
    shape, auxiliary = shape_of(order.method), None
    if shape.shared is not None and order.targets is not None:
        auxiliary = auxiliary_of(order.targets, order.rows, made.resampled.rows, shape.shared)
    return Fit(
        rows,
        val_rows,
        made.loss,
        made.weights,
        order.seed,
        epochs if order.epochs is None else order.epochs,
        made.row_weights,
        made.stop_by if setting["stop_by"] == "auto" else str(setting["stop_by"]).removeprefix("val_"),
        made.targets,
        shape.units,
        rates=order.rates,
        start=order.start,
        mixing=shape.mixing,
        mixed=made.minority if shape.mixing is not None and shape.mixing.minority else None,
        changed=made.minority if shape.minority else None,
        deferred=deferred_epochs(made.loss.late, epochs) if order.deferred is None else order.deferred,
        auxiliary=auxiliary,
        path=decay_path(setting, len(val_rows) > 0, bool(shape.units)),
        decays=order.decays,
        setting=None if order.setting is None else train_setting(setting),
    )


def deferred_epochs(late: float, epochs: int) -> int:
    """Return the number of epochs before the last ones, at least one.

    late: share of the last epochs.

    >>> deferred_epochs(0.2, 40), deferred_epochs(0.2, 3), deferred_epochs(1.0, 40)
    (32, 2, 0)
    """
    return min(math.floor((1.0 - late) * epochs + 1e-6), max(epochs - 1, 0))
