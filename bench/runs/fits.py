"""From a cell's method, applied to its training rows, to a `Fit`."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from bench.core.cell import Cell, Value
from bench.core.protocol import AUTO
from bench.methods.apply import Resolved
from bench.methods.shape import shape_of
from bench.training.fits import Auxiliary, Fit, Trained, TrainSetting
from bench.training.schedule import decay_path


def train_setting(setting: Mapping[str, Value]) -> TrainSetting:
    """Return the training values of a protocol."""
    names = (
        *("batch_size", "lr", "optimizer", "momentum", "l2", "patience"),
        *("schedule", "schedule_every", "schedule_factor", "backbone_rate", "unfreeze", "precision"),
    )
    # A `Fit` that chooses its decay holds it.
    chosen = {"l2": 0.0} if setting["l2"] == AUTO else {}
    return TrainSetting(**{**{name: setting[name] for name in names}, **chosen})  # type: ignore[arg-type]


def fit_of(
    cell: Cell,
    made: Resolved,
    rows: np.ndarray,
    val_rows: np.ndarray,
    first: Trained | None = None,
    auxiliary: Auxiliary | None = None,
    start: tuple[np.ndarray, ...] | None = None,
) -> Fit:
    """Return the `Fit` of a cell on these rows of the inputs.

    first: the training that a refit repeats, with its epochs, learning rates and weight decays; None trains
    by the protocol.
    """
    setting, shape = cell.setting, shape_of(cell.method)
    epochs = epochs_of(setting, len(rows))
    return Fit(
        rows,
        val_rows,
        made.loss,
        made.weights,
        cell.seed,
        epochs if first is None else first.best_epoch,
        made.row_weights,
        stop_by(setting, made.stop_by),
        made.targets,
        shape.units,
        rates=() if first is None else first.rates,
        start=start,
        mixing=shape.mixing,
        mixed=made.minority if shape.mixing is not None and shape.mixing.minority else None,
        changed=made.minority if shape.minority else None,
        deferred=deferred_epochs(made.loss.late, epochs) if first is None else first.deferred,
        auxiliary=auxiliary,
        path=decay_path(setting, len(val_rows) > 0, bool(shape.units)),
        decays=() if first is None else first.decays,
        setting=train_setting(setting),
    )


def epochs_of(setting: Mapping[str, Value], count: int) -> int:
    """Return the largest number of epochs of a protocol, given or by steps, with so many training rows."""
    if not setting["steps"]:
        return int(setting["epochs"] or 0)
    batches = math.ceil(count / int(setting["batch_size"] or 1))
    return math.ceil(int(setting["steps"]) / max(batches, 1))


def stop_by(setting: Mapping[str, Value], usual: str) -> str:
    """Return the criterion of the best epoch, the usual one where the protocol leaves it open."""
    return usual if setting["stop_by"] == "auto" else str(setting["stop_by"]).removeprefix("val_")


def deferred_epochs(late: float, epochs: int) -> int:
    """Return the number of epochs before the last ones, at least one.

    late: share of the last epochs.

    >>> deferred_epochs(0.2, 40), deferred_epochs(0.2, 3), deferred_epochs(1.0, 40)
    (32, 2, 0)
    """
    return min(math.floor((1.0 - late) * epochs + 1e-6), max(epochs - 1, 0))
