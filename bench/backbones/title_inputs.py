"""Title inputs: of heads, alone or joined with images, and of word-level nets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from bench.backbones.gru import build_gru, token_ids
from bench.backbones.inputs import Inputs, JoinedInputs, NetInputs
from bench.backbones.precision import FLOAT32
from bench.backbones.tfidf import tfidf_rows
from bench.core.errors import BenchError
from bench.data.augmentation import Recipe
from bench.data.titles.stage_titles import StageTitles


@dataclass(frozen=True)
class TitleInputs:
    """The titles of a stage as tf-idf rows, fitted on its training titles."""

    titles: StageTitles

    @cached_property
    def features(self) -> np.ndarray:
        """(n, d) float32; rows of other stages are zero."""
        return tfidf_rows(self.titles.words, self.titles.train)

    @property
    def maps(self) -> np.ndarray:
        """Raise BenchError: titles are not images."""
        raise BenchError("titles have no feature map")

    def views(self, recipe: Recipe, count: int) -> Sequence[np.ndarray]:
        """Return the same rows for every view: only images are augmented."""
        return [self.features] * count


def title_head_inputs(images: Inputs | None, titles: StageTitles) -> tuple[Inputs, int]:
    """Return the inputs of heads, and the number of title features, which come last."""
    text = TitleInputs(titles)
    width = text.features.shape[1]
    return (text if images is None else JoinedInputs((images, text))), width


def word_inputs(titles: StageTitles, precision: str = FLOAT32) -> NetInputs:
    """Return the inputs of nets over the words of titles, built in this precision."""
    from bench.backbones.determinism import make_deterministic

    make_deterministic()
    table, numbers = token_ids(titles.words, titles.train)
    return NetInputs(table, lambda batch: batch, partial(build_gru, table.shape[1], numbers, precision))
