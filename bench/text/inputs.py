"""Titles where images are expected: as inputs of heads, alone or beside images, and of nets on words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bench.data.splits import StageSplit
from bench.errors import BenchError
from bench.methods.apply import Resolved
from bench.models.augment import Recipe
from bench.models.inputs import Inputs, JoinedInputs
from bench.models.orders import Fitted, Order, as_targets, resolve_order, train_setting
from bench.models.trainers import lane_on_inputs
from bench.spec import Value
from bench.text.gru import build_gru, word_numbers
from bench.text.tfidf import tfidf_rows
from bench.text.titles import StageTitles

Progress = Callable[[int, int, str], None]


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


class TitleTrainer:
    """Scratch regime: each cell is a net of its own, trained on the words of titles.

    prices: as in `bench.models.trainers.HeadTrainer`.
    """

    def __init__(
        self,
        titles: StageTitles,
        split: StageSplit,
        setting: Mapping[str, Value],
        progress: Progress,
        prices: Sequence[str] | None = None,
    ) -> None:
        self.titles, self.setting, self.progress, self.prices = titles, setting, progress, prices
        self.classes, self.truth = len(split.classes), as_targets(split.truth)

    def fit(self, orders: Sequence[Order]) -> Iterator[Fitted]:
        """Train every order's net, one after the other."""
        from bench.env import make_deterministic
        from bench.models.nets import train_nets

        make_deterministic()
        table, numbers = word_numbers(self.titles.words, self.titles.train)

        def build(seed: int) -> Any:
            return build_gru(table.shape[1], numbers, seed)

        resolved = [
            resolve_order(order, self.truth, self.classes, None, None, self.prices) for order in orders
        ]
        lanes = [
            lane_on_inputs(order, made, self.setting)
            for order, made in zip(orders, resolved, strict=True)
            if isinstance(made, Resolved)
        ]
        answers = train_nets(
            build,
            table,
            lambda batch: batch,
            self.truth,
            self.classes,
            lanes,
            train_setting(self.setting),
            self.progress,
        )
        for one in resolved:
            if isinstance(one, str):
                yield Fitted.failed(one)
            else:
                trained, embed = next(answers)
                yield Fitted(trained, embed, one, net=embed.variables)
