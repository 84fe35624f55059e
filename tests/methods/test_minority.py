"""Which classes and rows are in the minority, by hand and by properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.methods.apply import resolve, resolve_attributes
from bench.methods.grammar import parse_method
from bench.methods.minority import minority_classes, rows_with


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12))
def test_they_have_fewer_rows_than_the_mean_of_those_that_have_any(counts: list[int]) -> None:
    small = minority_classes(np.array(counts))
    some = [count for count in counts if count]
    mean = sum(some) / len(some) if some else 0.0
    assert small.tolist() == [0 < count < mean for count in counts]
    # The largest class never is, and all that are as large as each other are none.
    assert not small[int(np.argmax(counts))]
    assert not minority_classes(np.full(len(counts), counts[0])).any()


def test_rows_are_those_with_a_minority_attribute() -> None:
    known = np.array([[1, 0], [1, np.nan], [0, 1], [1, 1], [np.nan, 0]])
    assert rows_with(known, np.array([False, True])).tolist() == [False, False, True, True, False]
    assert not rows_with(known, np.array([False, False])).any()


@pytest.mark.parametrize("text", ["augment(flip,classes=minority)", "mixup(classes=minority)"])
def test_a_method_learns_which_of_its_rows_are(text: str) -> None:
    y = np.repeat(np.arange(4, dtype=np.int32), (10, 5, 3, 2))
    method = parse_method(text)
    made = resolve(method, y, None, 5, seed=0)
    assert made.minority is not None
    np.testing.assert_array_equal(made.minority, y >= 2)
    name = method.steps[0].name
    assert made.found == {name: {"minority_classes": 2, "minority_images": 5}}
    assert made.stop_by == "loss"
    assert resolve(parse_method(name), y, None, 5, seed=0).minority is None


def test_sampling_does_not_change_who_is_in_the_minority() -> None:
    y = np.repeat(np.arange(4, dtype=np.int32), (10, 5, 3, 2))
    made = resolve(parse_method("oversample+augment(flip,classes=minority)"), y, None, 4, seed=0)
    rows = made.resampled.rows
    assert len(rows) == 40 and made.minority is not None
    np.testing.assert_array_equal(made.minority, y[rows] >= 2)
    assert made.found["augment"] == {"minority_classes": 2, "minority_images": 5}


def test_synthetic_rows_are_of_their_class() -> None:
    y = np.repeat(np.arange(3, dtype=np.int32), (12, 6, 3))
    features = np.random.default_rng(0).normal(size=(len(y), 4)).astype(np.float32)
    made = resolve(parse_method("smote+augment(flip,classes=minority)"), y, features, 3, seed=0)
    labels = np.concatenate([y, made.resampled.labels])[made.resampled.rows]
    assert made.minority is not None and len(labels) == 36
    np.testing.assert_array_equal(made.minority, labels >= 1)


def test_attributes_count_their_yes_cells() -> None:
    known = np.array([[1, 0, 0], [1, 0, 1], [1, np.nan, 0], [1, 1, 0], [0, 0, np.nan]], np.float32)
    # Yes cells: 4, 1, 1; their mean is 2.
    made = resolve_attributes(parse_method("augment(flip,classes=minority)"), known, None, seed=0)
    assert made.minority is not None
    assert made.minority.tolist() == [False, True, False, True, False]
    assert made.found == {"augment": {"minority_classes": 2, "minority_images": 2}}
