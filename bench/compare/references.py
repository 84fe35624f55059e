"""Sides of a comparison that are not stored cells: pinned cells and trivial answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.compare.baselines.pinning import pinning_of
from bench.compare.pairing import pairing_of
from bench.compare.side import Side
from bench.core.kind import get_kind
from bench.core.predictions import by_item, items_hash
from bench.store.read import StoredCell

if TYPE_CHECKING:
    from bench.compare.baselines.types import Pinned, PinnedResult
    from bench.core.predictions import Predictions


@dataclass(frozen=True)
class Answers:
    """Test answers of one cell, items sorted by id.

    key: of equal items with equal truth, see `bench.core.predictions.items_hash`. scored: whether the scores
    are predictions; otherwise they are placeholders with the right answers.
    """

    pred: Predictions
    key: str
    scored: bool = True


@dataclass(frozen=True)
class PinnedCell:
    """A pinned run with the interface of a stored cell."""

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
            "per_class": get_kind(stage.kind).metrics.per_class(self.predictions()),
        }

    def predictions(self, split: str = "test") -> Predictions:
        """Return the test predictions; see `Pinned.predictions`."""
        if split != "test":
            raise ValueError(f"a pinned file holds no {split!r} predictions")
        return self.pinned.predictions(self.of, self.seed)


@dataclass(frozen=True)
class TrivialCell:
    """A trivial answer on the test items of a cell."""

    cell: StoredCell
    kind: str
    name: str

    @cached_property
    def result(self) -> Mapping[str, Any]:
        """The record, with rows of classes and metrics, computed here unless stored."""
        known, pred = get_kind(self.kind), self.predictions()
        metrics = self.cell.result["metrics"].get(self.name) or known.metrics.summary(pred)
        return {
            "id": "",
            "status": "ok",
            "metrics": {"test": metrics},
            "per_class": known.metrics.per_class(pred),
        }

    def predictions(self, split: str = "test") -> Predictions:
        """Return the answers."""
        return get_kind(self.kind).metrics.trivials(self.cell.predictions(split))[self.name]


def answers_of(cell: StoredCell, classes: Sequence[str] = ()) -> Answers:
    """Return a cell's answers. Raises StoreError if it cannot be read.

    classes: the order of the classes, for a cell that has these; see `pinned_classes`.
    """
    pred, inner = cell.predictions("test"), _below(cell)
    if isinstance(inner, PinnedCell):
        stage = inner.pinned.stages[inner.of.stage]
        return Answers(pred, stage.items, pinning_of(stage.kind).SCORES or inner is not cell)
    if pred.classes != tuple(classes) and {*pred.classes} == {*classes}:
        # Classes are ordered by their training images: label noise changes the order, but not the items.
        kind = str(inner.result["cell"]["kind"])
        columns = np.array([pred.classes.index(name) for name in classes], np.int64)
        pred = pairing_of(kind).reordered(pred, columns)
    return Answers(pred.take(by_item(pred)), items_hash(pred))


def pinned_classes(cells: Iterable[StoredCell]) -> tuple[str, ...]:
    """Return the order of the classes of the first pinned cell, () without one.

    Pinned items have a digest that depends on the order of the classes.
    """
    pinned = (inner for cell in cells if isinstance(inner := _below(cell), PinnedCell))
    return next((cell.pinned.stages[cell.of.stage].classes for cell in pinned), ())


def _below(cell: StoredCell) -> StoredCell:
    """Return the cell whose items a trivial answer is on, or the cell itself."""
    while isinstance(cell, TrivialCell):
        cell = cell.cell
    return cell


def pinned_side(task: str, pinned: Pinned, of: PinnedResult) -> Side:
    """Return the pinned cells of one setting as a side of a comparison."""
    return Side(
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


def trivial_side(setting: Side, name: str) -> Side:
    """Return a trivial answer on the items of a setting as a side of a comparison."""
    cells = {seed: TrivialCell(cell, setting.kind, name) for seed, cell in setting.cells.items()}
    return replace(setting, backbone="", method=name, differs="", cells=cells)
