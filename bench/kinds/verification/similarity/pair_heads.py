"""Heads on features of pairs: logistic regression and the siamese net, all of a job's trained together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from bench.core.progress import Progress
from bench.kinds.verification.arrays import PairArrays
from bench.kinds.verification.similarity.scoring import Head, pair_features
from bench.training.fits import Fit, Trained, TrainSetting
from bench.training.standardize import mean_and_deviation
from bench.training.trainer import train_heads

VIEWS_STREAM = 12
"""The stream of random numbers by which views of two photos are put together."""


@dataclass
class PairTable:
    """Features of pairs, block by block, standardised by the pairs that it begins with.

    photos: (n, k) float32 in their space, or several such arrays: the photos as they are, and changed views.
    """

    photos: Sequence[np.ndarray]
    standardize: bool
    first: PairArrays
    blocks: list[np.ndarray] = field(default_factory=list)
    labels: list[np.ndarray] = field(default_factory=list)
    size: int = 0
    changed: np.ndarray | None = None

    def __post_init__(self) -> None:
        own = self._features(self.first, 0, 0)
        self.mean, self.scale = np.zeros(own.shape[1], np.float32), np.ones(own.shape[1], np.float32)
        if self.standardize:
            self.mean, self.scale = (array.astype(np.float32) for array in mean_and_deviation(own))
        self.places = self._known(self._append(own, self.first.same), self.first)

    def rows(self, pairs: PairArrays) -> np.ndarray:
        """Return (m,) rows of the table for pairs, adding those that it does not have."""
        keys = list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
        missing = np.array([key not in self.places for key in keys], bool)
        if missing.any():
            new = pairs.take(missing)
            self.places |= self._known(self._append(self._features(new, 0, 0), new.same), new)
        return np.array([self.places[key] for key in keys], np.int64)

    def views(self, pairs: PairArrays, together: bool, seed: int) -> np.ndarray:
        """Return (v + 1, m) rows that can stand for each pair, its own first; adds what is not there.

        together: whether both photos are of the same view, or the second one of any. seed: draws these for
        pairs that are not among those that the table begins with; for the latter all seeds have the same.
        """
        if self.changed is None:
            self.changed = self._changed(self.first, together, np.random.default_rng([VIEWS_STREAM]))
        begun = {row: place for place, row in enumerate(self.changed[0].tolist())}
        rows = self.rows(pairs)
        places = np.array([begun.get(row, -1) for row in rows.tolist()], np.int64)
        out = np.repeat(rows[None], len(self.photos), axis=0)
        out[:, places >= 0] = self.changed[:, places[places >= 0]]
        new = np.flatnonzero(places < 0)
        if len(new):
            draw = np.random.default_rng([VIEWS_STREAM, seed])
            out[:, new] = self._changed(pairs.take(new), together, draw)
        return out

    def _changed(self, pairs: PairArrays, together: bool, draw: np.random.Generator) -> np.ndarray:
        """Add every view of pairs; return (v + 1, m) rows, those of the photos as they are first."""
        out = [self.rows(pairs)]
        for number in range(1, len(self.photos)):
            one = np.full(len(pairs), number)
            other = one if together else draw.integers(0, len(self.photos), len(pairs))
            out.append(self._append(self._features(pairs, one, other), pairs.same))
        return np.stack(out)

    def _features(self, pairs: PairArrays, one: np.ndarray | int, other: np.ndarray | int) -> np.ndarray:
        sides = (one, pairs.first), (other, pairs.second)
        return pair_features(*(of_views(self.photos, *side) for side in sides))

    def _append(self, features: np.ndarray, same: np.ndarray) -> np.ndarray:
        features -= self.mean
        features /= self.scale
        self.blocks.append(features)
        self.labels.append(same.astype(np.float32)[:, None])
        self.size += len(same)
        return np.arange(self.size - len(same), self.size)

    @staticmethod
    def _known(rows: np.ndarray, pairs: PairArrays) -> dict[tuple[int, int], int]:
        keys = zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
        return dict(zip(keys, rows.tolist(), strict=True))


def train_pair_heads(
    table: PairTable, fits: Sequence[Fit], setting: TrainSetting, progress: Progress | None = None
) -> list[tuple[Trained, Head | None]]:
    """Train all heads on one table in one cohort; return each with its rule, None where training failed.

    fits: of the table's rows. A head's numbers do not depend on the others. Binary cross entropy; the score
    of an epoch is the ROC area of the validation pairs.
    """
    one = len(table.blocks) == 1
    features = table.blocks[0] if one else np.concatenate(table.blocks)
    trained = train_heads(features, np.concatenate(table.labels), 1, fits, setting, progress)
    return [(one, _rule(one, table)) for one in trained]


def _rule(trained: Trained, table: PairTable) -> Head | None:
    return None if trained.head is None else Head(table.mean, table.scale, trained.head, trained.hidden)


def of_views(photos: Sequence[np.ndarray], views: np.ndarray | int, rows: np.ndarray) -> np.ndarray:
    """Return (m, k) float32 photos at these rows, each of the view that is named for it, or all of one."""
    if isinstance(views, int):
        whole: np.ndarray = photos[views][rows]
        return whole
    out = np.empty((len(rows), photos[0].shape[1]), np.float32)
    for number, table in enumerate(photos):
        own = np.flatnonzero(views == number)
        out[own] = table[rows[own]]
    return out
