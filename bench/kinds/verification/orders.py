"""Orders to train a cell of pairs, and their results, in any regime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from bench.kinds.verification.arrays import Fold, PairArrays
from bench.runs.orders import BaseOrder
from bench.training.fits import Trained


@dataclass(frozen=True)
class PairOrder(BaseOrder):
    """One fold of one cell to train; without validation, where the epochs are known. choices: made before."""

    fold: Fold
    choices: Mapping[str, float] = field(default_factory=dict)

    @property
    def train(self) -> PairArrays:
        """The training pairs: without those of validation while choices are made."""
        return self.fold.train if self.epochs is None else self.fold.all_train

    @property
    def train_rows(self) -> np.ndarray:
        """Rising positions of the photos for methods that use identities."""
        return self.fold.train_rows if self.epochs is None else self.fold.all_rows

    @property
    def val(self) -> PairArrays:
        """The pairs by which choices are made: none when they have been."""
        return self.fold.val if self.epochs is None else self.fold.val.take(np.empty(0, np.int64))

    def refit(self, matched: Matched) -> PairOrder:
        """Return the order that trains on all training pairs, as far as the best epoch was."""
        return replace(self.until_best_epoch(matched.trained), choices=matched.choices)


class Matched(Protocol):
    """A trained match, or one without training, valid until the trainer yields the next one."""

    @property
    def trained(self) -> Trained:
        """Best epoch and history; of what needs no epochs, `Trained(None, 0)`."""
        ...

    @property
    def found(self) -> Mapping[str, object]:
        """Entries of the cell's record; `supervision` is always present."""
        ...

    @property
    def choices(self) -> Mapping[str, float]:
        """Numbers chosen on validation pairs, which a refit takes over."""
        ...

    def score(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return (m,) float32, the similarity of the photos at these positions."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """Return everything but the backbone that scores other photos, as plain arrays by name."""
        ...


class PairsTrainer(Protocol):
    """Trains orders and yields them in the same order."""

    def fit(self, orders: Sequence[PairOrder]) -> Iterator[Matched | str]:
        """Train; use each result, or the reason of a failure, before the next is requested."""
        ...
