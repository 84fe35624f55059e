"""From a cell's answer to what is stored of it: predictions, metrics, counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bench.context import CHECKPOINTS, Context
from bench.data.pixels import Pixels
from bench.data.splits import StageSplit
from bench.keep import Kept
from bench.kinds.base import get_kind
from bench.models.lanes import Trained
from bench.spec import Cell, CellResult, Predictions
from bench.store import failed
from bench.training import Outcome


@dataclass(frozen=True)
class Answer:
    """What a cell answered, of whatever kind, or the reason why it has none.

    parts: its predictions by name, `val` and `test` at least. The others as in `CellResult`.
    """

    trained: Trained
    parts: Mapping[str, Predictions] = field(default_factory=dict)
    counts: Mapping[str, int | None] = field(default_factory=dict)
    choices: Mapping[str, Any] = field(default_factory=dict)
    checks: Mapping[str, Any] = field(default_factory=dict)
    model: Kept | None = None
    reason: str | None = None


def commit(
    context: Context,
    cell: Cell,
    split: StageSplit,
    outcome: Outcome,
    pixels: Pixels,
    timings: Mapping[str, float],
) -> None:
    """Store a cell with its outcome, or with the reason why it has none, and tell."""
    parts: dict[str, Predictions] = {}
    if outcome.reason is None:
        assert outcome.val is not None and outcome.test is not None
        groups = context.parts(cell).groups
        for name, rows, scores in (("val", split.val, outcome.val), ("test", split.test, outcome.test)):
            part = _predictions(context, groups, split, rows, scores)
            parts[name] = replace(part, cuts=outcome.cuts)
        if outcome.fills is not None and split.hidden is not None:
            filled = _imputed(context, groups, split, outcome.fills)
            parts.update({"imputed": filled} if filled.items else {})
    answer = Answer(
        outcome.trained,
        parts,
        _counts(context, split, pixels),
        {"best_epoch": outcome.trained.best_epoch, **outcome.choices},
        outcome.checks,
        outcome.model,
        outcome.reason,
    )
    commit_answer(context, cell, answer, timings)


def commit_answer(context: Context, cell: Cell, answer: Answer, timings: Mapping[str, float]) -> None:
    """Store a cell with its answer, measured, or with the reason why it has none, and tell."""
    kind, parts = get_kind(cell.kind), answer.parts
    result = CellResult(
        cell,
        "ok",
        counts=answer.counts,
        timings={**timings, "seconds": sum(timings.values())},
        environment=context.environment,
        choices=answer.choices,
        checks=answer.checks,
        command=context.command,
    )
    if answer.reason is not None:
        result = failed(result, answer.reason)
    else:
        trivials = kind.trivials(parts["test"])
        metrics = {name: kind.summary(part) for name, part in (*parts.items(), *trivials.items())}
        result = replace(
            result,
            metrics=metrics,
            per_class=kind.per_class(parts["test"]),
            curves=kind.curves(parts["test"]),
        )
    context.store.commit(result, parts, answer.trained, answer.model)
    forget_checkpoints(context, cell)
    context.emit("cell", id=cell.id, status=result.status, reason=result.reason)


def forget_checkpoints(context: Context, cell: Cell) -> None:
    """Remove what was written down of a cell in training: it is finished."""
    for leftover in (context.cache / CHECKPOINTS).glob(f"{cell.id}*.npz"):
        leftover.unlink(missing_ok=True)


def _predictions(
    context: Context, groups: Sequence[str] | None, split: StageSplit, rows: np.ndarray, scores: np.ndarray
) -> Predictions:
    return Predictions(
        items=tuple(context.examples.items[row] for row in rows),
        groups=None if groups is None else tuple(groups[row] for row in rows),
        truth=split.truth[rows],
        scores=scores.astype(np.float32),
        classes=split.classes,
        train_support=split.train_counts,
        known=split.train_known,
    )


def _imputed(
    context: Context, groups: Sequence[str] | None, split: StageSplit, fills: np.ndarray
) -> Predictions:
    """Return what a method took hidden cells of training rows for, beside what they are.

    fills: (train, k), NaN where a cell was known. Rows without a filled cell whose truth is known are left
    out.
    """
    assert split.hidden is not None
    truth = np.where(np.isnan(fills), -1, split.hidden[split.train])
    rows = np.flatnonzero((truth >= 0).any(axis=1))
    scores = np.where(np.isnan(fills), 0.0, fills)[rows]
    return replace(_predictions(context, groups, split, split.train[rows], scores), truth=truth[rows])


def _counts(context: Context, split: StageSplit, pixels: Pixels) -> dict[str, int | None]:
    """Count what was used and what was left out."""
    fatal = sum(problem.fatal for problem in context.examples.problems)
    return {
        "train": len(split.train),
        "val": len(split.val),
        "test": len(split.test),
        "not_scored": split.unseen,
        "leaked": split.leaked,
        "quarantined": fatal + int((~pixels.ok).sum()),
    }


def fail(context: Context, cells: Sequence[Cell], reason: str) -> None:
    """Store all these cells as failed for one reason."""
    for cell in cells:
        result = CellResult(cell, "failed", environment=context.environment, command=context.command)
        context.store.commit(failed(result, reason), {})
        context.emit("cell", id=cell.id, status="failed", reason=reason)
