"""The permutation test: what it finds, what it does not, and that its score is the plain one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.runs.signal_check import signal_check

NAMES = ("told", "noise")


def _data(n: int, d: int, strength: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features, and two attributes of which they tell the first so strongly; some cells unknown."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)).astype(np.float32)
    y = np.stack([strength * x[:, 0] + rng.normal(size=n) > 0, rng.random(n) < 0.2], axis=1).astype(
        np.float32
    )
    y[rng.random(y.shape) < 0.1] = np.nan
    return x, y


def _units(n: int) -> list[str]:
    return [str(row) for row in range(n)]


@pytest.mark.parametrize("d", [10, 400])
def test_labels_that_features_tell_are_found_and_others_are_not(d: int) -> None:
    x, y = _data(300, d, 3.0, seed=0)
    found = signal_check(x, y, NAMES, _units(300))
    assert found is not None and found.permutations == 199 and found.rows == 300
    assert found.by_attribute["told"]["p"] == 1 / 200 and found.by_attribute["told"]["auc"] > 0.65
    assert found.by_attribute["noise"]["p"] > 0.05
    assert abs(found.chance_mean - 0.5) < 0.02 < found.auc - found.chance_mean


def test_without_signal_p_is_spread_evenly() -> None:
    ps = []
    for seed in range(40):
        x, y = _data(80, 6, 0.0, seed)
        found = signal_check(x, y, NAMES, _units(80), permutations=39)
        assert found is not None
        ps.append(found.p)
    # A uniform p is below a quarter ten times of forty, give or take 2.7.
    assert 3 <= sum(p <= 0.25 for p in ps) <= 18
    assert 10 <= sum(p <= 0.5 for p in ps) <= 30


def test_the_score_is_that_of_ridge_regression_out_of_fold() -> None:
    from sklearn.linear_model import Ridge
    from sklearn.metrics import roc_auc_score

    x, y = _data(100, 7, 1.0, seed=3)
    found = signal_check(x, y, NAMES, _units(100), permutations=1)
    assert found is not None
    # The folds are drawn from the same stream: after the choice of rows and the one permutation.
    rng = np.random.default_rng(0)
    rng.permutation(100), rng.permutation(100)
    folds = (rng.permutation(100) % 5)[np.arange(100)]
    for column, name in enumerate(NAMES):
        known = ~np.isnan(y[:, column])
        centred = np.where(known, y[:, column] - np.nanmean(y[:, column]), 0.0)
        scores = np.empty(100)
        for fold in range(5):
            own = folds != fold
            head = Ridge(alpha=own.sum(), fit_intercept=False).fit(x[own], centred[own])
            scores[~own] = head.predict(x[~own])
        theirs = roc_auc_score(y[known, column], scores[known])
        assert found.by_attribute[name]["auc"] == pytest.approx(theirs, abs=2e-3)


def test_copies_of_an_image_count_once() -> None:
    x, y = _data(60, 200, 0.0, seed=1)
    once = signal_check(x, y, NAMES, _units(60), permutations=39)
    x, y = np.repeat(x, 4, axis=0), np.repeat(y, 4, axis=0)
    apart = signal_check(x, y, NAMES, _units(240), permutations=39)
    together = signal_check(x, y, NAMES, [str(row // 4) for row in range(240)], permutations=39)
    assert apart is not None and apart.auc > 0.9
    assert together == once and once is not None and once.rows == 60 and once.auc < 0.7


def test_equal_arguments_give_equal_answers_and_little_data_gives_none() -> None:
    x, y = _data(50, 5, 1.0, seed=2)
    one, other = (signal_check(x, y, NAMES, _units(50), permutations=19) for _ in range(2))
    assert one == other and one is not None and replace(one, p=0.0) != one
    assert signal_check(x[:6], y[:6], NAMES, _units(6)) is None
    assert signal_check(x, np.full_like(y, np.nan), NAMES, _units(50)) is None
