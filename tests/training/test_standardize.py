"""Features made ready for heads, in memory and in a mapped file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest

from bench.backbones.inputs import PrecomputedFeatures
from bench.core.protocol import defaults
from bench.data.splits import StageSplit
from bench.runs.trainers import HeadTrainer
from bench.training import standardize
from bench.training.standardize import gather, mean_and_deviation, standardise
from tests.cells import cell_of

ROWS = np.array([3, 0, 7, 7, 5000, 4096, 8999])


@pytest.fixture
def features() -> np.ndarray:
    rng = np.random.default_rng(0)
    table = rng.normal(rng.normal(size=12) * 50, 3, (9000, 12)).astype(np.float32)
    table[:, 5] = 7.0
    return table


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standardize, "LARGE", 0)


def test_rows_are_copied(features: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in (standardize.LARGE, 0):
        monkeypatch.setattr(standardize, "LARGE", limit)
        for rows in (ROWS, np.arange(9000)):
            before, own = features.copy(), gather(features, rows)
            np.testing.assert_array_equal(own, features[rows])
            own[:] = 0
            np.testing.assert_array_equal(features, before)
            assert isinstance(own, np.memmap) == (limit == 0)


def test_a_large_table_is_in_no_file_that_could_stay(
    features: np.ndarray, large: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    own = gather(features, ROWS)
    assert list(tmp_path.iterdir()) == [] and own.shape == (7, 12)


def test_blocks_give_what_the_whole_gives(features: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = mean_and_deviation(features)
    monkeypatch.setattr(standardize, "LARGE", 0)
    for ours, theirs in zip(mean_and_deviation(features), whole, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert whole[1][5] == 1.0, "a column that does not vary"
    mean, scale = (part.astype(np.float32) for part in whole)
    own = gather(features, np.arange(9000))
    standardise(own, mean, scale)
    np.testing.assert_array_equal(own, (features - mean) / scale)


def test_heads_learn_the_same_from_a_mapped_table(
    features: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    truth = (features[:, 0] > features[:, 0].mean()).astype(np.int32)
    rows = rng.permutation(9000)
    split = StageSplit(
        ("a", "b"), truth, np.sort(rows[:6000]), np.sort(rows[6000:7000]), rows[7000:], 0, None
    )
    setting = {**defaults(), "epochs": 2, "lr": 0.01}

    def scores() -> np.ndarray:
        trainer = HeadTrainer(PrecomputedFeatures(features), split, setting, lambda *_: None)
        ((fitted, _),) = trainer.fit([(cell_of(setting=setting), split)])
        assert fitted.head is not None and fitted.embed is not None
        return fitted.head.logits(fitted.embed(split.test))

    whole = scores()
    monkeypatch.setattr(standardize, "LARGE", 0)
    np.testing.assert_allclose(scores(), whole, atol=1e-4)
    assert ((whole.argmax(axis=1) == truth[split.test]).mean()) > 0.9


@pytest.mark.parametrize(("n", "d"), [(1, 1), (5000, 1), (9000, 2), (4097, 7), (33, 1280)])
def test_deviations_are_numpys_to_the_bit_without_its_copy(n: int, d: int) -> None:
    rows = (np.random.default_rng(n).normal(size=(n, d)) * 7 + 40).astype(np.float32)
    mean, spread = mean_and_deviation(rows)
    np.testing.assert_array_equal(mean, rows.mean(axis=0, dtype=np.float64))
    expected = rows.std(axis=0, dtype=np.float64)
    np.testing.assert_array_equal(spread, np.where(expected > standardize.STILL, expected, 1.0))
