"""Areas on many resamples at once, against scikit-learn and against the areas of a few weightings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from bench.metrics import bootstrap_areas as resampled
from bench.metrics.curves import areas


def made(n: int, k: int, seed: int, levels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return scores with so many levels, truth with unknown cells, and the weights of 5 resamples."""
    rng = np.random.default_rng(seed)
    scores = (rng.integers(0, levels, (n, k)) / levels).astype(np.float32)
    truth = rng.integers(-1, 2, (n, k)).astype(np.int32)
    return scores, truth, rng.multinomial(n, np.full(n, 1 / n), size=5).astype(np.float32)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 60), st.integers(0, 2**32), st.sampled_from([2, 5, 10**6]), st.sampled_from([1, 3, 128])
)
def test_it_is_what_scikit_learn_says(n: int, seed: int, levels: int, flush: int) -> None:
    scores, truth, weights = made(n, 2, seed, levels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resampled, "FLUSH", flush)
        auc, ap = resampled.resampled_areas(scores, truth, weights)
    for c in range(2):
        seen = truth[:, c] >= 0
        for draw, row in enumerate(weights):
            said, yes, times = scores[seen, c], truth[seen, c], row[seen]
            if not (times[yes == 1].any() and times[yes == 0].any()):
                assert np.isnan(auc[draw, c]) and np.isnan(ap[draw, c])
                continue
            assert auc[draw, c] == pytest.approx(roc_auc_score(yes, said, sample_weight=times), rel=1e-6)
            expected = average_precision_score(yes, said, sample_weight=times)
            assert ap[draw, c] == pytest.approx(expected, rel=1e-6)


def test_many_items_keep_six_digits() -> None:
    rng = np.random.default_rng(4)
    truth = (rng.random((30_000, 1)) < 0.5).astype(np.int32)
    scores = (rng.normal(size=truth.shape) + truth).astype(np.float32)
    weights = rng.multinomial(30_000, np.full(30_000, 1 / 30_000), size=3).astype(np.float32)
    for fast, slow in zip(
        resampled.resampled_areas(scores, truth, weights), areas(scores, truth, weights), strict=True
    ):
        np.testing.assert_allclose(fast, slow, rtol=2e-6)


def test_nothing_observed_is_undefined() -> None:
    auc, ap = resampled.resampled_areas(np.zeros((3, 1)), np.full((3, 1), -1), np.ones((2, 3)))
    assert np.isnan(auc).all() and np.isnan(ap).all() and auc.shape == (2, 1)
