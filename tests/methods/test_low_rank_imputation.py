"""The models that fill cells minimise what they say: against ridge, scikit-learn, brute force and slopes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, Ridge

from bench.methods.low_rank import Basis, FactorisationLoss, Factors, KnownCells, coordinates_of, fit
from bench.methods.low_rank_imputation import (
    LOW_RANK_GRID,
    PLAIN_GRID,
    Completion,
    by_attribute,
    feature_completion,
    leml,
    matrix_factorisation,
)

N, D, K = 40, 5, 4


def problem(
    n: int = N, d: int = D, k: int = K, hide: float = 0.3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Return (n, d) features that are neither centred nor of one scale, and (n, k) labels with NaN."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, d)) * np.linspace(0.5, 2.0, d) + 1.0
    logits = (features - 1.0) @ rng.normal(size=(d, k))
    labels = (rng.random((n, k)) < expit(logits)).astype(np.float64)
    labels[rng.random((n, k)) < hide] = np.nan
    return features, labels


def table_of(labels: np.ndarray) -> KnownCells:
    return KnownCells(np.nan_to_num(labels), (~np.isnan(labels)).astype(float))


def scaled(features: np.ndarray) -> np.ndarray:
    """Return features as the docstrings say they are: centred, rows of mean squared length 1."""
    centred = features - features.mean(axis=0)
    out: np.ndarray = centred / np.sqrt((centred**2).sum(axis=1).mean())
    return out


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    known = ~np.isnan(labels)
    shares = np.clip(expit(logits[known]), 1e-300, 1.0)
    others = np.clip(expit(-logits[known]), 1e-300, 1.0)
    values = labels[known]
    return float(-(values * np.log(shares) + (1.0 - values) * np.log(others)).sum())


def least(
    function: Callable[[np.ndarray], float], size: int, starts: int, seed: int = 0
) -> tuple[float, np.ndarray]:
    """Return the lowest of several minima from random starts, with slopes by differences."""
    rng = np.random.default_rng(seed)
    found = [
        minimize(function, rng.normal(size=size), method="BFGS", options={"gtol": 1e-5})
        for _ in range(starts)
    ]
    best = min(found, key=lambda one: one.fun)
    return float(best.fun), best.x


SMALL = np.array([[1, 0, 1], [1, np.nan, 0], [0, 1, np.nan], [0, 1, 0]], np.float64)
SMALL_FEATURES = np.array([[1.0, 0.2], [0.8, -0.4], [-1.1, 0.3], [-0.7, -0.1]])


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("l2", [0.1, 0.3])
def test_factorisation_of_4_by_3_against_brute_force(rank: int, l2: float) -> None:
    def parts(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        p, q, b = np.split(flat, [4 * rank, 7 * rank])
        return p.reshape(4, rank), q.reshape(3, rank), b

    def cost(flat: np.ndarray) -> float:
        p, q, b = parts(flat)
        return cross_entropy(p @ q.T + b, SMALL) + l2 * float((p**2).sum() + (q**2).sum())

    lowest, where = least(cost, 7 * rank + 3, starts=12)
    p, q, b = parts(where)
    model = fit(FactorisationLoss("logistic", "sum", l2), Basis(None, True, 4), table_of(SMALL), rank, 1e-9)
    assert cost(np.concatenate([np.ravel(part) for part in model])) == pytest.approx(lowest, abs=1e-5)
    np.testing.assert_allclose(model.left @ model.right.T + model.bias, p @ q.T + b, atol=5e-3)
    answer = matrix_factorisation(SMALL, rank, l2, seed=0).probabilities
    np.testing.assert_allclose(answer, expit(p @ q.T + b), atol=5e-3)


@pytest.mark.parametrize("l2", [0.1, 0.3])
def test_completion_of_4_by_3_against_brute_force(l2: float) -> None:
    rank, x = 2, scaled(SMALL_FEATURES)

    def parts(flat: np.ndarray) -> list[np.ndarray]:
        p, q, g, b = np.split(flat, [4 * rank, 7 * rank, 9 * rank])
        return [p.reshape(4, rank), q.reshape(3, rank), g.reshape(2, rank), b]

    def cost(flat: np.ndarray) -> float:
        p, q, g, b = parts(flat)
        pulled = float(((p - x @ g) ** 2).sum() + (g**2).sum() + (q**2).sum())
        return cross_entropy(p @ q.T + b, SMALL) + l2 * pulled

    _, where = least(cost, 9 * rank + 3, starts=12)
    p, q, _, b = parts(where)
    answer = feature_completion(SMALL, SMALL_FEATURES, rank, l2, seed=0).probabilities
    np.testing.assert_allclose(answer, expit(p @ q.T + b), atol=5e-3)


@pytest.mark.parametrize(
    ("loss", "norm"), [("logistic", "trace"), ("squared", "trace"), ("logistic", "frobenius")]
)
def test_leml_of_4_by_3_against_brute_force(loss: str, norm: str) -> None:
    x, l2, known = scaled(SMALL_FEATURES), 0.1, ~np.isnan(SMALL)

    def logits_of(flat: np.ndarray) -> np.ndarray:
        out: np.ndarray = x @ np.outer(flat[:2], flat[2:5]) + flat[5:]
        return out

    def cost(flat: np.ndarray) -> float:
        w, h = flat[:2], flat[2:5]
        size = (w @ w) * (h @ h) if norm == "frobenius" else w @ w + h @ h
        logits = logits_of(flat)
        misfit = ((logits - SMALL)[known] ** 2).sum() if loss == "squared" else cross_entropy(logits, SMALL)
        return float(misfit + l2 * size)

    _, where = least(cost, 8, starts=12)
    logits = logits_of(where)
    answer = leml(SMALL, SMALL_FEATURES, 1, l2, loss, norm, seed=0).probabilities
    theirs = np.clip(logits, 0, 1) if loss == "squared" else expit(logits)
    np.testing.assert_allclose(answer, theirs, atol=5e-3)


@pytest.mark.parametrize("shape", [(40, 5), (20, 30)])
@pytest.mark.parametrize("l2", [0.1, 1.0, 10.0])
def test_leml_of_full_rank_with_nothing_unknown_is_ridge(shape: tuple[int, int], l2: float) -> None:
    features, labels = problem(*shape, hide=0.0)
    x = scaled(features)
    theirs = Ridge(alpha=l2).fit(x, labels).predict(x)
    ours = leml(labels, features, K, l2, "squared", "frobenius", seed=0).probabilities
    np.testing.assert_allclose(ours, np.clip(theirs, 0, 1), atol=2e-3)
    basis = Basis(coordinates_of(features), False, len(x))
    model = fit(FactorisationLoss("squared", "product", l2), basis, table_of(labels), K, 1e-10)
    np.testing.assert_allclose(model.logits(basis), theirs, atol=1e-5)


def test_leml_of_low_rank_with_nothing_unknown_is_reduced_rank_ridge() -> None:
    """The best rank-r answer is the ridge answer projected on its largest directions (Mukherjee 2011)."""
    features, labels = problem(60, 6, 5, hide=0.0)
    x, l2 = scaled(features), 1.0
    ridge = Ridge(alpha=l2).fit(x, labels)
    coefficients = ridge.coef_.T
    stacked = np.concatenate([x, np.sqrt(l2) * np.eye(6)]) @ coefficients
    turn = np.linalg.svd(stacked)[2][:2].T
    theirs = x @ coefficients @ turn @ turn.T + labels.mean(axis=0)
    basis = Basis(coordinates_of(features), False, len(x))
    model = fit(FactorisationLoss("squared", "product", l2), basis, table_of(labels), 2, 1e-10)
    np.testing.assert_allclose(model.logits(basis), theirs, atol=1e-4)


def test_leml_of_full_rank_is_trace_norm_regression() -> None:
    """A second algorithm: proximal steps that shrink the singular values of one d x k matrix."""
    features, labels = problem()
    x, l2 = scaled(features), 0.6
    known, values = ~np.isnan(labels), np.nan_to_num(labels)
    matrix, bias, ahead = np.zeros((D, K)), np.zeros(K), 1.0
    step = 1.0 / (2.0 * np.linalg.norm(np.c_[x, np.ones(N)], 2) ** 2)
    last = matrix, bias
    moved = matrix, bias
    for _ in range(4000):
        gap = 2.0 * np.where(known, x @ moved[0] + moved[1] - values, 0.0)
        left, sizes, right = np.linalg.svd(moved[0] - step * (x.T @ gap), full_matrices=False)
        matrix = left * np.maximum(sizes - 2.0 * l2 * step, 0.0) @ right
        bias = moved[1] - step * gap.sum(axis=0)
        ahead, before = (1.0 + np.sqrt(1.0 + 4.0 * ahead**2)) / 2.0, ahead
        rate = (before - 1.0) / ahead
        moved = matrix + rate * (matrix - last[0]), bias + rate * (bias - last[1])
        last = matrix, bias
    assert 0 < np.linalg.matrix_rank(matrix, tol=1e-6) < K
    ours = leml(labels, features, K, l2, "squared", "trace", seed=0).probabilities
    np.testing.assert_allclose(ours, np.clip(x @ matrix + bias, 0, 1), atol=3e-3)


@pytest.mark.parametrize("shape", [(40, 5), (20, 30)])
def test_self_training_is_a_logistic_regression_of_each_attribute(shape: tuple[int, int]) -> None:
    features, labels = problem(*shape)
    x, l2 = scaled(features), 0.2
    plain = by_attribute(labels, features, l2, balanced=False, seed=0).probabilities
    even = by_attribute(labels, features, l2, balanced=True, seed=0).probabilities
    for column in range(K):
        known = ~np.isnan(labels[:, column])
        for ours, weight in ((plain, None), (even, "balanced")):
            model = LogisticRegression(C=1.0 / (2.0 * l2), class_weight=weight, tol=1e-8, max_iter=1000)
            theirs = model.fit(x[known], labels[known, column]).predict_proba(x)[:, 1]
            np.testing.assert_allclose(ours[:, column], theirs, atol=3e-3)


MODELS = [
    ("logistic", "sum", True, True),
    ("logistic", "sum", False, True),
    ("logistic", "sum", True, False),
    ("squared", "sum", True, False),
    ("logistic", "product", True, False),
    ("squared", "product", True, False),
    ("logistic", "left", True, False),
]


@pytest.mark.parametrize(("loss", "penalty", "features_in", "own"), MODELS)
def test_slopes_are_those_of_differences_and_vanish_at_the_answer(
    loss: str, penalty: str, features_in: bool, own: bool
) -> None:
    features, labels = problem(12)
    objective, table = FactorisationLoss(loss, penalty, 0.3), table_of(labels)
    basis = Basis(coordinates_of(features) if features_in else None, own, 12)
    rank = K if penalty == "left" else 2
    model = fit(objective, basis, table, rank, 1e-9)
    ends = np.cumsum([part.size for part in model])[:-1]

    def unpack(flat: np.ndarray) -> Factors:
        parts = zip(np.split(flat, ends), model, strict=True)
        return Factors(*(part.reshape(old.shape) for part, old in parts))

    def cost(flat: np.ndarray) -> float:
        return float(objective(unpack(flat), basis, table))

    at = np.concatenate([np.ravel(part) for part in model])
    free = np.ones(len(at), bool)
    if penalty == "left":
        free[ends[0] : ends[1]] = False
    rng = np.random.default_rng(0)
    elsewhere = at + np.where(free, rng.normal(size=len(at)), 0.0)
    for point in (elsewhere, at):
        where = tuple(map(tf.constant, unpack(point)))
        with tf.GradientTape() as tape:
            tape.watch(where)
            total = objective(Factors(*where), basis, table)
        slopes = tape.gradient(total, where, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        ours = np.concatenate([np.ravel(part) for part in slopes])[free]
        steps = 1e-5 * np.eye(len(point))[free]
        theirs = [(cost(point + step) - cost(point - step)) / 2e-5 for step in steps]
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
        steepest = np.abs(theirs).max()
        assert steepest < 1e-3 if point is at else steepest > 0.1


def test_what_is_minimised_is_what_the_docstring_says() -> None:
    features, labels = problem(12)
    x = coordinates_of(features)
    np.testing.assert_allclose(x @ x.T, scaled(features) @ scaled(features).T, atol=1e-10)
    rng = np.random.default_rng(1)
    left, right, bias = rng.normal(size=(x.shape[1], 2)), rng.normal(size=(K, 2)), rng.normal(size=K)
    model, basis, table = Factors(left, right, bias), Basis(x, False, 12), table_of(labels)
    logits = x @ left @ right.T + bias
    fits = {
        "logistic": cross_entropy(logits, labels),
        "squared": float(np.nansum((logits - labels) ** 2)),
    }
    sizes = {
        "sum": (left**2).sum() + (right**2).sum(),
        "product": ((left @ right.T) ** 2).sum(),
        "left": (left**2).sum(),
    }
    for loss, misfit in fits.items():
        for penalty, size in sizes.items():
            total = FactorisationLoss(loss, penalty, 0.7)(model, basis, table)
            assert float(total) == pytest.approx(misfit + 0.7 * size)


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_logits_of_any_size_are_finite(scale: float) -> None:
    logits = tf.constant(scale * np.array([[-50.0, 50.0, 0.0]]))
    table = KnownCells(np.array([[1.0, 0.0, 0.5]]), np.ones((1, 3)))
    with tf.GradientTape() as tape:
        tape.watch(logits)
        cost = FactorisationLoss("logistic", "sum", 1.0).cells(logits, table)
    assert float(cost) == pytest.approx(100.0 * scale + np.log(2.0))
    np.testing.assert_allclose(tape.gradient(cost, logits), [[-1.0, 1.0, 0.0]], atol=1e-12)


def test_coordinates_are_single_where_they_are_many_and_give_the_same_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features, labels = problem(200, 30)
    whole = leml(labels, features, 3, 1.0, "logistic", "trace", seed=0).probabilities
    assert coordinates_of(features).dtype == np.float64
    monkeypatch.setattr("bench.methods.low_rank.MOST_IN_DOUBLE", 0)
    assert coordinates_of(features).dtype == np.float32
    single = leml(labels, features, 3, 1.0, "logistic", "trace", seed=0).probabilities
    np.testing.assert_allclose(single, whole, atol=1e-3)


ESTIMATES: dict[str, Callable[[np.ndarray, np.ndarray, float | str], Completion]] = {
    "mf": lambda labels, _, l2: matrix_factorisation(labels, 3, l2, 0),
    "leml": lambda labels, x, l2: leml(labels, x, 3, l2, "logistic", "trace", 0),
    "fmc": lambda labels, x, l2: feature_completion(labels, x, 3, l2, 0),
    "self_train": lambda labels, x, l2: by_attribute(labels, x, l2, False, 0),
}


@pytest.mark.parametrize("name", ESTIMATES)
def test_the_chosen_penalty_is_of_the_grid_and_nearly_the_best_for_hidden_cells(name: str) -> None:
    features, whole = problem(300, 20, 6, hide=0.0)
    labels = np.where(np.random.default_rng(3).random(whole.shape) < 0.3, np.nan, whole)
    hidden = np.isnan(labels)
    grid = PLAIN_GRID if name == "self_train" else LOW_RANK_GRID
    costs = {}
    for l2 in grid:
        p = np.clip(ESTIMATES[name](labels, features, l2).probabilities[hidden], 1e-6, 1 - 1e-6)
        costs[l2] = float(-np.mean(np.where(whole[hidden] > 0, np.log(p), np.log(1.0 - p))))
    chosen = ESTIMATES[name](labels, features, "cv")
    assert chosen.chosen and chosen.l2 in grid
    assert costs[chosen.l2] < min(costs.values()) * 1.05, costs
    assert max(costs.values()) > min(costs.values()) * 1.1, "the choice matters"


def test_nothing_can_be_held_out_of_four_rows() -> None:
    answer = matrix_factorisation(SMALL, 2, "cv", seed=0)
    assert not answer.chosen and answer.l2 == LOW_RANK_GRID[2]
