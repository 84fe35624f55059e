"""Resampled people: what a resample weighs, the variance it is brought to, and how often intervals cover."""

from __future__ import annotations

import numpy as np
import pytest

from bench.compare.estimates import Contrast, MetricSamples, estimated
from bench.core.predictions import PairFacts, Predictions
from bench.kinds.verification.people_bootstrap import People, PeopleDraws
from bench.metrics import bootstrap


def drawn(people: PeopleDraws) -> np.ndarray:
    return np.concatenate(list(people.chunks(64)))


def some(pairs: int, people: int, seed: int) -> People:
    """Return who is on so many pairs, half of them of one person."""
    rng = np.random.Generator(np.random.PCG64(seed))
    same = np.arange(pairs) % 2 == 0
    first = rng.integers(0, people, pairs)
    second = np.where(same, first, (first + rng.integers(1, people, pairs)) % people)
    return People.of([str(a) for a in first], [str(b) for b in second])


def test_people_are_numbered_once() -> None:
    people = People.of(["a", "b", "c"], ["b", "b", "d"])
    assert people.count == 4 and people.same.tolist() == [False, True, False]
    assert people.first[1] == people.second[0] == people.second[1]


def test_a_pair_weighs_what_its_people_weigh() -> None:
    people = some(60, 9, 0)
    draws = PeopleDraws(people, 50, 3)
    rows = drawn(draws)
    assert rows.shape == (draws.rows, 60) and draws.rows == 50 + 2 * draws.own
    own = bootstrap.bootstrap_weights(people.count, 50, 3)
    for row, weights in zip(rows[:50], own, strict=True):
        expected = np.where(
            people.same, weights[people.first], weights[people.first] * weights[people.second]
        )
        assert np.array_equal(row, expected)


def test_couples_and_pairs_are_resampled_too() -> None:
    people = some(80, 6, 1)
    draws = PeopleDraws(people, 50, 3)
    rows = drawn(draws)
    couples, pairs = rows[50 : 50 + draws.own], rows[50 + draws.own :]
    assert (couples[:, people.same] == 1).all()
    names = [frozenset(pair) for pair in zip(people.first.tolist(), people.second.tolist(), strict=True)]
    for name in set(names):
        together = couples[:, [i for i, other in enumerate(names) if other == name]]
        assert (together == together[:, :1]).all()
    assert (pairs.sum(axis=1) == 80).all()


@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_the_size_of_blocks_changes_nothing(chunk: int) -> None:
    draws = PeopleDraws(some(30, 5, 2), 20, 1)
    assert np.array_equal(np.concatenate(list(draws.chunks(chunk))), drawn(draws))


def dyadic(people: People, values: np.ndarray) -> float:
    """Return the variance of a mean over pairs, those that share a person correlated, term by term."""
    gaps = values - values.mean()
    ends = list(zip(people.first.tolist(), people.second.tolist(), strict=True))
    total = 0.0
    for a, one in zip(ends, gaps, strict=True):
        for b, other in zip(ends, gaps, strict=True):
            total += one * other if {*a} & {*b} else 0.0
    return total / len(values) ** 2


@pytest.mark.parametrize("people", [25, 60, 200])
def test_a_mean_gets_the_variance_of_dyadic_data(people: int) -> None:
    """That of Aronow, Samii and Assenova: all terms of pairs that share somebody, each once."""
    who = some(200, people, people)
    rng = np.random.Generator(np.random.PCG64(people))
    effect = rng.normal(size=who.count)
    values = effect[who.first] + effect[who.second] + rng.normal(size=200)
    draws = PeopleDraws(who, 4000, 0)
    weights = drawn(draws).astype(np.float64)
    found = draws.variance((weights @ values) / weights.sum(axis=1))
    # Products leave terms of third order: people are few.
    expected = np.sqrt(dyadic(who, values) * draws.inflation)
    assert np.sqrt(found) == pytest.approx(expected, rel=0.12)


def test_pairs_that_share_nobody_are_ordinary_items() -> None:
    names = [str(i) for i in range(300)]
    who = People.of(names[:150], names[150:])
    values = np.random.Generator(np.random.PCG64(0)).normal(size=150)
    draws = PeopleDraws(who, 4000, 0)
    weights = drawn(draws).astype(np.float64)
    found = draws.variance((weights @ values) / weights.sum(axis=1))
    assert np.sqrt(found) == pytest.approx(values.std() / np.sqrt(150), rel=0.06)


def test_what_never_varies_does_not() -> None:
    draws = PeopleDraws(some(20, 5, 0), 100, 0)
    same = np.full(draws.rows, 0.25)
    assert draws.variance(same) == 0
    alone = PeopleDraws(People.of(["a", "a"], ["a", "a"]), 10, 0)
    assert alone.units == 1 and drawn(alone).shape == (alone.rows, 2)


def simulated(who: People, effect: float, rng: np.random.Generator) -> Predictions:
    """Return scores with effects of people; a cut of .6 is right for most."""
    own, tied = rng.normal(size=(2, who.count)) * effect
    noise = rng.normal(size=len(who.first)) * np.sqrt(1 - 2 * effect**2)
    scores = np.where(who.same, 1.2 + np.sqrt(2) * tied[who.first], own[who.first] + own[who.second]) + noise
    names = [tuple(map(str, side.tolist())) for side in (who.first, who.second)]
    n = len(scores)
    return Predictions(
        items=tuple(map(str, range(n))),
        groups=names[0],
        truth=who.same.astype(np.int32),
        scores=scores.astype(np.float32)[:, None],
        classes=("same",),
        train_support=np.array([1]),
        known=np.array([2]),
        pairs=PairFacts(
            tuple((f"{i}a", f"{i}b") for i in range(n)),
            names[1],
            np.zeros(n, np.int32),
            np.full(n, 0.6, np.float32),
        ),
    )


@pytest.mark.slow
@pytest.mark.parametrize("effect", [0.0, 0.3, 0.6])
def test_intervals_cover_the_truth_about_as_often_as_they_say(effect: float) -> None:
    """Pairs of 100 people, each on six: as made pairs of a small set are."""
    from scipy.stats import norm

    from bench.kinds.verification.metrics import summary, weighted_summary

    # Scores of both sides are normal with variance 1, so both truths are known.
    truth = {"accuracy": norm.cdf(0.6), "auc": norm.cdf(1.2 / np.sqrt(2))}
    rng = np.random.Generator(np.random.PCG64(1))
    who, trials = some(400, 100, 5), 300
    draws = PeopleDraws(who, 600, 0)
    weights = drawn(draws)
    covered = dict.fromkeys(truth, 0)
    for _ in range(trials):
        pred = simulated(who, effect, rng)
        once, many = summary(pred), weighted_summary(pred, weights)
        for name, true in truth.items():
            observed = once[name]
            assert observed is not None
            source = MetricSamples({"own": many[name]}, {"own": observed}, {})
            interval = estimated(source, Contrast.mean(["own"]), draws, 0)
            assert interval.low is not None and interval.high is not None
            covered[name] += interval.low <= true <= interval.high
    for name, count in covered.items():
        assert 0.92 <= count / trials <= 0.98, name
