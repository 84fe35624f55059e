"""Sampling steps: how many rows of which class, which seeds, and where synthetic rows lie."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.methods.registry import Resampled
from bench.methods.sampling import all_rows, oversample, smote, undersample

Y = np.repeat(np.array([0, 1, 3], np.int32), [9, 4, 1])
RNG = np.random.default_rng(7)
FEATURES = RNG.normal(size=(len(Y), 5)).astype(np.float32) + 100 * Y[:, None].astype(np.float32)


def _counts(out: Resampled) -> list[int]:
    seen = np.concatenate([Y, out.labels])[out.rows].tolist()
    return [seen.count(label) for label in range(4)]


@pytest.mark.parametrize(
    ("target", "counts"), [("max", [9, 9, 0, 9]), ("median", [9, 4, 0, 4]), ("mean", [9, 5, 0, 5])]
)
def test_oversample_raises_small_classes(target: str, counts: list[int]) -> None:
    out = oversample({"target": target}, Y, None, seed=3)
    assert _counts(out) == counts
    assert set(range(len(Y))) <= set(out.rows.tolist())
    assert len(out.synthetic) == 0


@pytest.mark.parametrize(
    ("target", "counts"), [("min", [1, 1, 0, 1]), ("median", [4, 4, 0, 1]), ("mean", [5, 4, 0, 1])]
)
def test_undersample_lowers_large_classes(target: str, counts: list[int]) -> None:
    out = undersample({"target": target}, Y, None, seed=3)
    assert _counts(out) == counts
    assert len(set(out.rows.tolist())) == len(out.rows)


def test_smote_fills_classes_up_between_their_own_rows() -> None:
    out = smote({"k": 5, "target": "max"}, Y, FEATURES, seed=3)
    assert _counts(out) == [9, 9, 0, 9]
    assert out.labels.tolist() == [1] * 5
    assert out.synthetic.shape == (5, 5)
    assert out.synthetic.dtype == np.float32
    own = FEATURES[Y == 1].astype(np.float64)
    for row in out.synthetic.astype(np.float64):
        between = [
            np.linalg.norm(a - row) + np.linalg.norm(row - b) - np.linalg.norm(a - b)
            for a in own
            for b in own
        ]
        assert min(between) < 1e-4
    assert out.rows.tolist().count(13) == 9, "the single row of class 3 is repeated"


def test_smote_draws_from_the_k_nearest_only() -> None:
    features = np.array([[0.0], [1.0], [10.0], [11.0], *[[50.0]] * 40], np.float32)
    y = np.repeat(np.array([0, 1], np.int32), [4, 40])
    near = smote({"k": 1, "target": "max"}, y, features, seed=0).synthetic
    assert ((near <= 1) | (near >= 10)).all()
    far = smote({"k": 3, "target": "max"}, y, features, seed=0).synthetic
    assert ((far > 1) & (far < 10)).any()


def test_smote_leaves_the_features_as_they_are() -> None:
    before = FEATURES.copy()
    smote({"k": 2, "target": "max"}, Y, FEATURES, seed=0)
    np.testing.assert_array_equal(FEATURES, before)


def test_smote_needs_features() -> None:
    with pytest.raises(BenchError, match="features"):
        smote({"k": 5, "target": "max"}, Y, None, seed=0)


Step = Callable[[dict[str, Any], np.ndarray, np.ndarray | None, int], Resampled]
STEPS: list[tuple[Step, dict[str, Any]]] = [
    (oversample, {"target": "max"}),
    (undersample, {"target": "median"}),
    (smote, {"k": 3, "target": "max"}),
]


@pytest.mark.parametrize(("step", "args"), STEPS)
def test_the_seed_decides_the_draw(step: Step, args: dict[str, Any]) -> None:
    first, again, other = (step(args, Y, FEATURES, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.rows, again.rows)
    np.testing.assert_array_equal(first.synthetic, again.synthetic)
    same_rows = np.array_equal(first.rows, other.rows)
    assert not (same_rows and np.array_equal(first.synthetic, other.synthetic))


@pytest.mark.parametrize(("step", "args"), STEPS)
@pytest.mark.parametrize("y", [np.zeros(4, np.int32), np.array([0, 1, 2], np.int32), np.empty(0, np.int32)])
def test_what_is_balanced_stays_as_it_is(step: Step, args: dict[str, Any], y: np.ndarray) -> None:
    out = step(args, y, np.ones((len(y), 2), np.float32), 0)
    assert sorted(out.rows.tolist()) == list(range(len(y)))
    assert out.synthetic.shape == (0, 2)


def test_all_rows() -> None:
    out = all_rows(Y, FEATURES)
    assert out.rows.tolist() == list(range(len(Y)))
    assert out.synthetic.shape == (0, FEATURES.shape[1])


@pytest.mark.filterwarnings("error")
def test_many_tiny_classes_make_no_noise() -> None:
    y = np.arange(40, dtype=np.int32)
    y[:5] = 0
    assert len(oversample({"target": "max"}, y, None, seed=0).rows) == 5 * len(np.unique(y))
