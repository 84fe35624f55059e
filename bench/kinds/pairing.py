"""Paired comparison of items of any kind, from its metrics alone; a kind can override parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import replace
from typing import Any

import numpy as np

from bench.compare.pairing import DECISIONS, SCORES, Items, Resamples, Weighted, odd_numbers
from bench.core.kind import Kind
from bench.core.predictions import Predictions
from bench.metrics.bootstrap import ItemResamples


class ItemPairing:
    """See `bench.compare.pairing.Pairing`. Every metric is drawn resample by resample."""

    COLUMNS: tuple[str, ...] = ()
    KEYS: tuple[str, ...] = ()
    CLASSES: tuple[str, ...] = ()
    BY_CLASS = False

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def reordered(self, pred: Predictions, columns: np.ndarray) -> Predictions:
        """See `Pairing`: as it is, for `facts` keep runs apart that have their classes in another order."""
        return pred

    def partners(self, pred: Predictions) -> tuple[str, ...] | None:
        """See `Pairing`: none."""
        return None

    def named(self, pred: Predictions, items: Items) -> Predictions:
        """See `Pairing`."""
        return replace(pred, items=items.ids, groups=items.groups)

    def facts(self, pred: Predictions, columns: np.ndarray) -> Iterable[Any]:
        """See `Pairing`."""
        return ((pred.classes, own) for own in pred.truth.tolist())

    def item_values(self, pred: Predictions, wanted: Set[str]) -> dict[str, np.ndarray]:
        """See `Pairing`: the decisions on an item, and its scores."""
        bits = np.ascontiguousarray(pred.scores, np.float32).view(np.uint32).astype(np.uint64)
        decided = np.asarray(self.kind.metrics.decisions(pred)).reshape(len(pred.items), -1)
        odd = odd_numbers([str(column) for column in range(decided.shape[1])])
        return {
            DECISIONS: ((decided.astype(np.int64) + 1).astype(np.uint64) * odd).sum(axis=1),
            SCORES: (bits * odd_numbers(pred.classes)).sum(axis=1),
        }

    def resamples(self, items: Items, draws: int, seed: int) -> Resamples:
        """See `Pairing`: items, or whole groups of them."""
        return ItemResamples(len(items.ids), items.groups, draws, seed)

    def subgroups(self, pred: Predictions, of_example: Mapping[str, str]) -> list[str]:
        """See `Pairing`: items are examples."""
        return [of_example[item] for item in pred.items]

    def weighted(self, pred: Predictions) -> Weighted:
        """See `Pairing`: no metric of a class."""
        return lambda weights: (self.kind.metrics.weighted_summary(pred, weights), {})

    def class_marks(self, pred: Predictions, metric: str) -> np.ndarray:
        """See `Pairing`. Raises KeyError: there are none of a class."""
        raise KeyError(metric)

    def class_hits(self, pred: Predictions, metric: str) -> np.ndarray | None:
        """See `Pairing`: none."""
        return None
