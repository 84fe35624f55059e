"""Odd prices: the modified z-score by hand, and when nothing can be said."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.methods.prices import FAR, FEWEST, odd_prices


def test_by_hand() -> None:
    prices = ["100", "110", "90", "105", "95", "1", "2000"]
    logs = np.log1p([float(price) for price in prices])
    median = np.median(logs)
    scores = 0.6745 * (logs - median) / np.median(np.abs(logs - median))
    found = odd_prices(["laptop"] * 7, prices)
    assert [oddity.row for oddity in found] == np.flatnonzero(np.abs(scores) > FAR).tolist() == [5, 6]
    assert [oddity.distance for oddity in found] == pytest.approx(scores[[5, 6]].tolist())
    assert found[0].price == pytest.approx(1.0) and found[0].median == pytest.approx(math.expm1(median))


def test_a_category_is_compared_with_itself_alone() -> None:
    labels = ["cheap"] * 8 + ["dear"] * 8
    prices = [str(2 + number % 4) for number in range(8)] + [str(200 + number) for number in range(8)]
    assert odd_prices(labels, prices) == []
    assert [oddity.row for oddity in odd_prices(["dear", *labels[1:]], prices)] == [0]


def test_where_most_cost_the_same_the_mean_deviation_stands_in() -> None:
    found = odd_prices(["a"] * 10, ["5"] * 9 + ["500"])
    assert [oddity.row for oddity in found] == [9]
    assert odd_prices(["a"] * 10, ["5"] * 10) == []


def test_few_unknown_and_unlabelled_prices_say_nothing() -> None:
    few = FEWEST - 1
    assert odd_prices(["a"] * few, ["1"] * (few - 1) + ["1000"]) == []
    assert odd_prices(["a"] * 6, ["1", "", "", "", "", "1000"]) == []
    assert odd_prices([""] * 9, ["1"] * 8 + ["1000"]) == []
