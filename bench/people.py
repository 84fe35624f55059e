"""Resamples of people: pairs of photos that share a person are no separate observations.

Each resample draws as many people as there are, with replacement. A same pair counts as often as its person
is drawn; a different pair as often as both together, the product (Owen 2007, The pigeonhole bootstrap, Annals
of Applied Statistics 1:386; Field and Welsh 2007, Bootstrapping clustered data, JRSS B 69:369). That makes
too much of what a different pair has to itself: such luck is counted three times, once with either person and
once with both. So the drawn values are put around the observed one and brought to the variance that pairs
with shared people have (Aronow, Samii and Assenova 2015, Cluster-robust variance estimation for dyadic data,
Political Analysis 23:564): that of the products, less twice that of resampling the couples of people alone;
at least that of pairs that share nobody. With few people that falls short, as any variance of few clusters
does: it gets the factor P / (P - 1) and Student's quantile of P - 1 degrees of freedom in the place of the
normal's (Cameron and Miller 2015, A practitioner's guide to cluster-robust inference, Journal of Human
Resources 50:317).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench import stats

_LEAST = 400
"""Resamples of the couples, and of the pairs, at least: their variances are then known within a seventh."""


@dataclass(frozen=True, eq=False)
class People:
    """Who is on n pairs. first, second: (n,) int64 numbers of people. count: of people."""

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
        """Which pairs show one person, (n,) bool."""
        same: np.ndarray = self.first == self.second
        return same


@dataclass(frozen=True, eq=False)
class PeopleDraws:
    """Resamples of the people on pairs, and what corrects their values. Equal arguments give equal bits.

    `chunks` gives, after the resamples of people, `own` of the couples on different pairs and `own` of the
    pairs themselves; `spread` takes the values of all of them.
    """

    people: People
    draws: int
    seed: int

    @property
    def own(self) -> int:
        """Resamples of the couples, and as many of the pairs."""
        return max(_LEAST, self.draws // 5)

    @property
    def rows(self) -> int:
        """All resamples."""
        return self.draws + 2 * self.own

    def chunks(self, chunk: int) -> Iterator[np.ndarray]:
        """Yield how often each resample has each pair, (at most `chunk`, n) float32, `rows` in all."""
        people, same = self.people, self.people.same
        for rows in stats.bootstrap_chunks(people.count, self.draws, self.seed, chunk=chunk):
            weights = rows.take(people.first, axis=1)
            weights *= np.where(same, np.float32(1), rows.take(people.second, axis=1))
            yield weights
        n, different = len(same), ~same
        ends = np.sort(np.stack([people.first, people.second])[:, different], axis=0)
        _, couple = np.unique(ends[0] * people.count + ends[1], return_inverse=True)
        if different.any():
            couples = stats.bootstrap_chunks(int(couple.max()) + 1, self.own, self.seed + 1, chunk=chunk)
        else:
            couples = (np.ones((1, 0), np.float32) for _ in range(self.own))
        for rows in couples:
            weights = np.ones((len(rows), n), np.float32)
            weights[:, different] = rows.take(couple, axis=1)
            yield weights
        yield from stats.bootstrap_chunks(n, self.own, self.seed + 2, chunk=chunk)

    def spread(self, values: np.ndarray, observed: float | np.ndarray) -> np.ndarray:
        """Return the values of the resamples of people, (..., draws), with the variance they should have.

        values: (..., rows), in the order of `chunks`. observed: (...), the value on the pairs as they are.
        """
        drawn, people = values[..., : self.draws], self.people.count
        if people < 2:
            return drawn
        shared, couples, pairs = (
            stats.variance(part)
            for part in (
                drawn,
                values[..., self.draws : self.draws + self.own],
                values[..., self.draws + self.own :],
            )
        )
        target = np.maximum(shared - 2 * couples, pairs) * people / (people - 1)
        return stats.completed(drawn, observed, target * stats.student_factor(people - 1) - shared)
