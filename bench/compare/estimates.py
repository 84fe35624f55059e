"""Estimates of differences between cells: a mean over seeds with its interval and p.

The variance of a mean over seeds has two parts. One comes from the test items that all seeds share: the
bootstrap variance over items, minus the noise of each single seed. The other is the variance between seeds
divided by their number, noise included, with half of the noise alone as its lower bound. The interval uses
Student's quantile with the degrees of freedom of the sum (Satterthwaite 1946, Biometrics Bulletin 2:110): few
where the spread of few seeds dominates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bench.compare.pairing import Resamples
from bench.metrics import bootstrap, intervals

LEAST_SPREAD, LEAST_ERROR = 0.5, 0.2
"""Lower bounds of the variance between seeds, as shares of item noise: few seeds can agree by chance.

The second is for the degrees of freedom; without it the least certain interval would be the narrowest. Other
shares have worse coverage, see docs/statistics.md.
"""

Replicate = Mapping[str, float]
"""Weight of each cell in one seed's value."""


@dataclass(frozen=True)
class Contrast:
    """A sum of means over seeds.

    strata: for each mean its replicates, one per seed, resampled together. pairs: cells compared item by
    item; empty for a single value.
    """

    strata: tuple[tuple[Replicate, ...], ...]
    pairs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def mean(cls, cells: Iterable[str]) -> Contrast:
        """The mean of cells that differ in their seed."""
        return cls((tuple({cell: 1.0} for cell in cells),))

    @classmethod
    def paired(cls, *groups: Mapping[int, tuple[str, str]]) -> Contrast:
        """The mean difference of pairs of cells by seed; for several groups, the mean over groups.

        Groups with the same seeds share them, because a seed gives all of them the same split.
        """
        share, pairs = 1 / len(groups), tuple(pair for group in groups for pair in group.values())
        strata = tuple(tuple({a: share, b: -share} for a, b in group.values()) for group in groups)
        if len({tuple(group) for group in groups}) > 1:
            return cls(strata, pairs)
        return cls((tuple(_sum(seed) for seed in zip(*strata, strict=True)),), pairs)

    @classmethod
    def apart(cls, ours: Sequence[str], theirs: Sequence[str]) -> Contrast:
        """The difference of two means over different seeds."""
        strata = tuple({cell: 1.0} for cell in ours), tuple({cell: -1.0} for cell in theirs)
        return cls(strata, tuple((a, b) for a in ours for b in theirs))

    @property
    def cells(self) -> set[str]:
        """All its cells."""
        return {cell for stratum in self.strata for replicate in stratum for cell in replicate}


class Estimate(NamedTuple):
    """Estimate of a contrast: value, 95% interval and two-sided p; None without an interval.

    changed: items that count differently in any of its pairs.
    """

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    changed: int = 0

    def within(self, low: float, high: float | None, difference: bool = False) -> Estimate:
        """Return it with its interval clipped to the range of a metric, or of differences in it."""
        if self.low is None or self.high is None:
            return self
        upper = math.inf if high is None else high
        if difference:
            low, upper = low - upper, upper - low
        return self._replace(low=max(self.low, low), high=min(self.high, upper))


class SmallClasses(NamedTuple):
    """Item values that estimate the variance that a bootstrap misses in small classes.

    numbers: cell -> (n,), by class. counts: items of each class, none empty. sizes: items of the classes that
    the metric is a mean over. each: see `bench.metrics.bootstrap.within_classes`.
    """

    numbers: Mapping[str, np.ndarray]
    counts: np.ndarray
    sizes: np.ndarray
    each: bool = False


class MetricSamples(NamedTuple):
    """A metric by cell.

    drawn: (rows,) on the resamples. observed: on the original items. hits: (n,) bool of independent items, if
    the metric is their mean. small: if the metric is a mean over classes. constant: standard errors of cells
    that are the same in every resample, a mapping for each set of items. bounded: whether its range has an
    upper end, as for a share.
    """

    drawn: Mapping[str, np.ndarray]
    observed: Mapping[str, float]
    hits: Mapping[str, np.ndarray]
    small: tuple[SmallClasses, ...] = ()
    constant: tuple[Mapping[str, float], ...] = ()
    bounded: bool = True


def estimated(
    source: MetricSamples, contrast: Contrast, resamples: Resamples, changed: int, null: float = 0.0
) -> Estimate:
    """Estimate a contrast. changed: items that count differently in its pairs. null: value that p tests."""
    rows = [np.stack([_combined(one, source.drawn) for one in own]) for own in contrast.strata]
    seen = [np.array([_combined(one, source.observed) for one in own]) for own in contrast.strata]
    value = float(sum(own.mean() for own in seen))
    means = np.stack([own.mean(axis=0) for own in rows])
    total = means.sum(axis=0)
    variance, freedom = _variance(source, contrast, resamples, [*rows, means, total[None]], seen)
    own = total[: resamples.draws]
    spread = float(bootstrap.variance(own))
    if resamples.units < 2:
        return Estimate(value, changed=changed)
    if spread > 0:
        factor = math.sqrt(variance / spread) * intervals.student_quantile(freedom)
        own = value + (own - bootstrap.nanmean(own)) * (factor / intervals.normal_quantile())
    interval = bootstrap.percentile_interval(own)
    if math.isnan(interval.low):
        return Estimate(value, changed=changed)
    if spread == 0 and any(source.constant):
        margin = math.sqrt(variance) * intervals.student_quantile(freedom)
        interval = intervals.Interval(value - margin, value + margin)
    elif spread == 0 and not contrast.pairs:
        if not source.bounded:
            # It is the same in every resample, and its values have no range from which to estimate an error.
            return Estimate(value, changed=changed)
        margin = _unseen(source.small, resamples.units)
        interval = intervals.Interval(value - margin, value + margin)
    gap = value - null
    p = intervals.student_p(gap / math.sqrt(variance), freedom) if variance > 0 else float(gap == 0)
    if contrast.pairs:
        # No permutation test gives a smaller p, even if all changes have one direction.
        p = max(p, 2.0 ** (1 - changed))
        if (won := _won(source, contrast)) is not None:
            p = intervals.mcnemar(*won)
    return Estimate(value, interval.low, interval.high, p, changed)


