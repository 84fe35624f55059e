"""Prices that betray a wrong label: far from what others of the category cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

FAR = 3.5
"""Robust deviations from the category's median beyond which a price is odd (Iglewicz and Hoaglin 1993)."""

FEWEST = 5
"""Prices that a category must have before one of them can be called odd."""


@dataclass(frozen=True)
class Oddity:
    """An odd price. row: its position. median: of its category. distance: in robust deviations, signed."""

    row: int
    price: float
    median: float
    distance: float


def odd_prices(labels: Sequence[str], prices: Sequence[str]) -> list[Oddity]:
    """Return the rows whose price is far from their category's, by position.

    labels: n class names, "" for none. prices: n numbers as text, "" for unknown. Compared are logarithms
    of (1 + price), by 0.6745 * (x - median) / MAD; where half of a category costs the same, the mean
    absolute deviation stands in (times 1.2533), as the authors do.
    """
    values = np.array([math.log1p(float(price)) if price else math.nan for price in prices])
    names = np.array(labels, dtype=object)
    found = []
    for name in sorted({label for label in labels if label}):
        rows = np.flatnonzero((names == name) & np.isfinite(values))
        if len(rows) < FEWEST:
            continue
        own = values[rows]
        middle = float(np.median(own))
        gaps = np.abs(own - middle)
        scale = float(np.median(gaps)) / 0.6745 or 1.2533 * float(gaps.mean())
        if scale <= 0.0:
            continue
        for row, value in zip(rows.tolist(), own.tolist(), strict=True):
            distance = (value - middle) / scale
            if abs(distance) > FAR:
                found.append(Oddity(row, math.expm1(value), math.expm1(middle), distance))
    return sorted(found, key=lambda oddity: oddity.row)
