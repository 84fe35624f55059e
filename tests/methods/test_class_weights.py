"""Class weights and log priors against scikit-learn and hand computations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.utils.class_weight import compute_class_weight

from bench.methods.class_weights import class_balanced, class_weight
from bench.training.losses.specs import log_prior

COUNTS = arrays(np.int64, st.integers(1, 8), elements=st.integers(0, 10_000))


def test_balanced_is_scikit_learns() -> None:
    y = np.repeat([0, 1, 2], [7, 2, 1])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=y)
    np.testing.assert_allclose(class_weight({"scheme": "balanced"}, np.bincount(y)), expected, rtol=1e-6)


def test_empty_classes_do_not_change_the_others_weight() -> None:
    y = np.repeat([0, 2], [6, 2])
    expected = compute_class_weight("balanced", classes=np.array([0, 2]), y=y)
    np.testing.assert_allclose(
        class_weight({"scheme": "balanced"}, np.bincount(y)), [expected[0], 0, expected[1]]
    )


def test_schemes_by_hand() -> None:
    counts = np.array([8, 4, 1, 0])
    assert class_weight({"scheme": "inverse"}, counts).tolist() == [0.125, 0.25, 1.0, 0.0]
    assert class_weight({"scheme": "max_over_count"}, counts).tolist() == [1.0, 2.0, 8.0, 0.0]


def test_class_balanced_by_hand() -> None:
    # effective numbers for beta = .5: (1 - .5) / .5 = 1 and (1 - .25) / .5 = 1.5 images; weights 1 and 2/3
    weights = class_balanced({"beta": 0.5}, np.array([1, 2, 0]))
    np.testing.assert_allclose(weights, [1.2, 0.8, 0.0], rtol=1e-6)


def test_class_balanced_is_the_papers_formula() -> None:
    counts, beta = np.array([5000, 50, 3]), 0.9999
    inverse = (1 - beta) / (1 - np.power(beta, counts))
    np.testing.assert_allclose(class_balanced({"beta": beta}, counts), inverse / inverse.sum() * 3, rtol=1e-6)


@pytest.mark.parametrize(("beta", "expected"), [(0.0, [1.0, 1.0]), (1.0, [0.5, 1.5])])
def test_class_balanced_limits(beta: float, expected: list[float]) -> None:
    np.testing.assert_allclose(class_balanced({"beta": beta}, np.array([3, 1])), expected, rtol=1e-6)


def test_class_balanced_near_its_limit_is_the_limit() -> None:
    counts = np.array([900, 30, 1])
    np.testing.assert_allclose(
        class_balanced({"beta": 1 - 1e-15}, counts), class_balanced({"beta": 1.0}, counts), rtol=1e-6
    )


def test_log_prior_by_hand() -> None:
    np.testing.assert_allclose(log_prior(np.array([6, 3, 1])), np.log([0.6, 0.3, 0.1]))
    np.testing.assert_allclose(log_prior(np.array([6, 0])), np.log([6 / 6.5, 0.5 / 6.5]))


@given(counts=COUNTS, beta=st.floats(0, 1))
def test_weights_are_finite_and_zero_only_for_empty_classes(counts: np.ndarray, beta: float) -> None:
    every = [class_weight({"scheme": s}, counts) for s in ("balanced", "inverse", "max_over_count")]
    for weights in (*every, class_balanced({"beta": beta}, counts)):
        assert weights.dtype == np.float32
        assert np.isfinite(weights).all()
        np.testing.assert_array_equal(weights > 0, counts > 0)


@given(counts=COUNTS)
def test_log_prior_is_a_finite_distribution_in_the_order_of_the_counts(counts: np.ndarray) -> None:
    prior = log_prior(counts)
    assert np.isfinite(prior).all()
    assert np.exp(prior).sum() == pytest.approx(1.0)
    np.testing.assert_array_equal(np.argsort(prior, kind="stable"), np.argsort(counts, kind="stable"))
