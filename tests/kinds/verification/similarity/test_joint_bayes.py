"""Joint Bayes against the definition: densities of stacked normal vectors, and its likelihood."""

from __future__ import annotations

import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.kinds.verification.similarity.joint_bayes import (
    Covariances,
    Ratio,
    from_pairs,
    from_people,
    in_parts,
    ratio_of,
)

D = 4


def _covariance(seed: int, scale: float = 1.0) -> np.ndarray:
    root = np.random.default_rng(seed).normal(size=(D, D + 2))
    return scale * root @ root.T / (D + 2)


def _density(x: np.ndarray, covariance: np.ndarray) -> float:
    from scipy.stats import multivariate_normal

    return float(multivariate_normal(np.zeros(len(x)), covariance).logpdf(x))


def _people(seed: int, people: int, most: int) -> tuple[np.ndarray, np.ndarray, Covariances]:
    rng = np.random.default_rng(seed)
    within, between = _covariance(seed + 1, 0.5), _covariance(seed + 2, 1.5)
    counts = rng.integers(1, most + 1, people)
    who = np.repeat(np.arange(people), counts)
    means = rng.multivariate_normal(np.zeros(D), between, people)
    rows = means[who] + rng.multivariate_normal(np.zeros(D), within, len(who))
    return rows, who, Covariances(within, between)


@pytest.mark.parametrize("seed", range(5))
def test_the_ratio_is_that_of_two_densities(seed: int) -> None:
    known = Covariances(_covariance(seed), _covariance(seed + 10, 2.0))
    total, nothing = known.within + known.between, np.zeros((D, D))
    ratio = ratio_of(known)
    for a, b in np.random.default_rng(seed).normal(size=(20, 2, D)):
        same = np.block([[total, known.between], [known.between, total]])
        apart = np.block([[total, nothing], [nothing, total]])
        pair = np.concatenate([a, b])
        wanted = _density(pair, same) - _density(pair, apart)
        given = a @ ratio.own @ a + b @ ratio.own @ b + a @ ratio.cross @ b + ratio.constant
        assert given == pytest.approx(wanted, rel=1e-8, abs=1e-8)


def _likelihood(rows: np.ndarray, who: np.ndarray, known: Covariances) -> float:
    total = 0.0
    for person in np.unique(who):
        own = rows[who == person]
        n = len(own)
        covariance = np.kron(np.ones((n, n)), known.between) + np.kron(np.eye(n), known.within)
        total += _density(own.ravel(), covariance)
    return total


def test_every_round_makes_the_photos_more_likely() -> None:
    rows, who, _ = _people(0, 40, 5)
    values = [_likelihood(rows, who, from_people(rows, who, rounds)) for rounds in range(1, 12)]
    assert (np.diff(values) > -1e-6).all()
    assert values[-1] > values[0] + 0.01


def test_what_photos_were_made_by_is_found_again() -> None:
    rows, who, true = _people(3, 4000, 6)
    found = from_people(rows, who, 30)
    np.testing.assert_allclose(found.within, true.within, atol=0.05)
    np.testing.assert_allclose(found.between, true.between, atol=0.15)
    first = np.flatnonzero(np.diff(who) == 0)
    closed = from_pairs(rows, rows[first], rows[first + 1])
    np.testing.assert_allclose(closed.within, true.within, atol=0.05)
    np.testing.assert_allclose(closed.between, true.between, atol=0.3)


def test_a_round_is_the_one_of_the_textbook() -> None:
    """Person by person, with inverses, as the paper writes it."""
    rows, who, _ = _people(5, 30, 4)
    before, after = from_people(rows, who, 1), from_people(rows, who, 2)
    within, between = np.zeros((D, D)), np.zeros((D, D))
    for person in np.unique(who):
        own = rows[who == person]
        n = len(own)
        spread = np.linalg.inv(np.linalg.inv(before.between) + n * np.linalg.inv(before.within))
        mean = spread @ np.linalg.inv(before.within) @ own.sum(axis=0)
        between += np.outer(mean, mean) + spread
        within += (own - mean).T @ (own - mean) + n * spread
    np.testing.assert_allclose(after.between, between / len(np.unique(who)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(after.within, within / len(rows), rtol=1e-4, atol=1e-5)


def test_pairs_alone_give_differences_half_their_scatter() -> None:
    rows, who, _ = _people(7, 200, 2)
    first = np.flatnonzero(np.diff(who) == 0)
    found = from_pairs(rows, rows[first], rows[first + 1])
    apart = rows[first] - rows[first + 1]
    np.testing.assert_allclose(found.within, apart.T @ apart / (2 * len(first)), rtol=1e-4, atol=1e-5)
    assert np.linalg.eigvalsh(found.between).min() > -1e-8


def test_parts_add_their_ratios() -> None:
    known = [ratio_of(Covariances(_covariance(seed), _covariance(seed + 5))) for seed in (1, 2)]
    both = in_parts(known)
    a, b = np.random.default_rng(0).normal(size=(2, 2 * D))

    def value(ratio: Ratio, one: np.ndarray, other: np.ndarray) -> float:
        own, cross, constant = ratio
        return float(one @ own @ one + other @ own @ other + one @ cross @ other + constant)

    wanted = sum(
        value(one, a[part], b[part]) for one, part in zip(known, (slice(D), slice(D, 2 * D)), strict=True)
    )
    assert value(both, a, b) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("people", "said"), [([0, 1, 2, 3], "no person with two photos"), ([0] * 4, "one person alone")]
)
def test_it_says_what_it_lacks(people: list[int], said: str) -> None:
    with pytest.raises(BenchError, match=said):
        from_people(np.random.default_rng(0).normal(size=(4, 2)), np.array(people), 3)
    with pytest.raises(BenchError, match="same pairs"):
        from_pairs(np.ones((3, 2)), np.empty((0, 2)), np.empty((0, 2)))


def test_equal_photos_and_dead_features_do_not_break_it() -> None:
    rows = np.repeat(np.random.default_rng(0).normal(size=(5, 3)), 2, axis=0)
    rows[:, 2] = 0.0
    ratio = ratio_of(from_people(rows, np.repeat(np.arange(5), 2), 10))
    assert all(np.isfinite(part).all() for part in ratio)
