"""Predictions of one cell, and the record of its result."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bench.core.cell import Cell, canonical_json

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class PairFacts:
    """Photos, people, folds and thresholds of n pairs of photos.

    photos: n pairs of image ids. partners: n ids of the second photo's person; the first photo's person is
    the pair's group. folds: (n,) int32, the fold that tested the pair, from 0. cuts: (n,) float32, the
    decision threshold of "same", one per fold.
    """

    photos: tuple[tuple[str, str], ...]
    partners: tuple[str, ...]
    folds: np.ndarray
    cuts: np.ndarray

    def take(self, rows: np.ndarray) -> PairFacts:
        """Return the facts of these pairs, in this order. rows: (m,) positions."""
        places = rows.tolist()
        return PairFacts(
            photos=tuple(self.photos[row] for row in places),
            partners=tuple(self.partners[row] for row in places),
            folds=self.folds[rows],
            cuts=self.cuts[rows],
        )


@dataclass(frozen=True)
class Predictions:
    """Predictions of a cell by item; every metric is a pure function of them.

    items: n ids. groups: n group ids (listing, person), or None if items are independent.
    scores: (n, k) float32, higher is likelier. classes: k names.
    One class per item: truth is (n,) int32, index into classes; train_support (k,) int64, training images of
    each class (validation and calibration parts included); cuts, (k,) float32: the prediction set of an item
    is the classes whose scores reach them, None for no sets.
    Many attributes per item: classes are attributes; truth is (n, k) int32, 1 for yes, 0 for no, -1 for
    unknown (not scored); train_support counts yes in train, known (k,) int64 all known labels there; cuts,
    (k,) float32, are the decision thresholds of scores, None for one half.
    Pairs of photos: items are pairs, groups the people on first photos, truth is (n,) int32, 1 for one person
    and 0 for two; scores (n, 1), higher is more similar, on any scale; train_support counts same pairs in
    train, known all pairs there; `pairs` has the rest.
    """

    items: tuple[str, ...]
    groups: tuple[str, ...] | None
    truth: np.ndarray
    scores: np.ndarray
    classes: tuple[str, ...]
    train_support: np.ndarray
    known: np.ndarray | None = None
    cuts: np.ndarray | None = None
    pairs: PairFacts | None = None

    def take(self, rows: np.ndarray) -> Predictions:
        """Return the predictions of these items, in this order. rows: (m,) positions."""
        places = rows.tolist()
        return replace(
            self,
            items=tuple(self.items[row] for row in places),
            groups=None if self.groups is None else tuple(self.groups[row] for row in places),
            truth=self.truth[rows],
            scores=self.scores[rows],
            pairs=self.pairs and self.pairs.take(rows),
        )


@dataclass(frozen=True)
class CellResult:
    """Result of a cell.

    status: `ok`, `failed`, `timeout`, `oom` or `skipped`; reason: why it is not `ok`.
    metrics: {"test": {...}, "val": {...}} of unrounded numbers, None where undefined.
    counts: images in train, val, calibration parts, test; not scored; quarantined; leaked (same bytes in
    train); leaked_near (of the others, those with a near duplicate in train).
    checks: data checks of its stage ("signal": ...). curves: points of ROC and PR curves. trials: of a tuned
    cell, one row for each. history: one row for each epoch.
    """

    cell: Cell
    status: str
    reason: str | None = None
    metrics: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    per_class: tuple[Mapping[str, Any], ...] = ()
    counts: Mapping[str, int | None] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    choices: Mapping[str, Any] = field(default_factory=dict)
    checks: Mapping[str, Any] = field(default_factory=dict)
    curves: tuple[Mapping[str, Any], ...] = ()
    command: str = ""
    trials: tuple[Mapping[str, Any], ...] = ()
    history: tuple[Mapping[str, Any], ...] = ()


def by_item(pred: Predictions) -> np.ndarray:
    """Return the order of items by id, (n,) int64."""
    import numpy as np

    return np.array(sorted(range(len(pred.items)), key=pred.items.__getitem__), np.int64)


def items_hash(pred: Predictions) -> str:
    """Return `sha256:<hex>` of the classes, item ids and truth, independent of the items' order."""
    pairs = sorted(zip(pred.items, pred.truth.tolist(), strict=True))
    text = canonical_json([list(pred.classes), [list(pair) for pair in pairs]])
    return "sha256:" + hashlib.sha256(text.encode("ascii")).hexdigest()
