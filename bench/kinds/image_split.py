"""Common parts of image splits: arguments of a run, leaks, validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bench.core.cell import Value
from bench.core.errors import DataError
from bench.data.labels import Parts
from bench.data.splits import find_leaks
from bench.data.task_card import Stage
from bench.data.validation import draw_validation, units_of


def options(parts: Parts, setting: Mapping[str, Value], seed: int, near: np.ndarray | None) -> dict[str, Any]:
    """Return the arguments of `divided` that a run's protocol and data give."""
    return {
        "val_fraction": float(setting["val_fraction"] or 0.0),
        "seed": seed,
        "groups": parts.units,
        "hashes": parts.examples.images.content_hashes(),
        "near": near,
        "drop_leaked": setting["duplicates"] == "drop",
        "validation": parts.validation,
    }


def divided(
    stage: Stage,
    strata: np.ndarray,
    known: np.ndarray,
    test: np.ndarray,
    scored: Callable[[np.ndarray], bool],
    *,
    val_fraction: float,
    seed: int,
    groups: Sequence[str] | None = None,
    hashes: Sequence[str] | None = None,
    near: np.ndarray | None = None,
    drop_leaked: bool = False,
    validation: np.ndarray | None = None,
) -> dict[str, Any]:
    """Return the rows of a `StageSplit` and its leaks from test to train.

    strata: (n,) int32, stratifies validation. known, test: rows. scored: returns whether rows can be
    scored. groups, hashes: n ids; rows that share one are never split between train and val. near:
    (p, 2) pairs of rows that are nearly the same. drop_leaked: whether to leave out test rows that
    train contains too, exactly or nearly. validation: (n,) bool, the published validation part; where
    it has none of the known rows, and without one, validation is drawn. Raises DataError where no test row is
    left.
    """
    leaks = find_leaks(known, test, hashes, near)
    if drop_leaked:
        test = test[~leaks.any]
        if not scored(test):
            raise DataError(
                f"stage {stage.name!r}: every test image is also in train, or nearly so; set duplicates=keep"
            )
    if validation is not None and validation[known].any():
        val = known[validation[known]]
    else:
        val = draw_validation(strata, known, units_of(known, groups, hashes), val_fraction, seed)
    return {
        "train": np.setdiff1d(known, val, assume_unique=True),
        "val": val,
        "test": test,
        "leaked": leaks.exact_count,
        "leaked_near": leaks.near_count,
    }
