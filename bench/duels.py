"""Two sides that answered the same items, whatever the kind: what differs, and rows with interval and p."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Protocol

import numpy as np

from bench import stats
from bench.comparison import FEW_ITEMS, SAME, Comparison, counted, defined, judged, judged_classes
from bench.kinds.base import get_kind
from bench.metrics.registry import get_metric, metrics_of
from bench.paired import FEW_CHANGES, METRICS, SCORED, Draws, Pair, draw
from bench.paired_attributes import AttributePair, class_metrics, draw_attributes
from bench.paired_photos import PhotoPair, draw_people
from bench.spec import Predictions

DRAWS = 10_000
"""Bootstrap resamples of the items: the 2.5% quantile then rests on 250 of them."""

SHARES = {"top1_micro": "top1", "top5_micro": "top5"}
"""Metrics that are a share of hits: with one seed they have McNemar's exact p."""

BLIND = (*SCORED, "ece")
"""Metrics of one class per item that a side without scores has no part in."""

BY_SCORES = ("auc", "map", "ap", "many_auc", "medium_auc", "few_auc", "log_loss", "ece", "eer", "tar_")
"""How metrics are called, or begin, that look at scores and not at what is decided by them."""


class Duel(Protocol):
    """One seed or several of two sides. index: of a class; None stands for all of them."""

    @property
    def names(self) -> tuple[str, ...]:
        """The classes."""
        ...

    @property
    def scored(self) -> bool:
        """Whether scores can be compared."""
        ...

    def changes(self, metric: str, index: int | None) -> int:
        """Return how many items the sides answer, or score, differently as the metric sees it."""
        ...

    def drawn(self, metric: str, index: int | None) -> np.ndarray | None:
        """Return differences on resamples, (seeds, draws), None where nothing is drawn."""
        ...

    def tosses(self, metric: str, index: int | None) -> tuple[int, int] | None:
        """Return how many items one side alone got right, ours first, where the metric counts these."""
        ...

    def classes(self, template: Comparison) -> list[Comparison]:
        """Return a row for each class and metric of a class, without interval."""
        ...


class ClassDuel:
    """Items with one class each. See `draw`."""

    def __init__(self, pairs: Sequence[Pair], groups: Sequence[str] | None, draws: int, seed: int) -> None:
        self.pairs, self.names, self.scored = pairs, pairs[0].ours.classes, pairs[0].scored
        self.truth = pairs[0].ours.truth
        self.changed = np.any([pair.changed() for pair in pairs], axis=0)
        self._how = (groups, draws, seed)

    @cached_property
    def draws(self) -> Draws:
        """All draws, made when the first is asked for."""
        return draw(self.pairs, self.changed, *self._how)

    @cached_property
    def rescored(self) -> np.ndarray:
        """Which items have other scores, (n,) bool."""
        rescored: np.ndarray = np.any([pair.rescored() for pair in self.pairs], axis=0)
        return rescored

    def changes(self, metric: str, index: int | None) -> int:
        """See `Duel`."""
        changed = self.rescored if metric in BLIND else self.changed
        return int(changed.sum() if index is None else (changed & (self.truth == index)).sum())

    def drawn(self, metric: str, index: int | None) -> np.ndarray | None:
        """See `Duel`."""
        return self.draws.metrics.get(metric) if index is None else self.draws.classes.get((metric, index))

    def tosses(self, metric: str, index: int | None) -> tuple[int, int] | None:
        """See `Duel`."""
        hits = SHARES.get(metric) if index is None else metric
        if hits is None or len(self.pairs) > 1 or hits not in self.pairs[0].hits:
            return None
        return _won(self.pairs[0].gap(hits), slice(None) if index is None else self.truth == index)

    def classes(self, template: Comparison) -> list[Comparison]:
        """Return a row for each class with test items and each of top-1 and top-5."""
        rows = []
        for metric in self.pairs[0].hits:
            ours, theirs = (
                np.mean([pair.hits[metric][side] for pair in self.pairs], axis=0) for side in (0, 1)
            )
            for index, name in enumerate(self.pairs[0].ours.classes):
                of_class = self.truth == index
                if n := int(of_class.sum()):
                    sides = float(ours[of_class].mean()), float(theirs[of_class].mean())
                    rows.append(_class_row(template, metric, name, n, *sides))
        return rows


class AttributeDuel:
    """Items with many attributes. See `draw_attributes`."""

    def __init__(
        self, pairs: Sequence[AttributePair], groups: Sequence[str] | None, draws: int, seed: int
    ) -> None:
        self.pairs, self.names, self.scored = pairs, pairs[0].ours.classes, True
        self.changed = np.any([pair.changed() for pair in pairs], axis=0)
        self.rescored = np.any([pair.rescored() for pair in pairs], axis=0)
        self._how = (groups, draws, seed)

    @cached_property
    def draws(self) -> Draws:
        """All draws, made when the first is asked for."""
        return draw_attributes(self.pairs, *self._how)

    def changes(self, metric: str, index: int | None) -> int:
        """See `Duel`."""
        cells = self.rescored if metric.startswith(BY_SCORES) else self.changed
        return int(cells.any(axis=1).sum() if index is None else cells[:, index].sum())

    def drawn(self, metric: str, index: int | None) -> np.ndarray | None:
        """See `Duel`."""
        return self.draws.metrics.get(metric) if index is None else self.draws.classes.get((metric, index))

    def tosses(self, metric: str, index: int | None) -> tuple[int, int] | None:
        """See `Duel`."""
        if metric != ("exact_match" if index is None else "accuracy") or len(self.pairs) > 1:
            return None
        return _won(self.pairs[0].gap(index), slice(None))

    def classes(self, template: Comparison) -> list[Comparison]:
        """Return a row for each attribute with scored cells and each metric of `class_metrics`."""
        kind = get_kind(self.pairs[0].kind)
        rows = []
        sides = [[kind.per_class(side) for side in (pair.ours, pair.theirs)] for pair in self.pairs]
        for metric in class_metrics(kind):
            for index, name in enumerate(self.pairs[0].ours.classes):
                values = [[rows_[index][metric] for rows_ in pair] for pair in sides]
                n = sides[0][0][index]["test_support"]
                if n and all(None not in pair for pair in values):
                    ours, theirs = (float(np.mean([pair[side] for pair in values])) for side in (0, 1))
                    rows.append(_class_row(template, metric, name, n, ours, theirs))
        return rows


