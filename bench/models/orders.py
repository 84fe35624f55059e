"""What a cell asks of training and what it gets back, whichever way it is trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from bench.errors import BenchError
from bench.methods.apply import Resolved, resolve, resolve_attributes, shape_of
from bench.methods.registry import LinearHead
from bench.models.auxiliary import Targets, auxiliary_of
from bench.models.lanes import Lane, Trained, TrainSetting
from bench.spec import MethodSpec, Value


@dataclass(frozen=True)
class Order:
    """One cell to train: rows are positions among all examples; epochs None means the protocol's.

    rates: the learning rate of every epoch, where they are known beforehand. start: see `Lane`. name: of its
    checkpoint, or "" for none. parts: epochs and rates of each head, where there are several. deferred: how
    many epochs know no class weights, where that is known beforehand. targets: auxiliary ones of all
    examples, or None where no method of the stage asks for them.
    """

    method: MethodSpec
    seed: int
    rows: np.ndarray
    val_rows: np.ndarray
    epochs: int | None = None
    rates: tuple[float, ...] = ()
    start: tuple[np.ndarray, ...] | None = None
    name: str = ""
    parts: tuple[tuple[int, tuple[float, ...]], ...] = ()
    deferred: int | None = None
    targets: Targets | None = None

    def part(self, number: int) -> Order:
        """Return the order of one of several heads, counted from 0."""
        if not self.parts:
            return self
        epochs, rates = self.parts[number]
        return replace(self, epochs=epochs, rates=rates, parts=())

    def refit(self, trained: Trained, parts: Sequence[Trained] = ()) -> Order:
        """Return the order that trains on training and validation rows as far as the best epoch was.

        parts: the heads that were trained, where there are several.
        """
        both = np.sort(np.concatenate([self.rows, self.val_rows]))
        name = f"{self.name}-refit" if self.name else ""
        again = replace(
            self, rows=both, val_rows=both[:0], epochs=trained.best_epoch, rates=trained.rates, name=name
        )
        again = replace(again, deferred=trained.deferred)
        return replace(again, parts=tuple((one.best_epoch, one.rates) for one in parts))


@dataclass(frozen=True)
class Fitted:
    """A trained cell. embed: rows -> (n, d) inputs of its head, valid until the next one is asked for.

    made: what its method made of the training rows, None where it could not. mean, scale: what features, or
    maps by channel, were standardised with; None for nothing. net: gives every variable that was trained
    below the head, of a whole net or of convolutions. head is None where training failed. parts: the heads
    that it was made of, where there are several.
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
        """Return what stands for a cell that could not be trained."""
        return cls(Trained(None, 0, failed=why), lambda rows: rows, None)


class Trainer(Protocol):
    """Trains orders and yields them in the same order.

    truth: of all n examples, as the training sees it: (n,) int32 classes, or (n, k) float32 attributes, NaN
    where unknown.
    """

    truth: np.ndarray

    def fit(self, orders: Sequence[Order]) -> Iterator[Fitted]:
        """Train; each result must be used before the next is asked for."""
        ...


def train_setting(setting: Mapping[str, Value]) -> TrainSetting:
    """Take what training needs from a protocol."""
    names = (
        *("batch_size", "lr", "optimizer", "momentum", "l2", "patience"),
        *("schedule", "schedule_every", "schedule_factor", "backbone_rate", "unfreeze"),
    )
    return TrainSetting(**{name: setting[name] for name in names})  # type: ignore[arg-type]


def as_targets(truth: np.ndarray) -> np.ndarray:
    """Return the truth as training sees it: attributes are (n, k) float32, unknown ones NaN."""
    return np.where(truth < 0, np.nan, truth).astype(np.float32) if truth.ndim > 1 else truth


def resolve_order(
    order: Order,
    truth: np.ndarray,
    classes: int,
    inputs: np.ndarray | None,
    groups: Sequence[str] | None,
    prices: Sequence[str] | None = None,
) -> Resolved | str:
    """Return what an order's method makes of its rows, or why it cannot.

    truth, groups, prices: of all examples, groups and prices None where there are none. inputs: (m, d)
    features of the order's rows, or None.
    """
    known = truth[order.rows]
    asking = shape_of(order.method).shared is not None
    if asking and (order.targets is None or not order.targets.names):
        return "multitask: no auxiliary column has two values in the stage's training part"
    try:
        if truth.ndim > 1:
            return resolve_attributes(order.method, known, inputs, order.seed)
        own = (None if told is None else [told[row] for row in order.rows] for told in (groups, prices))
        made = resolve(order.method, known, inputs, classes, order.seed, *own)
    except BenchError as error:
        return str(error)
    if not asking or order.targets is None:
        return made
    return replace(made, found={**made.found, "multitask": order.targets.found(order.rows)})


def lane_of(
    order: Order, made: Resolved, rows: np.ndarray, val_rows: np.ndarray, setting: Mapping[str, Value]
) -> Lane:
    """Return the lane that trains an order on these rows of the inputs."""
    epochs = int(setting["epochs"] or 0)
    if setting["steps"]:
        batches = math.ceil(len(rows) / int(setting["batch_size"] or 1))
        epochs = math.ceil(int(setting["steps"]) / max(batches, 1))
    shape, aside = shape_of(order.method), None
    if shape.shared is not None and order.targets is not None:
        aside = auxiliary_of(order.targets, order.rows, made.resampled.rows, shape.shared)
    return Lane(
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
        auxiliary=aside,
    )


def deferred_epochs(late: float, epochs: int) -> int:
    """Return how many epochs come before the last ones, of which there is one at least.

    late: the share of the epochs that these are.

    >>> deferred_epochs(0.2, 40), deferred_epochs(0.2, 3), deferred_epochs(1.0, 40)
    (32, 2, 0)
    """
    return min(math.floor((1.0 - late) * epochs + 1e-6), max(epochs - 1, 0))
