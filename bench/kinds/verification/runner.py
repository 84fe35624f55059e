"""Runner of one stage of a task of pairs: folds, training, cut, storage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from bench.backbones.inputs import Inputs
from bench.core.cell import Cell
from bench.core.predictions import CellResult, PairFacts, Predictions
from bench.data.duplicates import has_near_duplicate
from bench.data.pair_lists import BAD_LIST
from bench.data.pixels import Pixels
from bench.kinds.verification.arrays import Fold, PairArrays, PairSplit
from bench.kinds.verification.frozen import FrozenPairs
from bench.kinds.verification.match import Match
from bench.kinds.verification.metrics import best_cut
from bench.kinds.verification.model_file import kept_match
from bench.kinds.verification.pair_split import near_different
from bench.kinds.verification.siamese_nets import NetPairs
from bench.kinds.verification.split import split
from bench.kinds.verification.stage_checks import check_pairs
from bench.runs.commit import Answer
from bench.runs.context import Context
from bench.runs.plan import Job
from bench.runs.stage_run import Nets, StageRun, Validated, failure, validation_score
from bench.runs.train_stage import Trainer, choose_cells, train_cells
from bench.training.fits import Trained


@dataclass(frozen=True)
class FoldAnswer:
    """Answers of one fold of a cell.

    val, test: scores of its validation and test pairs; test is None before it is scored. cut: the score from
    which on it says "same". trained: the training by validation. found: for the record. arrays: to score
    other photos, if models are saved.
    """

    val: np.ndarray
    test: np.ndarray | None
    cut: float
    trained: Trained
    found: Mapping[str, object]
    arrays: Mapping[str, np.ndarray] | None = None


Folds = list[FoldAnswer] | str
"""The answers of all folds of a cell, or why there are none."""


def prepare(context: Context, pixels: Pixels, inputs: Inputs | None, nets: Nets, job: Job) -> StageRun:
    """Split the stage's pairs and prepare training; no stage builds on another."""
    return PairStage(context, pixels, inputs, job)


class PairStage(StageRun):
    """Trains the cells of one stage together."""

    def __init__(self, context: Context, pixels: Pixels, inputs: Inputs | None, job: Job) -> None:
        super().__init__(context, pixels, inputs, job)
        self.splits = {
            seed: split(context.parts(self.cell), self.cell.setting, pixels.ok, self.stage, seed)
            for seed in sorted({cell.seed for cell in job.cells})
        }
        self.trainer = self._trainer()
        # By seed, as its pairs are: what a cell records must not depend on which other seeds are run.
        self.found = {seed: check_pairs(self.trainer, own) for seed, own in self.splits.items()}

    def groups(self) -> Sequence[Sequence[Cell]]:
        """Return the cells that are trained side by side on frozen features, and stored when all are ready.

        Cells of one fold share tables of pairs. A cell of many folds takes minutes, and is on its own.
        """
        cells = self.job.cells
        if self.inputs is None or all(len(self.splits[cell.seed].folds) == 1 for cell in cells):
            return [cells]
        return [[cell] for cell in cells]

    def answers(self, cells: Sequence[Cell]) -> Iterator[Answer]:
        """Train cells of a group and yield the answer of each, as it is ready."""
        for cell, folds in match_cells(self.trainer, cells, self.splits, self.context.keep):
            result, parts, model = self._answer(cell, folds)
            yield replace(result, checks=self.found[cell.seed]), parts, model

    def validate(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Validated]]:
        """Train cells and yield each with its score on the validation pairs of all folds."""
        for cell, folds in match_cells(self.trainer, cells, self.splits, test=False):
            own = self.splits[cell.seed]
            if isinstance(folds, str):
                yield cell, Validated(None, folds)
            elif not any(len(fold.val) for fold in own.folds):
                yield cell, Validated(None, "there are no validation pairs")
            else:
                yield cell, validation_score(cell, _predictions(self.context, own, folds, "val"))

    def _trainer(self) -> FrozenPairs | NetPairs:
        context, job, setting = self.context, self.job, self.cell.setting
        if self.inputs is not None:
            person = context.examples.columns[context.card.label]
            return FrozenPairs(self.inputs, person, context.progress, self.pixels)
        folder = context.checkpoints(job.regime)
        return NetPairs(self.pixels, job.parts[0], setting, context.progress, job.weights, folder)

    def _answer(self, cell: Cell, folds: Folds) -> Answer:
        """Return the answer of a cell: the pairs of all folds, in the folds' order."""
        own, pixels = self.splits[cell.seed], self.pixels
        counts = _counts(self.context, own, self.quarantined)
        if isinstance(folds, str):
            return failure(CellResult(cell, "failed", counts=counts), folds)
        parts = {
            name: _predictions(self.context, own, folds, name)
            for name in ("val", "test")
            if any(len(getattr(fold, name)) for fold in own.folds)
        }
        one, model = folds[0], None
        choices: dict[str, object] = {**one.found, **one.trained.choices}
        if one.trained.l2 is not None:
            choices["weight_decay"] = one.trained.l2
        if len(folds) > 1:
            choices["best_epochs"] = [fold.trained.best_epoch for fold in folds]
        elif one.arrays is not None:
            same = own.folds[0].val.same
            model = kept_match(cell, pixels.size, one.arrays, one.cut, one.val, same)
        return self.answer(cell, one.trained, counts, choices, parts, model)


