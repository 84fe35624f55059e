"""Titles where images are expected: as inputs of heads, alone or beside images, and of nets on words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from bench.errors import BenchError
from bench.models.augment import Recipe
from bench.models.inputs import Inputs, JoinedInputs, NetInputs
from bench.text.gru import build_gru, word_numbers
from bench.text.tfidf import tfidf_rows
from bench.text.titles import StageTitles


@dataclass(frozen=True)
class TitleInputs:
    """The titles of a stage as tf-idf rows, known from its training titles."""

    titles: StageTitles

    @cached_property
    def features(self) -> np.ndarray:
        """(n, d) float32; rows of other stages are zero."""
        return tfidf_rows(self.titles.words, self.titles.train)

    @property
    def maps(self) -> np.ndarray:
        """Raise BenchError: titles are no images."""
        raise BenchError("titles have no feature map")

    def views(self, recipe: Recipe, count: int) -> Sequence[np.ndarray]:
        """Return the titles as they are for every view: it is the image beside them that changes."""
        return [self.features] * count


def beside_titles(images: Inputs | None, titles: StageTitles) -> tuple[Inputs, int]:
    """Return what heads are trained on, and how many of its last features are of titles."""
    own = TitleInputs(titles)
    width = own.features.shape[1]
    return (own if images is None else JoinedInputs((images, own))), width


def word_inputs(titles: StageTitles) -> NetInputs:
    """Return what nets that read titles word by word are trained on."""
    from bench.env import make_deterministic

    make_deterministic()
    table, numbers = word_numbers(titles.words, titles.train)
    return NetInputs(table, lambda batch: batch, partial(build_gru, table.shape[1], numbers))
