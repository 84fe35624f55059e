"""Runner of one stage of a task with many attributes for each image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bench.backbones.inputs import Inputs
from bench.core.cell import Cell, MethodSpec
from bench.core.predictions import Predictions
from bench.data.pixels import Pixels
from bench.kinds.multilabel.packing import IMPUTED
from bench.kinds.multilabel.split import AttributeSplit
from bench.kinds.multilabel.stage_checks import count_duplicates
from bench.methods.apply import Resolved, resolve_attributes
from bench.runs.context import Context
from bench.runs.image_stage import ImageStage
from bench.runs.plan import Job
from bench.runs.stage_run import Nets, StageRun


def prepare(context: Context, pixels: Pixels, inputs: Inputs | None, nets: Nets, job: Job) -> StageRun:
    """Split the stage's data and prepare training."""
    return AttributeStage(context, pixels, inputs, nets, job).checked()


class AttributeStage(ImageStage):
    """Trains the cells of one stage together."""

    @staticmethod
    def resolver(
        method: MethodSpec, known: np.ndarray, features: np.ndarray | None, k: int, seed: int, *_: object
    ) -> Resolved:
        """Apply a method to training rows; no step uses groups or prices here."""
        return resolve_attributes(method, known, features, seed)

    def checks(self) -> dict[str, Any]:
        """Return the checks of the stage's data by name.

        duplicates: see `count_duplicates`; labels are doubtful here. The others as in `ImageStage`.
        """
        duplicates = count_duplicates(self.context, self._attributes(self.cell))
        return {"duplicates": duplicates, **super().checks()}

    def parts(
        self, cell: Cell, parts: dict[str, Predictions], fills: np.ndarray | None
    ) -> dict[str, Predictions]:
        """Return the predictions of a cell by name, `imputed` where unknown labels were filled in too."""
        split = self._attributes(cell)
        if fills is None or split.hidden is None:
            return parts
        filled = self._imputed(cell, split, split.hidden, fills)
        return {**parts, IMPUTED: filled} if filled.items else parts

    def _attributes(self, cell: Cell) -> AttributeSplit:
        split = self.splits[cell.seed]
        assert isinstance(split, AttributeSplit)
        return split

    def _imputed(
        self, cell: Cell, split: AttributeSplit, hidden: np.ndarray, fills: np.ndarray
    ) -> Predictions:
        """Return a method's estimates of hidden training cells, with their truth.

        fills: (train, k), NaN where a cell was known. Rows without a filled cell whose truth is known are
        left out.
        """
        truth = np.where(np.isnan(fills), -1, hidden[split.train])
        rows = np.flatnonzero((truth >= 0).any(axis=1))
        scores = np.where(np.isnan(fills), 0.0, fills)[rows]
        return replace(self.predictions(cell, split, split.train[rows], scores), truth=truth[rows])