def match_cells(
    trainer: Trainer[Fold, Match],
    cells: Sequence[Cell],
    splits: Mapping[int, PairSplit],
    keep: bool = False,
    test: bool = True,
) -> Iterator[tuple[Cell, Folds]]:
    """Train every fold of every cell, see `train_cells`; yield each cell when all its folds have answered.

    keep: whether answers hold what scores other photos. test: whether test is scored; there is no refit
    without.
    """
    work = [(cell, fold) for cell in cells for fold in splits[cell.seed].folds]
    answers: Iterable[tuple[Cell, FoldAnswer | str]]
    if test:
        trained = train_cells(trainer, work, _choose, partial(_test, keep))
        answers = ((cell, answer) for cell, _, answer in trained)
    else:
        chosen = choose_cells(trainer, work, _choose)
        answers = ((cell, answer) for (cell, _), (_, _, answer) in zip(work, chosen, strict=True))
    found: dict[str, list[FoldAnswer | str]] = {}
    for cell, answer in answers:
        own = found.setdefault(cell.id, [])
        own.append(answer)
        if len(own) == len(splits[cell.seed].folds):
            folds = [one for one in own if not isinstance(one, str)]
            yield cell, folds if len(folds) == len(own) else next(one for one in own if isinstance(one, str))


def _choose(cell: Cell, fold: Fold, trained: Trained, match: Match) -> FoldAnswer:
    """Return the answers of a training judged on validation pairs.

    The cut is the one with which most training pairs are answered right: validation pairs, which the training
    has not seen, for a method that learns from pairs or people, as it has memorised the others and scores
    them otherwise than new ones.
    """
    val = _scores(match, fold.val)
    cut = best_cut(val, fold.val.same) if match.learns else _own_cut(match, fold)
    return FoldAnswer(val, None, cut, trained, match.found)


def _test(
    keep: bool, cell: Cell, fold: Fold, trained: Trained, match: Match, first: FoldAnswer, refit: bool
) -> FoldAnswer:
    """Return the answers with the scores of test. After a refit a cut on training pairs is chosen again."""
    cut = _own_cut(match, fold) if refit and not match.learns else first.cut
    arrays = match.arrays() if keep else None
    return replace(first, test=_scores(match, fold.test), cut=cut, found=match.found, arrays=arrays)


def _own_cut(match: Match, fold: Fold) -> float:
    return best_cut(_scores(match, fold.all_train), fold.all_train.same)


def _scores(match: Match, pairs: PairArrays) -> np.ndarray:
    return match.score(pairs.first, pairs.second)


def _predictions(context: Context, split: PairSplit, folds: Sequence[FoldAnswer], part: str) -> Predictions:
    pairs = [getattr(fold, part) for fold in split.folds]
    first, second, same = (
        np.concatenate([getattr(one, side) for one in pairs]) for side in ("first", "second", "same")
    )
    items = context.examples.items
    sizes = [len(one) for one in pairs]
    photos = tuple((items[a], items[b]) for a, b in zip(first.tolist(), second.tolist(), strict=True))
    train = [fold.all_train.same for fold in split.folds]
    scores: list[np.ndarray] = [getattr(fold, part) for fold in folds]
    return Predictions(
        items=_names(photos),
        groups=tuple(split.person[row] for row in first.tolist()),
        truth=same.astype(np.int32),
        scores=np.concatenate(scores).astype(np.float32)[:, None],
        classes=("same",),
        train_support=np.array([sum(int(one.sum()) for one in train)], np.int64),
        known=np.array([sum(len(one) for one in train)], np.int64),
        pairs=PairFacts(
            photos=photos,
            partners=tuple(split.person[row] for row in second.tolist()),
            folds=np.repeat(np.arange(len(sizes), dtype=np.int32), sizes),
            cuts=np.repeat(np.array([fold.cut for fold in folds], np.float32), sizes),
        ),
    )


def _names(photos: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return one id for each pair; repeated ones are numbered.

    A file can be named "1 #2": a number that gives the id of another pair is skipped.
    """
    plain = [f"{one} | {other}" for one, other in photos]
    taken, counts = set(plain), dict[str, int]()
    names = []
    for name in plain:
        number = counts.get(name, 0) + 1
        while number > 1 and f"{name} #{number}" in taken:
            number += 1
        counts[name] = number
        names.append(name if number == 1 else f"{name} #{number}")
        taken.add(names[-1])
    return tuple(names)


def _counts(context: Context, split: PairSplit, quarantined: int) -> dict[str, int | None]:
    """Count pairs, people shared and photos left out."""
    hashes = context.examples.images.content_hashes()
    leaked = leaked_near = 0
    for fold in split.folds:
        rows = np.unique(np.concatenate([fold.all_train.first, fold.all_train.second]))
        trained = {hashes[row] for row in rows.tolist()}
        sides = fold.test.first, fold.test.second
        exact, near = (
            np.logical_or(*own)
            for own in (
                [np.array([hashes[row] in trained for row in side.tolist()], bool) for side in sides],
                [has_near_duplicate(side, rows, context.near) for side in sides],
            )
        )
        leaked += int(exact.sum())
        leaked_near += int((near & ~exact).sum())
    problems = context.examples.problems
    fatal = sum(problem.fatal and problem.code != BAD_LIST for problem in problems)
    return {
        "train": sum(len(fold.train) for fold in split.folds),
        "val": sum(len(fold.val) for fold in split.folds),
        "test": sum(len(fold.test) for fold in split.folds),
        "not_scored": 0,
        "leaked": leaked,
        "leaked_near": leaked_near,
        **near_different(split, context.near),
        "quarantined": fatal + quarantined,
        "dropped": split.dropped,
        **split.counts,
    }
