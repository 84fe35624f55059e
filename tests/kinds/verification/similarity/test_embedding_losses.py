"""Losses of embeddings: their values written out pair by pair, and gradients that stay finite."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.kinds.verification.similarity.embedding_losses import (
    arcface,
    batch_hard,
    contrastive,
    cosface,
    semi_hard,
    unit_length,
)
from bench.kinds.verification.similarity.transforms import unit

B, K, C = 12, 5, 4


def _rows(seed: int, n: int = B) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(n, K))).astype(np.float32)


def _people(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, C, B).astype(np.int32)


def _mean(losses: Any) -> float:
    own = np.asarray(losses)
    return float(own.mean()) if own.size else 0.0


def _gradient(loss: Callable[[Any], Any], at: np.ndarray) -> np.ndarray:
    """Return the gradient of the mean of what a loss returns."""
    import tensorflow as tf

    given = tf.constant(at, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(given)
        mean = tf.reduce_mean(loss(given))
    return np.asarray(tape.gradient(mean, given))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("margin", [0.0, 0.7, 1.4])
def test_contrastive_is_its_formula(seed: int, margin: float) -> None:
    one, other = _rows(seed), _rows(seed + 100)
    same = np.random.default_rng(seed).random(B) < 0.5
    costs = []
    for a, b, y in zip(one, other, same, strict=True):
        distance = math.dist(a, b)
        costs.append(distance**2 / 2 if y else max(0.0, margin - distance) ** 2 / 2)
    np.testing.assert_allclose(contrastive(one, other, same, margin), costs, rtol=1e-5, atol=1e-7)


def test_contrastive_pulls_a_same_pair_together_and_pushes_others_up_to_the_margin() -> None:
    first, second = _rows(0), _rows(100)
    slope = _gradient(lambda x: contrastive(x, second, np.ones(B, bool), 0.7), first)
    np.testing.assert_allclose(slope, (first - second) / B, rtol=1e-5, atol=1e-7)
    distance = np.linalg.norm(first - second, axis=1, keepdims=True)
    wanted = -np.maximum(1.4 - distance, 0) / distance * (first - second) / B
    found = _gradient(lambda x: contrastive(x, second, np.zeros(B, bool), 1.4), first)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)


def test_what_lies_in_one_place_is_not_pushed() -> None:
    one = _rows(0)
    assert _mean(contrastive(one, one, np.zeros(B, bool), 1.0)) == pytest.approx(0.5)
    slope = _gradient(lambda x: contrastive(x, one, np.zeros(B, bool), 1.0), one)
    assert np.isfinite(slope).all() and not slope.any()


def _hard_by_hand(rows: np.ndarray, people: np.ndarray, margin: float) -> list[float]:
    costs = []
    for i in range(len(rows)):
        own = [math.dist(rows[i], rows[j]) for j in range(len(rows)) if j != i and people[j] == people[i]]
        other = [math.dist(rows[i], rows[j]) for j in range(len(rows)) if people[j] != people[i]]
        if own and other:
            costs.append(max(0.0, margin + max(own) - min(other)))
    return costs


def _semi_by_hand(rows: np.ndarray, people: np.ndarray, margin: float) -> list[float]:
    costs = []
    for i in range(len(rows)):
        other = [math.dist(rows[i], rows[j]) ** 2 for j in range(len(rows)) if people[j] != people[i]]
        for j in range(len(rows)):
            if j != i and people[j] == people[i] and other:
                near = math.dist(rows[i], rows[j]) ** 2
                beyond = [d for d in other if d > near]
                costs.append(max(0.0, margin + near - (min(beyond) if beyond else max(other))))
    return costs


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("margin", [0.0, 0.2, 1.0])
@pytest.mark.parametrize(("loss", "by_hand"), [(batch_hard, _hard_by_hand), (semi_hard, _semi_by_hand)])
def test_triplets_are_their_formula(
    seed: int, margin: float, loss: Callable[..., Any], by_hand: Callable[..., list[float]]
) -> None:
    rows, people = _rows(seed), _people(seed)
    np.testing.assert_allclose(
        loss(rows, people, margin), by_hand(rows, people, margin), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("loss", [batch_hard, semi_hard])
@pytest.mark.parametrize("people", [[0] * B, list(range(B))])
def test_without_a_triplet_there_is_nothing_to_learn(loss: Callable[..., Any], people: list[int]) -> None:
    assert np.asarray(loss(_rows(1), np.array(people, np.int32), 0.2)).shape == (0,)


@pytest.mark.parametrize("loss", [batch_hard, semi_hard])
def test_photos_in_one_place_have_finite_gradients(loss: Callable[..., Any]) -> None:
    rows, people = np.repeat(_rows(2, 3), 4, axis=0), _people(2)
    slope = _gradient(lambda x: loss(x, people, 0.5), rows)
    assert np.isfinite(slope).all() and np.abs(slope).max() < 10
    at_one = _gradient(lambda x: loss(x, people, 0.5), np.repeat(rows[:1], B, axis=0))
    assert np.isfinite(at_one).all()


def _entropies(logits: list[list[float]], people: np.ndarray) -> list[float]:
    return [math.log(sum(math.exp(z) for z in row)) - row[p] for row, p in zip(logits, people, strict=True)]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("margin", [0.0, 0.3, 0.5, 1.2])
def test_margins_between_people_are_their_formula(seed: int, margin: float) -> None:
    cosines, people = _rows(seed) @ _rows(seed + 50, C).T, _people(seed)
    arc, cos = ([list(map(float, row)) for row in cosines] for _ in range(2))
    for row, person in enumerate(people):
        angle = math.acos(cosines[row, person])
        within = angle + margin < math.pi
        arc[row][person] = math.cos(angle + margin) if within else math.cos(angle) - margin * math.sin(margin)
        cos[row][person] -= margin
    for loss, own in ((arcface, arc), (cosface, cos)):
        wanted = _entropies([[7.0 * z for z in row] for row in own], people)
        np.testing.assert_allclose(loss(cosines, people, margin, 7.0), wanted, rtol=1e-4, atol=1e-5)


def test_without_a_margin_both_are_softmax() -> None:
    cosines, people = _rows(3) @ _rows(4, C).T, _people(3)
    powers = np.exp(9.0 * cosines.astype(np.float64))
    shares = powers / powers.sum(axis=1, keepdims=True)
    wanted = 9.0 * (shares - np.eye(C)[people]) / B
    arc = _gradient(lambda x: arcface(x, people, 0.0, 9.0), cosines)
    cos = _gradient(lambda x: cosface(x, people, 0.0, 9.0), cosines)
    np.testing.assert_allclose(arc, wanted, atol=1e-6)
    np.testing.assert_allclose(cos, wanted, atol=1e-6)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_cosine_of_one_is_no_trouble(sign: float) -> None:
    cosines, people = sign * np.eye(C, dtype=np.float32), np.arange(C, dtype=np.int32)
    assert np.isfinite(_mean(arcface(cosines, people, 0.5, 64.0)))
    assert np.isfinite(_gradient(lambda x: arcface(x, people, 0.5, 64.0), cosines)).all()


def test_rows_get_length_one_and_zeros_stay() -> None:
    rows = np.concatenate([_rows(0) * 7, np.zeros((1, K), np.float32)])
    np.testing.assert_allclose(unit_length(rows, axis=1), unit(rows), atol=1e-6)
    assert np.isfinite(_gradient(lambda x: unit_length(x, axis=1), rows)).all()
