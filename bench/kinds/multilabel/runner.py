"""Runner of one stage of a task with many attributes for each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.core.cell import Cell
from bench.core.errors import BenchError
from bench.core.predictions import Predictions
from bench.kinds.multilabel.packing import IMPUTED
from bench.kinds.multilabel.split import AttributeSplit
from bench.kinds.multilabel.stage_checks import count_duplicates
from bench.methods.apply import Resolved, resolve_attributes
from bench.runs.commit import Answer
from bench.runs.image_stage import ImageStage
from bench.runs.orders import Order, Resolver
from bench.runs.stage_work import Nets, StageRun, StageWork


def prepare(work: StageWork, nets: Nets) -> StageRun:
    """Split the stage's data and prepare training."""
    return AttributeStage(work, nets).checked()


def resolve_cells(
    order: Order,
    truth: np.ndarray,
    classes: int,
    inputs: np.ndarray | None,
    groups: Sequence[str] | None,
    prices: Sequence[str] | None = None,
) -> Resolved | str:
    """Apply an order's method to its rows, like `resolve_order`."""
    try:
        return resolve_attributes(order.method, truth[order.rows], inputs, order.seed)
    except BenchError as error:
        return str(error)


class AttributeStage(ImageStage):
    """Trains the cells of one stage together."""

    resolver: Resolver = staticmethod(resolve_cells)

    def checks(self) -> dict[str, Any]:
        """Return the checks of the stage's data by name.

        duplicates: see `count_duplicates`; labels are doubtful here. The others as in `ImageStage`.
        """
        duplicates = count_duplicates(self.work.context, self._cells(self.work.cells[0]))
        return {"duplicates": duplicates, **super().checks()}

    def parts(self, cell: Cell, answer: Answer) -> dict[str, Predictions]:
        """Return the predictions of a cell that was trained, `imputed` where cells were filled in too."""
        parts, split = super().parts(cell, answer), self._cells(cell)
        if answer.fills is not None and split.hidden is not None:
            filled = self._imputed(cell, split.hidden, answer.fills)
            parts |= {IMPUTED: filled} if filled.items else {}
        return parts

    def _cells(self, cell: Cell) -> AttributeSplit:
        split = self.splits[cell.seed]
        assert isinstance(split, AttributeSplit)
        return split

    def _imputed(self, cell: Cell, hidden: np.ndarray, fills: np.ndarray) -> Predictions:
        """Return a method's estimates of hidden training cells, with their truth.

        fills: (train, k), NaN where a cell was known. Rows without a filled cell whose truth is known are
        left out.
        """
        train = self.splits[cell.seed].train
        truth = np.where(np.isnan(fills), -1, hidden[train])
        rows = np.flatnonzero((truth >= 0).any(axis=1))
        scores = np.where(np.isnan(fills), 0.0, fills)[rows]
        return replace(self.predictions(cell, train[rows], scores), truth=truth[rows])
