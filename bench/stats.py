"""The statistics of a comparison: intervals, exact tests, false discovery, the bootstrap.

Written out here, because importing scipy or statsmodels takes longer than a whole comparison may; the tests
hold every function against them. Only the bootstrap imports numpy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

CONFIDENCE = 0.95
"""Of every interval, unless a caller says otherwise."""

_CHUNK = 256
"""Resamples held in memory at once: 256 x 20,000 items of float32 are 20 MB."""

_DEFINED = 0.95
"""A bootstrap interval is given only if the metric is defined in at least so many of the resamples."""


class Interval(NamedTuple):
    """A confidence interval; both ends are NaN where it is undefined."""

    low: float
    high: float


UNDEFINED = Interval(math.nan, math.nan)


def wilson(hits: float, n: float, confidence: float = CONFIDENCE) -> Interval:
    """Return the Wilson score interval of the proportion hits / n (Wilson 1927, JASA 22:209).

    hits may be fractional: the mean over seeds of the hits among the same n items. n = 0 is undefined.
    Raises ValueError unless 0 <= hits <= n.
    """
    _check_proportion(hits, n)
    if n == 0:
        return UNDEFINED
    z = normal_quantile(confidence)
    share, spread = hits / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    # At 0 and n hits an end is 0 or 1 exactly; the formula misses it by a rounding error.
    low = 0.0 if hits == 0 else max(0.0, centre - half)
    return Interval(low, 1.0 if hits == n else min(1.0, centre + half))


def newcombe(
    hits: float, n: float, other_hits: float, other_n: float, confidence: float = CONFIDENCE
) -> Interval:
    """Return the interval of hits / n - other_hits / other_n for two independent samples.

    Newcombe's hybrid score interval (1998, Statistics in Medicine 17:873, method 10): each side's
    distance from its own Wilson limit, added in squares. Hits may be fractional; n = 0 is undefined.
    """
    if not n or not other_n:
        return UNDEFINED
    share, other = hits / n, other_hits / other_n
    limit, other_limit = wilson(hits, n, confidence), wilson(other_hits, other_n, confidence)
    difference = share - other
    return Interval(
        difference - math.hypot(share - limit.low, other_limit.high - other),
        difference + math.hypot(limit.high - share, other - other_limit.low),
    )


def macro_interval(hits: Sequence[float], n: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return the interval of the unweighted mean of k proportions hits[i] / n[i].

    Normal, around the mean itself, each class adding the variance p (1 - p) / n at Jeffreys' estimate
    p = (hits + 1/2) / (n + 1): the plain estimate is 0 for a class that was hit always or never, which
    small classes are by luck. Undefined for k = 0 and where a class has no item.
    """
    if not len(n) or not all(n):
        return UNDEFINED
    mean = sum(h / m for h, m in zip(hits, n, strict=True)) / len(n)
    half = normal_quantile(confidence) * math.sqrt(_macro_variance(hits, n))
    return Interval(max(0.0, mean - half), min(1.0, mean + half))


def macro_difference(
    hits: Sequence[float],
    n: Sequence[float],
    other_hits: Sequence[float],
    other_n: Sequence[float],
    confidence: float = CONFIDENCE,
) -> Interval:
    """Return the interval of the difference of two independent unweighted means of k proportions.

    Built as `macro_interval`, the variances of both sides added.
    """
    if not len(n) or not all(n) or not all(other_n):
        return UNDEFINED
    terms = zip(hits, n, other_hits, other_n, strict=True)
    difference = sum(h / m - oh / om for h, m, oh, om in terms) / len(n)
    half = normal_quantile(confidence) * math.sqrt(
        _macro_variance(hits, n) + _macro_variance(other_hits, other_n)
    )
    return Interval(max(-1.0, difference - half), min(1.0, difference + half))


def _macro_variance(hits: Sequence[float], n: Sequence[float]) -> float:
    total = 0.0
    for h, m in zip(hits, n, strict=True):
        _check_proportion(h, m)
        share = (h + 0.5) / (m + 1)
        total += share * (1 - share) / m
    return total / len(n) ** 2


def score_test(hits: float, n: float, other_hits: float, other_n: float) -> float:
    """Return the two-sided p of equal proportions in two independent samples (pooled z test).

    NaN where a side is empty; 1 where nobody or everybody hit, for then nothing speaks for a difference.
    """
    _check_proportion(hits, n)
    _check_proportion(other_hits, other_n)
    if not n or not other_n:
        return math.nan
    pooled = (hits + other_hits) / (n + other_n)
    error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / other_n))
    return math.erfc(abs(hits / n - other_hits / other_n) / error / math.sqrt(2)) if error else 1.0


