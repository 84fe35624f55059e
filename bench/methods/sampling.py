"""Resampling of training rows: over- and undersampling and SMOTE, by imbalanced-learn."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.core.errors import BenchError
from bench.methods.registry import Resampled


def all_rows(y: np.ndarray, features: np.ndarray | None) -> Resampled:
    """Return every real row once."""
    return _real(np.arange(len(y)), features)


def oversample(args: Mapping[str, Any], y: np.ndarray, features: np.ndarray | None, seed: int) -> Resampled:
    """Repeat random rows of the classes smaller than the target until they have its size.

    target: size of the largest class, or the median or mean size of the classes with rows, rounded.

    >>> y = np.array([0, 0, 0, 1], np.int32)
    >>> oversample({"target": "max"}, y, None, seed=0).rows.tolist()
    [0, 1, 2, 3, 3, 3]
    """
    from imblearn.over_sampling import RandomOverSampler

    return _real(_draw(RandomOverSampler, y, _targets(y, args["target"], grow=True), seed), features)


def undersample(args: Mapping[str, Any], y: np.ndarray, features: np.ndarray | None, seed: int) -> Resampled:
    """Keep a random part of the classes larger than the target, no row twice.

    target: size of the smallest class, or the median or mean size of the classes with rows, rounded.
    """
    from imblearn.under_sampling import RandomUnderSampler

    return _real(_draw(RandomUnderSampler, y, _targets(y, args["target"], grow=False), seed), features)


def smote(args: Mapping[str, Any], y: np.ndarray, features: np.ndarray | None, seed: int) -> Resampled:
    """Fill small classes up with points between a row and one of its k nearest of the same class.

    Chawla et al. 2002; target as in oversample. A class of n <= k rows draws from n - 1 neighbours; the
    row of a class of one is repeated. Classes are
    filled one by one, straight into the result: beside the new rows, one class is in memory at a time.
    Raises BenchError without features.
    """
    if features is None:
        raise BenchError("smote works on features; this regime has none")
    targets = _targets(y, args["target"], grow=True)
    rows = {label: np.flatnonzero(y == label) for label in targets}
    missing = {label: size - len(rows[label]) for label, size in targets.items()}
    grown = {label: size for label, size in missing.items() if len(rows[label]) > 1}
    synthetic = np.empty((sum(grown.values()), features.shape[1]), np.float32)
    random, start = _random(seed), 0
    for label, size in grown.items():
        _interpolate(features[rows[label]], args["k"], random, out=synthetic[start : start + size])
        start += size
    repeated = [np.repeat(rows[label], missing[label]) for label in missing if label not in grown]
    return Resampled(
        rows=np.concatenate([np.arange(len(y) + len(synthetic)), *repeated]).astype(np.int64),
        synthetic=synthetic,
        labels=np.repeat(np.array([*grown], np.int32), np.array([*grown.values()], np.int64)),
    )


def _interpolate(rows: np.ndarray, k: int, random: np.random.RandomState, out: np.ndarray) -> None:
    """Fill `out` (s, d) with SMOTE rows of one class of at least two rows (n, d)."""
    from imblearn.over_sampling import SMOTE

    n = len(rows)
    # SMOTE requires two classes; a single row of another does not affect the neighbourhoods.
    both = np.concatenate([rows, rows[:1]]).astype(np.float32, copy=False)
    sampler = SMOTE(sampling_strategy={0: n + len(out)}, k_neighbors=min(k, n - 1), random_state=random)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        resampled, _ = sampler.fit_resample(both, np.repeat([0, 1], [n, 1]))
    out[:] = resampled[n + 1 :]


def _targets(y: np.ndarray, target: str, grow: bool) -> dict[int, int]:
    """Return the new size of every class that the target changes, by class."""
    labels, counts = np.unique(y, return_counts=True)
    if len(counts) == 0:
        return {}
    sizes = {"max": counts.max(), "min": counts.min(), "median": np.median(counts), "mean": counts.mean()}
    size = round(float(sizes[target]))
    changed = counts < size if grow else counts > size
    return {int(label): size for label in labels[changed]}


def _draw(sampler: type[Any], y: np.ndarray, targets: dict[int, int], seed: int) -> np.ndarray:
    """Return the positions in y that a random sampler of imbalanced-learn draws."""
    if not targets:
        return np.arange(len(y))
    drawing = sampler(sampling_strategy=targets, random_state=_random(seed))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        rows, _ = drawing.fit_resample(np.arange(len(y)).reshape(-1, 1), y)
    return np.asarray(rows).ravel()


def _random(seed: int) -> np.random.RandomState:
    """Wrap PCG64 the way scikit-learn's samplers take it."""
    return np.random.RandomState(np.random.PCG64(seed))


def _real(rows: np.ndarray, features: np.ndarray | None) -> Resampled:
    width = 0 if features is None else features.shape[1]
    return Resampled(rows.astype(np.int64), np.empty((0, width), np.float32), np.empty(0, np.int32))
