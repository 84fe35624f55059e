"""Cells that answered the same test items, and their metrics on shared resamples of these items.

Every cell is drawn on the same resamples, so that any two of them are compared as `bench compare` compares a
run with a pinned one: paired, item by item.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bench import stats
from bench.kinds.base import get_kind
from bench.metrics import multiclass
from bench.spec import Predictions

DRAWS = 2000
"""Bootstrap resamples: the 2.5% quantile then rests on 50 of them."""

MEANS: Mapping[str, tuple[str, str]] = {
    "top1_micro": ("top1", "items"),
    "f1_micro": ("top1", "items"),
    "recall_weighted": ("top1", "items"),
    "top5_micro": ("top5", "items"),
    "log_loss": ("log_loss", "items"),
    "top1_macro": ("top1", "classes"),
    "recall_macro": ("top1", "classes"),
    "balanced_accuracy": ("top1", "classes"),
    "top5_macro": ("top5", "classes"),
    "many_top1": ("top1", "many"),
    "medium_top1": ("top1", "medium"),
    "few_top1": ("top1", "few"),
}
"""Metrics that are means of a number each item has: of which number, over what. Drawn by one product of
matrices for all cells, where any other metric is drawn cell by cell."""


@dataclass(frozen=True, eq=False)
class Items:
    """Test items in one order: by class, then by id.

    ids: n. groups: n ids of what belongs together, or None. truth: (n,) int32. classes: k names.
    """

    ids: tuple[str, ...]
    groups: tuple[str, ...] | None
    truth: np.ndarray
    classes: tuple[str, ...]

    def ends(self) -> np.ndarray:
        """Return where the items of each class begin, and where the last one's end: (k + 1,) int64."""
        ends: np.ndarray = np.searchsorted(self.truth, np.arange(len(self.classes) + 1))
        return ends


