"""Storage of a trained cell: metrics, predictions and record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bench.core.cell import Cell
from bench.core.kind import get_kind
from bench.core.predictions import CellResult, Predictions
from bench.runs.context import CHECKPOINTS, Context
from bench.store.model_file import SavableModel
from bench.store.write import failed
from bench.training.fits import Trained


@dataclass(frozen=True)
class Answer:
    """Result of training a cell of any kind, or the reason of its failure.

    parts: predictions by name, at least `val` and `test`. trials: of a tuned cell. The others as in
    `CellResult`. val, test: scores of images, the source of `parts`; calibration: scores of calibration
    parts, by step; val_cuts, cuts: thresholds of validation and of the others, see `Predictions`. fills:
    the method's estimates of unknown training labels, (train, k), or None.
    """

    trained: Trained
    parts: Mapping[str, Predictions] = field(default_factory=dict)
    counts: Mapping[str, int | None] = field(default_factory=dict)
    choices: Mapping[str, Any] = field(default_factory=dict)
    checks: Mapping[str, Any] = field(default_factory=dict)
    model: SavableModel | None = None
    reason: str | None = None
    trials: tuple[Mapping[str, Any], ...] = ()
    val: np.ndarray | None = None
    test: np.ndarray | None = None
    calibration: Mapping[str, np.ndarray] = field(default_factory=dict)
    val_cuts: np.ndarray | None = None
    cuts: np.ndarray | None = None
    fills: np.ndarray | None = None


def commit(context: Context, cell: Cell, answer: Answer, timings: Mapping[str, float]) -> None:
    """Store a cell with its metrics, or the reason of its failure, and report it."""
    kind, parts = get_kind(cell.kind), answer.parts
    result = CellResult(
        cell,
        "ok",
        counts=answer.counts,
        timings={**timings, "seconds": sum(timings.values())},
        environment=context.environment_of(cell),
        choices=answer.choices,
        checks=answer.checks,
        command=context.command,
        trials=answer.trials,
    )
    if answer.reason is not None:
        result = failed(result, answer.reason)
    else:
        trivials = kind.metrics.trivials(parts["test"])
        measured = {name: part for name, part in parts.items() if name not in answer.calibration}
        metrics = {name: kind.metrics.summary(part) for name, part in (measured | trivials).items()}
        result = replace(
            result,
            metrics=metrics,
            per_class=kind.metrics.per_class(parts["test"]),
            curves=kind.metrics.curves(parts["test"]),
        )
    context.store.commit(result, parts, answer.trained, answer.model)
    remove_checkpoints(context, cell)
    context.emit("cell", id=cell.id, status=result.status, reason=result.reason)


def remove_checkpoints(context: Context, cell: Cell) -> None:
    """Remove the checkpoint of a finished cell."""
    for leftover in (context.cache / CHECKPOINTS).glob(f"{cell.id}*.npz"):
        leftover.unlink(missing_ok=True)


def fail(context: Context, cells: Sequence[Cell], reason: str) -> None:
    """Store all these cells as failed for one reason."""
    for cell in cells:
        result = CellResult(cell, "failed", environment=context.environment_of(cell), command=context.command)
        context.store.commit(failed(result, reason), {})
        context.emit("cell", id=cell.id, status="failed", reason=reason)
