"""What a cell of pairs asks of training and what it gets back, whichever way it is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from bench.data.pairs import Fold, PairArrays
from bench.models.lanes import Trained
from bench.spec import MethodSpec


@dataclass(frozen=True)
class PairOrder:
    """One fold of one cell to train.

    epochs: how many, exactly, without validation; None trains as the protocol says and keeps the epoch that
    is best on the fold's validation pairs. rates: the learning rate of every epoch, where they are known
    beforehand. name: of its checkpoint, or "" for none.
    """

    method: MethodSpec
    seed: int
    fold: Fold
    epochs: int | None = None
    rates: tuple[float, ...] = ()
    choices: Mapping[str, float] = field(default_factory=dict)
    name: str = ""

    @property
    def train(self) -> PairArrays:
        """The training pairs: without those of validation while choices are made."""
        return self.fold.train if self.epochs is None else self.fold.all_train

    @property
    def train_rows(self) -> np.ndarray:
        """Rising positions of the photos that those who are told who is who train on."""
        return self.fold.train_rows if self.epochs is None else self.fold.all_rows

    @property
    def val(self) -> PairArrays:
        """The pairs by which choices are made: none when they have been."""
        return self.fold.val if self.epochs is None else self.fold.val.take(np.empty(0, np.int64))

    def refit(self, matched: Matched) -> PairOrder:
        """Return the order that trains on all training pairs, as far as the best epoch was."""
        name = f"{self.name}-refit" if self.name else ""
        return replace(
            self,
            epochs=matched.trained.best_epoch,
            rates=matched.trained.rates,
            choices=matched.choices,
            name=name,
        )


class Matched(Protocol):
    """What was trained, or what needs no training, until the trainer is asked for the next one."""

    @property
    def trained(self) -> Trained:
        """Best epoch and history; of what needs no epochs, `Trained(None, 0)`."""
        ...

    @property
    def found(self) -> Mapping[str, object]:
        """What goes into the cell's record; `supervision` is always there."""
        ...

    @property
    def choices(self) -> Mapping[str, float]:
        """Numbers chosen on validation pairs, which a refit takes over."""
        ...

    def score(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return (m,) float32, how alike the photos at these positions are: the higher the more."""
        ...

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all that scoring other photos takes beside the backbone, as plain arrays by name."""
        ...


class PairsTrainer(Protocol):
    """Trains orders and yields them in the same order."""

    def fit(self, orders: Sequence[PairOrder]) -> Iterator[Matched | str]:
        """Train; each result, or the reason why there is none, must be used before the next is asked for."""
        ...
