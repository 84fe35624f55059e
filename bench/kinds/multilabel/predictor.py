"""Predictions of many attributes for each image: yes or no by threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.core.table import Column, Table
from bench.inference.image_predictor import IMAGE, SCORE, ImagePredictor
from bench.inference.predict import ImageAnswer
from bench.store.head_file import SavedHead

HALF = 0.5
"""Threshold of an attribute without its own."""


class AttributePredictor(ImagePredictor):
    """See `bench.core.facets.Predictor`."""

    def decided(self, head: SavedHead, scores: np.ndarray) -> np.ndarray:
        """Return every attribute whose score reaches its threshold."""
        reached: np.ndarray = scores >= (HALF if head.cuts is None else head.cuts)
        return reached

    def threshold(self, head: SavedHead, place: int) -> float | None:
        """Return the attribute's threshold."""
        return HALF if head.cuts is None else float(head.cuts[place])

    def table(self, head: SavedHead, answers: Sequence[ImageAnswer], top: int, title: str) -> Table:
        """Return all attributes of each image, with their thresholds."""
        cut = Column("cut", "cut", "ratio")
        columns = [IMAGE, Column("class", self.label), SCORE, cut, Column("decision", "decision", "bool")]
        return Table(title, columns, [row for answer in answers for row in self.rows(head, answer)])

    def facts(self, head: SavedHead, answer: ImageAnswer, top: int) -> tuple[Any, dict[str, Any]]:
        """Return the attributes that are yes, and the thresholds."""
        decision = [row["class"] for row in self.rows(head, answer) if row["decision"]]
        return decision, {
            "cuts": {name: self.threshold(head, index) for index, name in enumerate(head.classes)}
        }
