"""Saved matches: what is read back is what was saved, and anything else is one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.array_files import write_arrays
from bench.core.errors import StoreError
from bench.kinds.verification.model_file import KeptMatch, load_match, platt
from bench.store.read import MODEL

ARRAYS: dict[str, np.ndarray] = {
    "mean": np.arange(3, dtype=np.float32),
    "form": np.frombuffer(b"{}", np.uint8),
}


def some_match(**changes: object) -> KeptMatch:
    match = KeptMatch(
        cell="a" * 64,
        regime="frozen",
        backbone="lenet",
        weights="random",
        method="cosine",
        preprocess="backbone",
        engine="tensorflow",
        resize="squash",
        size=(32, 40),
        cut=0.25,
        slope=2.0,
        intercept=-0.5,
        arrays=ARRAYS,
        crop=0.6,
    )
    return replace(match, **changes)  # type: ignore[arg-type]


def test_what_is_read_back_is_what_was_kept(tmp_path: Path) -> None:
    match = some_match()
    assert match.save(tmp_path) == tmp_path / MODEL
    back = load_match(tmp_path)
    assert {**vars(back), "arrays": None} == {**vars(match), "arrays": None}
    assert set(back.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(back.arrays[name], array)


@given(st.floats(-5, 5), st.floats(-3, 3), st.integers(0, 2**16))
def test_the_curve_is_the_one_that_the_labels_were_drawn_from(slope: float, shift: float, seed: int) -> None:
    """On many pairs, maximum likelihood finds slope and intercept again, within their sampling error."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=6000)
    same = rng.random(6000) < 1 / (1 + np.exp(-(slope * scores + shift)))
    found = platt(scores.astype(np.float32), same)
    p = 1 / (1 + np.exp(-(found[0] * scores + found[1])))
    # At the maximum the residuals are orthogonal to a constant and to the scores, but for Platt's smoothing.
    yes, no = same.sum(), (~same).sum()
    target = np.where(same, (yes + 1) / (yes + 2), 1 / (no + 2))
    assert abs((p - target).mean()) < 1e-3 and abs(((p - target) * scores).mean()) < 1e-3


@pytest.mark.parametrize(
    ("scores", "same", "rising"),
    [([0.0, 1, 2, 3], [0, 0, 1, 1], True), ([1.0, 1, 1], [1, 0, 1], False), ([1.0, 2], [1, 1], False)],
)
def test_the_curve_of_few_pairs_is_finite(scores: list[float], same: list[int], rising: bool) -> None:
    slope, intercept = platt(np.array(scores, np.float32), np.array(same, bool))
    assert np.isfinite([slope, intercept]).all() and (slope > 0) == rising
    sure = some_match(slope=slope, intercept=intercept).sureness(np.array([-1e30, 0.0, 1e30]))
    assert ((sure >= 0) & (sure <= 1)).all()


def test_nothing_kept_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="has no saved model"):
        load_match(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"pairs": 99},
        {"cut": float("nan")},
        {"cut": "much"},
        {"size": [0, 3]},
        {"method": "no_such_step"},
        {"crop": "half"},
        {"backbone": 3},
    ],
)
def test_an_edited_file_is_one_line(tmp_path: Path, change: dict[str, object]) -> None:
    some_match().save(tmp_path)
    with np.load(tmp_path / MODEL) as found:
        arrays = {name: found[name] for name in found.files}
    facts = json.loads(arrays["facts"].tobytes())
    arrays["facts"] = np.frombuffer(json.dumps({**facts, **change}).encode(), np.uint8)
    write_arrays(tmp_path / MODEL, arrays)
    with pytest.raises(StoreError, match="not a saved model") as error:
        load_match(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("junk", [b"", b"PK\x03\x04", b"\x00" * 100])
def test_junk_is_one_line(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / MODEL).write_bytes(junk)
    with pytest.raises(StoreError, match="not a saved model"):
        load_match(tmp_path)
