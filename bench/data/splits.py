"""Which examples train, validate and test: the rules that cards name, and the parts of one stage."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.data.examples import Examples
from bench.data.rehearsal import Rehearsal, cut
from bench.data.rules import SplitPlan, check_column, even_years
from bench.data.validation import draw_validation, units_of
from bench.errors import DataError

if TYPE_CHECKING:
    from bench.cards import Stage


def even_year(values: Sequence[str]) -> np.ndarray:
    """Train on even years, test on everything else, a missing or unreadable year included.

    >>> even_year(["2012", "2011", "2016.0", "", "soon"]).tolist()
    [True, False, True, False, False]
    """
    return np.array(even_years(values), dtype=bool)


def _by_year(labels: Sequence[str], cells: Sequence[str], plan: SplitPlan) -> np.ndarray:
    return even_year(cells)


def stratified(labels: Sequence[str], cells: Sequence[str], plan: SplitPlan) -> np.ndarray:
    """Test on a random share of every class; who took a picture is not asked."""
    from sklearn.model_selection import StratifiedKFold

    return _first_folds(StratifiedKFold, labels, None, plan)


def grouped(labels: Sequence[str], cells: Sequence[str], plan: SplitPlan) -> np.ndarray:
    """Test on whole groups, such that classes keep about their shares; an empty cell is its own group."""
    from sklearn.model_selection import StratifiedGroupKFold

    alone = (f"\x00{row}" for row in range(len(cells)))
    groups = [cell or own for cell, own in zip(cells, alone, strict=True)]
    train = _first_folds(StratifiedGroupKFold, labels, groups, plan)
    # What has no label goes with its group too: a reviewer may give it one.
    testing = {group for group, trains in zip(groups, train.tolist(), strict=True) if not trains}
    return np.array([group not in testing for group in groups], dtype=bool)


def at_random(labels: Sequence[str], cells: Sequence[str], plan: SplitPlan) -> np.ndarray:
    """Test on a random share of the labelled rows, one by one; the others train."""
    train = np.ones(len(labels), bool)
    rows = np.array([row for row, label in enumerate(labels) if label], dtype=np.int64)
    order = np.random.default_rng(plan.seed).permutation(rows)
    train[order[: round(plan.fraction * len(rows))]] = False
    return train


def _first_folds(
    folds: Callable[..., Any], labels: Sequence[str], groups: Sequence[str] | None, plan: SplitPlan
) -> np.ndarray:
    """Return (n,) bool, False in the first folds of the labelled rows, True for rows without a label.

    A fraction of two fifths is two of five folds; it is kept to a hundredth.
    """
    train = np.ones(len(labels), bool)
    rows = np.array([row for row, label in enumerate(labels) if label], dtype=np.int64)
    share = Fraction(plan.fraction).limit_denominator(100)
    taken, number = share.numerator, share.denominator
    own = None if groups is None else [groups[row] for row in rows.tolist()]
    if len(rows) < number or (own is not None and len(set(own)) < number):
        what = "labelled rows" if own is None else f"groups in column {plan.column!r}"
        raise DataError(
            f"the split rule {plan.rule} cuts {number} parts, and there are fewer {what}; add data"
        )
    # Every distinct label is a number; classes with fewer rows than parts are spread as far as they go.
    codes = np.unique(np.array([labels[row] for row in rows.tolist()]), return_inverse=True)[1]
    cut = folds(number, shuffle=True, random_state=plan.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            tests = [test for _, test in islice(cut.split(rows, codes, own), taken)]
        except ValueError:
            raise DataError(
                f"the split rule {plan.rule} cuts {number} parts, and no class has so many rows; add data"
            ) from None
    train[rows[np.concatenate(tests)]] = False
    return train


RULES: dict[str, Callable[[Sequence[str], Sequence[str], SplitPlan], np.ndarray]] = {
    "even_year": _by_year,
    "stratified": stratified,
    "grouped": grouped,
    "random": at_random,
}
"""Split rules by name: n labels, n cells of the column, and the plan -> (n,) bool, True for train."""


def train_mask(examples: Examples, labels: Sequence[str], plan: SplitPlan) -> np.ndarray:
    """Return (n,) bool: True where an example trains, False where it tests; one side may be empty.

    labels: n class names, "" for none. Raises BenchError for an unknown rule, DataError where the column
    is missing or too few rows are there to be drawn from.
    """
    check_column(examples, plan)
    return RULES[plan.rule](labels, examples.columns.get(plan.column, ()), plan)


@dataclass(frozen=True)
class StageSplit:
    """The classes and rows of one stage of a task.

    classes: k names, most training images first, then by name. truth: (n,) int32 index into classes,
    -1 where an example's label is not one of them; of many attributes, in the data's order, (n, k) int32 yes,
    no or -1 for unknown. train, val, test: sorted int64 positions, disjoint; val is cut from the training
    part. unseen: usable test rows whose class the whole training part
    does not know, in any stage: they are counted, never scored. leaked: test rows of this stage whose
    image is, byte for byte, also in its train or val; they are in `test` unless they were to be
    dropped. None where no hashes were given. hidden: (n, k) int32, the truth of cells that are -1 in `truth`
    and known otherwise, -1 elsewhere; None with one label per item.
    """

    classes: tuple[str, ...]
    truth: np.ndarray
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    unseen: int
    leaked: int | None
    hidden: np.ndarray | None = None

    @property
    def _known(self) -> np.ndarray:
        """The truth of the rows that train and validate."""
        return np.concatenate([self.truth[self.train], self.truth[self.val]])

    @property
    def train_counts(self) -> np.ndarray:
        """(k,) int64: training images of each class, of each attribute's yes; validation included."""
        if self.truth.ndim > 1:
            counts: np.ndarray = (self._known == 1).sum(axis=0)
            return counts.astype(np.int64)
        return np.bincount(self._known, minlength=len(self.classes)).astype(np.int64)

    @property
    def train_known(self) -> np.ndarray | None:
        """(k,) int64: training cells of each attribute that are known; None with one label per item."""
        return (self._known >= 0).sum(axis=0).astype(np.int64) if self.truth.ndim > 1 else None


