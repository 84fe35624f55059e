"""The frozen types that everything else speaks in, canonical JSON, and a cell's identity."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

IDENTITY_VERSION = 2
"""Bumped when the same identity would no longer give the same predictions."""

FORMAT_VERSION = 1
"""Of the files in a cell's folder."""

Value = str | int | float | bool | None
"""What a method's argument or a protocol key may hold."""


def canonical_json(value: Any) -> str:
    """Serialise to the one JSON text that equal values share: sorted keys, no blanks, ASCII, no NaN.

    Raises ValueError for NaN or an infinity and TypeError for what JSON cannot hold.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def finite(value: Any) -> Any:
    """Replace every NaN and infinity inside JSON-like data by None: undefined is undefined."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return value


@dataclass(frozen=True)
class Step:
    """One step of a method with every argument resolved, defaults included, sorted by name."""

    name: str
    args: tuple[tuple[str, Value], ...] = ()

    def __getitem__(self, key: str) -> Value:
        return dict(self.args)[key]


@dataclass(frozen=True)
class MethodSpec:
    """A composition of steps in canonical order; no steps is the method `none`.

    `text` is the short form users read (arguments at their default left out); it is unique for
    the steps, so two spellings of one method compare equal.
    """

    steps: tuple[Step, ...]
    text: str

    def canonical(self) -> list[list[Any]]:
        """Return the steps as JSON-ready lists, for the identity."""
        return [[step.name, dict(step.args)] for step in self.steps]


@dataclass(frozen=True)
class DataId:
    """Which data a cell saw: the source's name and the fingerprint of its rows and images."""

    source: str
    fingerprint: str


@dataclass(frozen=True)
class Cell:
    """One point of the grid: a pure function of its identity gives its predictions.

    `stage` is the part of the task that is scored on its own (fashion: `top20`, `remaining`).
    `protocol` holds every resolved protocol value, sorted by name.
    `weights` is `imagenet`, `random` or `sha256:<hex>` of a weights file.
    """

    task: str
    task_version: int
    kind: str
    stage: str
    regime: str
    backbone: str
    weights: str
    method: MethodSpec
    seed: int
    protocol: tuple[tuple[str, Value], ...]
    data: DataId

    def identity(self) -> dict[str, Any]:
        """Return all that can change a prediction, ready for canonical JSON."""
        return {
            "identity_version": IDENTITY_VERSION,
            "task": self.task,
            "task_version": self.task_version,
            "kind": self.kind,
            "stage": self.stage,
            "regime": self.regime,
            "backbone": self.backbone,
            "weights": self.weights,
            "method": self.method.canonical(),
            "seed": self.seed,
            "protocol": dict(self.protocol),
            "data": {"source": self.data.source, "fingerprint": self.data.fingerprint},
        }

    @cached_property
    def id(self) -> str:
        """The sha256 of the identity as 64 hex digits."""
        return hashlib.sha256(canonical_json(self.identity()).encode("ascii")).hexdigest()

    @property
    def id8(self) -> str:
        """The first eight digits of the id: what users type and folders carry."""
        return self.id[:8]

    @cached_property
    def setting(self) -> Mapping[str, Value]:
        """The protocol as a mapping."""
        return dict(self.protocol)


@dataclass(frozen=True)
class PairFacts:
    """What is known of pairs of photos beside whether they show one person.

    photos: n pairs of image ids. partners: n ids of the person on the second photo; the first one's is the
    pair's group. folds: (n,) int32, the fold that tested the pair, from 0. cuts: (n,) float32, the score from
    which on the pair was answered with "same"; folds have their own.
    """

    photos: tuple[tuple[str, str], ...]
    partners: tuple[str, ...]
    folds: np.ndarray
    cuts: np.ndarray

    def take(self, rows: np.ndarray) -> PairFacts:
        """Return what is known of these pairs, in this order. rows: (m,) positions."""
        places = rows.tolist()
        return PairFacts(
            photos=tuple(self.photos[row] for row in places),
            partners=tuple(self.partners[row] for row in places),
            folds=self.folds[rows],
            cuts=self.cuts[rows],
        )


@dataclass(frozen=True)
class Predictions:
    """What a cell answered, item by item; every metric is a pure function of this.

    items: n ids. groups: n group ids (listing, person), or None where items stand alone.
    scores: (n, k) float32, higher is likelier. classes: k names.
    One class per item: truth is (n,) int32, index into classes; train_support (k,) int64, training images of
    each class (validation included).
    Many attributes per item: classes are attributes; truth is (n, k) int32, 1 for yes, 0 for no, -1 for a
    cell that was not observed and is not scored; train_support counts observed yes in train, known (k,) int64
    what was observed there at all; a score of at least its attribute's cut is a yes, cuts (k,) float32, None
    for one half.
    Pairs of photos: items are pairs, groups the first photo's people, truth is (n,) int32, 1 for one person
    and 0 for two; scores (n, 1), the higher the more alike, on any scale; train_support counts same pairs in
    train, known all of them; `pairs` says the rest.
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
            pairs=None if self.pairs is None else self.pairs.take(rows),
        )


@dataclass(frozen=True)
class CellResult:
    """What became of a cell.

    status: `ok`, `failed`, `timeout`, `oom` or `skipped`; `reason` says why when it is not `ok`.
    metrics: {"test": {...}, "val": {...}} of unrounded numbers, None where undefined.
    counts: images in train, val, test; not scored; quarantined; leaked (test bytes also in train).
    checks: what was found about its stage's data ("signal": ...). curves: points of ROC and PR curves.
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
