"""Predictions of one class for each image: classes ranked by probability."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bench.core.table import Column, Table
from bench.inference.image_predictor import IMAGE, SCORE, ImagePredictor
from bench.inference.predict import ImageAnswer
from bench.store.head_file import SavedHead


class ClassPredictor(ImagePredictor):
    """See `bench.core.facets.Predictor`."""

    def decided(self, head: SavedHead, scores: np.ndarray) -> np.ndarray:
        """Return the likeliest class."""
        chosen: np.ndarray = np.arange(len(scores)) == scores.argmax()
        return chosen

    def threshold(self, head: SavedHead, place: int) -> float | None:
        """Return None."""
        return None

    def table(self, head: SavedHead, answers: Sequence[ImageAnswer], top: int, title: str) -> Table:
        """Return the `top` likeliest classes of each image."""
        columns = [IMAGE, Column("rank", "rank", "int"), Column("class", self.label), SCORE]
        return Table(title, columns, [row for answer in answers for row in _ranked(head, answer, top)])

    def facts(self, head: SavedHead, answer: ImageAnswer, top: int) -> tuple[Any, dict[str, Any]]:
        """Return the likeliest class, and the `top` likeliest."""
        ranked = list(_ranked(head, answer, max(top, 1)))
        shown = [{"class": row["class"], "probability": row["probability"]} for row in ranked[:top]]
        return ranked[0]["class"], {"top": shown}


def _ranked(head: SavedHead, answer: ImageAnswer, top: int) -> Iterator[dict[str, Any]]:
    if answer.scores is None:
        return
    # Equal scores keep the classes' order, as in the metrics.
    order = np.argsort(-answer.scores, kind="stable")[:top]
    for rank, place in enumerate(order, 1):
        score = float(answer.scores[place])
        yield {"image": answer.image, "rank": rank, "class": head.classes[place], "probability": score}
