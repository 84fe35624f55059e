"""The paired bootstrap where items are pairs of photos: the people on them are resampled."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from bench.metrics.verification import answers, facts, weighted_summary
from bench.paired import ahead
from bench.people import People, PeopleDraws
from bench.spec import Predictions

Weighted = Callable[[np.ndarray], dict[str, np.ndarray]]
"""Turns (draws, n) weights into (draws,) of each metric."""

_WEIGHTS_AT_ONCE = 1 << 23
"""Of one block of resamples: the longer its rows, the less each step through the pairs costs."""


@dataclass(frozen=True)
class PhotoPair:
    """One seed's predictions on both sides, of the same pairs of photos in the same order."""

    ours: Predictions
    theirs: Predictions

    @cached_property
    def people(self) -> People:
        """Who is on the pairs."""
        return People.of(self.ours.groups or (), facts(self.ours).partners)

    def changed(self) -> np.ndarray:
        """Return which pairs are answered differently, (n,) bool."""
        changed: np.ndarray = answers(self.ours) != answers(self.theirs)
        return changed

    def rescored(self) -> np.ndarray:
        """Return which pairs have other scores, (n,) bool."""
        rescored: np.ndarray = (self.ours.scores != self.theirs.scores)[:, 0]
        return rescored

    def differences(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return ours - theirs of every metric under (draws, n) weights: (draws,) each."""
        ours, theirs = (weighted_summary(side, weights) for side in (self.ours, self.theirs))
        return {name: ours[name] - theirs[name] for name in ours}


def draw_people(pairs: Sequence[PhotoPair], draws: int, seed: int) -> dict[str, np.ndarray]:
    """Resample the people and return the differences of every metric: name -> (seeds, draws).

    pairs: one per seed, all of the same pairs of photos in the same order. See `bench.people`.
    """
    return _drawn([pair.differences for pair in pairs], pairs[0].people, draws, seed)


def draw_values(predictions: Sequence[Predictions], draws: int, seed: int) -> dict[str, np.ndarray]:
    """Resample the people and return every metric: name -> (seeds, draws). predictions: one for each seed."""
    first = predictions[0]
    people = People.of(first.groups or (), facts(first).partners)
    return _drawn([partial(weighted_summary, pred) for pred in predictions], people, draws, seed)


def _drawn(sides: Sequence[Weighted], on: People, draws: int, seed: int) -> dict[str, np.ndarray]:
    people, n = PeopleDraws(on, draws, seed), len(on.first)
    # Blocks of one size: a short last one would cost almost as much.
    blocks = math.ceil(people.rows * n / _WEIGHTS_AT_ONCE)
    chunks = people.chunks(math.ceil(people.rows / blocks))
    parts = list(ahead(lambda weights: [side(weights) for side in sides], chunks))
    once = [side(np.ones((1, n))) for side in sides]
    out = {}
    for name in once[0]:
        drawn = np.stack([np.concatenate([part[side][name] for part in parts]) for side in range(len(sides))])
        observed = np.array([own[name][0] for own in once])
        out[name] = people.spread(drawn, observed)
    return out
