"""Search space of one number: a range, even or logarithmic, or a list of values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

DIGITS = 4
"""Significant digits of a sampled number, so that it can be retyped exactly."""


@dataclass(frozen=True)
class Search:
    """Values that tuning tries: `choices`, or numbers from low to high.

    log: whether to sample log-uniformly. regimes: those in which values are tried; empty: all.
    """

    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[float, ...] = ()
    regimes: tuple[str, ...] = ()

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest value."""
        return (min(self.choices), max(self.choices)) if self.choices else (self.low, self.high)

    @property
    def fault(self) -> str:
        """Why the space is invalid, or ""."""
        low, high = self.ends
        if low == high:
            return f"holds one value, {low:g}"
        if not low < high or not all(map(math.isfinite, (low, high))) or (self.log and low <= 0):
            return f"from {low:g} to {high:g} is no range"
        return ""


def draw(spaces: Sequence[Search], whole: Sequence[bool], count: int, seed: int) -> list[tuple[Any, ...]]:
    """Sample `count` points of a product of search spaces independently (Bergstra and Bengio 2012).

    whole: which values are integers. The first points do not depend on `count`. Points of no spaces are
    empty.
    """
    from scipy import stats
    from sklearn.model_selection import ParameterSampler

    if not spaces or not count:
        return [()] * count
    # Choices are sampled by position: ParameterSampler draws from lists without replacement.
    distributions = {
        f"{index:03d}": stats.randint(0, len(space.choices))
        if space.choices
        else (stats.loguniform if space.log else stats.uniform)(*_between(space))
        for index, space in enumerate(spaces)
    }
    points = ParameterSampler(distributions, count, random_state=seed)
    return [
        tuple(
            _value(space, point[f"{index:03d}"], is_whole)
            for index, (space, is_whole) in enumerate(zip(spaces, whole, strict=True))
        )
        for point in points
    ]


def _between(space: Search) -> tuple[float, float]:
    """Return SciPy's arguments: ends of a log-uniform range, low end and width of a uniform one."""
    return (space.low, space.high) if space.log else (space.low, space.high - space.low)


def _value(space: Search, drawn: Any, whole: bool) -> float:
    value = space.choices[int(drawn)] if space.choices else min(max(float(drawn), space.low), space.high)
    return rounded(value, whole)


def rounded(value: float, whole: bool) -> float:
    """Round a value to an integer, or to DIGITS significant digits."""
    return round(value) if whole else float(f"{float(value):.{DIGITS}g}")
