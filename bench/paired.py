"""The paired bootstrap: two sides' answers to the same items, and their differences on resamples of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bench import stats
from bench.metrics import multiclass
from bench.spec import Predictions

METRICS = (
    "top1_micro",
    "top1_macro",
    "top5_micro",
    "top5_macro",
    "f1_macro",
    "many_top1",
    "medium_top1",
    "few_top1",
)
"""Metrics that are drawn: all that follow from answers and top-5 hits."""

CLASS_MEANS = {name: "top5" if name == "top5_macro" else "top1" for name in METRICS if name[-6:] != "_micro"}
"""Means over classes, and the hits by which the variance that small classes hide is judged."""

FEW_CHANGES = 6
"""With fewer items answered differently no test can tell: 5 of 5 in one direction have p = .0625."""

_WEIGHTS_AT_ONCE = 1 << 23


@dataclass(frozen=True)
class Pair:
    """One seed's predictions on both sides, items in the same order."""

    ours: Predictions
    theirs: Predictions

    @cached_property
    def answers(self) -> tuple[np.ndarray, np.ndarray]:
        """The class each side answers with, (n,) int64 each."""
        return self.ours.scores.argmax(axis=1), self.theirs.scores.argmax(axis=1)

    @cached_property
    def hits(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Who hit which item, (n,) bool each: `top1`, and `top5` where it is defined."""
        ours, theirs = multiclass.hits(self.ours), multiclass.hits(self.theirs)
        sides = zip(("top1", "top5"), ours, theirs, strict=True)
        return {name: (a, b) for name, a, b in sides if a is not None and b is not None}

    def gap(self, hits: str) -> np.ndarray:
        """Return 1 where we alone hit, -1 where they alone did, else 0: (n,) float32."""
        ours, theirs = self.hits[hits]
        gap: np.ndarray = np.subtract(ours, theirs, dtype=np.float32)
        return gap

    def changed(self) -> np.ndarray:
        """Return which items are answered differently, in the answer or in the top five: (n,) bool."""
        changed: np.ndarray = self.answers[0] != self.answers[1]
        for ours, theirs in self.hits.values():
            changed = changed | (ours != theirs)
        return changed

    def rows(self, rows: np.ndarray) -> Pair:
        """Return the pair of these items, in this order."""
        return Pair(taken(self.ours, rows), taken(self.theirs, rows))

    def differences(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return ours - theirs of every drawn metric under (draws, n) weights: (draws,) each."""
        ours, theirs = (multiclass.weighted_summary(side, weights) for side in (self.ours, self.theirs))
        return {name: ours[name] - theirs[name] for name in METRICS}


def taken(pred: Predictions, rows: np.ndarray) -> Predictions:
    """Return the predictions of these items, in this order, without their groups."""
    items = tuple(pred.items[row] for row in rows)
    return replace(pred, items=items, groups=None, truth=pred.truth[rows], scores=pred.scores[rows])


@dataclass(frozen=True)
class Draws:
    """Differences on resamples, all on the same ones. metrics: name -> (seeds, draws).

    classes: (`top1` or `top5`, class) -> (seeds, draws), for classes with FEW_CHANGES changes or more.
    """

    metrics: Mapping[str, np.ndarray]
    classes: Mapping[tuple[str, int], np.ndarray]


def draw(
    pairs: Sequence[Pair], changed: np.ndarray, groups: Sequence[str] | None, draws: int, seed: int
) -> Draws:
    """Resample the items, whole groups where there are groups, and return the differences of every seed.

    pairs: one per seed, all of the same items in the same order. changed: (n,) bool, any seed's.
    """
    truth, k = pairs[0].ours.truth, len(pairs[0].ours.classes)
    first, kinds = _kinds(pairs)
    few = [pair.rows(first) for pair in pairs]
    gaps = {hits: np.stack([pair.gap(hits) for pair in few], axis=1) for hits in pairs[0].hits}
    ends = np.searchsorted(truth[first], np.arange(k + 1))
    large = np.flatnonzero(np.bincount(truth, changed, minlength=k) >= FEW_CHANGES)
    metrics: dict[str, list[np.ndarray]] = {name: [] for name in METRICS}
    classes: dict[tuple[str, int], list[np.ndarray]] = {(hits, int(c)): [] for hits in gaps for c in large}
    chunk = max(1, _WEIGHTS_AT_ONCE // len(first))
    for weights in stats.bootstrap_chunks(len(truth), draws, seed, groups, kinds, chunk):
        by_seed = [pair.differences(weights) for pair in few]
        for name, parts in metrics.items():
            parts.append(np.stack([differences[name] for differences in by_seed]))
        for (hits, c), parts in classes.items():
            part, gap = weights[:, ends[c] : ends[c + 1]], gaps[hits][ends[c] : ends[c + 1]]
            total = part.sum(axis=1, keepdims=True)
            parts.append(
                np.divide(part @ gap, total, out=np.full((len(part), len(few)), np.nan), where=total > 0).T
            )
    drawn = {name: np.concatenate(parts, axis=1) for name, parts in metrics.items()}
    once = [pair.differences(np.ones((1, len(truth)))) for pair in pairs]
    return Draws(
        metrics={
            name: _completed(name, values, pairs, [float(own[name][0]) for own in once])
            for name, values in drawn.items()
        },
        classes={key: np.concatenate(parts, axis=1) for key, parts in classes.items()},
    )


def _kinds(pairs: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray]:
    """Sort the items into kinds that no metric can tell apart, ordered by class.

    Returns the first item of each kind, (m,), and the kind of each item, (n,): most items are right on both
    sides with every seed, so that there are far fewer kinds than items to weigh.
    """
    features = [pairs[0].ours.truth]
    for pair in pairs:
        features += [*pair.answers, *(hits for sides in pair.hits.values() for hits in sides)]
    _, first, kinds = np.unique(np.stack(features, axis=1), axis=0, return_index=True, return_inverse=True)
    return first, kinds


def _completed(name: str, values: np.ndarray, pairs: Sequence[Pair], observed: Sequence[float]) -> np.ndarray:
    """Return drawn differences, (seeds, draws), with what a mean over small classes lacks.

    observed: each seed's difference on the items themselves. See `stats.completed`; a class of n items lacks
    v / n^2, where v is the variance of an item's difference about its class's mean, pooled over all classes.
    """
    truth, support = pairs[0].ours.truth, pairs[0].ours.train_support
    counts = np.bincount(truth, minlength=len(support))
    group = name.removesuffix("_top1") if name.endswith("_top1") else None
    in_group = np.array([group in (None, multiclass.group_of(int(n))) for n in support])
    hits, sizes = CLASS_MEANS.get(name), counts[in_group & (counts > 0)]
    if hits not in pairs[0].hits or not len(sizes):
        return values
    share = float((1.0 / sizes**2).sum()) / len(sizes) ** 2
    freedom = len(truth) - np.count_nonzero(counts)
    out = []
    for drawn, pair, own in zip(values, pairs, observed, strict=True):
        gap = pair.gap(hits)
        means = np.bincount(truth, gap, minlength=len(counts)) / np.maximum(counts, 1)
        pooled = ((gap - means[truth]) ** 2).sum() / freedom if freedom else (gap**2).mean()
        out.append(stats.completed(drawn, own, float(pooled) * share))
    return np.stack(out)
