"""Paired bootstrap: metrics of cells on shared resamples of the same test items.

`bench compare`, leaderboards, effects, warnings and reports all estimate a `Contrast` of cells here, so that
the same question has one interval and one p.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from bench.compare.estimates import Contrast, Estimate, MetricSamples, SmallClasses, estimated
from bench.compare.pairing import DECISIONS, SCORES, Items, Pairing, Resamples, pairing_of
from bench.core.predictions import Predictions
from bench.metrics.groups import group_of
from bench.metrics.intervals import UNDEFINED, Interval
from bench.metrics.registry import METRICS, Mean

DRAWS = 2000
"""Number of resamples: 50 of them lie below the 2.5% quantile."""

FEW_CHANGES = 6
"""With fewer differing items no test is significant: 5 of 5 in one direction have p = .0625."""

_WEIGHTS_AT_ONCE = 1 << 22
"""Size of one block of resamples."""


@dataclass(eq=False)
class PairedBootstrap:
    """Measured cells of one stage that answered the same items; cells are named by their ids.

    values: number -> cell -> (n,), one for each item: those that metrics are means of, float32, with one
    class per item `placement` too, and DECISIONS and SCORES, uint64. supports: cell -> (k,) training
    images of each class, by which classes are many, medium or few. predictions: of cells whose single
    classes are compared. given: resamples to use instead of those of `draws` and `seed`.
    """

    kind: str
    items: Items
    draws: int = DRAWS
    seed: int = 0
    given: Resamples | None = None
    cells: list[str] = field(default_factory=list)
    values: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    supports: dict[str, np.ndarray] = field(default_factory=dict)
    predictions: dict[str, Predictions] = field(default_factory=dict)
    _drawn: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    _observed: dict[str, dict[str, float]] = field(default_factory=dict)
    _classes: dict[str, tuple[dict[str, np.ndarray], dict[str, np.ndarray]]] = field(default_factory=dict)
    _class_items: dict[tuple[str, str, str], np.ndarray | None] = field(default_factory=dict)
    _members: dict[tuple[str, bytes], np.ndarray] = field(default_factory=dict)
    _weights: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        kind: str,
        predictions: Mapping[str, Predictions],
        metrics: Iterable[str],
        draws: int | None = None,
        seed: int = 0,
        classes: bool = False,
        resamples: Resamples | None = None,
    ) -> PairedBootstrap:
        """Return the bootstrap of the predictions of cells, all on the same items in the same order.

        metrics: those to estimate. classes: whether to estimate single classes too. Names of the items
        are those of the first cell. Raises ValueError if a score is NaN.
        """
        first, metrics = next(iter(predictions.values())), list(metrics)
        # A pinned file names no groups.
        groups = next((pred.groups for pred in predictions.values() if pred.groups is not None), None)
        items, rows = Items.of(pairing_of(kind), replace(first, groups=groups))
        made = cls(kind, items, draws or DRAWS, seed, resamples)
        wanted = numbers_of(kind, metrics)
        for cell, pred in predictions.items():
            ordered = pred.take(rows)
            made.add(cell, made.pairing.item_values(ordered, wanted), pred.train_support)
            made.draw(cell, lambda ordered=ordered: ordered, metrics, classes)  # type: ignore[misc]
        return made

    @property
    def pairing(self) -> Pairing:
        """The kind's `Pairing`."""
        return pairing_of(self.kind)

    @cached_property
    def resamples(self) -> Resamples:
        """The resamples that all cells share."""
        return self.given or self.pairing.resamples(self.items, self.draws, self.seed)

    def add(self, cell: str, values: Mapping[str, np.ndarray], support: np.ndarray) -> None:
        """Add a cell: values of its items and support of its classes, in the order of `items`."""
        self.cells.append(cell)
        self.supports[cell] = support
        for number, own in values.items():
            self.values.setdefault(number, {})[cell] = own

    def draw(
        self, cell: str, predictions: Callable[[], Predictions], metrics: Iterable[str], classes: bool = False
    ) -> None:
        """Resample metrics that are not means over items, and those of single classes.

        predictions: returns those of the cell, items in our order; not called if nothing is left to resample.
        """
        left = [
            name
            for name in metrics
            if self.kind not in METRICS[name].means and not METRICS[name].no_bootstrap
        ]
        if not left and not classes:
            return
        pred = predictions()
        weighted = self.pairing.weighted(pred)
        whole, own = weighted(np.ones((1, len(pred.items)), np.float32))
        known = [name for name in left if name in whole and np.isfinite(whole[name][0])]
        if not known and not classes:
            return
        if not self._weights:
            self._weights = list(self._chunks())
        parts = [weighted(weights) for weights in self._weights]
        for name in known:
            self._drawn.setdefault(name, {})[cell] = np.concatenate([part[0][name] for part in parts])
            self._observed.setdefault(name, {})[cell] = float(whole[name][0])
        if classes:
            self.predictions[cell] = pred
            drawn = {name: np.concatenate([part[1][name] for part in parts]).T for name in own}
            self._classes[cell] = (drawn, {name: values[0] for name, values in own.items()})

    def drawn(self, metric: str) -> Mapping[str, np.ndarray]:
        """Return a metric of each cell on every resample, (rows,); without cells where it is undefined."""
        mean = METRICS[metric].means.get(self.kind)
        if metric not in self._drawn and mean is not None and mean.of in self.values:
            self._draw_means(mean.of)
        return self._drawn.get(metric, {})

    def observed(self, metric: str, cell: str) -> float:
        """Return a metric of a cell that `drawn` has, on the items as they are."""
        self.drawn(metric)
        return self._observed[metric][cell]

    def changed(self, metric: str, pairs: Iterable[tuple[str, str]]) -> int:
        """Return how many items count differently in a metric, in any of these pairs; n if unknown."""
        marks = self.values.get(counted_by(self.kind, metric))
        return len(self.items.ids) if marks is None else _differing(marks, pairs)

    def estimate(self, metric: str, contrast: Contrast, null: float = 0.0) -> Estimate | None:
        """Estimate a contrast in a metric, None without a bootstrap of it. null: value that p tests.

        The interval stays within the range of the metric, or of differences in it.
        """
        if not contrast.cells <= self.drawn(metric).keys():
            return None
        source = self.source(metric, contrast.cells)
        changed = self.changed(metric, contrast.pairs) if contrast.pairs else 0
        found = estimated(source, contrast, self.resamples, changed, null)
        return found.within(METRICS[metric].low, METRICS[metric].high, bool(contrast.pairs))

    def source(self, metric: str, cells: Set[str]) -> MetricSamples:
        """Return a metric of cells that `drawn` has, with all that an estimate of them needs."""
        number = counted_by(self.kind, metric)
        mean = METRICS[metric].means.get(self.kind)
        alone = mean is not None and mean == (number, "items") and self.items.groups is None
        hits = self.values[number] if alone else {}
        if not all(np.isin(hits[cell], (0, 1)).all() for cell in cells if hits):
            hits = {}
        bounded = METRICS[metric].high is not None
        own = self.drawn(metric), self._observed[metric], hits, self._small(metric, cells)
        return MetricSamples(*own, bounded=bounded)

    def class_estimate(self, metric: str, index: int, contrast: Contrast) -> Estimate | None:
        """Estimate a contrast in a metric of one class, None where it is undefined."""
        cells = contrast.cells
        drawn = {cell: self._classes[cell][0][metric][index] for cell in cells}
        observed = {cell: float(self._classes[cell][1][metric][index]) for cell in cells}
        if not np.isfinite([*observed.values()]).all():
            return None
        hits, small = {}, tuple[SmallClasses, ...]()
        for cell in cells:
            if (own := self._of_class("hits", cell, metric, index)) is not None:
                hits[cell] = own.astype(np.float32)
        if self.pairing.BY_CLASS and hits:
            size = self.items.counts[[index]]
            small = (SmallClasses(hits, size, size),)
        source = MetricSamples(drawn, observed, {} if self.items.groups else hits, small)
        changed = self.class_changed(metric, index, contrast.pairs)
        return estimated(source, contrast, self.resamples, changed).within(0.0, 1.0, bool(contrast.pairs))

    def class_changed(self, metric: str, index: int, pairs: Iterable[tuple[str, str]]) -> int:
        """Return how many items count differently for a class, in any of these pairs of cells."""
        pairs = list(pairs)
        marks = {}
        for cell in {cell for pair in pairs for cell in pair}:
            own = self._of_class("marks", cell, metric, index)
            assert own is not None
            marks[cell] = own
        return _differing(marks, pairs)

    def _of_class(self, what: str, cell: str, metric: str, index: int) -> np.ndarray | None:
        """Return a class's part of `class_hits` or `class_marks`, computed once for all classes of a cell."""
        if (key := (what, cell, metric)) not in self._class_items:
            compute = self.pairing.class_hits if what == "hits" else self.pairing.class_marks
            self._class_items[key] = compute(self.predictions[cell], metric)
        of_items = self._class_items[key]
        if of_items is None:
            return None
        if of_items.ndim > 1:
            return of_items[:, index]
        return of_items[self.items.ends[index] : self.items.ends[index + 1]]

    def _small(self, metric: str, cells: Set[str]) -> tuple[SmallClasses, ...]:
        info = METRICS[metric]
        mean = info.small.get(self.kind) or info.means.get(self.kind)
        if mean is None or mean.over == "items" or not cells <= self.values.get(mean.of, {}).keys():
            return ()
        counts, among = self.items.counts, self._among(mean.over, min(cells))
        numbers = self.values[mean.of]
        return (SmallClasses(numbers, counts[counts > 0], counts[among], mean.of == "placement"),)

    def _chunks(self) -> Iterator[np.ndarray]:
        return self.resamples.chunks(max(64, _WEIGHTS_AT_ONCE // max(len(self.items.ids), 1)))

    def _draw_means(self, number: str) -> None:
        """Resample all means of one item value in a single pass."""
        values = self.values[number]
        metrics: dict[str, Mean] = {
            name: info.means[self.kind]
            for name, info in METRICS.items()
            if self.kind in info.means and info.means[self.kind].of == number
        }
        overs = {mean.over for mean in metrics.values()}
        # The last column counts the items: a matrix product is much faster than a sum in double precision.
        numbers = np.stack([*values.values(), np.ones(len(self.items.ids), np.float32)], axis=1)
        among = {
            over: np.stack([self._among(over, cell) for cell in values], axis=1) for over in overs - {"items"}
        }

        def average(weights: np.ndarray) -> dict[str, np.ndarray]:
            out = self._over_classes(weights, numbers, among) if among else {}
            if "items" in overs:
                sums = weights @ numbers
                out["items"] = np.divide(sums[:, :-1], sums[:, -1:], dtype=np.float64)
            return out

        once = average(np.ones((1, len(numbers)), np.float32))
        # One row per cell.
        drawn = {over: np.empty((len(values), self.resamples.rows)) for over in overs}
        start = 0
        for weights in self._weights or self.resamples.chunks():
            for over, part in average(weights).items():
                drawn[over][:, start : start + len(weights)] = part.T
            start += len(weights)
        for name, mean in metrics.items():
            known = [(i, cell) for i, cell in enumerate(values) if np.isfinite(once[mean.over][0, i])]
            self._drawn[name] = {cell: drawn[mean.over][i] for i, cell in known}
            self._observed[name] = {cell: float(once[mean.over][0, i]) for i, cell in known}

    def _among(self, over: str, cell: str) -> np.ndarray:
        """Return the classes in a mean over all of them or over a group: (k,) bool."""
        support = self.supports[cell]
        key = (over, support.tobytes())
        if key not in self._members:
            among: np.ndarray = self.items.counts > 0
            if over != "classes":
                among = among & np.array([group_of(int(n)) == over for n in support])
            self._members[key] = among
        return self._members[key]

    def _over_classes(
        self, weights: np.ndarray, numbers: np.ndarray, among: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Return (draws, cells) means over classes; a class that a resample lacks is not in its mean.

        weights: (draws, n). numbers: (n, cells + 1), ones in the last column. among: (k, cells) bool, the
        classes of each cell's mean.
        """
        shape = (len(weights), numbers.shape[1] - 1)
        # Cells with the same training images share one column.
        inside = {
            over: table[:, :1] if (table == table[:, :1]).all() else table for over, table in among.items()
        }
        total = {over: np.zeros(shape) for over in among}
        count = {over: np.zeros((len(weights), table.shape[1])) for over, table in inside.items()}
        ends = self.items.ends
        # Reused for every class: allocation takes longer than the computation.
        sums = np.empty((shape[0], shape[1] + 1), np.result_type(weights, numbers))
        mean = np.empty(shape)
        for c in np.flatnonzero(self.items.counts):
            np.matmul(weights[:, ends[c] : ends[c + 1]], numbers[ends[c] : ends[c + 1]], out=sums)
            size = sums[:, -1:].astype(np.float64)
            np.multiply(sums[:, :-1], 1 / np.where(size > 0, size, 1.0), out=mean)
            for over, table in inside.items():
                if table[c].any():
                    total[over] += mean if table[c].all() else mean * table[c]
                    count[over] += (size > 0) & table[c]
        return {
            over: np.divide(total[over], count[over], out=np.full(shape, np.nan), where=count[over] > 0)
            for over in among
        }


def own_intervals(
    kind: str, pred: Predictions, metrics: Iterable[str], draws: int = DRAWS, seed: int = 0
) -> dict[str, Interval]:
    """Return the 95% interval of each metric of predictions, UNDEFINED where a bootstrap cannot draw it.

    It equals a leaderboard's interval of a cell with one seed. Raises ValueError if a score is NaN.
    """
    asked = list(metrics)
    if not pred.items:
        return dict.fromkeys(asked, UNDEFINED)
    bootstrap = PairedBootstrap.of(kind, {"own": pred}, asked, draws, seed)
    found = {name: bootstrap.estimate(name, Contrast.mean(["own"])) for name in asked}
    return {
        name: UNDEFINED if one is None or one.low is None or one.high is None else Interval(one.low, one.high)
        for name, one in found.items()
    }


def counted_by(kind: str, metric: str) -> str:
    """Return the item value that differs between two cells if an item counts differently in a metric."""
    info = METRICS[metric]
    mean = info.means.get(kind)
    hits = not info.score_based and mean is not None and mean.of in ("top1", "top5", "exact_match")
    if mean is not None and (hits or info.sets):
        return mean.of
    return SCORES if info.score_based else DECISIONS


def numbers_of(kind: str, metrics: Iterable[str]) -> frozenset[str]:
    """Return the item values that these metrics of a kind are computed from."""
    out = {"top1"}
    for metric in metrics:
        info = METRICS[metric]
        out |= {mean.of for table in (info.means, info.small) if (mean := table.get(kind)) is not None}
        out.add(counted_by(kind, metric))
    return frozenset(out)


def _differing(marks: Mapping[str, np.ndarray], pairs: Iterable[tuple[str, str]]) -> int:
    return int(np.any([marks[a] != marks[b] for a, b in pairs], axis=0).sum())
