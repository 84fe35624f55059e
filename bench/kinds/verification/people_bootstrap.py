"""Bootstrap over people, for pairs of photos that share people and so are not independent.

Each resample draws as many people as there are, with replacement. The weight of a same pair is the count of
its person; the weight of a different pair is the product of both counts (Owen 2007, The pigeonhole bootstrap,
Annals of Applied Statistics 1:386; Field and Welsh 2007, Bootstrapping clustered data, JRSS B 69:369). This
counts the idiosyncratic variance of a different pair three times: once with each person, once with both. So
the values are rescaled to the variance of dyadic data (Aronow, Samii and Assenova 2015, Cluster-robust
variance estimation for dyadic data, Political Analysis 23:564): the variance under the products, less twice
that under resampled couples of people; at least that of independent pairs. For few people, it is corrected by
`bench.metrics.bootstrap.inflation`, with P - 1 degrees of freedom (Cameron and Miller 2015, A practitioner's
guide to cluster-robust inference, Journal of Human Resources 50:317).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bench.metrics import bootstrap

_LEAST = 400
"""Fewest resamples of couples and of pairs; they give a variance within a seventh."""


@dataclass(frozen=True, eq=False)
class People:
    """The people on n pairs. first, second: (n,) int64, indices of people. count: number of people."""

    first: np.ndarray
    second: np.ndarray
    count: int

    @classmethod
    def of(cls, first: Sequence[str], second: Sequence[str]) -> People:
        """Number the people of pairs."""
        number = {name: i for i, name in enumerate(dict.fromkeys([*first, *second]))}
        one, two = (np.array([number[name] for name in side], np.int64) for side in (first, second))
        return cls(one, two, len(number))

    @property
    def same(self) -> np.ndarray:
        """Whether each pair shows one person, (n,) bool."""
        same: np.ndarray = self.first == self.second
        return same


@dataclass(frozen=True, eq=False)
class PeopleDraws:
    """Resamples of the people on pairs, with the corrected variance. Equal arguments give equal bits.

    `chunks` yields `draws` resamples of people, then `own` of the couples on different pairs, then `own` of
    the pairs; `variance` takes a metric's values on all of them.
    """

    people: People
    draws: int
    seed: int

    @property
    def own(self) -> int:
        """Number of resamples of couples, and of pairs."""
        return max(_LEAST, self.draws // 5)

    @property
    def rows(self) -> int:
        """Number of resamples."""
        return self.draws + 2 * self.own

    def chunks(self, chunk: int = 256) -> Iterator[np.ndarray]:
        """Yield the weight of each pair in each resample, (at most `chunk`, n) float32, `rows` in all."""
        people, same = self.people, self.people.same
        for rows in bootstrap.bootstrap_chunks(people.count, self.draws, self.seed, chunk=chunk):
            weights = rows.take(people.first, axis=1)
            weights *= np.where(same, np.float32(1), rows.take(people.second, axis=1))
            yield weights
        n, different = len(same), ~same
        ends = np.sort(np.stack([people.first, people.second])[:, different], axis=0)
        _, couple = np.unique(ends[0] * people.count + ends[1], return_inverse=True)
        if different.any():
            couples = bootstrap.bootstrap_chunks(int(couple.max()) + 1, self.own, self.seed + 1, chunk=chunk)
        else:
            couples = (np.ones((1, 0), np.float32) for _ in range(self.own))
        for rows in couples:
            weights = np.ones((len(rows), n), np.float32)
            weights[:, different] = rows.take(couple, axis=1)
            yield weights
        yield from bootstrap.bootstrap_chunks(n, self.own, self.seed + 2, chunk=chunk)

    @property
    def units(self) -> int:
        """Number of people."""
        return self.people.count

    @cached_property
    def inflation(self) -> float:
        """Variance correction for few people, see `bench.metrics.bootstrap.inflation`."""
        first, second = self.people.first, self.people.second[~self.people.same]
        sizes = np.bincount(first, minlength=self.units) + np.bincount(second, minlength=self.units)
        return bootstrap.inflation(sizes, len(first))

    def variance(self, values: np.ndarray) -> np.ndarray:
        """Return a metric's sampling variance, (...). values: (..., rows), in the order of `chunks`."""
        shared, couples, pairs = (
            bootstrap.variance(part)
            for part in (
                values[..., : self.draws],
                values[..., self.draws : self.draws + self.own],
                values[..., self.draws + self.own :],
            )
        )
        out: np.ndarray = np.maximum(shared - 2 * couples, pairs) * self.inflation
        return out
