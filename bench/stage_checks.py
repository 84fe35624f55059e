"""What a stage's data says against itself, looked at before its cells are trained and stored with each."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.context import Context
from bench.data.splits import StageSplit
from bench.models.orders import Trainer
from bench.models.trainers import HeadTrainer
from bench.spec import Cell
from bench.text.titles import StageTitles


def check_stage(
    context: Context, trainer: Trainer, split: StageSplit, cell: Cell, titles: StageTitles | None = None
) -> dict[str, Any]:
    """Return what is found, by the name of the check.

    titles: how many titles are empty or hold the name of their own class, where titles are read. The others
    are of tasks with attributes, where labels are doubtful.

    duplicates: pictures that are there more than once, byte for byte, and nearly so, how many of them lie on
    both sides of the split and how many contradict each other. signal: see `bench.signal`, where there are
    frozen features.
    """
    found: dict[str, Any] = {} if titles is None else {"titles": titles.to_json()}
    if trainer.truth.ndim == 1:
        return found
    found["duplicates"] = _duplicates(context, split)
    if isinstance(trainer, HeadTrainer):
        signal = _signal(context, trainer, split, cell)
        found |= {"signal": signal} if signal else {}
    return found


def _duplicates(context: Context, split: StageSplit) -> dict[str, int]:
    from bench.data.duplicates import find_duplicates, find_twins
    from bench.data.near import SIDE
    from bench.data.pixels import ensure_pixels

    hashes = context.examples.images.content_hashes()
    small = ensure_pixels(context.examples, (SIDE, SIDE), "squash", context.cache, context.progress)
    trains = np.zeros(len(hashes), bool)
    trains[np.concatenate([split.train, split.val])] = True
    rows = np.sort(np.concatenate([split.train, split.val, split.test]))
    truth = np.where(split.truth >= 0, split.truth, split.truth if split.hidden is None else split.hidden)
    same = find_duplicates(hashes, truth, trains, rows)
    near = find_twins(small, hashes, truth, trains, rows)
    return {
        "same": same.groups,
        "same_torn": same.disagreeing,
        "near": len(near.pairs),
        "near_across": near.straddling,
        "near_torn": near.disagreeing,
    }


def _signal(context: Context, trainer: HeadTrainer, split: StageSplit, cell: Cell) -> dict[str, Any] | None:
    from bench.signal import signal_check

    context.progress(0, 1, "testing the labels against permuted ones")
    units = context.parts(cell).groups or context.examples.images.content_hashes()
    found = signal_check(
        trainer.table,
        trainer.truth[trainer.rows],
        split.classes,
        [units[row] for row in trainer.rows.tolist()],
    )
    return None if found is None else found.to_json()
