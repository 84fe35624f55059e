"""Successive halving: the worst trials of a round stop after few epochs. Imports nothing heavy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from bench.core.cell import Cell, Value

REDUCTION, RUNGS = 4, 3
"""The share of trials that go on is one in REDUCTION, and their epochs are REDUCTION times as many."""

HALVED = RUNGS / REDUCTION ** (RUNGS - 1)
"""Epochs of a trial, on the average, over those of one that nothing stops."""


def shares(halving: bool) -> list[int]:
    """Return by what the epochs of each rung are divided: of the last one by 1.

    >>> shares(True), shares(False)
    ([16, 4, 1], [1])
    """
    return [REDUCTION**rung for rung in reversed(range(RUNGS))] if halving else [1]


def at_rung(cell: Cell, share: int) -> Cell:
    """Return the cell with its epochs, and steps, divided and rounded up."""
    setting = cell.setting
    fewer: dict[str, Value] = {key: math.ceil(int(setting[key] or 0) / share) for key in ("epochs", "steps")}
    return replace(cell, protocol=tuple(sorted({**setting, **fewer}.items())))


def going_on(scores: Sequence[float | None], before: Sequence[float], higher: bool) -> list[int]:
    """Return the places of trials that are among the best at their rung, at least one of all.

    scores: of a round's trials; None loses. before: those of earlier rounds at the same rung. Jamieson and
    Talwalkar 2016, arXiv:1502.07943; with all scores seen so far as in Li et al. 2020, arXiv:1810.05934.

    >>> going_on([0.5, 0.9, None, 0.7], [0.8, 0.6, 0.4, 0.3, 0.2], True)
    [1]
    """
    known = sorted([*before, *(score for score in scores if score is not None)], reverse=higher)
    if not known:
        return []
    last = known[max(1, len(known) // REDUCTION) - 1]
    return [
        place
        for place, score in enumerate(scores)
        if score is not None and (score >= last if higher else score <= last)
    ]
