"""Sampling of distinct pairs of photos of known people, evenly or person by person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.core.errors import BenchError
from bench.kinds.verification.arrays import PairArrays

_PASSES = 50
"""Rounds of pairing all people, after which missing pairs are sampled evenly from the rest."""


@dataclass(frozen=True)
class Possible:
    """All pairs of one kind of n photos that are sorted by person, numbered from 0 and never written down.

    first: (n,) int64, for each photo its first partner. counts: (n,) int64, how many follow from there.
    """

    first: np.ndarray
    counts: np.ndarray

    @property
    def total(self) -> int:
        """How many pairs there are."""
        return int(self.counts.sum())

    def decode(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the places of both photos of the pairs with these numbers; the first is the lower one."""
        ends = np.cumsum(self.counts)
        one = np.searchsorted(ends, numbers, side="right")
        return one, self.first[one] + numbers - (ends - self.counts)[one]

    def encode(self, one: np.ndarray, two: np.ndarray) -> np.ndarray:
        """Return the numbers of pairs; the place of the first photo is the lower one."""
        answer: np.ndarray = (np.cumsum(self.counts) - self.counts)[one] + two - self.first[one]
        return answer


@dataclass(frozen=True)
class Sorted:
    """Photos by person. rows: (n,) their positions. begins: (p + 1,) where each person's begin, and n."""

    rows: np.ndarray
    begins: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """(p,) photos of each person."""
        answer: np.ndarray = np.diff(self.begins)
        return answer

    def same(self) -> Possible:
        """Return the pairs of one person."""
        ends, places = np.repeat(self.begins[1:], self.sizes), np.arange(len(self.rows))
        return Possible(places + 1, ends - places - 1)

    def different(self) -> Possible:
        """Return the pairs of two people."""
        ends = np.repeat(self.begins[1:], self.sizes)
        return Possible(ends, len(self.rows) - ends)


def by_person(person: Sequence[str], rows: np.ndarray) -> Sorted:
    """Sort positions by whom they show. person: a name for every position there is."""
    names = np.array([person[row] for row in rows.tolist()], dtype=str)
    codes = np.unique(names, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    sizes = np.bincount(codes) if len(codes) else np.zeros(0, np.int64)
    return Sorted(np.asarray(rows, np.int64)[order], np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))


def possible_pairs(person: Sequence[str], rows: np.ndarray) -> tuple[int, int]:
    """Return how many distinct pairs of one person and of two people these photos make."""
    photos = by_person(person, rows)
    return photos.same().total, photos.different().total


def make_pairs(
    person: Sequence[str],
    rows: np.ndarray,
    same: int,
    different: int,
    rng: np.random.Generator,
    balanced: bool = False,
) -> PairArrays:
    """Draw distinct pairs of photos: first those of one person, then those of two.

    person: a name for every position; rows: the positions to pair. same, different: how many; where fewer are
    possible, all of them. Every possible pair is equally likely, so that people with many photos are seen
    most. balanced: each person is in about as many pairs of a kind as any other who can be. Which photo of a
    pair comes first is drawn. No memory grows with the number of possible pairs. Raises BenchError for a
    negative number.
    """
    if same < 0 or different < 0:
        raise BenchError(f"a number of pairs cannot be negative: {same} same, {different} different")
    photos = by_person(person, rows)
    ones, twos, truth = [], [], []
    for one_person, number, pick in ((True, same, _same_evenly), (False, different, _different_evenly)):
        all_pairs = photos.same() if one_person else photos.different()
        number = min(number, all_pairs.total)
        if balanced and number < all_pairs.total:
            numbers = pick(photos, all_pairs, number, rng)
        else:
            numbers = _distinct(all_pairs.total, number, rng)
        one, two = all_pairs.decode(numbers)
        ones.append(one)
        twos.append(two)
        truth.append(np.full(number, one_person))
    one, two = photos.rows[np.concatenate(ones)], photos.rows[np.concatenate(twos)]
    swap = rng.random(len(one)) < 0.5
    return PairArrays(np.where(swap, two, one), np.where(swap, one, two), np.concatenate(truth))


def _distinct(
    total: int, number: int, rng: np.random.Generator, without: np.ndarray | None = None
) -> np.ndarray:
    """Draw distinct numbers below total, none of `without`, in random order. There must be so many."""
    taken = np.zeros(0, np.int64) if without is None else without
    if total <= 4 * (number + len(taken)):
        return rng.permutation(np.setdiff1d(np.arange(total), taken))[:number]
    found = np.zeros(0, np.int64)
    while len(found) < number:
        found = _fresh(np.concatenate([found, rng.integers(0, total, number)]), taken)
    return found[:number]


def _fresh(numbers: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Return each number once, where it comes first, without those that are taken."""
    kept = numbers[np.sort(np.unique(numbers, return_index=True)[1])]
    answer: np.ndarray = kept[~np.isin(kept, taken)]
    return answer


def _same_evenly(photos: Sorted, pairs: Possible, number: int, rng: np.random.Generator) -> np.ndarray:
    """Draw pairs of one person such that all people give as many, but for those who have fewer."""
    room = photos.sizes * (photos.sizes - 1) // 2
    quota = np.zeros(len(room), np.int64)
    while missing := number - int(quota.sum()):
        able = np.flatnonzero(quota < room)
        if missing < len(able):
            quota[rng.permutation(able)[:missing]] += 1
        else:
            quota[able] = np.minimum(quota[able] + missing // len(able), room[able])
    starts = np.cumsum(room) - room
    drawn = [starts[p] + _distinct(int(room[p]), int(quota[p]), rng) for p in np.flatnonzero(quota).tolist()]
    return rng.permutation(np.concatenate([np.zeros(0, np.int64), *drawn]))


def _different_evenly(photos: Sorted, pairs: Possible, number: int, rng: np.random.Generator) -> np.ndarray:
    """Draw pairs of two people by pairing all people off again and again, a random photo of each."""
    people, found = len(photos.sizes), np.zeros(0, np.int64)
    half = people // 2
    for _ in range(_PASSES):
        missing = number - len(found)
        if not missing:
            break
        rounds = -(-missing // half)
        order = rng.permuted(np.tile(np.arange(people), (rounds, 1)), axis=1)
        couples = np.sort(np.stack([order[:, :half].ravel(), order[:, half : 2 * half].ravel()]), axis=0)
        one, two = photos.begins[couples] + rng.integers(0, photos.sizes[couples])
        found = _fresh(np.concatenate([found, pairs.encode(one, two)]), np.zeros(0, np.int64))[:number]
    rest = _distinct(pairs.total, number - len(found), rng, without=found)
    return np.concatenate([found, rest])
