"""Heads made anew: nearest class means against SciPy, retrained classifiers against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid

from bench.backbones.inputs import PrecomputedFeatures
from bench.core.protocol import defaults
from bench.data.splits import StageSplit
from bench.methods.closed_form_heads import crt, logistic_regression, ncm
from bench.methods.grammar import parse_method, problems_for
from bench.runs.trainers import HeadTrainer
from bench.training.linear_head import LinearHead
from tests.cells import cell_of, trained_as_run

D, K = 7, 4


def problem(n: int = 60, seed: int = 0, shift: float = 0.0) -> tuple[LinearHead, np.ndarray, np.ndarray]:
    """Return a head that knows nothing, training rows and their classes; every class has rows."""
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(K), rng.choice(K, size=n - K, p=[0.6, 0.2, 0.15, 0.05])]).astype(np.int32)
    features = (rng.normal(size=(K, D))[y] + rng.normal(size=(n, D)) + shift).astype(np.float32)
    return LinearHead(np.full((D, K), np.nan, np.float32), np.full(K, np.nan, np.float32)), features, y


def means_of(features: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.stack([features[y == label].astype(np.float64).mean(axis=0) for label in range(K)])


@settings(max_examples=30)
@given(st.integers(0, 2**31), st.floats(-20, 20))
def test_the_answers_are_those_of_the_distances(seed: int, shift: float) -> None:
    head, features, y = problem(seed=seed, shift=shift)
    queries = np.random.default_rng(seed + 1).normal(size=(50, D)).astype(np.float32) + np.float32(shift)
    means = means_of(features, y)
    for by, metric in (("euclidean", "sqeuclidean"), ("cosine", "cosine")):
        made, chosen = ncm({"by": by}, head, features, y, np.bincount(y))
        assert chosen == {} and made.kernel.dtype == made.bias.dtype == np.float32
        away = cdist(queries.astype(np.float64), means, metric)
        ours = made.logits(queries).argmax(axis=1)
        # float32 may swap classes that are equally far, and nothing else.
        gap = away[np.arange(50), ours] - away.min(axis=1)
        assert (gap <= 1e-4 * np.abs(away).max()).all()


def test_euclidean_is_scikit_learns_nearest_centroid() -> None:
    head, features, y = problem(200)
    made, _ = ncm({"by": "euclidean"}, head, features, y, np.bincount(y))
    model = NearestCentroid().fit(features.astype(np.float64), y)
    np.testing.assert_array_equal(made.logits(features).argmax(axis=1), model.predict(features))


def test_its_probabilities_are_a_softmax_of_distances_per_feature() -> None:
    head, features, y = problem()
    made, _ = ncm({"by": "euclidean"}, head, features, y, np.bincount(y))
    away = cdist(features.astype(np.float64), means_of(features, y), "sqeuclidean")
    np.testing.assert_allclose(
        softmax(made.logits(features), axis=1), softmax(-away / D, axis=1), rtol=1e-4, atol=1e-6
    )
    made, _ = ncm({"by": "cosine"}, head, features, y, np.bincount(y))
    lengths = np.linalg.norm(features.astype(np.float64), axis=1, keepdims=True)
    cosines = 1 - cdist(features.astype(np.float64), means_of(features, y), "cosine")
    np.testing.assert_allclose(made.logits(features), cosines * lengths / np.sqrt(D), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("by", ["euclidean", "cosine"])
def test_how_many_rows_a_class_has_does_not_matter(by: str) -> None:
    head, features, y = problem()
    once, _ = ncm({"by": by}, head, features, y, np.bincount(y))
    many = np.concatenate([np.arange(len(y)), *[np.flatnonzero(y == 0)] * 5])
    again, _ = ncm({"by": by}, head, features[many], y[many], np.bincount(y[many]))
    np.testing.assert_allclose(again.kernel, once.kernel, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(again.bias, once.bias, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("by", ["euclidean", "cosine"])
def test_a_class_without_rows_is_never_the_answer_and_all_is_finite(by: str) -> None:
    head, features, y = problem()
    kept = y != 2
    made, _ = ncm({"by": by}, head, features[kept], y[kept], np.bincount(y[kept], minlength=K))
    logits = made.logits(features)
    assert np.isfinite(logits).all()
    shares = softmax(logits.astype(np.float64), axis=1)
    assert (shares[:, 2] == 0).all() and (logits.argmax(axis=1) != 2).all()
    zeros, _ = ncm({"by": by}, head, np.zeros_like(features), y, np.bincount(y))
    assert np.isfinite(zeros.kernel).all() and np.isfinite(zeros.bias).all()


@pytest.mark.parametrize("l2", [0.1, 0.003])
def test_a_retrained_head_is_scikit_learns_with_balanced_weights(l2: float) -> None:
    head, features, y = problem(150, shift=3.0)
    made, chosen = crt({"l2": l2}, head, features, y, np.bincount(y))
    assert chosen == {} and made.kernel.dtype == made.bias.dtype == np.float32
    inputs = (features - features.mean(axis=0)) / features.std(axis=0)
    model = LogisticRegression(C=1 / (l2 * len(y)), class_weight="balanced", tol=1e-9, max_iter=20_000)
    theirs = model.fit(inputs.astype(np.float64), y).predict_proba(inputs)
    np.testing.assert_allclose(softmax(made.logits(features), axis=1), theirs, atol=2e-3)


def test_a_retrained_head_is_that_of_rows_repeated_until_classes_are_equal() -> None:
    head, features, y = problem(40, seed=2)
    sizes = np.bincount(y)
    most = int(np.lcm.reduce(sizes))
    assert len(set(sizes.tolist())) > 1 and most < 5000
    many = np.concatenate([np.tile(np.flatnonzero(y == label), most // sizes[label]) for label in range(K)])
    made, _ = crt({"l2": 1e-2}, head, features, y, sizes)
    model = LogisticRegression(C=1 / (1e-2 * len(many)), tol=1e-9, max_iter=20_000)
    inputs = ((features - features.mean(axis=0)) / features.std(axis=0)).astype(np.float64)
    theirs = model.fit(inputs[many], y[many]).predict_proba(inputs)
    np.testing.assert_allclose(softmax(made.logits(features), axis=1), theirs, atol=3e-3)


def test_a_retrained_head_has_no_class_without_rows_and_one_class_alone_is_the_answer() -> None:
    head, features, y = problem()
    kept = y != 2
    made, _ = crt({"l2": 0.01}, head, features[kept], y[kept], np.bincount(y[kept], minlength=K))
    logits = made.logits(features)
    assert np.isfinite(logits).all() and (logits.argmax(axis=1) != 2).all()
    only, _ = crt({"l2": 0.01}, head, features[y == 1], y[y == 1], np.bincount(y[y == 1], minlength=K))
    assert (only.logits(features).argmax(axis=1) == 1).all()
    two = (y == 1) | (y == 3)
    pair, _ = crt({"l2": 0.01}, head, features[two], y[two], np.bincount(y[two], minlength=K))
    assert set(pair.logits(features).argmax(axis=1).tolist()) <= {1, 3}


def answers(
    method: str, refit: bool, seed: int = 3
) -> tuple[np.ndarray, np.ndarray, HeadTrainer, StageSplit]:
    """Return validation and test answers of a cell that is trained the way `bench run` does."""
    _, features, y = problem(120, seed=seed)
    rows = np.arange(120)
    parts = (rows[rows % 5 < 3], rows[rows % 5 == 3], rows[rows % 5 == 4])
    split = StageSplit(tuple("abcd"), y, *parts, unseen=0, leaked=None)
    setting = {**defaults(), "epochs": 2, "batch_size": 16, "patience": 0, "refit": refit}
    trainer = HeadTrainer(PrecomputedFeatures(features), split, setting, lambda *_: None)
    ((_, outcome),) = trained_as_run(trainer, [(cell_of(method, setting=setting), split)])
    return outcome.val.argmax(axis=1), outcome.test.argmax(axis=1), trainer, split


@pytest.mark.parametrize("refit", [False, True])
@pytest.mark.parametrize("method", ["ncm", "oversample+focal+ncm"])
def test_a_cell_answers_by_means_of_training_rows_and_after_a_refit_of_validation_rows_too(
    method: str, refit: bool
) -> None:
    val, test, trainer, split = answers(method, refit)
    table = ((trainer.features - trainer.mean) / trainer.scale).astype(np.float64)
    model = NearestCentroid().fit(table[split.train], split.truth[split.train])
    np.testing.assert_array_equal(val, model.predict(table[split.val]))
    used = np.concatenate([split.train, split.val]) if refit else split.train
    model = NearestCentroid().fit(table[used], split.truth[used])
    np.testing.assert_array_equal(test, model.predict(table[split.test]))


def test_rows_that_the_loss_did_not_see_are_in_no_mean() -> None:
    _, test, _, _ = answers("undersample+ncm", False)
    _, whole, _, _ = answers("ncm", False)
    assert (test != whole).any()


def test_on_frozen_features_a_head_is_fresh_anyway_and_crt_says_so() -> None:
    assert problems_for(parse_method("crt"), "multiclass", "scratch") is None
    assert "crt" in str(problems_for(parse_method("crt"), "multiclass", "frozen"))


@pytest.mark.parametrize("k", [2, 3])
def test_logistic_regression_ends_where_the_penalised_loss_has_no_slope(k: int) -> None:
    """With two classes too, where scikit-learn has one column for both."""
    rng = np.random.default_rng(k)
    inputs, truth = rng.normal(size=(60, D)), np.arange(60) % k
    inputs += rng.normal(size=(k, D))[truth]
    weights, l2 = rng.uniform(0.2, 3.0, 60), 0.7
    kernel, bias = logistic_regression(inputs, truth, l2, weights)
    assert kernel.shape == (D, k) and bias.shape == (k,)
    gap = weights[:, None] * (softmax(inputs @ kernel + bias, axis=1) - np.eye(k)[truth])
    assert np.abs(inputs.T @ gap + l2 * kernel).max() < 1e-3 and np.abs(gap.sum(axis=0)).max() < 1e-3
