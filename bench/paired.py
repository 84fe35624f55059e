"""The paired bootstrap: two sides' answers to the same items, and their differences on resamples of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from bench import stats
from bench.metrics import multiclass
from bench.metrics import scores as on_scores
from bench.metrics.placements import placements
from bench.spec import Predictions

T = TypeVar("T")

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
"""Metrics of one class per item that follow from answers and top-5 hits."""

SCORED = ("auc_macro", "log_loss")
"""Those that need scores too, and are means of a number each item has."""

CLASS_MEANS = {name: "top5" if name == "top5_macro" else "top1" for name in METRICS if name[-6:] != "_micro"}
"""Means over classes, and the hits by which the variance that small classes hide is judged."""

FEW_CHANGES = 6
"""With fewer items answered differently no test can tell: 5 of 5 in one direction have p = .0625."""

_WEIGHTS_AT_ONCE = 1 << 22
"""Of one block of resamples."""

_WAITING = 3
"""Blocks of resamples that are drawn ahead of those being worked on."""


@dataclass(frozen=True)
class Pair:
    """One seed's predictions on both sides, items in the same order, of a task with one class per item.

    scored: whether both sides' scores are what was predicted; a pinned file keeps the answers alone.
    """

    ours: Predictions
    theirs: Predictions
    scored: bool = False

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

    @cached_property
    def numbers(self) -> dict[str, np.ndarray]:
        """What each item adds to the difference of metrics of SCORED, (n,) each, where they are defined.

        `placement` is the difference of the items' own placements, see `bench.metrics.placements`.
        """
        if not self.scored:
            return {}
        out, sides = {}, (self.ours, self.theirs)
        with ThreadPoolExecutor(2) as pool:
            areas = list(pool.map(lambda side: placements(side.scores, side.truth), sides))
        if areas[0] is not None and areas[1] is not None:
            out["auc_macro"] = areas[0].macro - areas[1].macro
            out["placement"] = areas[0].own - areas[1].own
        if all(on_scores.are_probabilities(side.scores) for side in sides):
            ours, theirs = (_log_losses(side) for side in sides)
            out["log_loss"] = ours - theirs
        return out

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

    def rescored(self) -> np.ndarray:
        """Return which items have other scores, (n,) bool."""
        rescored: np.ndarray = (self.ours.scores != self.theirs.scores).any(axis=1)
        return rescored

    def rows(self, rows: np.ndarray) -> Pair:
        """Return the pair of these items, in this order."""
        return Pair(self.ours.take(rows), self.theirs.take(rows))

    def differences(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return ours - theirs of every metric of METRICS under (draws, n) weights: (draws,) each."""
        ours, theirs = (multiclass.weighted_summary(side, weights) for side in (self.ours, self.theirs))
        return {name: ours[name] - theirs[name] for name in METRICS}


@dataclass(frozen=True)
class Draws:
    """Differences on resamples, all on the same ones. metrics: name -> (seeds, draws).

    classes: (metric of a class, class) -> (seeds, draws), of those where enough has changed.
    """

    metrics: Mapping[str, np.ndarray]
    classes: Mapping[tuple[str, int], np.ndarray]


