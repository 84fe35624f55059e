"""What becomes of a cell of pairs: the order of training, where the cut comes from, what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.cell import Cell, DataId
from bench.core.protocol import resolve
from bench.kinds.verification.arrays import Fold, PairArrays, PairSplit
from bench.kinds.verification.orders import Matched, PairOrder
from bench.kinds.verification.runner import FoldAnswer, _names, match_cells
from bench.methods.grammar import parse_method
from bench.training.fits import Trained

N = 24


def _pairs(rows: np.ndarray, rng: np.random.Generator) -> PairArrays:
    return PairArrays(rows, (rows + 1) % N, rng.random(len(rows)) < 0.5)


def _split(folds: int, seed: int = 0) -> PairSplit:
    rng = np.random.default_rng(seed)
    made = []
    for fold in range(folds):
        rows = rng.permutation(N)
        train, val, test = (_pairs(part, rng) for part in (rows[:10], rows[10:16], rows[16:]))
        for side in (train, val, test):
            side.same[:2] = [True, False]
        made.append(Fold(train, val, test, rows[:10], rows[10:16], train + val, rows[:16] + fold * 0))
    return PairSplit(tuple(f"person {row}" for row in range(N)), tuple(made), 0)


def _cell(method: str = "cosine", refit: bool = False, seed: int = 0) -> Cell:
    spec = parse_method(method)
    protocol = resolve({"refit": refit})
    data = DataId("drawn", "0" * 64)
    return Cell("faces", 1, "verification", "all", "frozen", "lenet", "random", spec, seed, protocol, data)


@dataclass(frozen=True)
class Fake:
    """Scores pairs by their first photo's position, shifted by how it was trained."""

    order: PairOrder
    supervision: str
    choices: Mapping[str, float] = field(default_factory=lambda: {"dims": 3.0})

    @property
    def trained(self) -> Trained:
        return Trained(None, 7 if self.order.epochs is None else self.order.epochs)

    @property
    def found(self) -> Mapping[str, object]:
        return {"supervision": self.supervision}

    def score(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return (first + (0.0 if self.order.epochs is None else 100.0)).astype(np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"epochs": np.array([self.order.epochs or 0])}


class Trainer:
    """Hands out fakes, and remembers what it was asked."""

    def __init__(self, supervision: str = "pairs", fails: Sequence[int] = ()) -> None:
        self.supervision, self.fails, self.asked = supervision, fails, list[list[PairOrder]]()

    def fit(self, orders: Sequence[PairOrder]) -> Iterator[Matched | str]:
        self.asked.append(list(orders))
        for place, order in enumerate(orders):
            yield "too few photos" if place in self.fails else Fake(order, self.supervision)


def _accuracy(scores: np.ndarray, same: np.ndarray, cut: float) -> float:
    return float(((scores >= cut) == same).mean())


def _best(scores: np.ndarray, same: np.ndarray) -> float:
    """Return the highest accuracy that any cut has, by trying all of them."""
    cuts = [-np.inf, *scores.tolist(), np.inf]
    return max(_accuracy(scores, same, cut) for cut in cuts)


def _only(answers: Iterator[tuple[Cell, list[FoldAnswer] | str]]) -> list[FoldAnswer]:
    ((_, folds),) = answers
    assert not isinstance(folds, str)
    return folds


def test_without_a_refit_everything_is_asked_for_once() -> None:
    split, trainer = _split(1), Trainer()
    (answer,) = _only(match_cells(trainer, [_cell()], {0: split}))
    assert [len(orders) for orders in trainer.asked] == [1] and trainer.asked[0][0].epochs is None
    fold = split.folds[0]
    np.testing.assert_array_equal(answer.val, fold.val.first.astype(np.float32))
    np.testing.assert_array_equal(answer.test, fold.test.first.astype(np.float32))
    assert answer.choices == {"dims": 3.0} and answer.arrays is None


def test_a_refit_repeats_the_best_epoch_and_the_choices_and_scores_test_once() -> None:
    split, trainer = _split(1), Trainer()
    (answer,) = _only(match_cells(trainer, [_cell(refit=True)], {0: split}, keep=True))
    first, second = (orders[0] for orders in trainer.asked)
    assert (first.epochs, second.epochs) == (None, 7)
    assert second.choices == {"dims": 3.0} and second.name == f"{first.name}-refit"
    assert answer.test is not None and answer.arrays is not None
    np.testing.assert_array_equal(answer.val, split.folds[0].val.first.astype(np.float32))
    np.testing.assert_array_equal(answer.test, split.folds[0].test.first + np.float32(100))
    assert answer.arrays["epochs"].tolist() == [7], "what is kept is the last training"


@pytest.mark.parametrize("refit", [False, True])
def test_what_learns_is_cut_where_it_has_not_learned(refit: bool) -> None:
    """A method that knows its training pairs by heart scores them otherwise than new ones."""
    split = _split(1)
    fold = split.folds[0]
    (learned,) = _only(match_cells(Trainer("identities"), [_cell(refit=refit)], {0: split}))
    assert _accuracy(learned.val, fold.val.same, learned.cut) == _best(learned.val, fold.val.same)
    (plain,) = _only(match_cells(Trainer("none"), [_cell(refit=refit)], {0: split}))
    scores = fold.all_train.first + np.float32(100 if refit else 0)
    assert _accuracy(scores, fold.all_train.same, plain.cut) == _best(scores, fold.all_train.same)


def test_every_fold_of_every_cell_is_trained_and_answers_in_order() -> None:
    splits = {0: _split(3), 1: _split(3, seed=1)}
    cells = [_cell(seed=0), _cell("euclidean", seed=1)]
    trainer = Trainer()
    answers = list(match_cells(trainer, cells, splits))
    assert [cell for cell, _ in answers] == cells
    assert [order.seed for order in trainer.asked[0]] == [0, 0, 0, 1, 1, 1]
    assert len({order.name for order in trainer.asked[0]}) == 6, "no two checkpoints have one name"
    for cell, folds in answers:
        assert not isinstance(folds, str)
        for answer, fold in zip(folds, splits[cell.seed].folds, strict=True):
            np.testing.assert_array_equal(answer.test, fold.test.first.astype(np.float32))


@pytest.mark.parametrize("refit", [False, True])
def test_one_failing_fold_fails_its_cell_alone(refit: bool) -> None:
    splits = {0: _split(2)}
    cells = [_cell(refit=refit), _cell("euclidean", refit=refit)]
    answers = dict(match_cells(Trainer(fails=[1]), cells, splits))
    assert answers[cells[0]] == "too few photos"
    if refit:
        # Of the second cell's two folds the second one is at place 1 of the refit.
        assert answers[cells[1]] == "refit: too few photos"
    else:
        assert not isinstance(answers[cells[1]], str)


@given(st.lists(st.tuples(st.sampled_from(("a", "a #2", "a #3")), st.sampled_from(("b", "b #2", "b #2 #2")))))
def test_every_pair_has_an_id_of_its_own(photos: list[tuple[str, str]]) -> None:
    names = _names(photos)
    assert len(set(names)) == len(photos)
    once = [f"{one} | {other}" for one, other in photos]
    assert all(name.startswith(plain) for name, plain in zip(names, once, strict=True))
    assert all(names[once.index(plain)] == plain for plain in once), "whoever comes first keeps the plain id"
