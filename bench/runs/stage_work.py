"""Work on one stage, and its form for a kind of task."""

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
"""The variables of a trained net below its head, or the reason why there is none."""

Nets = dict[tuple[str, str, int], Net]
"""Nets that later stages start from, by stage, method and seed; empty unless the cells are staged."""


@dataclass(frozen=True)
class StageWork:
    """Cells of one stage that are trained together, and their inputs.

    pixels: the images as the job's backbone takes them. inputs: what a frozen backbone makes of them, or
    None.
    """

    context: Context
    job: Job
    stage: Stage
    cells: Sequence[Cell]
    pixels: Pixels
    inputs: Inputs | None


@dataclass(frozen=True)
class Validated:
    """Score of a cell by its kind's selection metric on validation, or why it has none.

    splits: how many splits into training and validation rows it is the mean of.
    """

    score: float | None
    reason: str | None = None
    splits: int = 1


class StageRun(Protocol):
    """A stage that is split and ready to train."""

    def groups(self) -> Sequence[Sequence[Cell]]:
        """Return the cells in groups; on frozen features those of a group are trained side by side."""
        ...

    def answers(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Answer | str]]:
        """Train a group and yield each cell with its answer, as it is ready, or why it has none.

        Raises BenchError.
        """
        ...

    def validate(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Validated]]:
        """Train cells together and yield each with its score on validation; test is not touched.

        Cells may differ in method, learning rate, weight decay and batch size.
        """
        ...

    def forget(self, cell: Cell) -> None:
        """Remove what training left on disk for a cell that will not be stored."""
        ...
