"""A rehearsal of a stage on the training part of another one: as few images to learn from, none of the test.

Where a stage has a handful of images, what it keeps for validation chooses nothing, and choosing by its test
part is what this package is against. Another stage of the same data has images enough: a rehearsal cuts its
training part down to the counts of the poor stage, tests on what is left, and leaves both test parts alone.
What is chosen there can be used here. Images can be parted by a column, so that learned and tested ones
differ in more than luck, as those of the real parts do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.data.validation import units_of
from bench.errors import DataError

if TYPE_CHECKING:
    from bench.cards import Stage


@dataclass(frozen=True)
class Rehearsal:
    """How the training part of a stage is cut: to the counts of which stage, and what tests.

    marks: n ids of what is on one side alone, or None; "" is like no other. seed: which ids test.
    """

    stage: Stage
    marks: Sequence[str] | None
    seed: int


def cut(
    rehearsal: Rehearsal,
    counts: Sequence[int],
    truth: np.ndarray,
    known: np.ndarray,
    ids: Sequence[Sequence[str] | None],
    seed: int,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return sorted rows that train, rows that test, and how many rows of untrained classes are left out.

    counts: training images of each class of the stage that is rehearsed. truth: (n,) classes; known: the rows
    that train otherwise; ids: n each, rows that share one stay together. Half of what must not be parted
    tests, drawn by the rehearsal's seed, so that cells of all seeds test on the same images. Of the other
    half each class keeps as many images as one of the rehearsed classes has, or all that are there (which
    class is like which, and which images, is drawn by `seed`; the counts are taken in even steps from the
    smallest to the largest). Raises DataError where the stage has no class, or no class is on both sides.
    """
    if not counts:
        raise DataError(f"rehearse: train knows no class of stage {rehearsal.stage.name!r}; leave it out")
    marks = rehearsal.marks
    if marks is not None:
        marks = [mark or f"\x00{row}" for row, mark in enumerate(marks)]
    units = units_of(known, marks, *ids)
    order = np.random.default_rng(rehearsal.seed).permutation(len(units))
    halves = [
        np.array(sorted(row for number in part for row in units[number]), dtype=np.int64)
        for part in np.array_split(order, 2)
    ]
    learned, tested = halves
    classes = np.unique(truth[learned])
    rng = np.random.default_rng(seed)
    steps = np.linspace(0, len(counts) - 1, len(classes))
    sizes = rng.permutation(np.sort(counts)[np.round(steps).astype(int)])
    kept = [
        rng.permutation(learned[truth[learned] == label])[:size]
        for label, size in zip(classes, sizes, strict=True)
    ]
    train = np.sort(np.concatenate(kept))
    seen = np.isin(truth[tested], truth[train])
    if not len(train) or not seen.any():
        raise DataError(
            f"rehearse: of {len(units)} images or groups of images that are not parted, no class is on both "
            "sides; take another rehearse_by, or another rehearse_seed"
        )
    return train, tested[seen], int((~seen).sum())
