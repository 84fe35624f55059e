"""Metrics of runs on subgroups of the test items, and the gap between the worst and the best subgroup.

All subgroups share the resamples of the whole test set, so that grouped items (a listing, a person) are
resampled together even if they are in two subgroups. A gap is chosen among many: its interval and p are those
of the largest of all differences between two subgroups (single-step max-t, Westfall and Young 1993,
Resampling-based multiple testing; Hothorn, Bretz and Westfall 2008, Biometrical Journal 50:346).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from bench.compare.estimates import Contrast, Estimate, MetricSamples, estimated
from bench.compare.paired_bootstrap import DRAWS, PairedBootstrap
from bench.compare.pairing import Items, Resamples, pairing_of
from bench.compare.verdict import ALPHA, FEW_ITEMS
from bench.core.errors import BenchError
from bench.core.kind import get_kind
from bench.core.predictions import Predictions
from bench.metrics import bootstrap, intervals
from bench.metrics.registry import get_metric

UNKNOWN = ""
"""The subgroup of items without a value; it takes no part in gaps."""

DIFFERENT, SAME = "different", "same"
"""Verdicts on a gap."""

MOST = 200
"""Maximum number of subgroups with at least FEW_ITEMS items; a column with more identifies items, not
subgroups."""


@dataclass(frozen=True)
class _Subset:
    """Resamples of a subset of items, drawn with the whole set.

    own: resamples of the subset alone, for its units and corrections. weights: (rows, n).
    """

    own: Resamples
    weights: np.ndarray

    @property
    def draws(self) -> int:
        return self.own.draws

    @property
    def rows(self) -> int:
        return self.own.rows

    @property
    def units(self) -> int:
        return self.own.units

    @property
    def inflation(self) -> float:
        return self.own.inflation

    def chunks(self, chunk: int = 256) -> Iterator[np.ndarray]:
        for start in range(0, len(self.weights), chunk):
            yield self.weights[start : start + chunk]

    def variance(self, values: np.ndarray) -> np.ndarray:
        return self.own.variance(values)


@dataclass(frozen=True)
class _Between:
    """Resamples for the difference of two subsets: with the units of the smaller one."""

    whole: Resamples
    first: Resamples
    second: Resamples

    @property
    def draws(self) -> int:
        return self.whole.draws

    @property
    def rows(self) -> int:
        return self.whole.rows

    @property
    def units(self) -> int:
        return min(self.first.units, self.second.units)

    @property
    def inflation(self) -> float:
        return max(self.first.inflation, self.second.inflation)

    def chunks(self, chunk: int = 256) -> Iterator[np.ndarray]:
        return self.whole.chunks(chunk)

    def variance(self, values: np.ndarray) -> np.ndarray:
        out: np.ndarray = self.whole.variance(values) * (self.inflation / self.whole.inflation)
        return out


@dataclass(frozen=True, eq=False)
class Subgroup:
    """Items with one value of a column.

    summaries: by cell, all metrics and counts. bootstrap: None with fewer than FEW_ITEMS items.
    """

    value: str
    items: int
    summaries: Mapping[str, Mapping[str, float | None]]
    bootstrap: PairedBootstrap | None = None

    def mean(self, metric: str, cells: Iterable[str]) -> float | None:
        """Return the mean of a metric or count over cells, None if it is undefined for one."""
        values = [self.summaries[cell].get(metric) for cell in cells]
        known = [value for value in values if value is not None]
        return math.fsum(known) / len(known) if known and len(known) == len(values) else None

    def base(self, metric: str, cells: Iterable[str]) -> float:
        """Return the number of items that a metric is based on, at most the number of resampled units."""
        assert self.bootstrap is not None
        count = self.mean(get_metric(metric).of, cells)
        return min(self.items if count is None else count, self.bootstrap.resamples.units)

    def few(self, metric: str, cells: Sequence[str]) -> bool:
        """Whether a metric is based on too few items for an interval."""
        count = self.mean(get_metric(metric).of, cells)
        return self.bootstrap is None or (count is not None and count < FEW_ITEMS)

    def estimate(self, metric: str, cells: Sequence[str]) -> Estimate | None:
        """Estimate the mean of a metric over cells, None if it has no interval."""
        if self.few(metric, cells) or self.bootstrap is None:
            return None
        return self.bootstrap.estimate(metric, Contrast.mean(cells))

    def constant(self, metric: str, cells: Iterable[str]) -> dict[str, float]:
        """Return Jeffreys standard errors of cells whose share is the same in every resample."""
        if self.bootstrap is None or get_metric(metric).high is None:
            return {}
        out, drawn = {}, self.bootstrap.drawn(metric)
        for cell in cells:
            if cell in drawn and bootstrap.variance(drawn[cell]) == 0:
                base = self.base(metric, [cell])
                share = (float(np.clip(drawn[cell][0], 0, 1)) * base + 0.5) / (base + 1)
                out[cell] = math.sqrt(share * (1 - share) / max(base, 1))
        return out


class Gap(NamedTuple):
    """The difference between the best and the worst subgroup in a metric.

    estimate: the higher value minus the lower one; its interval and p account for the choice among `pairs` of
    subgroups. plain: as if the two had been chosen in advance. verdict: DIFFERENT or SAME, None without an
    interval.
    """

    metric: str
    worst: Subgroup
    best: Subgroup
    estimate: Estimate
    plain: Estimate
    pairs: int
    verdict: str | None


@dataclass(frozen=True, eq=False)
class Subgroups:
    """The subgroups of a test set by one column, large ones first, the one without a value last.

    whole: the test set.
    """

    column: str
    kind: str
    metrics: tuple[str, ...]
    whole: Subgroup
    groups: tuple[Subgroup, ...]
    _gaps: dict[tuple[str, tuple[str, ...]], Gap | None] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        column: str,
        kind: str,
        predictions: Mapping[str, Predictions],
        of_example: Mapping[str, str],
        metrics: Iterable[str],
        draws: int = DRAWS,
        seed: int = 0,
    ) -> Subgroups:
        """Return the subgroups of cells that answered the same items.

        predictions: by cell, of equal items and classes in any order. of_example: the column's value of each
        example. Equal arguments give equal bits. Raises BenchError for an example without a value, or a
        column without a subgroup large enough to judge or with more than MOST of them.
        """
        pairing, asked = pairing_of(kind), tuple(metrics)
        first = next(iter(predictions.values()))
        items, _ = Items.of(pairing, first)
        ordered = {cell: _ordered(kind, pred, first) for cell, pred in predictions.items()}
        resamples = pairing.resamples(items, draws, seed)
        try:
            values = pairing.subgroups(next(iter(ordered.values())), of_example)
        except KeyError as error:
            raise BenchError(
                f"the data has no item {str(error.args[0])[:80]!r} of these cells: name the data that they "
                "were run on with --data"
            ) from None
        rows: dict[str, list[int]] = {}
        for row, value in enumerate(values):
            rows.setdefault(value, []).append(row)
        sizes = {value: len(own) for value, own in rows.items() if value != UNKNOWN}
        large = [value for value, size in sizes.items() if size >= FEW_ITEMS]
        if not large:
            has = f"{len(sizes):,} values, each on fewer than {FEW_ITEMS} test items" if sizes else "no value"
            raise BenchError(f"--by {column}: the test items have {has}; name a column of larger subgroups")
        if len(large) > MOST:
            raise BenchError(f"--by {column}: {len(large):,} subgroups; at most {MOST} are compared")
        order = sorted(rows, key=lambda value: (value == UNKNOWN, -len(rows[value]), value))
        drawn: dict[str, list[np.ndarray]] = {value: [] for value in order if len(rows[value]) >= FEW_ITEMS}
        for weights in resamples.chunks():
            for value, parts in drawn.items():
                parts.append(weights[:, rows[value]])
        groups = []
        for value in order:
            own = {cell: pred.take(np.array(rows[value], np.int64)) for cell, pred in ordered.items()}
            summaries = {cell: get_kind(kind).metrics.summary(pred) for cell, pred in own.items()}
            made = None
            if value in drawn:
                alone = pairing.resamples(Items.of(pairing, next(iter(own.values())))[0], draws, seed)
                shared = _Subset(alone, np.concatenate(drawn.pop(value)))
                made = PairedBootstrap.of(kind, own, asked, draws, seed, resamples=shared)
            groups.append(Subgroup(value, len(rows[value]), summaries, made))
        every = PairedBootstrap.of(kind, ordered, asked, draws, seed, resamples=resamples)
        summaries = {cell: get_kind(kind).metrics.summary(pred) for cell, pred in ordered.items()}
        return cls(column, kind, asked, Subgroup("", len(values), summaries, every), tuple(groups))

    def gap(self, metric: str, cells: Sequence[str]) -> Gap | None:
        """Return the gap in a metric of cells that differ in their seed, None without two subgroups.

        Subgroups of fewer than FEW_ITEMS items, or of unknown value, are left out.
        """
        key = metric, tuple(cells)
        if key not in self._gaps:
            self._gaps[key] = self._gap(metric, cells)
        return self._gaps[key]

    @property
    def _resamples(self) -> Resamples:
        assert self.whole.bootstrap is not None
        return self.whole.bootstrap.resamples

    def _gap(self, metric: str, cells: Sequence[str]) -> Gap | None:
        info = get_metric(metric)
        known = [
            (value, group)
            for group in self.groups
            if group.value != UNKNOWN
            and not group.few(metric, cells)
            and (value := group.mean(metric, cells)) is not None
        ]
        if len(known) < 2:
            return None
        ranked = sorted(known, key=lambda pair: pair[0])
        (lowest, low), (highest, high) = ranked[0], ranked[-1]
        worst, best = (low, high) if info.direction == "higher" else (high, low)
        pairs = len(known) * (len(known) - 1) // 2
        groups = [group for _, group in known if _is_drawn(group, metric, cells)]
        if low not in groups or high not in groups:
            alone = Estimate(highest - lowest)
            return Gap(metric, worst, best, alone, alone, pairs, None)
        plain = self._between(metric, cells, high, low)
        drawn = [_mean_drawn(group, metric, cells) for group in groups]
        found = _among_all(plain, drawn, groups.index(high), groups.index(low), self._resamples.draws)
        if found.low is None or found.high is None or found.p is None:
            return Gap(metric, worst, best, found, plain, pairs, None)
        apart = found.p <= ALPHA and not found.low <= 0 <= found.high
        return Gap(metric, worst, best, found, plain, pairs, DIFFERENT if apart else SAME)

    def _between(self, metric: str, cells: Sequence[str], first: Subgroup, second: Subgroup) -> Estimate:
        """Return the estimate of one subgroup's mean minus another's, as if chosen in advance."""
        drawn: dict[str, np.ndarray] = {}
        observed: dict[str, float] = {}
        small, constant = [], []
        for number, group in enumerate((first, second)):
            assert group.bootstrap is not None
            source = group.bootstrap.source(metric, {*cells})
            drawn |= {f"{number} {cell}": source.drawn[cell] for cell in cells}
            observed |= {f"{number} {cell}": source.observed[cell] for cell in cells}
            small += [
                one._replace(numbers={f"{number} {cell}": one.numbers[cell] for cell in cells})
                for one in source.small
            ]
            errors = group.constant(metric, cells)
            constant.append({f"{number} {cell}": error for cell, error in errors.items()})
        contrast = Contrast((tuple({f"0 {cell}": 1.0, f"1 {cell}": -1.0} for cell in cells),))
        assert first.bootstrap is not None and second.bootstrap is not None
        between = _Between(self._resamples, first.bootstrap.resamples, second.bootstrap.resamples)
        samples = MetricSamples(drawn, observed, {}, tuple(small), tuple(constant))
        return estimated(samples._replace(bounded=source.bounded), contrast, between, 0)


def _ordered(kind: str, pred: Predictions, first: Predictions) -> Predictions:
    """Return predictions with items in the order of comparisons and classes in that of `first`."""
    pairing = pairing_of(kind)
    columns = np.array([pred.classes.index(name) for name in first.classes], np.int64)
    own = pairing.reordered(pred, columns)
    return own.take(Items.of(pairing, own)[1])


def _is_drawn(group: Subgroup, metric: str, cells: Iterable[str]) -> bool:
    return group.bootstrap is not None and {*cells} <= group.bootstrap.drawn(metric).keys()


def _mean_drawn(group: Subgroup, metric: str, cells: Sequence[str]) -> np.ndarray:
    assert group.bootstrap is not None
    drawn = group.bootstrap.drawn(metric)
    return np.asarray(np.mean([drawn[cell] for cell in cells], axis=0))


def _among_all(plain: Estimate, drawn: Sequence[np.ndarray], best: int, worst: int, draws: int) -> Estimate:
    """Return the estimate of one difference, chosen among all pairs for being the largest.

    drawn: values of each subgroup on the resamples; the first `draws` have the metric's distribution.
    """
    if len(drawn) < 3 or plain.low is None or plain.high is None or plain.p is None:
        return plain
    own = np.abs(_standardised(drawn[best][:draws] - drawn[worst][:draws]))
    largest = np.zeros(draws)
    for one, other in combinations(drawn, 2):
        np.fmax(largest, np.abs(_standardised(one[:draws] - other[:draws])), out=largest)
    level = intervals.CONFIDENCE
    alone = float(np.nanquantile(own, level)) if np.isfinite(own).any() and own.any() else 0.0
    wider = max(1.0, float(np.quantile(largest, level)) / (alone or intervals.normal_quantile()))
    reached = NormalDist().inv_cdf(1 - max(plain.p, 1e-15) / 2)
    chance = max(plain.p, (1 + int((largest >= reached).sum())) / (1 + draws))
    low, high = (plain.value + wider * (end - plain.value) for end in (plain.low, plain.high))
    return plain._replace(low=low, high=high, p=min(1.0, chance))


def _standardised(gaps: np.ndarray) -> np.ndarray:
    """Return standardised values; 0 if they do not vary."""
    spread = math.sqrt(float(bootstrap.variance(gaps)))
    return (gaps - bootstrap.nanmean(gaps)) / spread if spread > 0 else np.zeros(len(gaps))