def mcnemar(only_ours: int, only_theirs: int) -> float:
    """Return the exact two-sided p of McNemar's test (McNemar 1947): a fair coin over discordant items.

    only_ours, only_theirs: items that one side alone got right. No such item gives 1.
    """
    tosses = only_ours + only_theirs
    if only_ours < 0 or only_theirs < 0:
        raise ValueError(f"counts of items cannot be negative: {only_ours}, {only_theirs}")
    fewer = min(only_ours, only_theirs)
    tail = math.fsum(math.exp(_log_choose(tosses, i) - tosses * math.log(2)) for i in range(fewer + 1))
    return min(1.0, 2 * tail)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """Return the q-value of every p (Benjamini & Hochberg 1995, JRSS B 57:289), in the same order.

    None and NaN are no test: they stay None and do not count towards the number of tests.
    """
    tested = sorted(
        ((p, i) for i, p in enumerate(p_values) if p is not None and not math.isnan(p)), reverse=True
    )
    out: list[float | None] = [None] * len(p_values)
    least = 1.0
    for rank, (p, i) in zip(range(len(tested), 0, -1), tested, strict=True):
        least = min(least, p * len(tested) / rank)
        out[i] = least
    return out


def bootstrap_weights(n: int, draws: int, seed: int, groups: Sequence[str] | None = None) -> np.ndarray:
    """Return how often each resample draws each item: (draws, n) float32 (Efron 1979, Ann. Stat. 7:1).

    groups: n ids of what belongs together (a listing, a person); whole groups are drawn then, as many
    as there are, so the rows need not add up to n. Equal arguments give equal bits.
    """
    import numpy as np

    return np.concatenate(list(bootstrap_chunks(n, draws, seed, groups)))


def bootstrap_chunks(
    n: int,
    draws: int,
    seed: int,
    groups: Sequence[str] | None = None,
    columns: np.ndarray | None = None,
    chunk: int = _CHUNK,
) -> Iterator[np.ndarray]:
    """Yield the rows of `bootstrap_weights`, at most `chunk` of them at a time; the rows do not depend on it.

    columns: (n,) the column that each item counts in, so that items alike can share one; each its own
    without it. Raises ValueError for n < 1, draws < 1, or groups that are not n ids.
    """
    import numpy as np

    if n < 1 or draws < 1:
        raise ValueError(f"a bootstrap needs items and draws, not n={n}, draws={draws}")
    if groups is not None and len(groups) != n:
        raise ValueError(f"{len(groups)} group ids for {n} items")
    index = {group: i for i, group in enumerate(dict.fromkeys(groups or ()))}
    member = np.array([index[group] for group in groups]) if groups else np.arange(n)
    units = len(index) or n
    places = np.arange(n) if columns is None else columns
    width = int(places.max()) + 1
    rng = np.random.Generator(np.random.PCG64(seed))
    for start in range(0, draws, chunk):
        rows = np.empty((min(chunk, draws - start), width), np.float32)
        for row in rows:
            picks = rng.integers(0, units, size=units)
            if groups:
                times = np.bincount(picks, minlength=units)[member]
                row[:] = np.bincount(places, weights=times, minlength=width)
            else:
                row[:] = np.bincount(picks if columns is None else columns[picks], minlength=width)
        yield rows


def percentile_interval(values: np.ndarray, confidence: float = CONFIDENCE) -> Interval:
    """Return the percentile bootstrap interval of per-resample values, (draws,).

    Resamples in which the metric is undefined (NaN) are left out; with more than 5% of them there is
    no interval.
    """
    import numpy as np

    defined = values[np.isfinite(values)]
    if defined.size == 0 or defined.size < _DEFINED * values.size:
        return UNDEFINED
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(float(low), float(high))


def bootstrap_p(differences: np.ndarray) -> float:
    """Return the two-sided p of "no difference" from per-resample differences, (draws,).

    Twice the share of resamples on the far side of 0, counting the observed sample itself (Davison &
    Hinkley 1997, section 4.4), so it is never below 2 / (draws + 1). NaN if no resample is defined.
    """
    import numpy as np

    defined = differences[np.isfinite(differences)]
    if defined.size == 0:
        return math.nan
    far = min(int((defined <= 0).sum()), int((defined >= 0).sum()))
    return min(1.0, 2 * (far + 1) / (int(defined.size) + 1))


