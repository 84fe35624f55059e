"""Choice of held-out people: of photos alone, or of pairs that connect people."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bench.core.errors import DataError
from bench.data.validation import draw_validation, units_of

_STARTS = 8
"""Random starts; the best set of people is used."""

_JITTER = 0.25
"""By how much chance may move a person's gain: below half a pair, so that it only decides between equals."""


def hold_out(images: Mapping[str, int], share: float, rng: np.random.Generator, why: str) -> set[str]:
    """Sample a share of people, and the same share of those with one image.

    images: images of each person. Both sides get at least two people, one of them with two images, so that
    each can have a pair of one person and one of two. why: the purpose, for the message.
    Raises DataError where there are too few.
    """
    names = sorted(images)
    many = [name for name in names if images[name] > 1]
    single = [name for name in names if images[name] == 1]
    if len(many) < 2 or len(many) + len(single) < 4:
        raise DataError(
            f"{len(names)} people, {len(many)} of them with two images or more, are too few to hold people "
            f"out for {why}: both sides need two people and one with two images; add people"
        )
    of_many = min(max(round(share * len(many)), 1), len(many) - 1)
    of_single = round(share * len(single))
    # Two people on each side: where there are just four, all but one could have gone to one side.
    while of_many + of_single < 2:
        of_many, of_single = (of_many + 1, of_single) if of_many < len(many) - 1 else (of_many, of_single + 1)
    while len(names) - of_many - of_single < 2:
        of_many, of_single = (of_many - 1, of_single) if of_many > 1 else (of_many, of_single - 1)
    held = [*rng.permutation(many)[:of_many].tolist(), *rng.permutation(single)[:of_single].tolist()]
    return set(held)


def hold_out_listed(first: np.ndarray, second: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Choose people such that about a share of the pairs, same and different, has both its people among them.

    first, second: (m,) int64 numbers of the people of each pair, equal where it is one person. Returns (p,)
    bool for the numbers 0 to p - 1: who is held out.

    People whom no pair joins are held out together, so that no pair is split. If most people are
    connected, that is impossible: then people are added one by one, each time the one who adds most pairs
    and splits fewest, until the share is reached or training would lose twice that; the best of several
    random starts has the fewest split and missing pairs.
    """
    people = int(max(first.max(), second.max())) + 1
    same = first == second
    pairs = np.arange(len(first))
    held = np.zeros(people, bool)
    if share <= 0:
        return held
    units = _joined(first, second)
    val = draw_validation(same.astype(np.int32), pairs, units, share, seed)
    held[first[val]] = held[second[val]] = True
    quota = {answer: round(share * int((same == answer).sum())) for answer in (True, False)}
    if all(2 * int((same[val] == answer).sum()) >= quota[answer] for answer in quota):
        return held
    rng = np.random.default_rng(seed)
    graph = _Graph(first, second, people)
    spent = min(2 * share, (1 + share) / 2) * len(first)
    grown = [graph.grow(quota[True], quota[False], spent, rng) for _ in range(_STARTS)]
    return min(grown, key=lambda chosen: graph.cost(chosen, quota[True], quota[False]))


def _joined(first: np.ndarray, second: np.ndarray) -> list[list[int]]:
    """Return the places of pairs in groups that share no person."""
    # A pair stands twice, once for each of its people, and both stand under its own number too.
    count = len(first)
    whose = [str(code) for code in np.concatenate([first, second]).tolist()]
    number = [str(place) for place in (*range(count), *range(count))]
    units = units_of(np.arange(2 * count), whose, number)
    return [[place for place in unit if place < count] for unit in units]


class _Graph:
    """People, joined by their different pairs; own: (p,) same pairs of each."""

    def __init__(self, first: np.ndarray, second: np.ndarray, people: int) -> None:
        same = first == second
        self.own = np.bincount(first[same], minlength=people)
        self.one, self.two = first[~same], second[~same]
        self.degree = np.bincount(self.one, minlength=people) + np.bincount(self.two, minlength=people)
        self.partners: list[list[int]] = [[] for _ in range(people)]
        for one, two in zip(self.one.tolist(), self.two.tolist(), strict=True):
            self.partners[one].append(two)
            self.partners[two].append(one)

    def grow(self, same: int, different: int, most: float, rng: np.random.Generator) -> np.ndarray:
        """Add people until so many pairs of both kinds lie inside, or more than `most` touch one of them."""
        people = len(self.own)
        held = np.zeros(people, bool)
        inside = np.zeros(people, np.int64)
        noise = rng.uniform(0, _JITTER, people)
        touched, asked = 0, different
        while (same > 0 or different > 0) and not held.all():
            gain = np.minimum(self.own, max(same, 0)) + np.minimum(inside, max(different, 0))
            # Its pairs with people outside are now split; those with people inside no longer are.
            worth = np.where(held, -np.inf, gain + 2 * inside - self.degree + noise)
            best = int(worth.argmax())
            touched += int(self.own[best] + self.degree[best] - inside[best])
            # Validation needs a different pair, so the first one is accepted at any cost.
            if touched > most and different < asked:
                break
            held[best] = True
            same -= int(self.own[best])
            different -= int(inside[best])
            for partner in self.partners[best]:
                inside[partner] += 1
        return held

    def cost(self, held: np.ndarray, same: int, different: int) -> int:
        """Return the number of split pairs, and of pairs missing from the quotas."""
        ends = held[self.one].astype(int) + held[self.two]
        missed = abs(same - int(self.own[held].sum())) + abs(different - int((ends == 2).sum()))
        return int((ends == 1).sum()) + missed
