"""Ranks, ROC areas, log loss and calibration against plain loops and scikit-learn."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss as sklearn_log_loss
from sklearn.metrics import roc_auc_score

from bench.core.predictions import Predictions
from bench.metrics import scores as on_scores


@st.composite
def scored(draw: st.DrawFn, lowest: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Scores on a coarse grid, so that ties are the rule, and the true classes."""
    n, k = draw(st.integers(lowest, 30)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    steps = draw(st.sampled_from([1, 2, 5, 1000]))
    return rng.integers(0, steps, (n, k)).astype(np.float32) / steps, rng.integers(0, k, n).astype(np.int32)


def probabilities(n: int, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.ones(k), n).astype(np.float32), rng.integers(0, k, n).astype(np.int32)


@given(scored())
def test_ranks_are_the_place_in_a_stable_sort(case: tuple[np.ndarray, np.ndarray]) -> None:
    scores, truth = case
    places = [
        sorted(range(scores.shape[1]), key=lambda c: (-row[c], c)).index(t)
        for row, t in zip(scores, truth, strict=True)
    ]
    assert on_scores.ranks(scores, truth).tolist() == places


@given(scored())
def test_rank_zero_is_argmax(case: tuple[np.ndarray, np.ndarray]) -> None:
    scores, truth = case
    assert np.array_equal(on_scores.ranks(scores, truth) == 0, scores.argmax(axis=1) == truth)


def test_infinite_scores_have_a_rank() -> None:
    scores = np.array([[-np.inf, 0, np.inf], [-np.inf, -np.inf, 0]], np.float32)
    assert on_scores.ranks(scores, np.array([0, 1])).tolist() == [2, 2]


@pytest.mark.filterwarnings("error")
@given(scored())
def test_auc_is_scikit_learns(case: tuple[np.ndarray, np.ndarray]) -> None:
    scores, truth = case
    for c, area in enumerate(on_scores.auc(scores, truth)):
        positive = truth == c
        if positive.all() or not positive.any():
            assert np.isnan(area)
        else:
            assert area == pytest.approx(roc_auc_score(positive, scores[:, c]), abs=1e-12)


def test_auc_by_hand() -> None:
    scores = np.array([[3.0], [2], [2], [1]]) @ [[1.0, -1.0]]
    # Positives of class 0 are 3 and 2, negatives 2 and 1: three pairs won, one tied.
    assert on_scores.auc(scores, np.array([0, 0, 1, 1])) == pytest.approx([3.5 / 4, 3.5 / 4])


def test_auc_takes_zeros_of_both_signs_as_equal() -> None:
    scores = np.array([[0.0, 1], [-0.0, 1]], np.float32)
    assert on_scores.auc(scores, np.array([0, 1])).tolist() == [0.5, 0.5]


def test_auc_of_many_items_does_not_overflow() -> None:
    n = 120_000
    scores = np.arange(n, dtype=np.float64)[:, None] * [1, -1]
    truth = (np.arange(n) < n // 2).astype(np.int32)
    assert on_scores.auc(scores, truth).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("seed", range(3))
def test_log_loss_is_scikit_learns(seed: int) -> None:
    scores, truth = probabilities(200, 5, seed)
    expected = sklearn_log_loss(truth, scores, labels=range(5))
    assert on_scores.log_loss(scores, truth) == pytest.approx(expected, abs=1e-6)


def test_log_loss_of_a_score_of_zero_is_finite() -> None:
    scores = np.array([[0, 1], [1, 0]], np.float32)
    found = on_scores.log_loss(scores, np.array([0, 0]))
    assert found == pytest.approx(-math.log(np.finfo(np.float32).eps) / 2)


@pytest.mark.parametrize("seed", range(3))
def test_ece_by_a_loop_over_bins(seed: int) -> None:
    scores, truth = probabilities(300, 4, seed)
    confidence, answers = scores.max(axis=1).astype(float), scores.argmax(axis=1)
    # Right in every second bin: were two of them one, they would make up for each other.
    right = np.ceil(confidence * 15) % 2 == 1
    truth = np.where(right, answers, (answers + 1) % 4)
    expected = 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert on_scores.ece(scores, truth) == pytest.approx(expected, abs=1e-9)


def test_a_score_just_above_one_is_in_the_last_bin() -> None:
    scores = np.array([[1.0005, 0], [0.99, 0.01]])
    assert on_scores.ece(scores, np.array([1, 0])) == pytest.approx((1.0005 - 0.01) / 2)


@pytest.mark.parametrize(
    "scores",
    [
        np.array([[2.0, -1.0]]),
        np.array([[0.9, 0.9]]),
        np.array([[np.inf, 0.0]]),
        np.array([[0.4, 0.4]]),
        np.zeros((0, 3)),
    ],
    ids=["logits", "sigmoid", "infinite", "short", "empty"],
)
def test_scores_that_are_no_probabilities_have_no_log_loss(scores: np.ndarray) -> None:
    truth = np.zeros(len(scores), np.int32)
    assert on_scores.log_loss(scores, truth) is None
    assert on_scores.ece(scores, truth) is None


def whole() -> Predictions:
    return Predictions(
        ("x", "y"),
        None,
        np.array([0, 1], np.int32),
        np.eye(2, dtype=np.float32),
        ("a", "b"),
        np.array([3, 4]),
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"scores": np.array([[1, 0], [0, np.nan]])}, "item 'y' for class 'b' is NaN"),
        ({"truth": np.array([0, 2])}, "truth holds 0..2, but there are 2 classes"),
        ({"truth": np.array([-1, 1])}, "truth holds -1..1"),
        ({"truth": np.array([0])}, "2 items"),
        ({"scores": np.ones((2, 3))}, r"scores are \(2, 3\)"),
        ({"train_support": np.array([1])}, r"train_support is \(1,\)"),
        ({"items": ("x",)}, "1 items"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change: dict[str, Any], says: str) -> None:
    on_scores.check(whole())
    with pytest.raises(ValueError, match=says):
        on_scores.check(replace(whole(), **change))
