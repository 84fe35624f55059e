"""Runner of one stage of a task of pairs: folds, training, cut, storage."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.core.cell import Cell
from bench.core.kind import get_kind
from bench.core.predictions import PairFacts, Predictions
from bench.data.duplicates import has_near_duplicate
from bench.data.pair_lists import BAD_LIST
from bench.data.pixels import Pixels
from bench.kinds.verification.arrays import PairArrays, PairSplit
from bench.kinds.verification.frozen import FrozenPairs
from bench.kinds.verification.metrics import best_cut
from bench.kinds.verification.model_file import kept_match
from bench.kinds.verification.orders import Matched, PairOrder, PairsTrainer
from bench.kinds.verification.pair_split import near_different
from bench.kinds.verification.siamese_nets import NetPairs
from bench.kinds.verification.split import split
from bench.kinds.verification.stage_checks import check_pairs
from bench.runs.commit import Answer, remove_checkpoints
from bench.runs.context import Context
from bench.runs.stage_work import Nets, StageRun, StageWork, Validated
from bench.training.fits import Trained


@dataclass(frozen=True)
class FoldAnswer:
    """Answers of one fold of a cell.

    val, test: scores of its validation and test pairs; test is None before the refit. cut: the score from
    which on it says "same". found, choices: for the record. arrays: to score other photos, if models
    are saved.
    """

    val: np.ndarray
    test: np.ndarray | None
    cut: float
    trained: Trained
    found: Mapping[str, object]
    choices: Mapping[str, float]
    arrays: Mapping[str, np.ndarray] | None = None


def prepare(work: StageWork, nets: Nets) -> StageRun:
    """Split the stage's pairs and prepare training; no stage builds on another."""
    return PairStage(work)


class PairStage:
    """Trains the cells of one stage together."""

    def __init__(self, work: StageWork) -> None:
        self.work = work
        context, cell = work.context, work.cells[0]
        self.splits = {
            seed: split(context.parts(cell), cell.setting, work.pixels.ok, work.stage, seed)
            for seed in sorted({cell.seed for cell in work.cells})
        }
        self.trainer = self._trainer()
        # By seed, as its pairs are: what a cell records must not depend on which other seeds are run.
        self.found = {seed: check_pairs(self.trainer, own) for seed, own in self.splits.items()}

    def groups(self) -> Sequence[Sequence[Cell]]:
        """Return the cells that are trained side by side on frozen features, and stored when all are ready.

        Cells of one fold share tables of pairs. A cell of many folds takes minutes, and is on its own.
        """
        cells = self.work.cells
        if self.work.inputs is None or all(len(self.splits[cell.seed].folds) == 1 for cell in cells):
            return [cells]
        return [[cell] for cell in cells]

    def answers(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Answer]]:
        """Train cells of a group and yield each with its answer, as it is ready."""
        context, pixels = self.work.context, self.work.pixels
        for trainer, alike in self._by_setting(cells):
            for cell, folds in match_cells(trainer, alike, self.splits, context.keep):
                answer = _answer(context, cell, self.splits[cell.seed], folds, pixels)
                yield cell, replace(answer, checks=self.found[cell.seed])

    def validate(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Validated]]:
        """Train cells and yield each with its score on the validation pairs of all folds."""
        for trainer, alike in self._by_setting(cells):
            for cell, folds in match_cells(trainer, alike, self.splits, test=False):
                yield cell, self._validated(cell, folds)

    def forget(self, cell: Cell) -> None:
        """Remove the checkpoints of a cell that will not be stored."""
        remove_checkpoints(self.work.context, cell)

    def _by_setting(self, cells: Sequence[Cell]) -> Iterator[tuple[PairsTrainer, list[Cell]]]:
        """Yield cells that share a protocol, with a trainer that follows it."""
        groups: dict[Hashable, list[Cell]] = {}
        for cell in cells:
            groups.setdefault(cell.protocol, []).append(cell)
        for alike in groups.values():
            yield self.trainer.following(alike[0].setting), alike

    def _validated(self, cell: Cell, folds: list[FoldAnswer] | str) -> Validated:
        split = self.splits[cell.seed]
        if isinstance(folds, str):
            return Validated(None, folds)
        if not any(len(fold.val) for fold in split.folds):
            return Validated(None, "there are no validation pairs")
        kind = get_kind(cell.kind)
        score = kind.metrics.summary(_predictions(self.work.context, split, folds, "val")).get(kind.selection)
        return Validated(score, None if score is not None else f"{kind.selection} is undefined on validation")

    def _trainer(self) -> FrozenPairs | NetPairs:
        work, context, setting = self.work, self.work.context, self.work.cells[0].setting
        if work.inputs is not None:
            person = context.examples.columns[context.card.label]
            return FrozenPairs(work.inputs, person, setting, context.progress, work.pixels)
        backbone, folder = work.job.parts[0], context.checkpoints(work.job.regime)
        return NetPairs(work.pixels, backbone, setting, context.progress, work.job.weights, folder)


