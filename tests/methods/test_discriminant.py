"""Linear discriminant analysis against scikit-learn's, and where there are more columns than rows."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from bench.methods.closed_form_heads import lda
from bench.training.linear_head import LinearHead

K = 4


def problem(n: int, d: int, seed: int) -> tuple[LinearHead, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(K), rng.choice(K, size=n - K, p=[0.6, 0.2, 0.15, 0.05])]).astype(np.int32)
    mixed = rng.normal(size=(d, d))
    features = (3 * rng.normal(size=(K, d))[y] + rng.normal(size=(n, d)) @ mixed + 5).astype(np.float32)
    return LinearHead(np.full((d, K), np.nan, np.float32), np.full(K, np.nan, np.float32)), features, y


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.sampled_from([(80, 6), (30, 50)]), st.sampled_from([0.05, 0.3, 1.0]))
def test_it_is_the_formula_with_the_whole_matrix_inverted(
    seed: int, shape: tuple[int, int], shrink: float
) -> None:
    """Whether there are more rows than columns or fewer."""
    head, features, y = problem(*shape, seed)
    rows = features.astype(np.float64)
    within = rows - np.stack([rows[y == label].mean(axis=0) for label in range(K)])[y]
    covariance = within.T @ within / len(y)
    d = shape[1]
    shrunk = (1 - shrink) * covariance + shrink * np.trace(covariance) / d * np.eye(d)

    for prior in (0.0, 0.5, 1.0):
        made, chosen = lda({"shrink": shrink, "prior": prior}, head, features, y, np.bincount(y))
        means = np.stack([rows[y == label].mean(axis=0) for label in range(K)])
        falls = np.linalg.solve(shrunk, means.T)
        expected = rows @ falls - 0.5 * (means.T * falls).sum(axis=0)
        expected += prior * np.log(np.bincount(y) / len(y))
        ours = made.logits(features).astype(np.float64)
        gaps = (ours - ours[:, :1]) - (expected - expected[:, :1])
        assert chosen == {} and np.abs(gaps).max() <= 2e-3 * max(1.0, np.abs(expected).max())


def test_the_answers_are_scikit_learns_where_it_shrinks_alike() -> None:
    """Standardised columns, whose trace is their number: there its `shrinkage` shrinks towards the same."""
    head, features, y = problem(400, 5, 1)
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=1e-6, priors=np.full(K, 1 / K))
    theirs = model.fit(features.astype(np.float64), y).predict(features)
    made, _ = lda({"shrink": 0.001, "prior": 0.0}, head, features, y, np.bincount(y))
    assert (made.logits(features).argmax(axis=1) == theirs).mean() > 0.97


def test_a_class_without_rows_is_never_answered() -> None:
    head, features, y = problem(60, 5, 0)
    y[y == 3] = 0
    made, _ = lda({"shrink": 0.3, "prior": 0.0}, head, features, y, np.bincount(y, minlength=K))
    assert set(made.logits(features).argmax(axis=1)) <= {0, 1, 2}


def test_one_row_per_class_is_the_nearest_mean() -> None:
    head, features, y = problem(4, 6, 0)
    made, _ = lda({"shrink": 0.3, "prior": 0.0}, head, features, y, np.bincount(y))
    assert (made.logits(features).argmax(axis=1) == y).all() and np.isfinite(made.kernel).all()