def draw(
    pairs: Sequence[Pair], changed: np.ndarray, groups: Sequence[str] | None, draws: int, seed: int
) -> Draws:
    """Resample the items, whole groups where there are groups, and return the differences of every seed.

    pairs: one per seed, all of the same items in the same order. changed: (n,) bool, any seed's. Classes are
    drawn that have FEW_CHANGES changes or more.
    """
    truth = pairs[0].ours.truth
    order = np.argsort(truth, kind="stable")
    inside = [_Sums(pair.rows(order)) for pair in pairs]
    large = np.flatnonzero(np.bincount(truth, changed, len(pairs[0].ours.classes)) >= FEW_CHANGES)
    scored = [name for name in SCORED if all(name in pair.numbers for pair in pairs)]
    # Centred, so that single precision loses nothing.
    means = {name: [float(pair.numbers[name].mean()) for pair in pairs] for name in scored}
    numbers = [
        (pair.numbers[name][order] - mean).astype(np.float32)
        for name in scored
        for pair, mean in zip(pairs, means[name], strict=True)
    ]
    table = np.stack(numbers) if numbers else None

    def work(rows: np.ndarray) -> tuple[dict[str, np.ndarray], dict[tuple[str, int], np.ndarray]]:
        # One item is one row of memory: picked and added up as a whole.
        turned = np.ascontiguousarray(rows.T)
        sides = [own.counts(turned) for own in inside]
        drawn = [_gaps(*own, pairs[0].ours.train_support) for own in sides]
        metrics = {name: np.stack([differences[name] for differences in drawn]) for name in METRICS}
        if table is not None:
            weighed = (table @ turned) / rows.sum(axis=1, dtype=np.float64)
            for index, name in enumerate(scored):
                own = weighed[index * len(pairs) : (index + 1) * len(pairs)]
                metrics[name] = own + np.array(means[name])[:, None]
        classes: dict[tuple[str, int], np.ndarray] = {}
        for hits in pairs[0].hits:
            recalls = [[side.recall if hits == "top1" else side.recall5 for side in own] for own in sides]
            gaps = np.stack([ours - theirs for ours, theirs in recalls])
            classes |= {(hits, int(c)): gaps[:, :, c] for c in large}
        return metrics, classes

    grouped = None if groups is None else [groups[row] for row in order]
    chunk = max(1, _WEIGHTS_AT_ONCE // len(order))
    parts = list(ahead(work, stats.bootstrap_chunks(len(order), draws, seed, grouped, chunk=chunk)))
    drawn = {name: np.concatenate([part[0][name] for part in parts], axis=1) for name in parts[0][0]}
    once = [pair.differences(np.ones((1, len(truth)))) for pair in pairs]
    observed = {name: [float(own[name][0]) for own in once] for name in METRICS} | means
    return Draws(
        metrics={name: _completed(name, values, pairs, observed[name]) for name, values in drawn.items()},
        classes={key: np.concatenate([part[1][key] for part in parts], axis=1) for key in parts[0][1]},
    )


class _Sums:
    """Adds up what both sides of a pair hit and answered on resamples; items stand in class order."""

    def __init__(self, pair: Pair) -> None:
        truth, k = pair.ours.truth, len(pair.ours.classes)
        self.k, self.present = k, np.unique(truth)
        self.ends = np.searchsorted(truth, np.arange(k + 1))
        hits = [side for sides in pair.hits.values() for side in sides]
        self.table = np.stack([np.ones(len(truth), bool), *hits]).astype(np.float32)
        self.five = "top5" in pair.hits
        self.wrong = []
        for answers in pair.answers:
            # Right answers are hits, which are added up already.
            wrong = np.flatnonzero(answers != truth)
            order = wrong[np.argsort(answers[wrong], kind="stable")]
            classes, starts = np.unique(answers[order], return_index=True)
            self.wrong.append((order, classes, starts))

    def counts(self, turned: np.ndarray) -> tuple[multiclass.Counts, multiclass.Counts]:
        """Return both sides' counts. turned: (n, draws) how often each item is drawn."""
        sums = np.zeros((len(self.table), turned.shape[1], self.k))
        for c in self.present:
            block = slice(self.ends[c], self.ends[c + 1])
            sums[:, :, c] = self.table[:, block] @ turned[block]
        sides = []
        for side, (order, classes, starts) in enumerate(self.wrong):
            predicted = sums[1 + side].copy()
            if len(order):
                predicted[:, classes] += np.add.reduceat(turned[order], starts, axis=0).T
            hits5 = sums[3 + side] if self.five else np.full(predicted.shape, np.nan)
            sides.append(multiclass.Counts(sums[0], sums[1 + side], hits5, predicted))
        return sides[0], sides[1]


def _gaps(
    ours: multiclass.Counts, theirs: multiclass.Counts, train_support: np.ndarray
) -> dict[str, np.ndarray]:
    mine, other = (multiclass.of_counts(side, train_support) for side in (ours, theirs))
    return {name: mine[name] - other[name] for name in METRICS}


def ahead(work: Callable[[np.ndarray], T], chunks: Iterable[np.ndarray]) -> Iterator[T]:
    """Yield what a second thread makes of each chunk, in order, while the next ones are drawn."""
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(1) as pool:
        for rows in chunks:
            waiting.append(pool.submit(work, rows))
            if len(waiting) > _WAITING:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _log_losses(pred: Predictions) -> np.ndarray:
    """Return -log of each item's score for its true class, (n,) float64, as `on_scores.log_loss` takes it."""
    own = pred.scores[np.arange(len(pred.truth)), pred.truth].clip(np.finfo(pred.scores.dtype).eps, 1)
    losses: np.ndarray = -np.log(own.astype(np.float64))
    return losses


def _completed(name: str, values: np.ndarray, pairs: Sequence[Pair], observed: Sequence[float]) -> np.ndarray:
    """Return drawn differences, (seeds, draws), with what a mean over small classes lacks.

    observed: each seed's difference on the items themselves. See `stats.completed`; a class of n items lacks
    v / n^2, where v is the variance of an item's difference about its class's mean, pooled over all classes.
    """
    truth, support = pairs[0].ours.truth, pairs[0].ours.train_support
    counts = np.bincount(truth, minlength=len(support))
    group = name.removesuffix("_top1") if name.endswith("_top1") else None
    in_group = np.array([group in (None, multiclass.group_of(int(n))) for n in support])
    hits, sizes = CLASS_MEANS.get(name), counts[in_group & (counts > 0)].astype(np.float64)
    if (hits not in pairs[0].hits and name != "auc_macro") or not len(sizes):
        return values
    share = float((1.0 / sizes**2).sum()) / len(sizes) ** 2
    order = np.argsort(truth, kind="stable")
    out = []
    for drawn, pair, own in zip(values, pairs, observed, strict=True):
        gap = pair.numbers["placement"] if hits is None else pair.gap(hits).astype(np.float64)
        pooled = stats.within_classes(gap[order][None], counts[counts > 0], each=hits is None)
        out.append(stats.completed(drawn, own, float(pooled[0]) * share))
    return np.stack(out)