def match_cells(
    trainer: PairsTrainer,
    cells: Sequence[Cell],
    splits: Mapping[int, PairSplit],
    keep: bool = False,
    test: bool = True,
) -> Iterator[tuple[Cell, list[FoldAnswer] | str]]:
    """Train every fold of every cell; yield each cell with what its folds answered, or why they could not.

    Every choice is made on validation pairs. With `refit`, a second training then learns from all training
    pairs as the first one's best epoch did; the validation scores stay the first one's. Test is scored once,
    last; not at all without `test`, and then there is no refit either. keep: whether answers hold what scores
    other photos.
    """
    refit = test and bool(cells[0].setting["refit"])
    orders = {
        cell.id: [
            PairOrder(cell.method, cell.seed, fold, name=f"{cell.id}-{place}" if place else cell.id)
            for place, fold in enumerate(splits[cell.seed].folds)
        ]
        for cell in cells
    }
    first: dict[str, list[FoldAnswer]] = {}
    again: list[tuple[Cell, list[PairOrder]]] = []
    answers = trainer.fit([order for cell in cells for order in orders[cell.id]])
    for cell in cells:
        folds: list[FoldAnswer] = []
        next_orders: list[PairOrder] = []
        failed = ""
        for order in orders[cell.id]:
            matched = next(answers)
            if isinstance(matched, str):
                failed = failed or matched
                continue
            folds.append(_first_answer(order, matched, test and not refit, keep))
            next_orders.append(order.refit(matched))
        if failed or not refit:
            yield cell, failed or folds
        else:
            first[cell.id] = folds
            again.append((cell, next_orders))
    answers = trainer.fit([order for _, orders_ in again for order in orders_]) if again else iter(())
    for cell, next_orders in again:
        failed = ""
        for place, order in enumerate(next_orders):
            matched = next(answers)
            if isinstance(matched, str):
                failed = failed or matched
            else:
                first[cell.id][place] = _final_answer(order, matched, first[cell.id][place], keep)
        yield cell, f"refit: {failed}" if failed else first[cell.id]


def _first_answer(order: PairOrder, matched: Matched, final: bool, keep: bool) -> FoldAnswer:
    """Return the answers of a training judged on validation pairs.

    The cut is the one with which most training pairs are answered right: validation pairs, which the training
    has not seen, for a method that learns from pairs or people, as it has memorised the others and scores
    them otherwise than new ones.
    """
    fold = order.fold
    val = _scores(matched, fold.val)
    cut = best_cut(val, fold.val.same) if _learns(matched) else _own_cut(matched, fold.all_train)
    test = _scores(matched, fold.test) if final else None
    arrays = matched.arrays() if final and keep else None
    return FoldAnswer(val, test, cut, matched.trained, matched.found, matched.choices, arrays)


def _final_answer(order: PairOrder, matched: Matched, first: FoldAnswer, keep: bool) -> FoldAnswer:
    """Return the answers of a refit on all training pairs; choices and validation are the first one's."""
    cut = first.cut if _learns(matched) else _own_cut(matched, order.fold.all_train)
    test, arrays = _scores(matched, order.fold.test), matched.arrays() if keep else None
    return replace(first, test=test, cut=cut, found=matched.found, arrays=arrays)


def _learns(matched: Matched) -> bool:
    return matched.found["supervision"] != "none"


def _own_cut(matched: Matched, pairs: PairArrays) -> float:
    return best_cut(_scores(matched, pairs), pairs.same)


def _scores(matched: Matched, pairs: PairArrays) -> np.ndarray:
    return matched.score(pairs.first, pairs.second)


def _answer(
    context: Context, cell: Cell, split: PairSplit, folds: list[FoldAnswer] | str, pixels: Pixels
) -> Answer:
    """Return the stored predictions of a cell: the pairs of all folds, in the folds' order."""
    counts = _counts(context, split, pixels)
    if isinstance(folds, str):
        return Answer(Trained(None, 0, failed=folds), counts=counts, reason=folds)
    parts = {
        name: _predictions(context, split, folds, name)
        for name in ("val", "test")
        if any(len(getattr(fold, name)) for fold in split.folds)
    }
    epochs = [fold.trained.best_epoch for fold in folds]
    choices: dict[str, object] = {"best_epoch": epochs[0], **folds[0].found, **folds[0].choices}
    if folds[0].trained.l2 is not None:
        choices["weight_decay"] = folds[0].trained.l2
    if len(folds) > 1:
        choices["best_epochs"] = epochs
    model, one = None, folds[0]
    if len(folds) == 1 and one.arrays is not None:
        same = split.folds[0].val.same
        model = kept_match(cell, pixels.size, one.arrays, one.cut, one.val, same)
    return Answer(one.trained, parts, counts=counts, choices=choices, model=model)


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


def _counts(context: Context, split: PairSplit, pixels: Pixels) -> dict[str, int | None]:
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
        "quarantined": fatal + int((~pixels.ok).sum()),
        "dropped": split.dropped,
        **split.counts,
    }