def _variance(
    source: MetricSamples,
    contrast: Contrast,
    resamples: Resamples,
    rows: Sequence[np.ndarray],
    seen: Sequence[np.ndarray],
) -> tuple[float, float]:
    """Return the variance of a contrast and its degrees of freedom.

    rows: values on the resamples: of the replicates of each stratum, of the strata's means, and of their sum.
    seen: values of the replicates on the original items.
    """
    replicates = [_scaled(one, 1 / len(own)) for own in contrast.strata for one in own]
    strata = [_sum(_scaled(one, 1 / len(own)) for one in own) for own in contrast.strata]
    singles = [one for own in contrast.strata for one in own]
    found = resamples.variance(np.concatenate(rows)) + _hidden(source, [*singles, *strata, _sum(replicates)])
    ends = np.cumsum([len(own) for own in contrast.strata])
    own, means, variance = np.split(found[: ends[-1]], ends[:-1]), found[ends[-1] : -1], float(found[-1])
    between, error = 0.0, 0.0
    for variances, mean, values in zip(own, means, seen, strict=True):
        if (count := len(values)) > 1:
            luck = min(max(0.0, count * (variances.mean() - mean) / (count - 1)), count * mean)
            apart = float(values.var(ddof=1))
            variance -= luck / count
            between += max(apart, LEAST_SPREAD * luck) / count
            error += (max(apart, LEAST_ERROR * luck) / count) ** 2 / (count - 1)
    shared = max(variance, 0.0)
    error += shared**2 / max(resamples.units - 1, 1)
    freedom = (shared + between) ** 2 / error if error > 0 else math.inf
    return shared + between, max(1.0, freedom)


def _unseen(small: Sequence[SmallClasses], units: int) -> float:
    """Return the margin of a value that is the same in every resample, such as all items right.

    It is Clopper and Pearson's (1934, Biometrika 26:404) for n of n; for a mean over classes, n is that of a
    share with the same variance.
    """
    n = float(units)
    for one in small:
        n = len(one.sizes) ** 2 / float((1.0 / one.sizes).sum())
    return float(1.0 - ((1.0 - intervals.CONFIDENCE) / 2) ** (1.0 / n))


def _hidden(source: MetricSamples, replicates: Sequence[Replicate]) -> np.ndarray:
    """Return the variance of each replicate that the bootstrap misses.

    Cells of one set of items that are the same in every resample are assumed to err together.
    """
    out = np.zeros(len(replicates))
    for small in source.small:
        out += _hidden_by(small, replicates)
    for errors in source.constant:
        out += [sum(share * errors.get(cell, 0.0) for cell, share in one.items()) ** 2 for one in replicates]
    return out


def _hidden_by(small: SmallClasses, replicates: Sequence[Replicate]) -> np.ndarray:
    """Return the variance of each replicate that the bootstrap misses in small classes.

    Cells of other items have none. Resampling n items reproduces (n - 1) / n of their variance, none for a
    class with one item, and drops that class from a third of the resamples. A class of n items lacks v / n^2,
    where v is the variance of an item's number about its class's mean, pooled over all classes.
    """
    own = [{cell: share for cell, share in one.items() if cell in small.numbers} for one in replicates]
    n = int(small.counts.sum())
    gaps = np.stack([np.broadcast_to(_combined(one, small.numbers), n) for one in own])
    pooled = bootstrap.within_classes(gaps, small.counts, each=small.each)
    sizes = small.sizes.astype(np.float64)
    out: np.ndarray = pooled * float((1.0 / sizes**2).sum()) / len(sizes) ** 2
    return out


def _won(source: MetricSamples, contrast: Contrast) -> tuple[int, int] | None:
    """Return the numbers of items that only the first and only the second cell got right.

    None unless McNemar's test applies: to two cells compared by hits of independent items.
    """
    if len(contrast.pairs) != 1 or not source.hits:
        return None
    ours, theirs = (source.hits[cell].astype(bool) for cell in contrast.pairs[0])
    return int((ours & ~theirs).sum()), int((theirs & ~ours).sum())


def _sum(replicates: Iterable[Replicate]) -> Replicate:
    out: dict[str, float] = {}
    for replicate in replicates:
        for cell, share in replicate.items():
            out[cell] = out.get(cell, 0.0) + share
    return out


def _scaled(replicate: Replicate, by: float) -> Replicate:
    return {cell: share * by for cell, share in replicate.items()}


def _combined(replicate: Replicate, of: Mapping[str, np.ndarray] | Mapping[str, float]) -> np.ndarray:
    total = sum(share * np.asarray(of[cell], np.float64) for cell, share in replicate.items())
    return np.asarray(total)
