"""Titles as inputs: of heads, alone or beside images, and of nets on words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from bench.backbones.gru import build_gru, word_numbers
from bench.backbones.inputs import Inputs, JoinedInputs, NetInputs
from bench.backbones.precision import FLOAT32
from bench.backbones.tfidf import tfidf_rows
from bench.core.errors import BenchError
from bench.data.augmentation import Recipe
from bench.data.titles.stage_titles import StageTitles


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
        """Return the unchanged titles for every view: only the image beside them changes."""
        return [self.features] * count


def beside_titles(images: Inputs | None, titles: StageTitles) -> tuple[Inputs, int]:
    """Return the inputs of heads, and how many of the last features are of titles."""
    own = TitleInputs(titles)
    width = own.features.shape[1]
    return (own if images is None else JoinedInputs((images, own))), width


def word_inputs(titles: StageTitles, precision: str = FLOAT32) -> NetInputs:
    """Return the inputs of nets that read titles word by word, built in this precision."""
    from bench.backbones.determinism import make_deterministic

    make_deterministic()
    table, numbers = word_numbers(titles.words, titles.train)
    return NetInputs(table, lambda batch: batch, partial(build_gru, table.shape[1], numbers, precision))
