"""Split rules, the split of one stage, and leaks between train and test."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from importlib import import_module
from itertools import islice
from typing import Any, Self

import numpy as np

from bench.core.errors import DataError
from bench.data.duplicates import has_near_duplicate
from bench.data.examples import Examples
from bench.data.split_rules import RULES, SplitPlan, check_column, even_years, published_parts


def even_year(values: Sequence[str]) -> np.ndarray:
    """Train on even years, test on all others, missing and unreadable years included.

    >>> even_year(["2012", "2011", "2016.0", "", "soon"]).tolist()
    [True, False, True, False, False]
    """
    return np.array(even_years(values), dtype=bool)


def by_year(labels: Sequence[str], cells: Sequence[str], plan: SplitPlan) -> np.ndarray:
    """Train on the rows of even years, see `even_year`."""
    return even_year(cells)


def as_published(labels: Sequence[str], cells: Sequence[str], plan: SplitPlan) -> np.ndarray:
    """Test on the rows whose cell is `test`; the validation rows are in train, see `Parts.validation`."""
    return np.array([part != "test" for part in published_parts(plan.column, cells)], dtype=bool)


def stratified(labels: Sequence[str], cells: Sequence[str], plan: SplitPlan) -> np.ndarray:
    """Test on a random share of every class, ignoring groups."""
    from sklearn.model_selection import StratifiedKFold

    return _some_folds(StratifiedKFold, labels, None, plan)


def grouped(labels: Sequence[str], cells: Sequence[str], plan: SplitPlan) -> np.ndarray:
    """Test on whole groups, with about equal shares of each class; an empty cell is a group of its own."""
    from sklearn.model_selection import StratifiedGroupKFold

    alone = (f"\x00{row}" for row in range(len(cells)))
    groups = [cell or own for cell, own in zip(cells, alone, strict=True)]
    train = _some_folds(StratifiedGroupKFold, labels, groups, plan)
    # Unlabelled rows follow their group: a reviewer may label them.
    testing = {group for group, trains in zip(groups, train.tolist(), strict=True) if not trains}
    return np.array([group not in testing for group in groups], dtype=bool)


def at_random(labels: Sequence[str], cells: Sequence[str], plan: SplitPlan) -> np.ndarray:
    """Test on a random share of the labelled rows."""
    train = np.ones(len(labels), bool)
    rows = np.array([row for row, label in enumerate(labels) if label], dtype=np.int64)
    order = np.random.default_rng(plan.seed).permutation(rows)
    train[order[: round(plan.fraction * len(rows))]] = False
    return train


def _some_folds(
    folds: Callable[..., Any], labels: Sequence[str], groups: Sequence[str] | None, plan: SplitPlan
) -> np.ndarray:
    """Return (n,) bool, False in some folds of the labelled rows, else True.

    A fraction of two fifths is two of five folds; fractions are rounded to hundredths. The folds lie apart: a
    class with fewer rows than folds is in neighbouring ones.
    """
    train = np.ones(len(labels), bool)
    rows = np.array([row for row, label in enumerate(labels) if label], dtype=np.int64)
    share = Fraction(plan.fraction).limit_denominator(100)
    tested, number = share.numerator, share.denominator
    own = None if groups is None else [groups[row] for row in rows.tolist()]
    if len(rows) < number or (own is not None and len(set(own)) < number):
        what = "labelled rows" if own is None else f"groups in column {plan.column!r}"
        raise DataError(
            f"the split rule {plan.rule} needs {number} folds for test_fraction={plan.fraction:g}, but there "
            f"are fewer {what}; add data, or choose a simpler fraction, such as .2 or .25"
        )
    chosen = {place * number // tested for place in range(tested)}
    codes = np.unique(np.array([labels[row] for row in rows.tolist()]), return_inverse=True)[1]
    splitter = folds(number, shuffle=True, random_state=plan.seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            found = islice(splitter.split(rows, codes, own), max(chosen) + 1)
            tests = [test for place, (_, test) in enumerate(found) if place in chosen]
        except ValueError:
            raise DataError(
                f"the split rule {plan.rule} needs {number} folds, but no class has so many rows; add data"
            ) from None
    train[rows[np.concatenate(tests)]] = False
    return train


def train_mask(examples: Examples, labels: Sequence[str], plan: SplitPlan) -> np.ndarray:
    """Return (n,) bool: True for train, False for test; either may be empty.

    labels: n class names, "" for none. Raises BenchError for an unknown rule, DataError if the column is
    missing or there are too few rows.
    """
    check_column(examples, plan)
    module, _, name = RULES[plan.rule].place.partition(":")
    rule: Callable[..., np.ndarray] = getattr(import_module(module, __package__), name)
    return rule(labels, examples.columns.get(plan.column, ()), plan)


@dataclass(frozen=True)
class StageSplit:
    """The classes and rows of one stage of a task.

    classes: k names, most training images first, then by name. truth: (n,) int32 index into classes, -1 for
    other labels; subclasses for other kinds of task may have another truth. train, val, test: sorted int64
    positions, disjoint; val is taken from the training set. unseen: usable test rows whose class is in no
    training set of any stage: they are counted, never scored. leaked: test rows of this stage with the same
    bytes as an image of its train or val; they are in `test` unless duplicates are dropped. None without
    hashes. leaked_near: of the others, those with a near duplicate in its train or val, or None. calibration:
    rows by the step that is calibrated on them, see `bench.data.validation.draw_calibration`; they are in
    neither train nor val.
    """

    classes: tuple[str, ...]
    truth: np.ndarray
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    unseen: int
    leaked: int | None
    leaked_near: int | None = None
    calibration: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def known_truth(self) -> np.ndarray:
        """The truth of all rows of the training set: train, val and calibration."""
        return np.concatenate(
            [self.truth[rows] for rows in (self.train, self.val, *self.calibration.values())]
        )

    @property
    def strata(self) -> np.ndarray:
        """(n,) int32: what parts of the training set are stratified by."""
        return self.truth

    @property
    def train_counts(self) -> np.ndarray:
        """(k,) int64: images of each class in the training set, validation and calibration included."""
        return np.bincount(self.known_truth, minlength=len(self.classes)).astype(np.int64)

    @property
    def train_known(self) -> np.ndarray | None:
        """(k,) int64: known training labels of each class if some are unknown; else None."""
        return None

    @property
    def targets(self) -> np.ndarray:
        """The targets of training, for all n examples."""
        return self.truth

    def refit(self) -> Self:
        """Return the same with the rows of validation among those of training."""
        both = np.sort(np.concatenate([self.train, self.val]))
        return replace(self, train=both, val=both[:0])

    def columns(self, rows: np.ndarray) -> np.ndarray:
        """Return (m, k) float32 of these rows, a column per class: 1 yes, 0 no, NaN unknown."""
        columns: np.ndarray = self.truth[rows][:, None] == np.arange(len(self.classes))
        return columns.astype(np.float32)

    def names(self, rows: np.ndarray) -> list[str] | None:
        """Return the class name of each of these rows, None if rows have several classes."""
        return [self.classes[number] for number in self.truth[rows].tolist()]


@dataclass(frozen=True)
class Leaks:
    """Test rows that are also in train. exact, near: (t,) bool, disjoint; None if unknown."""

    exact: np.ndarray | None
    near: np.ndarray | None
    any: np.ndarray

    @property
    def exact_count(self) -> int | None:
        """Number of byte-identical rows."""
        return None if self.exact is None else int(self.exact.sum())

    @property
    def near_count(self) -> int | None:
        """Number of near duplicates among the others."""
        return None if self.near is None else int(self.near.sum())


def find_leaks(
    known: np.ndarray, test: np.ndarray, hashes: Sequence[str] | None, near: np.ndarray | None
) -> Leaks:
    """Return the test rows with duplicates or near duplicates among the known rows."""
    exact = alike = None
    every = np.zeros(len(test), bool)
    if hashes is not None:
        in_train = {hashes[row] for row in known.tolist()}
        exact = np.array([hashes[row] in in_train for row in test.tolist()], dtype=bool)
        every |= exact
    if near is not None:
        alike = has_near_duplicate(test, known, near) & ~every
        every |= alike
    return Leaks(exact, alike, every)
