"""What becomes of a cell of pairs: the order of training, where the cut comes from, what is stored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.cell import Cell, DataId
from bench.core.protocol import resolve
from bench.kinds.verification.arrays import Fold, PairArrays, PairSplit
from bench.kinds.verification.match import Match
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
    numbered = tuple(replace(fold, place=place) for place, fold in enumerate(made))
    return PairSplit(tuple(f"person {row}" for row in range(N)), numbered, 0)


def _cell(method: str = "cosine", refit: bool = False, seed: int = 0) -> Cell:
    spec = parse_method(method)
    protocol = resolve({"refit": refit})
    data = DataId("drawn", "0" * 64)
    return Cell("faces", 1, "verification", "all", "frozen", "lenet", "random", spec, seed, protocol, data)


def _fake(cell: Cell, fold: Fold, first: Trained | None, supervision: str) -> tuple[Trained, Match]:
    """Return a match that scores pairs by their first photo's position, shifted by how it was trained."""
    epochs = 0 if first is None else first.best_epoch

    def score(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return (one + (0.0 if first is None else 100.0)).astype(np.float32)

    trained = Trained(None, epochs or 7, choices={"dims": 3.0})
    return trained, Match({"supervision": supervision}, score, lambda: {"epochs": np.array([epochs])})


class FakeTrainer:
    """Hands out fakes, and remembers what it was asked."""

    def __init__(self, supervision: str = "pairs", fails: Sequence[int] = ()) -> None:
        self.supervision, self.fails = supervision, fails
        self.asked: list[list[tuple[Cell, Fold, Trained | None]]] = []

    def fit(
        self, work: Sequence[tuple[Cell, Fold]], first: Sequence[Trained] = ()
    ) -> Iterator[tuple[Trained, Match | None]]:
        repeated: Sequence[Trained | None] = first or [None] * len(work)
        self.asked.append([(*one, before) for one, before in zip(work, repeated, strict=True)])
        for place, one in enumerate(self.asked[-1]):
            if place in self.fails:
                yield Trained(None, 0, failed="too few photos"), None
            else:
                yield _fake(*one, self.supervision)


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
    split, trainer = _split(1), FakeTrainer()
    (answer,) = _only(match_cells(trainer, [_cell()], {0: split}))
    assert [len(work) for work in trainer.asked] == [1] and trainer.asked[0][0][2] is None
    fold = split.folds[0]
    np.testing.assert_array_equal(answer.val, fold.val.first.astype(np.float32))
    np.testing.assert_array_equal(answer.test, fold.test.first.astype(np.float32))
    assert answer.trained.choices == {"dims": 3.0} and answer.arrays is None


def test_a_refit_repeats_the_best_epoch_and_the_choices_and_scores_test_once() -> None:
    split, trainer = _split(1), FakeTrainer()
    (answer,) = _only(match_cells(trainer, [_cell(refit=True)], {0: split}, keep=True))
    (_, fold, before), (_, whole, first) = (work[0] for work in trainer.asked)
    assert before is None and first is not None
    assert first.best_epoch == 7 and first.choices == {"dims": 3.0}
    assert len(fold.val) and not len(whole.val)
    np.testing.assert_array_equal(whole.train.first, fold.all_train.first)
    np.testing.assert_array_equal(whole.train_rows, fold.all_rows)
    assert answer.test is not None and answer.arrays is not None
    np.testing.assert_array_equal(answer.val, split.folds[0].val.first.astype(np.float32))
    np.testing.assert_array_equal(answer.test, split.folds[0].test.first + np.float32(100))
    assert answer.arrays["epochs"].tolist() == [7], "what is kept is the last training"


@pytest.mark.parametrize("refit", [False, True])
def test_what_learns_is_cut_where_it_has_not_learned(refit: bool) -> None:
    """A method that knows its training pairs by heart scores them otherwise than new ones."""
    split = _split(1)
    fold = split.folds[0]
    (learned,) = _only(match_cells(FakeTrainer("identities"), [_cell(refit=refit)], {0: split}))
    assert _accuracy(learned.val, fold.val.same, learned.cut) == _best(learned.val, fold.val.same)
    (plain,) = _only(match_cells(FakeTrainer("none"), [_cell(refit=refit)], {0: split}))
    scores = fold.all_train.first + np.float32(100 if refit else 0)
    assert _accuracy(scores, fold.all_train.same, plain.cut) == _best(scores, fold.all_train.same)


def test_every_fold_of_every_cell_is_trained_and_answers_in_order() -> None:
    splits = {0: _split(3), 1: _split(3, seed=1)}
    cells = [_cell(seed=0), _cell("euclidean", seed=1)]
    trainer = FakeTrainer()
    answers = list(match_cells(trainer, cells, splits))
    assert [cell for cell, _ in answers] == cells
    assert [(cell.seed, fold.place) for cell, fold, _ in trainer.asked[0]] == [
        (seed, place) for seed in (0, 1) for place in range(3)
    ]
    for cell, folds in answers:
        assert not isinstance(folds, str)
        for answer, fold in zip(folds, splits[cell.seed].folds, strict=True):
            np.testing.assert_array_equal(answer.test, fold.test.first.astype(np.float32))


@pytest.mark.parametrize("refit", [False, True])
def test_one_failing_fold_fails_its_cell_alone(refit: bool) -> None:
    splits = {0: _split(2)}
    cells = [_cell(refit=refit), _cell("euclidean", refit=refit)]
    answers = dict(match_cells(FakeTrainer(fails=[1]), cells, splits))
    assert answers[cells[0]] == "too few photos"
    if refit:
        # The first cell's first fold is at place 0 of the refit, which nobody asks for any more.
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
