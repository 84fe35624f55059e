"""Which training rows validate: drawn in units that must not be parted, classes about as in train."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from bench.errors import BenchError


def units_of(rows: np.ndarray, *ids: Sequence[str] | None) -> list[list[int]]:
    """Partition rows into the smallest sets such that rows sharing any id share a set."""
    parent = list(range(len(rows)))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for column in ids:
        if column is None:
            continue
        first: dict[str, int] = {}
        for node, row in enumerate(rows.tolist()):
            parent[root(node)] = root(first.setdefault(column[row], node))
    members: dict[int, list[int]] = {}
    for node, row in enumerate(rows.tolist()):
        members.setdefault(root(node), []).append(row)
    return list(members.values())


def _quotas(counts: np.ndarray, fraction: float) -> list[int]:
    """Share round(fraction * n) validation rows out among classes by largest remainder.

    Every class keeps a training row, so a class of one row gives none.
    """
    exact = counts * fraction
    quotas = np.minimum(np.floor(exact).astype(np.int64), np.maximum(counts - 1, 0))
    missing = round(fraction * counts.sum()) - quotas.sum()
    by_remainder = np.argsort(np.floor(exact) - exact, kind="stable")
    able = by_remainder[quotas[by_remainder] < counts[by_remainder] - 1]
    quotas[able[: max(missing, 0)]] += 1
    return [int(quota) for quota in quotas]


def draw_validation(
    truth: np.ndarray, known: np.ndarray, units: list[list[int]], fraction: float, seed: int
) -> np.ndarray:
    """Draw the validation rows: whole units in random order, while they bring classes nearer to their quota.

    Where units are larger than the quotas of their classes, a second pass fills up to the total size.
    """
    if not 0.0 <= fraction < 1.0:
        raise BenchError(f"val_fraction must be at least 0 and below 1, not {fraction:g}")
    counts = np.bincount(truth[known])
    quotas = _quotas(counts, fraction)
    able = [int(count) - 1 for count in counts]
    order = np.random.default_rng(seed).permutation(len(units))
    shares = [Counter(truth[unit].tolist()) for unit in units]
    drawn: list[int] = []
    passed: list[int] = []
    for number in order.tolist():
        share = shares[number]
        fits = all(able[label] >= size for label, size in share.items())
        if fits and sum(abs(quotas[label] - size) - abs(quotas[label]) for label, size in share.items()) < 0:
            drawn.append(number)
            for label, size in share.items():
                quotas[label] -= size
                able[label] -= size
        else:
            passed.append(number)
    missing = sum(quotas)
    for number in passed:
        share, size = shares[number], len(units[number])
        if abs(missing - size) < abs(missing) and all(able[label] >= part for label, part in share.items()):
            drawn.append(number)
            missing -= size
            for label, part in share.items():
                able[label] -= part
    return np.sort(np.array([row for number in drawn for row in units[number]], dtype=np.int64))