def stage_split(
    labels: Sequence[str],
    train: np.ndarray,
    ok: np.ndarray,
    stage: Stage,
    *,
    val_fraction: float,
    seed: int,
    groups: Sequence[str] | None = None,
    hashes: Sequence[str] | None = None,
    drop_leaked: bool = False,
    rehearsal: Rehearsal | None = None,
) -> StageSplit:
    """Cut one stage into train, validation and test.

    labels: n class names, "" for none. train: (n,) bool, the base split. ok: (n,) bool, the image can be
    used; ranks and counts know only usable rows. groups, hashes: n ids; rows that share one are never
    parted between train and val. rehearsal: how the training part is cut, and the test part left alone, or
    None; classes that it does not train are left out. Raises DataError where the stage has no class, no train
    or no test row.
    """
    usable = ok & np.array([label != "" for label in labels], dtype=bool)
    sizes = _sizes(labels, train & usable)
    classes = tuple(sizes)[stage.first : stage.last]
    if not classes:
        begins = f"stage {stage.name!r} begins at class {stage.first + 1}"
        raise DataError(f"{begins}, but train knows only {len(sizes)}; leave the stage out")
    index = {label: number for number, label in enumerate(classes)}
    truth = np.array([index.get(label, -1) for label in labels], dtype=np.int32)
    known = np.flatnonzero(train & usable & (truth >= 0))
    test = np.flatnonzero(~train & usable & (truth >= 0))
    if len(test) == 0:
        raise DataError(f"stage {stage.name!r} has no usable test row of its classes; add test data")
    unseen = sum(labels[row] not in sizes for row in np.flatnonzero(~train & usable).tolist())
    if rehearsal is not None:
        counts = tuple(sizes.values())[rehearsal.stage.first : rehearsal.stage.last]
        known, test, unseen = cut(rehearsal, counts, truth, known, (groups, hashes), seed)
        # A class that nothing is learned of would still be answered, which no real stage does.
        kept = np.unique(truth[known])
        place = np.full(len(classes) + 1, -1, np.int32)
        place[kept] = np.arange(len(kept))
        classes, truth = tuple(classes[number] for number in kept.tolist()), place[truth]
    leaks = _leaks(known, test, hashes)
    if drop_leaked and leaks is not None:
        test = test[~leaks]
        if len(test) == 0:
            raise DataError(f"stage {stage.name!r}: every test image is also in train; set duplicates=keep")
    val = draw_validation(truth, known, units_of(known, groups, hashes), val_fraction, seed)
    return StageSplit(
        classes=classes,
        truth=truth,
        train=np.setdiff1d(known, val, assume_unique=True),
        val=val,
        test=test,
        unseen=unseen,
        leaked=None if leaks is None else int(leaks.sum()),
    )


