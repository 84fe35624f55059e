"""Validation and calibration parts of the training set: stratified, in units that stay together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from bench.core.errors import BenchError
from bench.data.splits import StageSplit

Split = TypeVar("Split", bound=StageSplit)

_CALIBRATIONS = 4
"""Stream of the seeds of calibration parts."""


def units_of(rows: np.ndarray, *ids: Sequence[str] | None) -> list[list[int]]:
    """Partition rows into the smallest sets such that rows that share any id are in one set."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    # Connect each row to the first one with the same id.
    nodes, firsts = np.arange(0), np.arange(0)
    for column in ids:
        if column is None:
            continue
        first: dict[str, int] = {}
        same = [first.setdefault(column[row], node) for node, row in enumerate(rows.tolist())]
        nodes, firsts = np.concatenate([nodes, np.arange(len(rows))]), np.concatenate([firsts, same])
    joined = coo_array((np.ones(len(nodes), bool), (nodes, firsts)), shape=(len(rows), len(rows)))
    components = connected_components(joined, directed=False)[1]
    members: dict[int, list[int]] = {}
    for component, row in zip(components.tolist(), rows.tolist(), strict=True):
        members.setdefault(component, []).append(row)
    return list(members.values())


def _quotas(counts: np.ndarray, fraction: float) -> list[int]:
    """Distribute round(fraction * n) validation rows over classes by largest remainder.

    Every class keeps a training row.
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
    """Draw the validation rows: whole units in random order, if they bring classes nearer to their quota.

    If units are larger than the quotas of their classes, a second pass fills up to the total size.
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
        if abs(missing - size) < abs(missing) and all(able[label] >= own for label, own in share.items()):
            drawn.append(number)
            missing -= size
            for label, own in share.items():
                able[label] -= own
    return np.sort(np.array([row for number in drawn for row in units[number]], dtype=np.int64))


def draw_calibration(
    split: Split, shares: Sequence[tuple[str, float]], seed: int, *ids: Sequence[str] | None
) -> Split:
    """Return the split with a calibration part for each of these steps, taken from its training rows.

    Parts are drawn one after the other, as validation is: stratified, and rows that share any id stay
    together. Validation and test stay as they are. shares: of the rows that are left to train on, by step.
    """
    train, parts = split.train, dict(split.calibration)
    for number, (step, share) in enumerate(shares):
        (own,) = np.random.SeedSequence([_CALIBRATIONS, seed, number]).generate_state(1)
        parts[step] = draw_validation(split.strata, train, units_of(train, *ids), share, int(own))
        train = np.setdiff1d(train, parts[step], assume_unique=True)
    return replace(split, train=train, calibration=parts)


def withheld(split: Split, calibration: Mapping[str, np.ndarray]) -> Split:
    """Return another split of the same training set without these calibration parts."""
    rows = np.concatenate([split.train[:0], *calibration.values()])
    train, val = (np.setdiff1d(part, rows, assume_unique=True) for part in (split.train, split.val))
    return replace(split, train=train, val=val, calibration=calibration)
