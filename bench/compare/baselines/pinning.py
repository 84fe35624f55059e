"""Facet `pinning` of a kind of task: how its pinned runs are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from bench.core.kind import get_kind

if TYPE_CHECKING:
    import numpy as np

    from bench.compare.baselines.checks import FileChecks
    from bench.core.predictions import Predictions


@dataclass(frozen=True)
class PinnedStage:
    """The test items of all pinned runs of a stage, sorted by id.

    items: `sha256:<hex>` over classes, item ids and their true classes. kind: of the task. packed: the truth
    of the items; see the kind's `Pinning`.
    """

    classes: tuple[str, ...]
    train_support: tuple[int, ...]
    items: str
    n: int
    kind: str
    packed: Mapping[str, Any]


@dataclass(frozen=True)
class PinnedRun:
    """One pinned cell: its id, its test metrics, and its predictions item by item, packed by `Pinning`."""

    cell: str
    metrics: Mapping[str, float | None]
    packed: Mapping[str, Any]


class Pinning(Protocol):
    """Conversion between test items with answers and fields of a pinned file. Imports nothing heavy.

    SCORES: whether scores are stored; otherwise they are placeholders with the right answers, whose ROC
    areas, log loss and calibration are invalid. STAGE, RUN: the types of the fields of a stage and of a run,
    in addition to those of every kind; MAYBE: the optional fields of both.
    """

    SCORES: bool
    STAGE: Mapping[str, type]
    RUN: Mapping[str, type]
    MAYBE: Mapping[str, type]

    def check_stage(self, check: FileChecks, fields: Mapping[str, Any], n: int, k: int, where: str) -> None:
        """Check a stage's fields, for n items and k classes, without numpy."""
        ...

    def check_run(self, check: FileChecks, fields: Mapping[str, Any], stage: PinnedStage, where: str) -> None:
        """Check a run's fields likewise."""
        ...

    def stage(self, pred: Predictions) -> dict[str, Any]:
        """Return the stage's fields of predictions whose items are sorted by id."""
        ...

    def run(self, pred: Predictions) -> dict[str, Any]:
        """Return the run's fields of predictions whose items are sorted by id."""
        ...

    def truth(self, stage: PinnedStage) -> np.ndarray:
        """Return the truth of every item; see `Predictions`."""
        ...

    def answers(self, stage: PinnedStage, run: PinnedRun) -> dict[str, Any]:
        """Return the scores, and the fields of `Predictions` that only this kind has."""
        ...


def pinning_of(kind: str) -> Pinning:
    """Return the `Pinning` of a kind. Raises BenchError for an unknown kind."""
    found: Pinning = get_kind(kind).pinning
    return found
