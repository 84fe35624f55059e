"""The paired bootstrap: what is drawn is what the metrics say of the resample, and its intervals cover."""

from __future__ import annotations

import numpy as np
import pytest

from bench import stats
from bench.metrics import multiclass
from bench.paired import CLASS_MEANS, METRICS, Pair, draw
from tests.fakes import noisy, predictions


def drawn_weights(pairs: list[Pair], draws: int, seed: int) -> np.ndarray:
    """Return how often each item is drawn: resampling goes by the order of their classes."""
    order = np.argsort(pairs[0].ours.truth, kind="stable")
    weights = np.empty((draws, len(order)), np.float32)
    weights[:, order] = stats.bootstrap_weights(len(order), draws, seed)
    return weights


def test_micro_differences_are_those_of_the_resampled_items() -> None:
    like = noisy(80, 7, 0.7, 0)
    pairs = [
        Pair(noisy(80, 7, 0.7, seed, like=like), noisy(80, 7, 0.6, 10 + seed, like=like)) for seed in (1, 2)
    ]
    drawn = draw(pairs, np.ones(80, bool), None, 40, seed=3)
    weights = drawn_weights(pairs, 40, 3)
    assert set(drawn.metrics) == set(METRICS)
    for name in ("top1_micro", "top5_micro"):
        for s, pair in enumerate(pairs):
            sides = [multiclass.weighted_summary(side, weights)[name] for side in (pair.ours, pair.theirs)]
            assert drawn.metrics[name][s] == pytest.approx(sides[0] - sides[1], abs=1e-6)


def test_class_differences_are_those_of_the_resampled_items_of_the_class() -> None:
    like = noisy(90, 3, 0.7, 0)
    pair = Pair(noisy(90, 3, 0.8, 1, like=like), noisy(90, 3, 0.5, 2, like=like))
    drawn = draw([pair], pair.changed(), None, 25, seed=3)
    weights = drawn_weights([pair], 25, 3)
    assert {hits for hits, _ in drawn.classes} == {"top1"}
    for c in range(3):
        rows = like.truth == c
        expected = weights[:, rows] @ pair.gap("top1")[rows] / weights[:, rows].sum(axis=1)
        assert drawn.classes["top1", c][0] == pytest.approx(expected, abs=1e-6)


def test_class_means_lie_around_the_observed_difference_and_are_wider_than_drawn() -> None:
    sizes = np.array([40, 20, 5, 2, 1, 1, 1])
    like = predictions(np.repeat(np.arange(7), sizes), np.repeat(np.arange(7), sizes), 7)
    pair = Pair(noisy(70, 7, 0.8, 1, like=like), noisy(70, 7, 0.5, 2, like=like))
    drawn = draw([pair], pair.changed(), None, 400, seed=0).metrics
    plain = pair.differences(stats.bootstrap_weights(70, 400, 0))
    observed = pair.differences(np.ones((1, 70)))
    for name in ("top1_macro", "f1_macro"):
        assert drawn[name][0].mean() == pytest.approx(observed[name][0])
        assert drawn[name][0].std() > 1.1 * plain[name].std()
    large = predictions(np.repeat(np.arange(7), 100), np.repeat(np.arange(7), 100), 7)
    pair = Pair(noisy(700, 7, 0.8, 1, like=large), noisy(700, 7, 0.5, 2, like=large))
    drawn = draw([pair], pair.changed(), None, 400, seed=0).metrics
    plain = pair.differences(stats.bootstrap_weights(700, 400, 0))
    assert drawn["top1_macro"][0].std() == pytest.approx(plain["top1_macro"].std(), rel=0.02)


def test_what_five_classes_leave_undefined_stays_undefined() -> None:
    like = noisy(60, 5, 0.7, 0)
    pair = Pair(noisy(60, 5, 0.8, 1, like=like), noisy(60, 5, 0.5, 2, like=like))
    drawn = draw([pair], pair.changed(), None, 10, seed=0).metrics
    assert set(drawn) == set(METRICS)
    assert np.isnan(drawn["top5_macro"]).all() and np.isnan(drawn["few_top1"]).all()
    assert set(CLASS_MEANS) == {name for name in METRICS if "micro" not in name}


@pytest.mark.parametrize("metric, at_least", [("top1_micro", 0.91), ("top1_macro", 0.91)])
def test_intervals_cover_where_classes_are_tiny(metric: str, at_least: float) -> None:
    sizes = np.array([60, 30, 15, 8, 5, 4, 3, 2, 2, 1, 1, 1])
    truth, rng = np.repeat(np.arange(12), sizes), np.random.default_rng(5)
    ours, theirs = np.linspace(0.85, 0.5, 12), np.linspace(0.8, 0.4, 12)
    weights = sizes if metric == "top1_micro" else np.ones(12)
    target = np.average(ours - theirs, weights=weights)
    inside, trials = 0, 150
    for _ in range(trials):
        easy = rng.random(len(truth))
        sides = []
        for chance in (ours, theirs):
            luck = np.where(rng.random(len(truth)) < 0.6, easy, rng.random(len(truth)))
            sides.append(predictions(truth, np.where(luck < chance[truth], truth, (truth + 1) % 12), 12))
        pair = Pair(sides[0], sides[1])
        low, high = stats.percentile_interval(draw([pair], pair.changed(), None, 250, 0).metrics[metric][0])
        inside += bool(low <= target <= high)
    assert at_least <= inside / trials <= 0.99


def test_the_variance_within_classes_is_what_each_class_says() -> None:
    rng = np.random.default_rng(0)
    values, sizes = rng.normal(size=(3, 10)), np.array([5, 1, 4])
    parts = [values[:, :5], values[:, 6:]]
    squares = [((part - part.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) for part in parts]
    assert stats.within_classes(values, sizes) == pytest.approx(sum(squares) / (10 - 3))
    each = np.mean([part.var(axis=1, ddof=1) for part in parts], axis=0)
    assert stats.within_classes(values, sizes, each=True) == pytest.approx(each)
    alone = stats.within_classes(values, np.ones(10, np.int64))
    assert alone == pytest.approx((values**2).mean(axis=1))


def test_completing_many_rows_at_once_is_completing_each() -> None:
    rng = np.random.default_rng(1)
    values, observed, missing = rng.normal(size=(3, 50)), rng.normal(size=3), np.array([0.0, 0.5, 2.0])
    values[2] = 1.0
    for hole in (False, True):
        if hole:
            values[0, 3] = np.nan
        whole = stats.completed(values, observed, missing)
        for row in range(3):
            alone = stats.completed(values[row], float(observed[row]), float(missing[row]))
            np.testing.assert_allclose(whole[row], alone)
        assert np.nanvar(whole[1]) == pytest.approx(values[1].var() + 0.5)
        assert np.nanmean(whole[1]) == pytest.approx(observed[1])
        assert (whole[2] == 1.0).all()
