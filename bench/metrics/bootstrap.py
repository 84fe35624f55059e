"""Bootstrap resampling: weights, percentile intervals, variances."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from bench.metrics.intervals import CONFIDENCE, UNDEFINED, Interval

if TYPE_CHECKING:
    import numpy as np


_CHUNK = 256
"""Resamples held in memory at once: 256 x 20,000 items of float32 are 20 MB."""


_DEFINED = 0.95
"""Share of resamples in which a metric must be defined to have an interval."""


def bootstrap_weights(n: int, draws: int, seed: int, groups: Sequence[str] | None = None) -> np.ndarray:
    """Return how often each resample draws each item: (draws, n) float32 (Efron 1979, Ann. Stat. 7:1).

    groups: n ids, of a listing or a person; whole groups are then drawn, as many as there are, so rows need
    not sum to n. Equal arguments give equal bits.
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
    """Yield the rows of `bootstrap_weights`, at most `chunk` at a time; their values do not depend on it.

    columns: (n,) the column of each item, so that identical items can share one; default: one each. Raises
    ValueError for n < 1, draws < 1, or groups that are not n ids.
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

    Resamples with an undefined metric (NaN) are left out; if they exceed 5%, so is the interval.
    """
    import numpy as np

    defined = values[np.isfinite(values)]
    if defined.size == 0 or defined.size < _DEFINED * values.size:
        return UNDEFINED
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(float(low), float(high))


@dataclass(frozen=True)
class ItemResamples:
    """Resamples of n items or of their groups, drawn by `bootstrap_chunks`."""

    n: int
    groups: Sequence[str] | None
    draws: int
    seed: int

    @cached_property
    def _sizes(self) -> np.ndarray:
        import numpy as np

        if self.groups is None:
            return np.ones(self.n, np.int64)
        return np.unique(np.array(self.groups, object), return_counts=True)[1]

    @property
    def rows(self) -> int:
        """Number of resamples."""
        return self.draws

    @cached_property
    def inflation(self) -> float:
        """Variance correction for few units, see `inflation`."""
        return inflation(self._sizes, self.n)

    @property
    def units(self) -> int:
        """Number of items or groups."""
        return len(self._sizes)

    def chunks(self, chunk: int = _CHUNK) -> Iterator[np.ndarray]:
        """Yield how often each resample draws each item: (at most `chunk`, n) float32, `rows` in all."""
        return bootstrap_chunks(self.n, self.draws, self.seed, self.groups, chunk=chunk)

    def variance(self, values: np.ndarray) -> np.ndarray:
        """Return a metric's sampling variance, (...). values: (..., rows), on the resamples."""
        return variance(values) * self.inflation


def inflation(sizes: np.ndarray, n: int) -> float:
    """Return the factor that corrects the bootstrap variance of few units; near 1 for many.

    sizes: items of each unit; n: items. P / (P - 1) for P units, times the jackknife's correction for
    leverage (Bell and McCaffrey 2002, Survey Methodology 28:169).
    """
    units = len(sizes)
    if units < 2:
        return 1.0
    leverage = (sizes / n).clip(max=0.5)
    return float(units / (units - 1) * (sizes / (1 - leverage) ** 2).sum() / sizes.sum())


def variance(values: np.ndarray) -> np.ndarray:
    """Return the variance of the finite values along the last axis, 0 if there are none."""
    import numpy as np

    # The functions that skip NaN take four times as long, and few values are NaN.
    if np.isfinite(values).all():
        return np.asarray(np.var(values, axis=-1))
    return nanmean((values - nanmean(values)[..., None]) ** 2)


def nanmean(values: np.ndarray) -> np.ndarray:
    """Return the mean of the finite values along the last axis, 0 if there are none."""
    import numpy as np

    known = np.isfinite(values)
    return np.asarray(np.where(known, values, 0.0).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1))


def within_classes(values: np.ndarray, sizes: np.ndarray, each: bool = False) -> np.ndarray:
    """Return the within-class variance of items' values, (rows,).

    values: (rows, n), grouped by class. sizes: items of each class, none empty. each: average the variances
    of the classes with two items or more, which also describes small classes if variance differs by class;
    default: pool all items. If no class has two items, return the mean square.
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
