"""Arrays of pairs of examples, and of folds of training, validation and test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True)
class PairArrays:
    """m pairs. first, second: (m,) int64 positions of examples. same: (m,) bool: both show one person."""

    first: np.ndarray
    second: np.ndarray
    same: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    def take(self, chosen: np.ndarray) -> PairArrays:
        """Return the pairs at these places, or those where a mask says so."""
        return PairArrays(self.first[chosen], self.second[chosen], self.same[chosen])

    def __add__(self, other: PairArrays) -> PairArrays:
        """Return these pairs followed by the others."""
        return PairArrays(
            np.concatenate([self.first, other.first]),
            np.concatenate([self.second, other.second]),
            np.concatenate([self.same, other.same]),
        )


@dataclass(frozen=True)
class Fold:
    """One training with its test. No person is on two of the three sides.

    train_rows, val_rows: rising positions of all usable images of the people of training and of validation,
    for methods that use identities; where lists fix the pairs, those of listed people only.
    all_train: every training pair in its order, those that validation takes or separates included: for
    a refit after all choices. all_rows: the images of all people of training, as above. place: number of the
    fold, from 0.
    """

    train: PairArrays
    val: PairArrays
    test: PairArrays
    train_rows: np.ndarray
    val_rows: np.ndarray
    all_train: PairArrays
    all_rows: np.ndarray
    place: int = 0

    def refit(self) -> Fold:
        """Return the same with every training pair and no validation."""
        none = self.val.take(np.empty(0, np.int64))
        return replace(self, train=self.all_train, train_rows=self.all_rows, val=none)


@dataclass(frozen=True)
class PairSplit:
    """All folds of a stage: one, or the ten of a list with folds.

    person: n names, one for each example. dropped: training pairs with one person in train and the other in
    validation, in all folds together. counts: what else goes into a cell's record, by name.
    """

    person: tuple[str, ...]
    folds: tuple[Fold, ...]
    dropped: int
    counts: Mapping[str, int] = field(default_factory=dict)
