"""One stage of a job's cells, split and ready to train."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.backbones.inputs import Inputs
from bench.core.cell import Cell
from bench.core.kind import get_kind
from bench.core.predictions import CellResult, Predictions
from bench.data.pixels import Pixels
from bench.runs.commit import Answer, remove_checkpoints
from bench.runs.context import Context
from bench.runs.plan import Job
from bench.store.model_file import SavableModel
from bench.store.write import failed
from bench.training.fits import Trained

Net = tuple[np.ndarray, ...] | str
"""The variables of a trained net below its head, or the reason of its failure."""

Nets = dict[tuple[str, str, int], Net]
"""Nets that later stages start from, by stage, method and seed; empty unless the cells are staged."""


@dataclass(frozen=True)
class Validated:
    """Validation score of a cell by its kind's selection metric, or the reason of its failure.

    splits: number of training/validation splits that are averaged.
    """

    score: float | None
    reason: str | None = None
    splits: int = 1


class StageRun(ABC):
    """A stage of a job's cells, split and ready to train.

    pixels: the images in the format of the job's backbone. inputs: the outputs of a frozen backbone, or None.
    job: with the cells of this stage alone.
    """

    def __init__(self, context: Context, pixels: Pixels, inputs: Inputs | None, job: Job) -> None:
        self.context, self.job, self.pixels, self.inputs = context, job, pixels, inputs
        self.cell = job.cells[0]
        [self.stage] = [stage for stage in context.card.stages if stage.name == self.cell.stage]

    def groups(self) -> Sequence[Sequence[Cell]]:
        """Return the cells in groups; on frozen features a group is trained together."""
        return [self.job.cells]

    @abstractmethod
    def answers(self, cells: Sequence[Cell]) -> Iterator[Answer]:
        """Train a group and yield the answer of each cell. Raises BenchError."""

    @abstractmethod
    def validate(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Validated]]:
        """Train cells together and yield each with its validation score; test is not touched.

        Cells may differ in method, learning rate, weight decay and batch size.
        """

    def forget(self, cell: Cell) -> None:
        """Remove the checkpoints of a cell that will not be stored."""
        remove_checkpoints(self.context, cell)

    def answer(
        self,
        cell: Cell,
        trained: Trained,
        counts: Mapping[str, int | None],
        choices: Mapping[str, Any],
        parts: Mapping[str, Predictions] | str,
        model: SavableModel | None = None,
    ) -> Answer:
        """Return the answer of a trained cell. parts: its predictions, or the reason of its failure."""
        kept = {"best_epoch": trained.best_epoch, **choices}
        result = CellResult(cell, "ok", counts=counts, choices=kept, history=trained.rows)
        return failure(result, parts) if isinstance(parts, str) else (result, parts, model)

    @property
    def quarantined(self) -> int:
        """Number of images that cannot be read."""
        return int((~self.pixels.ok).sum())


def failure(result: CellResult, reason: str) -> Answer:
    """Return the answer of a cell that could not be trained."""
    return failed(result, reason), {}, None


def validation_score(cell: Cell, predictions: Predictions) -> Validated:
    """Return the score of a cell's answers on validation."""
    kind = get_kind(cell.kind)
    score = kind.metrics.summary(predictions).get(kind.selection)
    return Validated(score, None if score is not None else f"{kind.selection} is undefined on validation")
