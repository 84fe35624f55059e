"""Storage of a trained cell: metrics, predictions and record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from bench.core.cell import Cell
from bench.core.kind import get_kind
from bench.core.predictions import CellResult, Predictions
from bench.methods.shape import calibration_shares
from bench.runs.context import CHECKPOINTS, Context
from bench.store.model_file import SavableModel
from bench.store.write import failed

Answer = tuple[CellResult, Mapping[str, Predictions], SavableModel | None]
"""A trained cell: its result, its predictions by split, and its model where that is saved.

Without metrics, timings and environment, which `commit` adds. A cell that failed has no predictions; the
others have `test` at least.
"""


def commit(context: Context, answer: Answer, timings: Mapping[str, float]) -> None:
    """Store a cell with its metrics, or the reason of its failure, and report it."""
    result, parts, model = answer
    cell, kind = result.cell, get_kind(result.cell.kind)
    result = replace(
        result,
        timings={**timings, "seconds": sum(timings.values())},
        environment=context.environment_of(cell),
        command=context.command,
    )
    if result.status == "ok":
        calibrated = dict(calibration_shares(cell.method))
        measured = {name: part for name, part in parts.items() if name not in calibrated}
        trivials = kind.metrics.trivials(parts["test"])
        result = replace(
            result,
            metrics={name: kind.metrics.summary(part) for name, part in (measured | trivials).items()},
            per_class=kind.metrics.per_class(parts["test"]),
            curves=kind.metrics.curves(parts["test"]),
        )
    context.store.commit(result, parts, model)
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