@dataclass(eq=False)
class Contest:
    """Measured cells of one stage that answered the same items; cells are named by their ids.

    values: number -> cell -> (n,) float32, one for each item (`top1`, `top5`, `log_loss`).
    supports: cell -> (k,) training images of each class, by which classes are many, medium or few.
    """

    kind: str
    items: Items
    draws: int = DRAWS
    seed: int = 0
    cells: list[str] = field(default_factory=list)
    values: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    supports: dict[str, np.ndarray] = field(default_factory=dict)
    _drawn: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    _observed: dict[str, dict[str, float]] = field(default_factory=dict)
    _weights: np.ndarray | None = None

    def add(self, cell: str, values: Mapping[str, np.ndarray], support: np.ndarray) -> None:
        """Take in a cell: numbers of its items and support of its classes, in the order of `items`."""
        self.cells.append(cell)
        self.supports[cell] = support
        for number, own in values.items():
            self.values.setdefault(number, {})[cell] = own

    def add_drawn(self, cell: str, pred: Predictions, metrics: Sequence[str]) -> None:
        """Draw metrics that are no means of items' numbers from a cell's predictions, items in our order."""
        draw = get_kind(self.kind).weighted_summary
        once = draw(pred, np.ones((1, len(pred.items)), np.float32))
        known = [metric for metric in metrics if metric in once and np.isfinite(once[metric][0])]
        if not known:
            return
        if self._weights is None:
            self._weights = np.concatenate(list(self._resamples()))
        drawn = draw(pred, self._weights)
        for metric in known:
            self._drawn.setdefault(metric, {})[cell] = drawn[metric]
            self._observed.setdefault(metric, {})[cell] = float(once[metric][0])

    def drawn(self, metric: str) -> Mapping[str, np.ndarray]:
        """Return a metric of each cell on every resample, (draws,); without cells where it is undefined.

        Empty for a metric that is not drawn: a ROC area, the calibration error.
        """
        number, over = self._mean(metric)
        if metric not in self._drawn and number:
            self._drawn[metric], self._observed[metric] = self._means(self.values[number], over)
        return self._drawn.get(metric, {})

    def observed(self, metric: str, cell: str) -> float:
        """Return a metric of a cell that `drawn` has, on the items as they are."""
        self.drawn(metric)
        return self._observed[metric][cell]

    def spread(self, metric: str, cell: str) -> np.ndarray:
        """Return what `drawn` gives of a cell, with the variance that means over small classes lack."""
        return self._completed(metric, self.drawn(metric)[cell], self.observed(metric, cell), cell)

    def difference(self, metric: str, ours: str, theirs: str) -> np.ndarray:
        """Return ours - theirs of two cells that `drawn` has on every resample, (draws,), spread likewise."""
        drawn = self.drawn(metric)
        gap = self.observed(metric, ours) - self.observed(metric, theirs)
        return self._completed(metric, drawn[ours] - drawn[theirs], gap, ours, theirs)

    def changed(self, metric: str, pairs: Iterable[tuple[str, str]]) -> int:
        """Return how many items count otherwise in a metric, in any of these pairs of cells; n if not known.

        Of a metric that is no mean of items' numbers, those whose answer is right on one side alone.
        """
        number = MEANS.get(metric, ("top1", ""))[0]
        if number not in self.values:
            return len(self.items.ids)
        own = self.values[number]
        differ = [own[ours] != own[theirs] for ours, theirs in pairs]
        return int(np.any(differ, axis=0).sum())

    def _resamples(self) -> Iterator[np.ndarray]:
        return stats.bootstrap_chunks(len(self.items.ids), self.draws, self.seed, self.items.groups)

    def _mean(self, metric: str) -> tuple[str, str]:
        number, over = MEANS.get(metric, ("", ""))
        return (number, over) if number in self.values else ("", "")

    def _means(
        self, values: Mapping[str, np.ndarray], over: str
    ) -> tuple[dict[str, np.ndarray], dict[str, float]]:
        numbers = np.stack(list(values.values()), axis=1)
        among = np.stack([self._among(over, cell) for cell in values], axis=1)

        def average(weights: np.ndarray) -> np.ndarray:
            if over != "items":
                return self._over_classes(weights, numbers, among)
            means: np.ndarray = (weights @ numbers) / weights.sum(axis=1, dtype=np.float64)[:, None]
            return means

        once = average(np.ones((1, len(numbers)), np.float32))[0]
        if np.isnan(once).all():
            return {}, {}
        drawn = np.concatenate([average(weights) for weights in self._resamples()])
        known = [(i, cell) for i, cell in enumerate(values) if np.isfinite(once[i])]
        return {cell: drawn[:, i] for i, cell in known}, {cell: float(once[i]) for i, cell in known}

    def _among(self, over: str, cell: str) -> np.ndarray:
        """Return which classes a mean over all of them, or over a group, is made of: (k,) bool."""
        scored: np.ndarray = np.diff(self.items.ends()) > 0
        if over in ("items", "classes"):
            return scored
        group = np.array([multiclass.group_of(int(n)) == over for n in self.supports[cell]])
        among: np.ndarray = scored & group
        return among

    def _over_classes(self, weights: np.ndarray, numbers: np.ndarray, among: np.ndarray) -> np.ndarray:
        """Return (draws, cells) means over classes; a class that a resample lacks is not in its mean.

        weights: (draws, n). numbers: (n, cells). among: (k, cells) bool, the classes of each cell's mean.
        """
        shape = (len(weights), numbers.shape[1])
        total, count = np.zeros(shape), np.zeros(shape)
        ends = self.items.ends()
        for c in np.flatnonzero(among.any(axis=1)):
            part = weights[:, ends[c] : ends[c + 1]]
            size = part.sum(axis=1, dtype=np.float64)[:, None]
            mean = (part @ numbers[ends[c] : ends[c + 1]]) / np.where(size > 0, size, 1.0)
            total += mean * among[c]
            count += (size > 0) & among[c]
        means: np.ndarray = np.divide(total, count, out=np.full(shape, np.nan), where=count > 0)
        return means

    def _completed(
        self, metric: str, drawn: np.ndarray, observed: float, ours: str, theirs: str | None = None
    ) -> np.ndarray:
        """Return drawn values as `stats.completed` spreads them, where the metric is a mean over classes.

        A class of n items lacks v / n^2, where v is the variance of an item's number about its class's mean,
        pooled over all classes; F1 and precision are judged by top-1.
        """
        number, over = MEANS.get(metric, ("top1", "classes" if metric.endswith("_macro") else "items"))
        if over == "items" or number not in self.values:
            return drawn
        own = self.values[number][ours]
        gap = own if theirs is None else own - self.values[number][theirs]
        truth, counts = self.items.truth, np.diff(self.items.ends())
        sizes = counts[self._among(over, ours)]
        share = float((1.0 / sizes**2).sum()) / len(sizes) ** 2
        freedom = len(truth) - np.count_nonzero(counts)
        means = np.bincount(truth, gap, minlength=len(counts)) / np.maximum(counts, 1)
        pooled = ((gap - means[truth]) ** 2).sum() / freedom if freedom else (gap**2).mean()
        return stats.completed(drawn, observed, float(pooled) * share)
