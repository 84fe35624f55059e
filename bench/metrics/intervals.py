"""Confidence intervals, exact tests, Student's distribution and false discovery rates, without numpy.

Importing scipy or statsmodels would take longer than a whole comparison; tests check every function against
them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist
from typing import NamedTuple

CONFIDENCE = 0.95
"""Default level of every interval."""


class Interval(NamedTuple):
    """A confidence interval; both ends are NaN where it is undefined."""

    low: float
    high: float


UNDEFINED = Interval(math.nan, math.nan)


def defined(value: float) -> float | None:
    """Return the value, None for NaN."""
    return None if math.isnan(value) else value


def wilson(hits: float, n: float, confidence: float = CONFIDENCE) -> Interval:
    """Return the Wilson score interval of the proportion hits / n (Wilson 1927, JASA 22:209).

    hits may be fractional, a mean over seeds. Undefined for n = 0.
    Raises ValueError unless 0 <= hits <= n.
    """
    _check_proportion(hits, n)
    if n == 0:
        return UNDEFINED
    z = normal_quantile(confidence)
    share, spread = hits / n, z * z / n
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    # At 0 and n hits one end is exactly 0 or 1; the formula is off by rounding.
    low = 0.0 if hits == 0 else max(0.0, centre - half)
    return Interval(low, 1.0 if hits == n else min(1.0, centre + half))


def newcombe(
    hits: float, n: float, other_hits: float, other_n: float, confidence: float = CONFIDENCE
) -> Interval:
    """Return the interval of hits / n - other_hits / other_n for two independent samples.

    Newcombe's hybrid score interval (1998, Statistics in Medicine 17:873, method 10): the distances of both
    proportions from their Wilson limits, added in squares. Hits may be fractional. Undefined for n = 0.
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

    Normal approximation around the mean; each class adds the variance p (1 - p) / n at Jeffreys' estimate
    p = (hits + 1/2) / (n + 1), because the plain estimate is 0 for small classes that are all hits or all
    misses by luck. Undefined for k = 0 and for a class without items.
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

    As `macro_interval`, with the sum of both variances.
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

    NaN if a sample is empty; 1 if all items or none are hits.
    """
    _check_proportion(hits, n)
    _check_proportion(other_hits, other_n)
    if not n or not other_n:
        return math.nan
    pooled = (hits + other_hits) / (n + other_n)
    error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / other_n))
    return math.erfc(abs(hits / n - other_hits / other_n) / error / math.sqrt(2)) if error else 1.0


def mcnemar(only_ours: int, only_theirs: int) -> float:
    """Return the exact two-sided p of McNemar's test (McNemar 1947), binomial over discordant items.

    only_ours, only_theirs: items that only one of two models got right; without any, p is 1.
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

    None and NaN mean no test: they give None and do not count as tests.
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


def normal_quantile(confidence: float = CONFIDENCE) -> float:
    """Return the normal quantile of a two-sided interval: 1.96 for 95%."""
    return NormalDist().inv_cdf((1 + confidence) / 2)


@cache
def student_quantile(freedom: float, confidence: float = CONFIDENCE) -> float:
    """Return Student's quantile of a two-sided interval: 2.78 for 95% and 4 degrees of freedom.

    Newton's method on `student_p`, started from the Cornish-Fisher expansion. Raises ValueError below one
    degree of freedom.
    """
    if freedom < 1:
        raise ValueError(f"{freedom} degrees of freedom")
    z = normal_quantile(confidence)
    if freedom > 1e5:
        return z
    log_scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    t = z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    for _ in range(60):
        density = math.exp(log_scale - (freedom + 1) / 2 * math.log1p(t * t / freedom))
        step = (student_p(t, freedom) - (1 - confidence)) / (2 * density)
        t += step
        if abs(step) < 1e-9 * t:
            break
    return t


def student_p(t: float, freedom: float) -> float:
    """Return the two-sided p of Student's t; normal for more than 1e5 degrees of freedom.

    By the continued fraction of the incomplete beta function (Press et al. 2007, Numerical Recipes, 6.4).
    """
    if freedom > 1e5:
        return math.erfc(abs(t) / math.sqrt(2))
    if t == 0:
        return 1.0
    a, b = freedom / 2, 0.5
    x = freedom / (freedom + t * t)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, t * t / (freedom + t * t))
    return _incomplete_beta(a, b, x)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    out = d
    for m in range(1, 500):
        for top in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / (1 + top * d), 1 + top / c
            out *= d * c
        if abs(d * c - 1) < 1e-12:
            break
    return front * out / a


def _check_proportion(hits: float, n: float) -> None:
    if not 0 <= hits <= n:
        raise ValueError(f"{hits} hits of {n} is not a proportion")
