"""Hiding cells: exact, only where it may, the same each time, and nested from rate to rate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bench.core.errors import BenchError, DataError
from bench.data.missing_labels import RULES, SPREAD, hide, value_weights

TABLES = arrays(
    np.int8, st.tuples(st.integers(1, 40), st.integers(1, 4)), elements=st.integers(-1, 1).map(np.int8)
)
RULE = st.sampled_from(("random", "column"))
RATE = st.floats(0.0, 0.95)


def some_rows(table: np.ndarray, seed: int) -> np.ndarray:
    return np.flatnonzero(np.random.default_rng(seed).random(len(table)) < 0.7)


def column_of(table: np.ndarray) -> list[str]:
    return ["abc"[row % 3] for row in range(len(table))]


@given(TABLES, RULE, RATE, st.integers(0, 5))
@settings(max_examples=150)
def test_each_attribute_loses_its_share_and_keeps_a_yes_and_a_no(
    table: np.ndarray, rule: str, rate: float, seed: int
) -> None:
    rows, before = some_rows(table, seed), table.copy()
    got = hide(table, rows, rule, rate, seed, column_of(table))
    assert np.array_equal(table, before), "the table that was given is left alone"
    lost = got != table
    assert got.dtype == np.int8 and (got[lost] == -1).all()
    assert not np.delete(lost, rows, axis=0).any()
    for own, left, gone in zip(table[rows].T, got[rows].T, lost[rows].T, strict=True):
        known = [value for value in own.tolist() if value >= 0]
        kept = len(set(known))
        assert gone.sum() == min(round(rate * len(known)), len(known) - kept)
        assert set(left[left >= 0].tolist()) == set(known)


@given(TABLES, RULE, RATE, RATE, st.integers(0, 5))
@settings(max_examples=100)
def test_a_higher_rate_hides_the_same_cells_and_more(
    table: np.ndarray, rule: str, one: float, two: float, seed: int
) -> None:
    low, high = sorted((one, two))
    rows, by = some_rows(table, seed), column_of(table)
    few, many = (hide(table, rows, rule, rate, seed, by) for rate in (low, high))
    assert ((few != table) <= (many != table)).all()
    again = hide(table, rng_order(rows, seed), rule, high, seed, by)
    assert np.array_equal(many, again), "the order in which rows are named does not matter"


def rng_order(rows: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(rows)


def test_none_hides_nothing_and_seeds_differ() -> None:
    table = np.tile(np.array([[1, 0]], np.int8), (100, 1))
    table[::3] = [0, 1]
    rows = np.arange(100)
    assert np.array_equal(hide(table, rows, "none", 0.5, 0, None), table)
    first, second = (hide(table, rows, "random", 0.3, seed, None) for seed in (0, 1))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first[:, 0] == -1, first[:, 1] == -1), "attributes are drawn on their own"


def test_a_random_rate_is_the_same_for_yes_and_no() -> None:
    table = (np.arange(20_000) % 5 == 0).astype(np.int8)[:, None]
    got = hide(table, np.arange(20_000), "random", 0.3, 3, None)[:, 0]
    assert (got == -1).sum() == 6000
    for value in (0, 1):
        assert (got[table[:, 0] == value] == -1).mean() == pytest.approx(0.3, abs=0.02)


def test_a_column_moves_the_rate_as_the_weights_say() -> None:
    n = 30_000
    by = [("a", "b", "b", "c", "c", "c")[row % 6] for row in range(n)]
    table = (np.arange(n) % 7 < 3).astype(np.int8)[:, None]
    got = hide(table, np.arange(n), "column", 0.4, 8, by)[:, 0] == -1
    assert got.sum() == round(0.4 * n)
    weights = value_weights(by, 8)
    # Bisection for the q of the docstring: the mean of 1 - q ** weight is the rate.
    low, high = 0.0, 1.0
    for _ in range(60):
        q = (low + high) / 2
        low, high = (low, q) if (1 - q**weights).mean() < 0.4 else (q, high)
    values = np.array(by)
    for name in "abc":
        own = values == name
        assert got[own].mean() == pytest.approx(1 - q ** weights[own][0], abs=0.02)
    assert got[weights == SPREAD].mean() > 3 * got[weights == 1 / SPREAD].mean()


def test_weights_are_spread_evenly_and_one_value_has_none() -> None:
    values = ["", "x", "y", "z", "x"]
    weights = value_weights(values, 0)
    assert weights[1] == weights[4]
    assert sorted(np.log(weights[:4]) / np.log(SPREAD)) == pytest.approx([-1, -1 / 3, 1 / 3, 1])
    assert value_weights(["x", "x"], 0).tolist() == [1.0, 1.0] and value_weights([], 0).shape == (0,)
    assert len({tuple(value_weights(values, seed)) for seed in range(20)}) > 5


def test_what_cannot_be_is_said() -> None:
    table = np.zeros((2, 1), np.int8)
    with pytest.raises(BenchError, match="did you mean 'random'"):
        hide(table, np.arange(2), "randm", 0.1, 0, None)
    with pytest.raises(DataError, match="hide_by"):
        hide(table, np.arange(2), "column", 0.1, 0, None)
    assert RULES == ("none", "random", "column")
    empty = hide(np.zeros((0, 3), np.int8), np.arange(0), "random", 0.5, 0, None)
    assert empty.shape == (0, 3)
