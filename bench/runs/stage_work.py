"""Interfaces for training the cells of one stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from bench.backbones.inputs import Inputs
from bench.core.cell import Cell
from bench.data.pixels import Pixels
from bench.data.task_card import Stage
from bench.runs.commit import Answer
from bench.runs.context import Context
from bench.runs.plan import Job

Net = tuple[np.ndarray, ...] | str
"""The variables of a trained net below its head, or the reason of its failure."""

Nets = dict[tuple[str, str, int], Net]
"""Nets that later stages start from, by stage, method and seed; empty unless the cells are staged."""


@dataclass(frozen=True)
class StageWork:
    """Cells of one stage that are trained together, and their inputs.

    pixels: the images in the format of the job's backbone. inputs: the outputs of a frozen backbone, or None.
    """

    context: Context
    job: Job
    stage: Stage
    cells: Sequence[Cell]
    pixels: Pixels
    inputs: Inputs | None


@dataclass(frozen=True)
class Validated:
    """Validation score of a cell by its kind's selection metric, or the reason of its failure.

    splits: number of training/validation splits that are averaged.
    """

    score: float | None
    reason: str | None = None
    splits: int = 1


class StageRun(Protocol):
    """A stage that is split and ready to train."""

    def groups(self) -> Sequence[Sequence[Cell]]:
        """Return the cells in groups; on frozen features a group is trained together."""
        ...

    def answers(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Answer | str]]:
        """Train a group and yield each cell with its answer, or the reason of its failure.

        Raises BenchError.
        """
        ...

    def validate(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Validated]]:
        """Train cells together and yield each with its validation score; test is not touched.

        Cells may differ in method, learning rate, weight decay and batch size.
        """
        ...

    def forget(self, cell: Cell) -> None:
        """Remove the files of a cell that will not be stored."""
        ...
