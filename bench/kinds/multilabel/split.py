"""Splits of tasks with many attributes for each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.core.cell import Value
from bench.core.errors import DataError
from bench.data.labels import Parts, nobody
from bench.data.rehearsal import Rehearsal
from bench.data.splits import StageSplit
from bench.data.splits import train_mask as by_rule
from bench.data.task_card import Stage
from bench.kinds.image_split import divided, options

unlisted = nobody


def train_mask(parts: Parts) -> np.ndarray:
    """Return (n,) bool: which examples train; a row's label is its values of all attributes."""
    rows = ["".join(map("{:d}".format, row)) for row in parts.cells + 1]
    return by_rule(parts.examples, rows, parts.plan)


def split(
    parts: Parts,
    setting: Mapping[str, Value],
    ok: np.ndarray,
    stage: Stage,
    seed: int,
    rehearsal: Rehearsal | None = None,
    near: np.ndarray | None = None,
) -> AttributeSplit:
    """Split one stage by seed. See `attribute_split`; no stage rehearses another."""
    rows = options(parts, setting, seed, near)
    return attribute_split(parts.table, parts.hidden, parts.attributes, parts.train, ok, stage, **rows)


@dataclass(frozen=True)
class AttributeSplit(StageSplit):
    """The attributes and rows of one stage.

    classes: the attributes, in the data's order. truth: (n, k) int32 yes, no or -1 for unknown. hidden:
    (n, k) int32, the truth of cells that are -1 in `truth` and known otherwise, -1 elsewhere; None where
    there are none. The others as in `StageSplit`.
    """

    hidden: np.ndarray | None = None

    @property
    def strata(self) -> np.ndarray:
        """Zeros: parts are random shares."""
        return np.zeros(len(self.truth), np.int32)

    @property
    def train_counts(self) -> np.ndarray:
        """(k,) int64: training images with a yes of each attribute; validation included."""
        counts: np.ndarray = (self.known_truth == 1).sum(axis=0)
        return counts.astype(np.int64)

    @property
    def train_known(self) -> np.ndarray | None:
        """(k,) int64: training cells of each attribute that are known."""
        counts: np.ndarray = (self.known_truth >= 0).sum(axis=0)
        return counts.astype(np.int64)

    @property
    def targets(self) -> np.ndarray:
        """(n, k) float32, NaN where unknown."""
        return np.where(self.truth < 0, np.nan, self.truth).astype(np.float32)

    def columns(self, rows: np.ndarray) -> np.ndarray:
        """Return the targets of these rows."""
        targets: np.ndarray = self.targets[rows]
        return targets

    def names(self, rows: np.ndarray) -> list[str] | None:
        """Return None: a row has several."""
        return None


def attribute_split(
    table: np.ndarray,
    hidden: np.ndarray,
    attributes: Sequence[str],
    train: np.ndarray,
    ok: np.ndarray,
    stage: Stage,
    **more: Any,
) -> AttributeSplit:
    """Split one stage of a task with many attributes into train, validation and test.

    table, hidden: (n, k) yes, no or -1, see `AttributeSplit`; a row without any known cell stays where it is.
    The stage names attributes by their order; validation is a random share of whole groups. The
    others: see `bench.kinds.image_split.divided`. Raises DataError where the stage has no attribute, no train
    or no test row, or nothing known in one of them or in validation.
    """
    names = tuple(attributes[stage.first : stage.last])
    if not names:
        begins = f"stage {stage.name!r} begins at attribute {stage.first + 1}"
        raise DataError(f"{begins}, but the data has only {len(attributes)}; leave the stage out")
    truth = np.asarray(table[:, stage.first : stage.last], np.int32)
    known, test = np.flatnonzero(train & ok), np.flatnonzero(~train & ok)
    for side, rows in (("train", known), ("test", test)):
        if not (truth[rows] >= 0).any():
            raise DataError(f"stage {stage.name!r} has no usable {side} row with a known label; add data")
    parted = divided(
        stage,
        np.zeros(len(truth), np.int32),
        known,
        test,
        lambda rows: bool((truth[rows] >= 0).any()),
        **more,
    )
    val = parted["val"]
    if len(val) and not (truth[val] >= 0).any():
        raise DataError(
            f"stage {stage.name!r}: none of the {len(val)} validation rows has a known label; "
            "raise val_fraction or add data"
        )
    return AttributeSplit(
        classes=names,
        truth=truth,
        unseen=0,
        hidden=np.asarray(hidden[:, stage.first : stage.last], np.int32),
        **parted,
    )
