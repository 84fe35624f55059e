from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data.synthetic.raster import SUB, box, cover, mirror, oval, smooth, stroke

SIDE = 12
corners = st.tuples(st.integers(-40, SIDE * SUB + 40), st.integers(-40, SIDE * SUB + 40))
polygons = st.lists(st.lists(corners, min_size=3, max_size=7), min_size=1, max_size=4)


def inside(polygon: Sequence[tuple[int, int]], x: int, y: int) -> bool:
    """Even-odd in exact fractions, one pixel at a time."""
    odd = False
    for (x0, y0), (x1, y1) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if (y0 <= y) != (y1 <= y):
            odd ^= x >= x0 + Fraction((y - y0) * (x1 - x0), y1 - y0)
    return odd


@given(polygons)
def test_the_topmost_polygon_is_found_exactly(shapes: list[list[tuple[int, int]]]) -> None:
    got = cover([np.array(shape, np.int64) for shape in shapes], SIDE)
    for row in range(SIDE):
        for column in range(SIDE):
            x, y = column * SUB + SUB // 2, row * SUB + SUB // 2
            covering = [k + 1 for k, shape in enumerate(shapes) if inside(shape, x, y)]
            assert got[row, column] == max(covering, default=0)


def test_whole_pixels_of_a_box() -> None:
    got = cover([np.array(box(1, 2, 4, 5)) * SUB], 6)
    want = np.zeros((6, 6), np.uint8)
    want[2:5, 1:4] = 1
    np.testing.assert_array_equal(got, want)


def test_nothing_and_too_much() -> None:
    assert not cover([], 4).any()
    with pytest.raises(ValueError, match="256 polygons"):
        cover([np.array(box(0, 0, 1, 1))] * 256, 4)


def test_outlines() -> None:
    assert mirror([(1, 0), (2, 5)]) == [(1, 0), (2, 5), (-2, 5), (-1, 0)]
    assert oval(10, 20, 1000, 500)[::6] == [(1010, 20), (10, 520), (-990, 20), (10, -480)]
    assert stroke([(0, 0), (100, 0)], 10) == [(0, 5), (100, 5), (100, -5), (0, -5)]


@given(st.lists(st.tuples(st.integers(-90, 90), st.integers(-90, 90)), min_size=2, max_size=5))
def test_a_stroke_stays_by_its_line(line: list[tuple[int, int]]) -> None:
    outline = stroke(line, 8)
    pairs = zip(line, outline[: len(line)], reversed(outline[len(line) :]), strict=True)
    assert all(max(abs(a - x), abs(b - y)) <= 5 for (x, y), *sides in pairs for a, b in sides)


def test_a_closed_stroke_is_a_ring() -> None:
    edge = oval(6 * SUB, 6 * SUB, 4 * SUB, 4 * SUB)
    got = cover([np.array(stroke([*edge, *edge[:2]], 2 * SUB))], SIDE)
    assert got[6, 6] == 0 and got[6, 2] == 1 and got[6, 0] == 0


@given(st.lists(st.tuples(st.integers(-500, 500), st.integers(-500, 500)), min_size=3, max_size=8))
def test_smoothing_stays_within(points: list[tuple[int, int]]) -> None:
    corners, line = np.array(points), np.array(smooth(points))
    assert len(line) == 4 * len(points)
    assert (line >= corners.min(axis=0)).all() and (line <= corners.max(axis=0)).all()
    assert smooth([(0, 0), (8, 0), (8, 8)], 1) == [(2, 0), (6, 0), (8, 2), (8, 6), (6, 6), (2, 2)]
