"""Splits of tasks of pairs, for `bench.data.labels.Parts` and for a run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import numpy as np

from bench.core.cell import Value
from bench.core.errors import DataError
from bench.data.labels import Parts, nobody
from bench.data.rehearsal import Rehearsal
from bench.data.task_card import Stage
from bench.kinds.verification.arrays import PairSplit
from bench.kinds.verification.pair_split import NEITHER, pair_split, side_mask, sides


def train_mask(parts: Parts) -> np.ndarray:
    """Return (n,) bool: which photos train, by whom they show."""
    return side_mask(parts.examples, parts.setting)


def unlisted(parts: Parts) -> np.ndarray:
    """Return (n,) bool: which photos are on neither side, being of people in no list."""
    with suppress(DataError):
        unlisted: np.ndarray = sides(parts.examples, parts.setting) == NEITHER
        return unlisted
    return nobody(parts)


def split(
    parts: Parts,
    setting: Mapping[str, Value],
    ok: np.ndarray,
    stage: Stage,
    seed: int,
    rehearsal: Rehearsal | None = None,
    near: np.ndarray | None = None,
) -> PairSplit:
    """Split the pairs by seed. See `pair_split`; the one stage has all of them, and no photo is dropped."""
    return pair_split(parts.examples, ok, setting, seed)
