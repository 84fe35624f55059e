"""Mining of more training pairs from the training people's photos, random or hard ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bench.core.cell import Step
from bench.core.errors import BenchError
from bench.kinds.verification.arrays import PairArrays
from bench.kinds.verification.sampling import make_pairs

POOL = 10
"""Of how many times as many pairs the hard ones are."""

_STREAM = 11
"""The stream of random numbers that pairs are drawn from, beside those of training."""

Likeness = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Positions of both photos of m pairs -> (m,) how alike they are."""


def mined_pairs(
    step: Step, person: Sequence[str], rows: np.ndarray, likeness: Likeness, seed: int
) -> PairArrays:
    """Return as many pairs of these photos as the step asks for, half of one person, or all that there are.

    person: a name for every position. rows: positions of the training people's photos. random: any pair is as
    likely as another. balanced: every person is in about as many. hard: of POOL times as many random ones,
    the same pairs that are least alike and the different pairs that are most alike. semi_hard: different
    pairs that are most alike among those less alike than the middle same pair (so that a mislabelled pair is
    not taken), and random same pairs. Raises BenchError where no pair of one person, or of two, can be made.
    """
    mining, number = str(step["mining"]), int(str(step["number"]))
    rng = np.random.default_rng([_STREAM, seed])
    own, other = number - number // 2, number // 2
    pool = POOL if mining in ("hard", "semi_hard") else 1
    found = make_pairs(person, rows, own * pool, other * pool, rng, balanced=mining == "balanced")
    same, different = found.take(found.same), found.take(~found.same)
    if not len(same) or not len(different):
        what = "one person has two photos" if not len(same) else "there are two people"
        raise BenchError(f"pairs makes pairs of training photos: at least {what}, which is not so here")
    if pool == 1:
        return found
    close, far = likeness(different.first, different.second), likeness(same.first, same.second)
    if mining == "hard":
        return same.take(np.argsort(far, kind="stable")[:own]) + different.take(
            np.argsort(-close, kind="stable")[:other]
        )
    allowed = np.flatnonzero(close < np.median(far))
    chosen = allowed[np.argsort(-close[allowed], kind="stable")[:other]]
    return same.take(np.arange(min(own, len(same)))) + different.take(chosen)
