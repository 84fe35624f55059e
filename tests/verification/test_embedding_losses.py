"""Losses of embeddings: their values written out pair by pair, their slopes by differences of values."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from bench.verification.embedding_losses import arcface, batch_hard, contrastive, cosface, semi_hard
from bench.verification.spaces import unit

B, K, C = 12, 5, 4
STEP = 1e-6


def _rows(seed: int, n: int = B) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(n, K)))


def _people(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, C, B)


def _slope(value: Callable[[np.ndarray], float], at: np.ndarray) -> np.ndarray:
    """Return central differences of a function of an array."""
    out = np.empty_like(at)
    for place in np.ndindex(*at.shape):
        up, down = at.copy(), at.copy()
        up[place] += STEP
        down[place] -= STEP
        out[place] = (value(up) - value(down)) / (2 * STEP)
    return out


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("margin", [0.0, 0.7, 1.4])
def test_contrastive_is_its_formula_and_falls_as_told(seed: int, margin: float) -> None:
    one, other = _rows(seed), _rows(seed + 100)
    same = np.random.default_rng(seed).random(B) < 0.5
    loss, slope_one, slope_other = contrastive(one, other, same, margin)
    costs = []
    for a, b, y in zip(one, other, same, strict=True):
        distance = math.dist(a, b)
        costs.append(distance**2 / 2 if y else max(0.0, margin - distance) ** 2 / 2)
    assert loss == pytest.approx(sum(costs) / B, rel=1e-12)
    np.testing.assert_allclose(
        slope_one, _slope(lambda x: contrastive(x, other, same, margin)[0], one), atol=1e-8
    )
    np.testing.assert_allclose(
        slope_other, _slope(lambda x: contrastive(one, x, same, margin)[0], other), atol=1e-8
    )


def test_what_lies_in_one_place_is_not_pushed() -> None:
    one = _rows(0)
    loss, slope, _ = contrastive(one, one.copy(), np.zeros(B, bool), 1.0)
    assert loss == pytest.approx(0.5)
    assert np.isfinite(slope).all() and not slope.any()


def _hard_by_hand(rows: np.ndarray, people: np.ndarray, margin: float) -> float:
    costs = []
    for i in range(len(rows)):
        own = [math.dist(rows[i], rows[j]) for j in range(len(rows)) if j != i and people[j] == people[i]]
        other = [math.dist(rows[i], rows[j]) for j in range(len(rows)) if people[j] != people[i]]
        if own and other:
            costs.append(max(0.0, margin + max(own) - min(other)))
    return sum(costs) / len(costs) if costs else 0.0


def _semi_by_hand(rows: np.ndarray, people: np.ndarray, margin: float) -> float:
    costs = []
    for i in range(len(rows)):
        other = [math.dist(rows[i], rows[j]) ** 2 for j in range(len(rows)) if people[j] != people[i]]
        for j in range(len(rows)):
            if j != i and people[j] == people[i] and other:
                near = math.dist(rows[i], rows[j]) ** 2
                beyond = [d for d in other if d > near]
                costs.append(max(0.0, margin + near - (min(beyond) if beyond else max(other))))
    return sum(costs) / len(costs) if costs else 0.0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("margin", [0.0, 0.2, 1.0])
@pytest.mark.parametrize(("loss", "by_hand"), [(batch_hard, _hard_by_hand), (semi_hard, _semi_by_hand)])
def test_triplets_are_their_formula_and_fall_as_told(
    seed: int, margin: float, loss: Callable[..., tuple[float, np.ndarray]], by_hand: Callable[..., float]
) -> None:
    rows, people = _rows(seed), _people(seed)
    value, slope = loss(rows, people, margin)
    assert value == pytest.approx(by_hand(rows, people, margin), rel=1e-9, abs=1e-12)
    np.testing.assert_allclose(slope, _slope(lambda x: loss(x, people, margin)[0], rows), atol=1e-6)


@pytest.mark.parametrize("loss", [batch_hard, semi_hard])
@pytest.mark.parametrize("people", [[0] * B, list(range(B))])
def test_without_a_triplet_there_is_nothing_to_learn(
    loss: Callable[..., tuple[float, np.ndarray]], people: list[int]
) -> None:
    value, slope = loss(_rows(1), np.array(people), 0.2)
    assert value == 0.0 and not slope.any()


def _entropy(logits: list[list[float]], people: np.ndarray) -> float:
    return math.fsum(
        math.log(sum(math.exp(z) for z in row)) - row[p] for row, p in zip(logits, people, strict=True)
    ) / len(people)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("margin", [0.0, 0.3, 0.5, 1.2])
def test_margins_between_people_are_their_formula_and_fall_as_told(seed: int, margin: float) -> None:
    cosines, people = _rows(seed) @ _rows(seed + 50, C).T, _people(seed)
    arc, cos = ([list(map(float, row)) for row in cosines] for _ in range(2))
    for row, person in enumerate(people):
        angle = math.acos(cosines[row, person])
        within = angle + margin < math.pi
        arc[row][person] = math.cos(angle + margin) if within else math.cos(angle) - margin * math.sin(margin)
        cos[row][person] -= margin
    for loss, own in ((arcface, arc), (cosface, cos)):
        value, slope = loss(cosines, people, margin, 7.0)
        assert value == pytest.approx(_entropy([[7.0 * z for z in row] for row in own], people), rel=1e-9)

        def at(x: np.ndarray, loss: Callable[..., tuple[float, np.ndarray]] = loss) -> float:
            return loss(x, people, margin, 7.0)[0]

        np.testing.assert_allclose(slope, _slope(at, cosines), atol=1e-6)


def test_without_a_margin_both_are_softmax() -> None:
    cosines, people = _rows(3) @ _rows(4, C).T, _people(3)
    one, other = arcface(cosines, people, 0.0, 9.0), cosface(cosines, people, 0.0, 9.0)
    assert one[0] == pytest.approx(other[0], rel=1e-12)
    np.testing.assert_allclose(one[1], other[1], atol=1e-12)


def test_a_cosine_of_one_is_no_trouble() -> None:
    cosines = np.eye(C)
    value, slope = arcface(cosines, np.arange(C), 0.5, 64.0)
    assert np.isfinite(value) and np.isfinite(slope).all()
