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
from bench.models.lanes import Lane, Trained, TrainSetting
from bench.spec import MethodSpec, Value


@dataclass(frozen=True)
class Order:
    """One cell to train: rows are positions among all examples; epochs None means the protocol's.

    rates: the learning rate of every epoch, where they are known beforehand. start: see `Lane`. name: of its
    checkpoint, or "" for none.
    """

    method: MethodSpec
    seed: int
    rows: np.ndarray
    val_rows: np.ndarray
    epochs: int | None = None
    rates: tuple[float, ...] = ()
    start: tuple[np.ndarray, ...] | None = None
    name: str = ""

    def refit(self, trained: Trained) -> Order:
        """Return the order that trains on training and validation rows as far as the best epoch was."""
        both = np.sort(np.concatenate([self.rows, self.val_rows]))
        name = f"{self.name}-refit" if self.name else ""
        return replace(
            self, rows=both, val_rows=both[:0], epochs=trained.best_epoch, rates=trained.rates, name=name
        )


@dataclass(frozen=True)
class Fitted:
    """A trained cell. embed: rows -> (n, d) inputs of its head, valid until the next one is asked for.

    made: what its method made of the training rows, None where it could not. mean, scale: what features, or
    maps by channel, were standardised with; None for nothing. net: gives every variable that was trained
    below the head, of a whole net or of convolutions. head is None where training failed.
    """

    trained: Trained
    embed: Callable[[np.ndarray], np.ndarray]
    made: Resolved | None
    mean: np.ndarray | None = None
    scale: np.ndarray | None = None
    net: Callable[[], tuple[np.ndarray, ...]] = tuple

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
        *("schedule", "schedule_every", "schedule_factor", "backbone_rate"),
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
    try:
        if truth.ndim > 1:
            return resolve_attributes(order.method, known, inputs, order.seed)
        own = (None if told is None else [told[row] for row in order.rows] for told in (groups, prices))
        return resolve(order.method, known, inputs, classes, order.seed, *own)
    except BenchError as error:
        return str(error)


def lane_of(
    order: Order, made: Resolved, rows: np.ndarray, val_rows: np.ndarray, setting: Mapping[str, Value]
) -> Lane:
    """Return the lane that trains an order on these rows of the inputs."""
    epochs = int(setting["epochs"] or 0)
    if setting["steps"]:
        batches = math.ceil(len(rows) / int(setting["batch_size"] or 1))
        epochs = math.ceil(int(setting["steps"]) / max(batches, 1))
    shape = shape_of(order.method)
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
        mixup=shape.mixup,
    )
