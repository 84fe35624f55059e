"""Bitwise comparison of two sets of predictions of one cell."""

from __future__ import annotations

from dataclasses import dataclass

from bench.core.kind import get_kind
from bench.core.predictions import Predictions
from bench.store.read import SPLITS, Stored


@dataclass(frozen=True)
class AnswerDifference:
    """Difference of two sets of predictions. largest: of scores, None if they cannot be compared.

    items, changed: number of items, and of those with another decision. why: the reason if they cannot be
    compared.
    """

    equal: bool
    largest: float | None = None
    items: int = 0
    changed: int = 0
    why: str = ""


def compare_parts(then: Stored, now: Stored) -> AnswerDifference:
    """Compare the predictions of two cells, split by split. Raises FileFault if they cannot be read."""
    kind = then.record["cell"]["kind"]
    before, after = ({**cell.splits(), **cell.calibration()} for cell in (then, now))
    found = []
    for name in dict.fromkeys((*SPLITS, *before, *after)):
        if (name in before) != (name in after):
            return AnswerDifference(False, why=f"{name}: exists only {'then' if name in before else 'now'}")
        if name in before:
            found.append((name, compare_predictions(before[name], after[name], kind)))
    for name, one in found:
        if one.why:
            return AnswerDifference(False, why=f"{name}: {one.why}")
    return AnswerDifference(
        equal=all(one.equal for _, one in found),
        largest=max((one.largest or 0.0 for _, one in found), default=0.0),
        items=sum(one.items for _, one in found),
        changed=sum(one.changed for _, one in found),
    )


def compare_predictions(then: Predictions, now: Predictions, kind: str) -> AnswerDifference:
    """Compare predictions of the same items: bits, largest difference of scores, decisions."""
    import numpy as np

    if then.classes != now.classes:
        return AnswerDifference(False, why="the classes are not the same")
    if then.items != now.items or then.groups != now.groups:
        return AnswerDifference(
            False, why=f"the items are not the same ({len(then.items)} then, {len(now.items)} now)"
        )
    for what in ("truth", "train_support", "known"):
        before, after = getattr(then, what), getattr(now, what)
        if (before is None) != (after is None) or (before is not None and not np.array_equal(before, after)):
            return AnswerDifference(False, why=f"{what} is not the same")
    metrics = get_kind(kind).metrics
    thresholds = metrics.thresholds(then), metrics.thresholds(now)
    equal = then.scores.tobytes() == now.scores.tobytes() and np.array_equal(*thresholds)
    gap = np.abs(then.scores.astype(np.float64) - now.scores.astype(np.float64))
    before, after = metrics.decisions(then), metrics.decisions(now)
    changed = (before != after).any(axis=tuple(range(1, before.ndim)))
    moved = np.abs(thresholds[0] - thresholds[1])
    largest = max(float(gap.max(initial=0.0)), float(moved.max(initial=0.0)))
    return AnswerDifference(equal, largest, len(then.items), int(changed.sum()))
