"""Losses in the graph: their values against independent formulae, their gradients at extreme logits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.training.fits import Fit
from bench.training.linear_head import LossSpec
from bench.training.losses.families import ATTRIBUTES, loss_function
from bench.training.objective import Objective, labels_of, mean, shares_of, totals
from tests.methods import test_cells as attributes
from tests.methods import test_losses as classes

tf = pytest.importorskip("tensorflow")

CLASS_CASES = [(name, params) for name, params in classes.CASES if name not in ("elr", "co_teaching")]
CELL_CASES = [case for case in attributes.CASES if case[2] and case[0] != "large_loss_permanent"]


def _params(params: dict[str, float]) -> dict[str, Any]:
    return {name: tf.constant(value, tf.float32) for name, value in params.items()}


def _attribute_loss(name: str, params: dict[str, float], epoch: int) -> Callable[..., Any]:
    more = {"epoch": tf.constant(epoch, tf.float32)} if ATTRIBUTES[name].epoch else {}
    return lambda z, t: loss_function(name, True)(z, t, **more, **_params(params))


def _extreme(function: Callable[[Any], Any], logits: np.ndarray) -> None:
    z = tf.constant(logits, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(z)
        loss = function(z)
    gradient = tape.gradient(loss, z)
    assert np.isfinite(loss).all() and np.isfinite(gradient).all()


@pytest.mark.parametrize("size", [0.0, 60.0, 1e4, 1e30])
@pytest.mark.parametrize(("name", "params"), CLASS_CASES)
def test_class_loss_and_gradient_stay_finite(name: str, params: dict[str, float], size: float) -> None:
    logits = np.array([[size, -size, 0.0], [-size, size, size], [size, size, size]], np.float32)
    labels = np.array([0, 0, 2], np.int32)
    _extreme(lambda z: loss_function(name, False)(z, labels, **_params(params)), logits)


@pytest.mark.parametrize("size", [0.0, 60.0, 1e4, 1e30])
@pytest.mark.parametrize(("name", "params", "epoch"), CELL_CASES)
def test_attribute_loss_and_gradient_stay_finite(
    name: str, params: dict[str, float], epoch: int, size: float
) -> None:
    logits = np.array([[size, -size, size], [-size, size, -size]], np.float32)
    for targets in ([[1, 1, np.nan], [0, 0, np.nan]], [[0.5, 0.2, np.nan], [0.0, 1.0, np.nan]]):
        known, measure = np.array(targets, np.float32), _attribute_loss(name, params, epoch)
        _extreme(lambda z: measure(z, known)[0], logits)  # noqa: B023


@pytest.mark.parametrize("size", [0.0, 60.0, 1e4, 1e30])
def test_elr_stays_finite(size: float) -> None:
    logits = np.array([[size, -size, 0.0], [-size, size, size]], np.float32)
    labels, past = np.array([0, 0], np.int32), np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    _extreme(lambda z: loss_function("elr", False)(z, labels, past)[0], logits)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("margins", [False, True])
def test_objective_of_classes_is_the_weighted_mean(weighted: bool, margins: bool) -> None:
    rng = np.random.default_rng(0)
    n, k = 9, 4
    logits, y = rng.normal(size=(n, k)).astype(np.float32), rng.integers(0, k, 20).astype(np.int32)
    weights, offset, lowered, rows = (rng.random(size).astype(np.float32) for size in (k, k, k, n))
    spec = LossSpec(offset=offset, margins=lowered if margins else None)
    fit = Fit(np.arange(5, 5 + n), np.empty(0, np.int64), spec, weights if weighted else None, 0, 4, rows)
    objective, places = Objective.of(fit, False), np.arange(n)[::-1]
    labels = labels_of(fit, y, places)
    np.testing.assert_array_equal(labels, y[5 : 5 + n][::-1])
    lost, seen = totals([objective(objective.numbers(fit, k, 1), logits, labels, shares_of(fit, places))])
    z = logits + offset
    if margins:
        z[np.arange(n), labels] -= lowered[labels]
    own = (weights[labels] if weighted else 1.0) * rows[::-1]
    expected = np.log(np.exp(z).sum(1)) - z[np.arange(n), labels]
    np.testing.assert_allclose([lost, seen], [(own * expected).sum(), own.sum()], rtol=1e-5)
    assert float(mean(lost, seen)) == pytest.approx((own * expected).sum() / own.sum(), rel=1e-5)
    on_others, _ = totals([objective(objective.numbers(fit, k, 1), logits, labels, training=False)])
    z = logits + offset
    plain = np.log(np.exp(z).sum(1)) - z[np.arange(n), labels]
    assert float(on_others) == pytest.approx(((weights[labels] if weighted else 1.0) * plain).sum(), rel=1e-5)


def test_deferred_weights_count_from_the_epoch_after() -> None:
    weights = np.array([2.0, 3.0], np.float32)
    fit = Fit(np.arange(3), np.arange(0), LossSpec(), weights, 0, 9, deferred=4)
    objective = Objective.of(fit, False)
    assert [objective.numbers(fit, 2, epoch)["weights"][1] for epoch in (1, 4, 5)] == [1.0, 1.0, 3.0]


def test_objective_of_attributes_weighs_yes_and_no_and_leaves_out_the_unknown() -> None:
    logits = np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)
    y = np.array([[1.0, np.nan], [0.25, 0.0]], np.float32)
    weights = np.array([[1.0, 2.0], [5.0, 7.0]], np.float32)
    fit = Fit(np.arange(2), np.arange(0), LossSpec("bce"), weights, 0, 9)
    objective = Objective.of(fit, True)
    lost, seen = totals([objective(objective.numbers(fit, 2, 1), logits, labels_of(fit, y, np.arange(2)))])
    soft = np.log1p(np.exp(0.5)) - 0.25 * 0.5
    cells = [5.0 * np.log1p(np.exp(-1.0)), (1 + 0.25 * 4) * soft, 2.0 * np.log1p(np.exp(3.0))]
    assert float(lost) == pytest.approx(sum(cells), rel=1e-5)
    assert float(seen) == pytest.approx(5.0 + 2.0 + 2.0)


def test_memory_is_kept_row_by_row() -> None:
    import tensorflow as tf

    rng = np.random.default_rng(1)
    fit = Fit(np.arange(6), np.arange(0), LossSpec("elr", {"beta": 0.6, "lam": 2.0}), None, 0, 9)
    objective = Objective.of(fit, False)
    memory = tf.Variable(tf.zeros((6, 3)))
    past, labels = np.zeros((6, 3)), np.array([0, 2, 1], np.int32)
    for _ in range(2):
        logits, places = rng.normal(size=(3, 3)).astype(np.float32), np.array([4, 0, 5])
        lost, _ = totals([objective(objective.numbers(fit, 3, 1), logits, labels, None, places, memory)])
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        past[places] = 0.6 * past[places] + 0.4 * p
        np.testing.assert_allclose(memory.numpy(), past, rtol=1e-5)
        entropy = -np.log(p[np.arange(3), labels])
        expected = entropy + 2.0 * np.log(1 - (p * past[places]).sum(1))
        assert float(lost) == pytest.approx(expected.sum(), rel=1e-5)
    measured = objective(objective.numbers(fit, 3, 1), logits, labels, memory=memory, training=False)
    still, _ = totals([measured])
    assert float(still) == pytest.approx(entropy.sum(), rel=1e-5)
    np.testing.assert_allclose(memory.numpy(), past, rtol=1e-5)


def test_a_minibatch_of_weight_zero_teaches_nothing() -> None:
    fit = Fit(np.arange(2), np.arange(0), LossSpec(), np.array([0.0, 1.0], np.float32), 0, 9)
    objective, z = Objective.of(fit, False), tf.constant([[1.0, 2.0]])
    with tf.GradientTape() as tape:
        tape.watch(z)
        loss = mean(*totals([objective(objective.numbers(fit, 2, 1), z, np.zeros(1, np.int32))]))
    assert not np.any(tape.gradient(loss, z))
