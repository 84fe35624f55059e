"""Training of cells: every choice on validation, then a refit where asked for, then test, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, Self, TypeVar

from bench.core.cell import Cell
from bench.core.errors import BenchError
from bench.training.fits import Trained


class Refittable(Protocol):
    """Training, validation and test rows, or pairs."""

    def refit(self) -> Self:
        """Return the same with the rows of validation among those of training."""
        ...


S = TypeVar("S", bound=Refittable)
S_contra = TypeVar("S_contra", bound=Refittable, contravariant=True)
M = TypeVar("M")
M_co = TypeVar("M_co", covariant=True)
C = TypeVar("C")
A = TypeVar("A")


class Trainer(Protocol[S_contra, M_co]):
    """Trainer of cells on their splits.

    Yields a pair for each cell, in the same order: the trained head or net, and what scoring needs beside it,
    None if training failed. For images, the method applied to the training rows; for pairs, the match. Use
    each pair before the next is requested.
    """

    def fit(
        self, work: Sequence[tuple[Cell, S_contra]], first: Sequence[Trained] = ()
    ) -> Iterator[tuple[Trained, M_co | None]]:
        """Train. first: for a refit, the first training of each cell, whose epochs it repeats."""
        ...


Choose = Callable[[Cell, S, Trained, M], C]
"""Makes every choice on validation. Raises BenchError."""

Test = Callable[[Cell, S, Trained, M, C, bool], A]
"""Scores test. The last argument: whether the training is a refit, after the choices."""


def choose_cells(
    trainer: Trainer[S, M], work: Sequence[tuple[Cell, S]], choose: Choose[S, M, C]
) -> Iterator[tuple[Trained, M | None, C | str]]:
    """Train each cell and yield its pair from the trainer with its choices, or the reason of its failure.

    Test is not touched.
    """
    for (cell, split), (trained, made) in zip(work, trainer.fit(work), strict=True):
        if made is None:
            yield trained, None, str(trained.failed)
            continue
        try:
            yield trained, made, choose(cell, split, trained, made)
        except BenchError as error:
            yield trained, None, str(error)


def train_cells(
    trainer: Trainer[S, M],
    work: Sequence[tuple[Cell, S]],
    choose: Choose[S, M, C],
    test: Test[S, M, C, A],
) -> Iterator[tuple[Cell, Trained, A | str]]:
    """Train each cell; yield it with its first training and its answer, or the reason of its failure.

    Every choice (best epoch, thresholds, posthoc parameters) is made on validation. With `refit`, a second
    head then learns from training and validation rows together, for as many epochs as the first one's best
    and with the choices made; the validation scores stay the first one's. Test is scored once, last.
    """
    again: list[tuple[Cell, S, Trained, C]] = []
    results = choose_cells(trainer, work, choose)
    for (cell, split), (trained, made, chosen) in zip(work, results, strict=True):
        if made is None or isinstance(chosen, str):
            yield cell, trained, str(chosen)
        elif cell.setting["refit"]:
            again.append((cell, split.refit(), trained.without_net(), chosen))
        else:
            yield cell, trained, test(cell, split, trained, made, chosen, False)
    if not again:
        return
    refits = trainer.fit([(cell, split) for cell, split, _, _ in again], [one for _, _, one, _ in again])
    for (cell, split, trained, chosen), (refit, made) in zip(again, refits, strict=True):
        if made is None:
            yield cell, trained, f"refit: {refit.failed}"
        else:
            yield cell, trained, test(cell, split, refit, made, chosen, True)
