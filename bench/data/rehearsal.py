"""Rehearsals: splits of one stage's training set that imitate a stage with few images.

A stage with a handful of images has too few for validation, and its test set must not be used for choices.
A rehearsal subsamples the training set of another stage of the same data to the class counts of the small
stage, and tests on the rest. Both test sets stay untouched, and choices made there carry over. The split can
keep the values of a column together, so that trained and tested images differ as in the real split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.core.errors import DataError
from bench.data.validation import units_of

if TYPE_CHECKING:
    from bench.data.task_card import Stage


@dataclass(frozen=True)
class Rehearsal:
    """The imitated stage, and the split between train and test.

    marks: n ids that are kept together, or None; "" is an id of its own. seed: of the split.
    """

    stage: Stage
    marks: Sequence[str] | None
    seed: int


def rehearsal_split(
    rehearsal: Rehearsal,
    counts: Sequence[int],
    truth: np.ndarray,
    known: np.ndarray,
    ids: Sequence[Sequence[str] | None],
    seed: int,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return sorted training rows, test rows, and the number of rows left out for their untrained class.

    counts: training images of each class of the imitated stage. truth: (n,) classes; known: the rows of the
    usual training set; ids: n each, rows that share one stay together. Half of these units are test, drawn by
    the rehearsal's seed, so that cells of all seeds test on the same images. In the other half, each class is
    subsampled to the count of one imitated class, or keeps all if it has fewer (the assignment of classes and
    the images are drawn by `seed`; counts are taken in even steps from smallest to largest). Raises DataError
    if the stage has no class, or no class is in both train and test.
    """
    if not counts:
        raise DataError(f"rehearse: train has no class of stage {rehearsal.stage.name!r}; leave it out")
    marks = rehearsal.marks
    if marks is not None:
        marks = [mark or f"\x00{row}" for row, mark in enumerate(marks)]
    units = units_of(known, marks, *ids)
    order = np.random.default_rng(rehearsal.seed).permutation(len(units))
    halves = [
        np.array(sorted(row for number in half for row in units[number]), dtype=np.int64)
        for half in np.array_split(order, 2)
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
            f"rehearse: no class is in both halves of {len(units)} images or groups; choose another "
            "rehearse_by or rehearse_seed"
        )
    return train, tested[seen], int((~seen).sum())
