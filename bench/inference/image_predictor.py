"""Base class of predictors for kinds that answer image by image."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bench.core.errors import unknown
from bench.core.kind import Kind
from bench.core.table import Column, Table
from bench.data.examples import ImageError
from bench.inference.explain import Target
from bench.inference.predict import ImageAnswer, image_files, open_model
from bench.report.render import json_list
from bench.store.head_file import SavedHead
from bench.store.write import Stored

IMAGE = Column("image", "image")
SCORE = Column("probability", "probability", "ratio")
CSV = ("image", "class", "probability", "cut", "decision")
"""Columns for machines; a kind may have more."""


class ImagePredictor(ABC):
    """See `bench.core.facets.Predictor`. Subclasses define decisions, the table and JSON."""

    takes_pairs: bool = False
    thresholded: str = "decisions"

    def __init__(self, kind: Kind) -> None:
        self.label = kind.columns.classes[0].title

    @abstractmethod
    def decided(self, head: SavedHead, scores: np.ndarray) -> np.ndarray:
        """Return the answer to (k,) scores: (k,) bool, True for its classes."""

    @abstractmethod
    def threshold(self, head: SavedHead, place: int) -> float | None:
        """Return the decision threshold of a class, None if classes are ranked."""

    def thresholds(self, head: SavedHead) -> list[float] | None:
        """Return the threshold of each class, None for none."""
        found = [self.threshold(head, place) for place in range(len(head.classes))]
        known = [one for one in found if one is not None]
        return known if len(known) == len(found) else None

    @abstractmethod
    def table(self, head: SavedHead, answers: Sequence[ImageAnswer], top: int, title: str) -> Table:
        """Return a table for people. top: classes shown for an image, if they are ranked."""

    @abstractmethod
    def facts(self, head: SavedHead, answer: ImageAnswer, top: int) -> tuple[Any, dict[str, Any]]:
        """Return the decision and further facts for JSON."""

    def predict(
        self,
        stored: Stored,
        images: Sequence[str],
        pairs: str | None,
        weights: str | None,
        fmt: str,
        top: int,
        title: str,
        allow_code: bool = False,
    ) -> tuple[Table | str, list[str]]:
        """See `bench.core.facets.Predictor`.

        fmt: `table` and `md` are for people; `csv` has a row per image and class; `json` an object per image,
        unreadable ones included, with all probabilities.
        """
        model = open_model(stored, weights, allow_code)
        files, problems = image_files(images)
        answers = list(model.answers(files))
        problems += [f"{answer.image}: {answer.why}" for answer in answers if answer.scores is None]
        read = [answer for answer in answers if answer.scores is not None]
        if fmt == "json":
            return json_list(self._object(model.head, answer, top) for answer in answers), problems
        if fmt == "csv":
            rows = [row for answer in read for row in self.rows(model.head, answer)]
            names = list(rows[0]) if rows else CSV
            return Table("", [Column(name, name) for name in names], rows), problems
        return self.table(model.head, read, top, title), problems

    def rows(self, head: SavedHead, answer: ImageAnswer) -> Iterator[dict[str, Any]]:
        """Yield a row for every class, in the model's order, unrounded."""
        if answer.scores is None:
            return
        yes = self.decided(head, answer.scores)
        for index, name in enumerate(head.classes):
            yield {
                "image": answer.image,
                "class": name,
                "probability": float(answer.scores[index]),
                "cut": self.threshold(head, index),
                "decision": bool(yes[index]),
            }

    def _object(self, head: SavedHead, answer: ImageAnswer, top: int) -> dict[str, Any]:
        if answer.scores is None:
            return {"image": answer.image, "decision": None, "probabilities": None, "why": answer.why}
        decision, more = self.facts(head, answer, top)
        scores = dict(zip(head.classes, map(float, answer.scores), strict=True))
        return {"image": answer.image, "decision": decision, "probabilities": scores, **more}

    def targets(
        self,
        stored: Stored,
        images: Sequence[str],
        names: Sequence[str],
        weights: str | None,
        allow_code: bool = False,
    ) -> tuple[list[Target], list[str]]:
        """Return a target for each readable image, and faults; without names, for the likeliest class."""
        model = open_model(stored, weights, allow_code)
        classes = model.head.classes
        for name in names:
            if name not in classes:
                raise unknown("class", name, classes, f"bench show {stored.id[:8]} lists them")
        files, problems = image_files(images)
        targets = []
        for number, path in enumerate(files, 1):
            try:
                pixels = model.read(path)
            except ImageError as error:
                problems.append(f"{path}: {error}")
                continue
            places = tuple(dict.fromkeys(classes.index(name) for name in names))
            places = places or (int(model.scores(pixels[None])[0].argmax()),)
            targets.append(Target(path, number, pixels, model.scores, classes, places))
        return targets, problems
