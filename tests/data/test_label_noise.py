"""Planted wrong labels: exactly as many as asked, in train alone, of the kind asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import DataError
from bench.data.label_noise import Noise, add_noise

NAMES = ("a", "b", "c", "d")
ALIKE = {"a": ("b", "nowhere"), "b": ("b",)}


@given(
    st.lists(st.sampled_from(NAMES), min_size=2, max_size=60).filter(lambda labels: len(set(labels)) > 1),
    st.sampled_from(["uniform", "pair", "confusion"]),
    st.floats(0, 0.95),
    st.integers(0, 5),
)
def test_exactly_the_share_of_the_rows_changes(labels: list[str], kind: str, rate: float, seed: int) -> None:
    rows = np.arange(len(labels))
    out = add_noise(labels, rows, Noise(kind, rate, seed), ALIKE)
    changed = [row for row in rows if out[row] != labels[row]]
    assert len(changed) == round(rate * len(labels))
    assert set(out) <= set(labels)
    assert out == add_noise(labels, rows, Noise(kind, rate, seed), ALIKE)
    present = sorted(set(labels))
    for row in changed:
        if kind == "pair":
            assert out[row] == present[(present.index(labels[row]) + 1) % len(present)]
        if kind == "confusion" and labels[row] == "a" and "b" in present:
            assert out[row] == "b"


def test_only_the_given_rows_can_be_hit() -> None:
    labels = ["a", "b"] * 50
    out = add_noise(labels, np.arange(0, 100, 5), Noise("uniform", 0.5, 1), {})
    changed = {row for row in range(100) if out[row] != labels[row]}
    assert len(changed) == 10 and changed <= set(range(0, 100, 5))


def test_uniform_noise_reaches_every_other_class_alike() -> None:
    labels = ["a"] * 3000 + list("bcd")
    out = add_noise(labels, np.arange(3003), Noise("uniform", 0.9, 0), {})
    counts = np.array([out[:3000].count(name) for name in "bcd"])
    assert abs(counts / counts.sum() - 1 / 3).max() < 0.05


def test_seeds_differ_and_none_is_none() -> None:
    labels = ["a", "b", "c"] * 20
    rows = np.arange(60)
    assert add_noise(labels, rows, Noise("none", 0.5), {}) == tuple(labels)
    assert add_noise(labels, rows, Noise("uniform", 0.0), {}) == tuple(labels)
    one, other = (add_noise(labels, rows, Noise("uniform", 0.3, seed), {}) for seed in (0, 1))
    assert one != other


def test_one_class_cannot_be_confused() -> None:
    with pytest.raises(DataError, match="needs two classes"):
        add_noise(["a", "a"], np.arange(2), Noise("pair", 0.5), {})