def attribute_split(
    table: np.ndarray,
    hidden: np.ndarray,
    attributes: Sequence[str],
    train: np.ndarray,
    ok: np.ndarray,
    stage: Stage,
    *,
    val_fraction: float,
    seed: int,
    groups: Sequence[str] | None = None,
    hashes: Sequence[str] | None = None,
    drop_leaked: bool = False,
) -> StageSplit:
    """Cut one stage of a task with many attributes into train, validation and test.

    table, hidden: (n, k) yes, no or -1, see `StageSplit`; a row without any known cell stays where it is.
    The stage names attributes by their order. The others as in `stage_split`; validation is a random share
    of what must not be parted. Raises DataError where the stage has no attribute, no train or no test row,
    or nothing known in one of them or in validation.
    """
    names = tuple(attributes[stage.first : stage.last])
    if not names:
        begins = f"stage {stage.name!r} begins at attribute {stage.first + 1}"
        raise DataError(f"{begins}, but the data has only {len(attributes)}; leave the stage out")
    truth = np.asarray(table[:, stage.first : stage.last], np.int32)
    known, test = np.flatnonzero(train & ok), np.flatnonzero(~train & ok)
    for side, rows in (("train", known), ("test", test)):
        if not (truth[rows] >= 0).any():
            raise DataError(f"stage {stage.name!r} has no usable {side} row with a known label; add data")
    leaks = _leaks(known, test, hashes)
    if drop_leaked and leaks is not None:
        test = test[~leaks]
        if not (truth[test] >= 0).any():
            raise DataError(f"stage {stage.name!r}: every test image is also in train; set duplicates=keep")
    units = units_of(known, groups, hashes)
    val = draw_validation(np.zeros(len(truth), np.int32), known, units, val_fraction, seed)
    if len(val) and not (truth[val] >= 0).any():
        raise DataError(
            f"stage {stage.name!r}: none of the {len(val)} validation rows has a known label; "
            "raise val_fraction or add data"
        )
    return StageSplit(
        classes=names,
        truth=truth,
        train=np.setdiff1d(known, val, assume_unique=True),
        val=val,
        test=test,
        unseen=0,
        leaked=None if leaks is None else int(leaks.sum()),
        hidden=np.asarray(hidden[:, stage.first : stage.last], np.int32),
    )


def _sizes(labels: Sequence[str], rows: np.ndarray) -> dict[str, int]:
    """Return how many of the rows have each label, most frequent first, then by name."""
    counts = Counter(labels[row] for row in np.flatnonzero(rows).tolist())
    if not counts:
        raise DataError("no training row has both a label and a usable image; see `bench data check`")
    return dict(sorted(counts.items(), key=lambda held: (-held[1], held[0])))


def _leaks(known: np.ndarray, test: np.ndarray, hashes: Sequence[str] | None) -> np.ndarray | None:
    """Return (len(test),) bool: the image is also among the known rows."""
    if hashes is None:
        return None
    in_train = {hashes[row] for row in known.tolist()}
    return np.array([hashes[row] in in_train for row in test.tolist()], dtype=bool)