def completed(values: np.ndarray, observed: float | np.ndarray, missing: float | np.ndarray) -> np.ndarray:
    """Return per-resample values, (..., draws), around the observed one, the variance they lack added.

    A mean over classes is drawn too narrowly, and off its place, where classes have few items: resampling
    n items shows (n - 1) / n of their variance, nothing of a class with one, and drops that class from a
    third of the resamples. observed, missing: (...) each; the value on the items as they are, and the
    variance to add. Nothing changes where all values are equal.
    """
    import numpy as np

    mean = np.mean if np.isfinite(values).all() else _nanmean
    spread = variance(values)
    spreads = spread > 0
    factor = np.sqrt(1 + np.divide(missing, spread, out=np.zeros(spread.shape), where=spreads))
    moved = np.asarray(observed)[..., None] + (values - mean(values, axis=-1)[..., None]) * factor[..., None]
    out: np.ndarray = np.where(spreads[..., None], moved, values)
    return out


def variance(values: np.ndarray) -> np.ndarray:
    """Return the variance of what is finite along the last axis, 0 where nothing is."""
    import numpy as np

    # The functions that pass over NaN take four times as long, and few values are NaN.
    return np.asarray(np.var(values, axis=-1) if np.isfinite(values).all() else _nanvar(values, axis=-1))


def student_factor(freedom: int, confidence: float = CONFIDENCE) -> float:
    """Return by how much Student's quantile is above the normal's, as a ratio of variances.

    The quantile is Fisher and Cornish's expansion to the second order (Abramowitz and Stegun 1964, 26.7.5):
    within a hundredth from five degrees of freedom on, too small below. Raises ValueError for none.
    """
    if freedom < 1:
        raise ValueError(f"{freedom} degrees of freedom")
    z = normal_quantile(confidence)
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return ((z + first / freedom + second / freedom**2) / z) ** 2


def _nanmean(values: np.ndarray, axis: int) -> np.ndarray:
    import numpy as np

    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=axis)
    out: np.ndarray = np.asarray(total / np.maximum(known.sum(axis=axis), 1))
    return out


def _nanvar(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the variance of what is finite, 0 where nothing is."""
    import numpy as np

    gaps = values - np.expand_dims(_nanmean(values, axis), axis)
    return _nanmean(gaps**2, axis)


def within_classes(values: np.ndarray, sizes: np.ndarray, each: bool = False) -> np.ndarray:
    """Return the variance of items' values about the mean of their class, (rows,).

    values: (rows, n), classes one after the other. sizes: items of each class, none empty. Pooled over all
    items; or, each, the mean over classes of two items or more, which is what the classes with few items are
    like where the variance goes with the class. Where no class has two, the mean square.
    """
    import numpy as np

    starts = np.cumsum(sizes) - sizes
    squares = np.add.reduceat(values**2, starts, axis=1)
    inside = (squares - np.add.reduceat(values, starts, axis=1) ** 2 / sizes).clip(0)
    many = sizes > 1
    if not many.any():
        return np.asarray((values**2).mean(axis=1))
    if each:
        return np.asarray((inside[:, many] / (sizes[many] - 1)).mean(axis=1))
    return np.asarray(inside.sum(axis=1) / (values.shape[1] - len(sizes)))


def nested_means(values: np.ndarray, seed: int) -> np.ndarray:
    """Return per-resample means over resampled seeds: (seeds, draws) -> (draws,).

    Column b holds one metric of every seed on the same resample b of the items; of its S seeds, S - 1 are
    drawn with replacement, which makes the variance of the mean unbiased for small S (Rao & Wu 1988,
    JASA 83:231). One seed is returned as it is: its own luck cannot be seen from it.
    """
    import numpy as np

    seeds, draws = values.shape
    if seeds == 1:
        return np.asarray(values[0])
    rng = np.random.Generator(np.random.PCG64(seed))
    picks = rng.integers(0, seeds, size=(seeds - 1, draws))
    means: np.ndarray = np.take_along_axis(values, picks, axis=0).mean(axis=0)
    return means


def nested_interval(values: np.ndarray, seed: int, confidence: float = CONFIDENCE) -> Interval:
    """Return the nested seed + item bootstrap interval of a mean over seeds. values: (seeds, draws)."""
    return percentile_interval(nested_means(values, seed), confidence)


def normal_quantile(confidence: float = CONFIDENCE) -> float:
    """Return the normal quantile of a two-sided interval: 1.96 for 95%."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _check_proportion(hits: float, n: float) -> None:
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} hits of {n} is not a proportion")