class PhotoDuel:
    """Pairs of photos. See `draw_people`. People are no classes that sides are compared by."""

    def __init__(self, pairs: Sequence[PhotoPair], draws: int, seed: int) -> None:
        self.pairs, self.names, self.scored = pairs, pairs[0].ours.classes, True
        self.changed = int(np.any([pair.changed() for pair in pairs], axis=0).sum())
        self.rescored = int(np.any([pair.rescored() for pair in pairs], axis=0).sum())
        self._how = (draws, seed)

    @cached_property
    def draws(self) -> dict[str, np.ndarray]:
        """All draws, made when the first is asked for."""
        return draw_people(self.pairs, *self._how)

    def changes(self, metric: str, index: int | None) -> int:
        """See `Duel`."""
        return self.rescored if metric.startswith(BY_SCORES) else self.changed

    def drawn(self, metric: str, index: int | None) -> np.ndarray | None:
        """See `Duel`."""
        return self.draws.get(metric)

    def tosses(self, metric: str, index: int | None) -> tuple[int, int] | None:
        """See `Duel`: pairs that share people are no separate tosses."""
        return None

    def classes(self, template: Comparison) -> list[Comparison]:
        """See `Duel`."""
        return []


def duel(
    kind: str,
    pairs: Sequence[tuple[Predictions, Predictions]],
    scored: bool,
    groups: Sequence[str] | None,
    draws: int | None,
    seed: int,
) -> Duel:
    """Return the duel of one pair of predictions per seed, all of the same items in the same order.

    scored: whether all scores are what was predicted, and not made up to give the answers. draws: None for
    DRAWS.
    """
    draws = draws or DRAWS
    if kind == "multiclass":
        return ClassDuel([Pair(*sides, scored) for sides in pairs], groups, draws, seed)
    if kind == "verification":
        return PhotoDuel([PhotoPair(*sides) for sides in pairs], draws, seed)
    return AttributeDuel([AttributePair(*sides, kind) for sides in pairs], groups, draws, seed)


def shown_metrics(kind: str) -> tuple[str, ...]:
    """Return the metrics of a whole stage that two sides are compared by, in the order of their rows."""
    if kind == "multiclass":
        return (*METRICS, *BLIND)
    return tuple(name for name in metrics_of(kind) if get_metric(name).compared)


def decided(
    fight: Duel, rows: Sequence[Comparison], template: Comparison, seeds: int, seed: int
) -> list[Comparison]:
    """Return the rows of the whole stage with interval, p and verdict, and then those of its classes."""
    whole = [_summary(fight, row, seeds, seed) for row in rows]
    places = {name: index for index, name in enumerate(fight.names)}
    classes = fight.classes(template)
    return whole + judged_classes(
        [_decided(fight, row, places[str(row.class_name)], seeds, seed) for row in classes]
    )


def undecided(row: Comparison, why: str) -> Comparison:
    """Return the row without a verdict, and why there is none."""
    return replace(row, verdict=None, why=why)


def _summary(fight: Duel, row: Comparison, seeds: int, seed: int) -> Comparison:
    if row.difference is None:
        return undecided(row, "undefined on one side")
    if row.metric in BLIND and not fight.scored:
        return undecided(row, "a pinned file holds no scores to draw from")
    return judged(_decided(fight, row, None, seeds, seed))


def _decided(fight: Duel, row: Comparison, index: int | None, seeds: int, seed: int) -> Comparison:
    """Add interval and p; the verdict of a class waits for the other classes."""
    changes = fight.changes(row.metric, index)
    if not changes:
        return replace(row, verdict=SAME, why="same answers")
    if row.class_name is not None and (row.n_ours or 0) < FEW_ITEMS:
        return row
    if changes < FEW_CHANGES:
        return replace(row, verdict=SAME, why=f"only {counted(changes, 'item')} answered differently")
    drawn = fight.drawn(row.metric, index)
    if drawn is None:
        return undecided(row, "no bootstrap draws it")
    values = stats.nested_means(drawn, seed + 1)
    interval, p = stats.percentile_interval(values), stats.bootstrap_p(values)
    if seeds == 1 and (tosses := fight.tosses(row.metric, index)) is not None:
        p = stats.mcnemar(*tosses)
    return replace(row, low=defined(interval.low), high=defined(interval.high), p=defined(p))


def _class_row(
    template: Comparison, metric: str, name: str, n: int, ours: float, theirs: float
) -> Comparison:
    row = replace(template, metric=metric, class_name=name, n_ours=n, n_theirs=n)
    return replace(row, ours=ours, theirs=theirs, difference=ours - theirs)


def _won(gap: np.ndarray, where: np.ndarray | slice) -> tuple[int, int]:
    return int((gap[where] > 0).sum()), int((gap[where] < 0).sum())
