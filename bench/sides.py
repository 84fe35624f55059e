"""Sides of a comparison that are no stored cells: pinned ones, and answers that look at no image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from bench.comparison import Setting
from bench.kinds.base import get_kind
from bench.pin import StoredCell, by_item, items_hash

if TYPE_CHECKING:
    from bench.baselines import Pinned, PinnedResult
    from bench.spec import Predictions


@dataclass(frozen=True)
class Answers:
    """What one cell answered on test, items sorted by id.

    key: of equal items with equal truth, see `bench.pin.items_hash`. scored: whether the scores are what was
    predicted; elsewhere they are made up to give the answers.
    """

    pred: Predictions
    key: str
    scored: bool = True


@dataclass(frozen=True)
class PinnedCell:
    """A pinned run, with what a stored cell offers."""

    pinned: Pinned
    of: PinnedResult
    seed: int

    @cached_property
    def result(self) -> Mapping[str, Any]:
        """The record, with rows of classes counted again from the answers."""
        run, stage = self.of.runs[self.seed], self.pinned.stages[self.of.stage]
        return {
            "id": run.cell,
            "status": "ok",
            "metrics": {"test": {**run.metrics, "n": stage.n}},
            "per_class": get_kind(stage.kind).per_class(self.predictions()),
        }

    def predictions(self, split: str = "test") -> Predictions:
        """Return the test predictions; see `Pinned.predictions`."""
        if split != "test":
            raise ValueError(f"a pinned file holds no {split!r} predictions")
        return self.pinned.predictions(self.of, self.seed)


@dataclass(frozen=True)
class TrivialCell:
    """An answer that looks at no image, on the test items of a cell."""

    cell: StoredCell
    kind: str
    name: str

    @cached_property
    def result(self) -> Mapping[str, Any]:
        """The record, with rows of classes and, where they are not stored, metrics worked out here."""
        known, pred = get_kind(self.kind), self.predictions()
        metrics = self.cell.result["metrics"].get(self.name) or known.summary(pred)
        return {
            "id": "",
            "status": "ok",
            "metrics": {"test": metrics},
            "per_class": known.per_class(pred),
        }

    def predictions(self, split: str = "test") -> Predictions:
        """Return the answers."""
        return get_kind(self.kind).trivials(self.cell.predictions(split))[self.name]


def answers_of(cell: StoredCell) -> Answers:
    """Return what a cell answered. Raises StoreError if it cannot be read."""
    pred, inner = cell.predictions("test"), cell
    while isinstance(inner, TrivialCell):
        inner = inner.cell
    if isinstance(inner, PinnedCell):
        stage = inner.pinned.stages[inner.of.stage]
        return Answers(pred, stage.items, stage.kind != "multiclass" or inner is not cell)
    return Answers(pred.take(by_item(pred)), items_hash(pred))


def pinned_setting(task: str, pinned: Pinned, of: PinnedResult) -> Setting:
    """Return the pinned cells of one setting as a side of a comparison."""
    return Setting(
        task=task,
        task_version=pinned.task_version,
        kind=pinned.stages[of.stage].kind,
        stage=of.stage,
        regime=of.regime,
        backbone=of.backbone,
        weights=of.weights,
        method=of.method,
        protocol=of.protocol,
        source=pinned.source,
        fingerprint=pinned.fingerprint,
        differs="",
        cells={seed: PinnedCell(pinned, of, seed) for seed in sorted(of.runs)},
    )


def trivial_setting(setting: Setting, name: str) -> Setting:
    """Return an answer that looks at no image, on the items of a setting, as a side of a comparison."""
    cells = {seed: TrivialCell(cell, setting.kind, name) for seed, cell in setting.cells.items()}
    return replace(setting, backbone="", method=name, differs="", cells=cells)
