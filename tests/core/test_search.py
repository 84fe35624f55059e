"""Search spaces: what is drawn lies in them, is spread as they say, and the first points stay."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.core.search import Search, draw

SPACES = (
    Search(0.5, 5.0),
    Search(1e-4, 1e-1, log=True),
    Search(choices=(16, 32, 64)),
    Search(5, 80, log=True),
)
WHOLE = (False, False, True, True)


def test_the_first_points_do_not_depend_on_how_many_are_drawn() -> None:
    assert draw(SPACES, WHOLE, 4, 7) == draw(SPACES, WHOLE, 64, 7)[:4]
    lists = (Search(choices=(1, 2, 3)),)
    assert draw(lists, (True,), 3, 0) == draw(lists, (True,), 50, 0)[:3]
    assert draw(SPACES, WHOLE, 4, 7) != draw(SPACES, WHOLE, 4, 8)


def test_points_lie_in_their_spaces_and_have_the_type_of_their_argument() -> None:
    for gamma, lr, units, near in draw(SPACES, WHOLE, 300, 1):
        assert 0.5 <= gamma <= 5.0 and 1e-4 <= lr <= 1e-1 and 5 <= near <= 80
        assert units in (16, 32, 64) and type(units) is int and type(near) is int
        # Typed again, it is the same number.
        assert float(f"{lr:.4g}") == lr


def test_a_logarithmic_range_is_drawn_evenly_by_its_logarithm() -> None:
    values = np.array([point[0] for point in draw((Search(1e-4, 1e-1, log=True),), (False,), 2000, 0)])
    share = np.mean(np.log10(values) < -2.5)
    assert abs(share - 0.5) < 4 * math.sqrt(0.25 / 2000)


def test_nothing_to_search_gives_empty_points() -> None:
    assert draw((), (), 3, 0) == [(), (), ()] and draw(SPACES, WHOLE, 0, 0) == []


@pytest.mark.parametrize(
    ("search", "fault"),
    [
        (Search(2.0, 2.0), "holds one value, 2"),
        (Search(choices=(64,)), "holds one value, 64"),
        (Search(3.0, 2.0), "from 3 to 2 is no range"),
        (Search(0.0, 1.0, log=True), "from 0 to 1 is no range"),
        (Search(0.0, math.inf), "from 0 to inf is no range"),
        (Search(0.0, 1.0), ""),
    ],
)
def test_a_space_without_a_choice_says_so(search: Search, fault: str) -> None:
    assert search.fault == fault
