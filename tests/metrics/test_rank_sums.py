"""Areas as means of items' numbers: against the area itself, DeLong's variance, and a full bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score

from bench.metrics import bootstrap
from bench.metrics import scores as on_scores
from bench.metrics.rank_sums import attribute_areas, attribute_parts, placements


@given(
    arrays(np.float32, (12, 3), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    arrays(np.int32, 12, elements=st.integers(0, 2)),
)
def test_their_means_are_the_areas_ties_included(scores: np.ndarray, truth: np.ndarray) -> None:
    areas = on_scores.auc(scores, truth)
    found = placements(scores, truth)
    if np.isnan(areas).all():
        assert found is None
        return
    assert found is not None
    known, support = ~np.isnan(areas), np.bincount(truth, minlength=3)
    assert found.macro.mean() == pytest.approx(areas[known].mean(), abs=1e-9)
    weighted = np.average(areas[known], weights=support[known])
    assert found.weighted.mean() == pytest.approx(weighted, abs=1e-9)
    for c in np.flatnonzero(known):
        assert found.own[truth == c].mean() == pytest.approx(areas[c])


def some(n: int, k: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n).astype(np.int32)
    scores = rng.normal(size=(n, k)) + 1.2 * np.eye(k)[truth]
    return scores.astype(np.float32), truth


def test_the_variance_of_two_classes_is_delongs() -> None:
    scores, truth = some(300, 2, 1)
    scores[:, 0] = -scores[:, 1]
    found = placements(scores, truth)
    assert found is not None
    positive, negative = scores[truth == 1, 1], scores[truth == 0, 1]
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    expected = wins.mean(axis=1).var() / len(positive) + wins.mean(axis=0).var() / len(negative)
    ours = ((found.macro - found.macro.mean()) ** 2).sum() / len(truth) ** 2
    assert ours == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_draws_follow_the_areas_of_the_resamples_themselves(average: str) -> None:
    scores, truth = some(240, 4, 2)
    found = placements(scores, truth)
    assert found is not None
    weights = bootstrap.bootstrap_weights(240, 200, 0)
    ours = weights @ getattr(found, average) / weights.sum(axis=1)
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    theirs = []
    for row in weights.astype(int):
        again = np.repeat(np.arange(240), row)
        drawn = [roc_auc_score(truth[again] == c, chances[again, c]) for c in range(4)]
        counts = np.bincount(truth[again], minlength=4)
        theirs.append(np.average(drawn, weights=counts if average == "weighted" else None))
    linear = placements(chances.astype(np.float32), truth)
    assert linear is not None
    ours = weights @ getattr(linear, average) / weights.sum(axis=1)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.99
    assert np.std(ours) == pytest.approx(np.std(theirs), rel=0.05)
    assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=0.002)


def test_means_over_attributes_leave_out_unknown_cells_and_attributes_without_both() -> None:
    rng = np.random.default_rng(3)
    truth = rng.integers(-1, 2, (60, 4)).astype(np.int32)
    truth[:, 2] = np.where(truth[:, 2] == 0, -1, truth[:, 2])
    scores = (rng.normal(size=truth.shape) + truth).round(1).astype(np.float32)
    areas, parts = attribute_parts(scores, truth)
    for c in (0, 1, 3):
        seen = truth[:, c] >= 0
        assert areas[c] == pytest.approx(roc_auc_score(truth[seen, c], scores[seen, c]))
        yes, no = scores[truth[:, c] == 1, c], scores[truth[:, c] == 0, c]
        wins = (yes[:, None] > no) + 0.5 * (yes[:, None] == no)
        variance = wins.mean(axis=1).var() / len(yes) + wins.mean(axis=0).var() / len(no)
        assert (parts[c] ** 2).sum() == pytest.approx(variance) and not parts[c, ~seen].any()
    assert np.isnan(areas[2]) and not parts[2].any()
    some_of_them = {"first": np.arange(4) < 1, "last": np.arange(4) > 1, "none": np.arange(4) == 2}
    found = attribute_areas(scores, truth, some_of_them)
    assert {name: values.mean() for name, values in found.items()} == pytest.approx(
        {"first": areas[0], "last": areas[3]}
    )
