"""The cells of one stage of a task of pairs: folds, training, the cut, what is stored."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.context import Context
from bench.data.pair_files import BAD_LIST
from bench.data.pair_split import pair_split
from bench.data.pairs import PairArrays, PairSplit
from bench.data.pixels import Pixels
from bench.errors import BenchError, StoreError
from bench.metrics.verification import best_cut
from bench.models.backbones import get_backbone
from bench.models.inputs import Inputs
from bench.models.lanes import Trained
from bench.plan import Job
from bench.records import Answer, commit_answer, fail
from bench.spec import Cell, PairFacts, Predictions
from bench.verification.frozen import FrozenPairs
from bench.verification.kept import kept_match
from bench.verification.nets import NetPairs
from bench.verification.orders import Matched, PairOrder, PairsTrainer


@dataclass(frozen=True)
class FoldAnswer:
    """What one fold of a cell answered.

    val, test: scores of its validation and test pairs; test is None before the refit. cut: the score from
    which on it says "same". found, choices: for the record. arrays: what scores other photos, where models
    are kept.
    """

    val: np.ndarray
    test: np.ndarray | None
    cut: float
    trained: Trained
    found: Mapping[str, object]
    choices: Mapping[str, float]
    arrays: Mapping[str, np.ndarray] | None = None


def run_pairs(
    context: Context,
    job: Job,
    cells: Sequence[Cell],
    pixels: Pixels,
    inputs: Inputs | None,
    shared: Mapping[str, float],
) -> None:
    """Train the cells of one stage together and commit each as it is ready."""
    left = {cell.id: cell for cell in cells}
    try:
        splits = {
            seed: pair_split(context.examples, pixels.ok, cells[0].setting, seed)
            for seed in sorted({cell.seed for cell in cells})
        }
        trainer = _trainer(context, job, cells[0], pixels, inputs)
        began, together = time.monotonic(), job.regime == "frozen"
        for cell, folds in match_cells(trainer, cells, splits, context.keep):
            spent = (time.monotonic() - began) / (len(cells) if together else 1)
            answer = _answer(context, cell, splits[cell.seed], folds, pixels)
            commit_answer(context, cell, answer, {**shared, "training": spent})
            if not together:
                began = time.monotonic()
            del left[cell.id]
    except StoreError:
        raise
    except BenchError as error:
        fail(context, list(left.values()), str(error))


def _trainer(context: Context, job: Job, cell: Cell, pixels: Pixels, inputs: Inputs | None) -> PairsTrainer:
    if inputs is not None:
        person = context.examples.columns[context.card.label]
        return FrozenPairs(inputs, person, cell.setting, context.progress, pixels)
    backbone, folder = get_backbone(job.backbone), context.checkpoints(job.regime)
    return NetPairs(pixels, backbone, cell.setting, context.progress, job.weights, folder)


def match_cells(
    trainer: PairsTrainer, cells: Sequence[Cell], splits: Mapping[int, PairSplit], keep: bool = False
) -> Iterator[tuple[Cell, list[FoldAnswer] | str]]:
    """Train every fold of every cell; yield each cell with what its folds answered, or why they could not.

    Every choice is made on validation pairs. With `refit`, a second training then learns from all training
    pairs as the first one's best epoch did; the validation scores stay the first one's. Test is scored once,
    last. keep: whether answers hold what scores other photos.
    """
    refit = bool(cells[0].setting["refit"])
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
            folds.append(_first_answer(order, matched, not refit, keep))
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
    """Return what a training that was judged by validation pairs answers.

    The cut is the one with which most training pairs are answered right: validation pairs, which the training
    has not seen, for a method that learns from pairs or people, as it knows the others by heart and scores
    them otherwise than new ones.
    """
    fold = order.fold
    val = _scores(matched, fold.val)
    cut = best_cut(val, fold.val.same) if _learns(matched) else _own_cut(matched, fold.all_train)
    test = _scores(matched, fold.test) if final else None
    arrays = matched.arrays() if final and keep else None
    return FoldAnswer(val, test, cut, matched.trained, matched.found, matched.choices, arrays)


def _final_answer(order: PairOrder, matched: Matched, first: FoldAnswer, keep: bool) -> FoldAnswer:
    """Return what the training on all training pairs answers; choices and validation are the first one's."""
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
    """Return what is stored of a cell: all folds' pairs one after the other, in the folds' order."""
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
    """Return one id for each pair; one that is there again is numbered.

    A file may be called "1 #2": a number that makes the id of another pair is passed over.
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
    leaked = 0
    for fold in split.folds:
        trained = {hashes[row] for row in (*fold.all_train.first.tolist(), *fold.all_train.second.tolist())}
        both = zip(fold.test.first.tolist(), fold.test.second.tolist(), strict=True)
        leaked += sum(hashes[one] in trained or hashes[other] in trained for one, other in both)
    problems = context.examples.problems
    fatal = sum(problem.fatal and problem.kind != BAD_LIST for problem in problems)
    return {
        "train": sum(len(fold.train) for fold in split.folds),
        "val": sum(len(fold.val) for fold in split.folds),
        "test": sum(len(fold.test) for fold in split.folds),
        "not_scored": 0,
        "leaked": leaked,
        "quarantined": fatal + int((~pixels.ok).sum()),
        "dropped": split.dropped,
        **split.counts,
    }
