"""Predictions of one class for each image: classes ranked by probability, and prediction sets."""

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

    thresholded: str = "sets"

    def decided(self, head: SavedHead, scores: np.ndarray) -> np.ndarray:
        """Return the likeliest class."""
        chosen: np.ndarray = np.arange(len(scores)) == scores.argmax()
        return chosen

    def threshold(self, head: SavedHead, place: int) -> float | None:
        """Return the probability from which the class is in prediction sets, None for no sets."""
        return None if head.cuts is None else float(head.cuts[place])

    def table(self, head: SavedHead, answers: Sequence[ImageAnswer], top: int, title: str) -> Table:
        """Return the `top` likeliest classes of each image, and its prediction set if the model has sets."""
        columns = [IMAGE, Column("rank", "rank", "int"), Column("class", self.label), SCORE]
        rows = [row for answer in answers for row in _ranked(head, answer, top)]
        if head.cuts is None:
            return Table(title, columns, rows)
        note = "set: the classes that the method cannot rule out, likeliest first."
        found = {answer.image: ", ".join(_set(head, answer)) or "(empty)" for answer in answers}
        rows = [{**row, "set": found[row["image"]] if row["rank"] == 1 else None} for row in rows]
        return Table(title, [*columns, Column("set", "set")], rows, (note,))

    def rows(self, head: SavedHead, answer: ImageAnswer) -> Iterator[dict[str, Any]]:
        """Yield a row for every class; `in_set` says whether it is in the prediction set."""
        inside = {*_set(head, answer)}
        for row in super().rows(head, answer):
            yield row if head.cuts is None else {**row, "in_set": row["class"] in inside}

    def facts(self, head: SavedHead, answer: ImageAnswer, top: int) -> tuple[Any, dict[str, Any]]:
        """Return the likeliest class, the `top` likeliest, and the prediction set if the model has sets."""
        ranked = list(_ranked(head, answer, max(top, 1)))
        shown = [{"class": row["class"], "probability": row["probability"]} for row in ranked[:top]]
        return ranked[0]["class"], {"top": shown} | ({} if head.cuts is None else {"set": _set(head, answer)})


def _set(head: SavedHead, answer: ImageAnswer) -> list[str]:
    """Return the classes of an image's prediction set, likeliest first; none if the model has no sets."""
    if answer.scores is None or head.cuts is None:
        return []
    order = np.argsort(-answer.scores, kind="stable")
    return [head.classes[place] for place in order if answer.scores[place] >= head.cuts[place]]


def _ranked(head: SavedHead, answer: ImageAnswer, top: int) -> Iterator[dict[str, Any]]:
    if answer.scores is None:
        return
    # Equal scores keep the classes' order, as in the metrics.
    order = np.argsort(-answer.scores, kind="stable")[:top]
    for rank, place in enumerate(order, 1):
        score = float(answer.scores[place])
        yield {"image": answer.image, "rank": rank, "class": head.classes[place], "probability": score}
