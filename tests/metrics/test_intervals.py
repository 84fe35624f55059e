"""The statistics against scipy and statsmodels, and the coverage of the intervals by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap, false_discovery_control
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_ztest

from bench.metrics import bootstrap as bootstrap_
from bench.metrics import intervals as stats

counts = st.integers(1, 4000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
probabilities = st.lists(st.floats(0, 1), min_size=1, max_size=60)


@given(counts, st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_is_scipys(sample: tuple[int, int], confidence: float) -> None:
    hits, n = sample
    theirs = binomtest(hits, n).proportion_ci(confidence, method="wilson")
    assert stats.wilson(hits, n, confidence) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@given(counts, counts)
def test_newcombe_is_statsmodels(one: tuple[int, int], two: tuple[int, int]) -> None:
    theirs = confint_proportions_2indep(*one, *two, compare="diff", method="newcomb")
    assert stats.newcombe(*one, *two) == pytest.approx(theirs, abs=1e-10)


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_mcnemar_is_statsmodels(ours: int, theirs: int) -> None:
    expected = mcnemar([[7, ours], [theirs, 5]], exact=True).pvalue
    assert stats.mcnemar(ours, theirs) == pytest.approx(expected, rel=1e-8, abs=1e-200)


@given(counts, counts)
def test_score_test_is_statsmodels(one: tuple[int, int], two: tuple[int, int]) -> None:
    p = stats.score_test(*one, *two)
    if one[0] + two[0] in (0, one[1] + two[1]):
        assert p == 1.0
    else:
        assert p == pytest.approx(proportions_ztest([one[0], two[0]], [one[1], two[1]])[1], abs=1e-12)


@given(probabilities)
def test_benjamini_hochberg_is_scipys(p_values: list[float]) -> None:
    assert stats.benjamini_hochberg(p_values) == pytest.approx(list(false_discovery_control(p_values)))


def test_untested_hypotheses_stay_untested_and_are_not_counted() -> None:
    assert stats.benjamini_hochberg([None, 0.02, math.nan, 0.03]) == [
        None,
        pytest.approx(0.03),
        None,
        pytest.approx(0.03),
    ]


def test_wilson_takes_the_mean_hits_of_several_seeds() -> None:
    # By hand, z^2 = 3.8415: centre (2.5 + 1.92073) / (10 + 3.84146), half width likewise.
    low, high = stats.wilson(2.5, 10)
    assert (low + high) / 2 == pytest.approx((2.5 + 1.920729) / 13.841459, abs=1e-6)
    assert stats.wilson(2, 10).low < low < stats.wilson(3, 10).low


def test_undefined_is_undefined() -> None:
    assert all(map(math.isnan, stats.wilson(0, 0)))
    assert all(map(math.isnan, stats.newcombe(3, 5, 0, 0)))
    assert all(map(math.isnan, stats.macro_interval([], [])))
    assert math.isnan(stats.score_test(0, 0, 1, 2))
    assert all(map(math.isnan, bootstrap_.percentile_interval(np.array([0.1] * 9 + [math.nan]))))


@pytest.mark.parametrize("hits, n", [(-1, 5), (6, 5), (math.nan, 5)])
def test_what_is_no_proportion_is_refused(hits: float, n: float) -> None:
    with pytest.raises(ValueError, match="not a proportion"):
        stats.wilson(hits, n)


def test_the_macro_interval_by_hand() -> None:
    # Jeffreys' shares 3.5 / 5 and 0.5 / 2: variances .21 / 4 and .1875 / 1, over 2 squared.
    half = 1.959964 * math.sqrt((0.21 / 4 + 0.1875 / 1) / 4)
    assert stats.macro_interval([3, 0], [4, 1]) == pytest.approx(
        (max(0, 0.375 - half), 0.375 + half), abs=1e-6
    )
    low, high = stats.macro_difference([3, 0], [4, 1], [3, 0], [4, 1])
    assert (low, high) == pytest.approx((-half * math.sqrt(2), half * math.sqrt(2)), abs=1e-6)


@given(st.integers(1, 40), st.integers(1, 30), st.integers(0, 5), st.integers(1, 12))
def test_weights_draw_n_items_and_do_not_depend_on_the_chunk(
    n: int, draws: int, seed: int, chunk: int
) -> None:
    whole = bootstrap_.bootstrap_weights(n, draws, seed)
    assert whole.shape == (draws, n) and whole.dtype == np.float32
    assert (whole.sum(axis=1) == n).all()
    assert np.array_equal(
        np.concatenate(list(bootstrap_.bootstrap_chunks(n, draws, seed, chunk=chunk))), whole
    )


@pytest.mark.parametrize("groups", [None, ["b", "a", "b", "c", "a", "b"]])
def test_items_that_share_a_column_are_counted_together(groups: list[str] | None) -> None:
    columns = np.array([2, 0, 1, 0, 2, 2])
    weights = bootstrap_.bootstrap_weights(6, 20, 1, groups)
    together = np.concatenate(list(bootstrap_.bootstrap_chunks(6, 20, 1, groups, columns)))
    assert np.array_equal(
        together, np.stack([weights[:, columns == c].sum(axis=1) for c in range(3)], axis=1)
    )


def test_items_of_a_group_are_drawn_together() -> None:
    groups = ["b", "a", "b", "c", "a", "b"]
    weights = bootstrap_.bootstrap_weights(6, 50, 1, groups)
    assert (weights[:, 0] == weights[:, 2]).all() and (weights[:, 1] == weights[:, 4]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert len(np.unique(weights[:, 0])) > 1


def test_weights_need_items_and_an_id_for_each() -> None:
    with pytest.raises(ValueError, match="needs items"):
        bootstrap_.bootstrap_weights(0, 5, 0)
    with pytest.raises(ValueError, match="2 group ids for 3 items"):
        bootstrap_.bootstrap_weights(3, 5, 0, ["a", "b"])


def test_the_paired_interval_is_scipys_paired_bootstrap() -> None:
    rng = np.random.default_rng(3)
    ours, theirs = rng.random(150) < 0.8, rng.random(150) < 0.7
    weights = bootstrap_.bootstrap_weights(150, 4000, 0)
    low, high = bootstrap_.percentile_interval(weights @ ours / 150 - weights @ theirs / 150)
    expected = bootstrap(
        (ours * 1.0, theirs * 1.0),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        paired=True, vectorized=True, method="percentile", n_resamples=4000, rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.008)


def test_newcombe_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(11)
    for p, q, n, m in [(0.9, 0.85, 120, 150), (0.6, 0.5, 30, 40), (0.97, 0.99, 80, 60)]:
        ours, theirs = rng.binomial(n, p, 3000), rng.binomial(m, q, 3000)
        intervals = [stats.newcombe(int(a), n, int(b), m) for a, b in zip(ours, theirs, strict=True)]
        assert 0.935 <= np.mean([low <= p - q <= high for low, high in intervals]) <= 0.995


def test_the_macro_difference_covers_with_small_and_large_classes() -> None:
    rng = np.random.default_rng(12)
    sizes = np.array([400, 150, 60, 30, 12, 8, 5, 3, 2, 1] * 2)
    ours, theirs = rng.uniform(0.5, 0.95, sizes.size), rng.uniform(0.4, 0.9, sizes.size)
    truth = ours.mean() - theirs.mean()
    inside = 0
    for _ in range(600):
        low, high = stats.macro_difference(
            rng.binomial(sizes, ours).tolist(),
            sizes.tolist(),
            rng.binomial(sizes, theirs).tolist(),
            sizes.tolist(),
        )
        inside += bool(low <= truth <= high)
    assert 0.925 <= inside / 600 <= 0.985


@pytest.mark.parametrize("grouped", [False, True])
def test_the_paired_bootstrap_covers_as_often_as_it_says(grouped: bool) -> None:
    rng = np.random.default_rng(13)
    n, per_group = 400, 4
    groups = [str(i // per_group) for i in range(n)] if grouped else None
    weights = bootstrap_.bootstrap_weights(n, 400, 0, groups)
    inside = 0
    for _ in range(500):
        difficulty = (
            np.repeat(rng.normal(0, 1, n // per_group), per_group) if grouped else rng.normal(0, 1, n)
        )
        ours = difficulty + rng.normal(0, 0.5, n) < 1.0
        theirs = difficulty + rng.normal(0, 0.5, n) < 0.7
        low, high = bootstrap_.percentile_interval(weights @ ours / n - weights @ theirs / n)
        inside += bool(low <= _normal_cdf(1.0) - _normal_cdf(0.7) <= high)
    assert 0.92 <= inside / 500 <= 0.98


def _normal_cdf(bound: float) -> float:
    """P(difficulty + noise < bound), where their variances are 1 and 1/4."""
    return 0.5 * math.erfc(-bound / math.sqrt(1.25) / math.sqrt(2))


@pytest.mark.parametrize("freedom", [1, 1.3, 2, 4.5, 30, 1e4, math.inf])
def test_students_distribution_is_scipys(freedom: float) -> None:
    from scipy.stats import t

    assert stats.student_quantile(freedom) == pytest.approx(t.ppf(0.975, freedom), rel=1e-5)
    for value in (0.0, 0.3, 1.0, 2.5, -9.0):
        assert stats.student_p(value, freedom) == pytest.approx(2 * t.sf(abs(value), freedom), rel=1e-5)


def test_few_units_and_large_ones_are_inflated() -> None:
    assert bootstrap_.inflation(np.ones(10_000), 10_000) == pytest.approx(1, abs=1e-3)
    assert bootstrap_.inflation(np.full(10, 5), 50) == pytest.approx(10 / 9 / 0.9**2)
    assert bootstrap_.inflation(np.array([50]), 50) == 1
