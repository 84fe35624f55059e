"""Polygons filled in integer arithmetic, so that every machine gets the same bytes.

Pillow's polygon filling is not used: it computes in floats, and its results changed between releases.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

Point = tuple[int, int]

SUB = 8
"""Fixed-point units per canvas pixel."""

BACK, MAIN, SHADE, LIGHT, TRIM, DARK, PALE, METAL, SKIN, OTHER, CLUTTER, CLUTTER_2, PATTERN = range(13)
"""Materials of goods: MAIN is their own colour, SHADE and LIGHT are shades of it; OTHER is not for sale."""

_COSINE = (1000, 966, 866, 707, 500, 259, 0, -259, -500, -707, -866, -966)
_COS = (*_COSINE, *(-value for value in _COSINE))
_SIN = _COS[18:] + _COS[:18]


class Part(NamedTuple):
    """A filled polygon (at least three corners) and the number of the material that covers it."""

    points: Sequence[Point]
    material: int


def box(left: int, top: int, right: int, bottom: int) -> list[Point]:
    """Return an upright rectangle."""
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def oval(x: int, y: int, rx: int, ry: int) -> list[Point]:
    """Return an upright ellipse as a polygon of 24 corners."""
    return [(x + rx * c // 1000, y + ry * s // 1000) for c, s in zip(_COS, _SIN, strict=True)]


def mirror(right: Sequence[Point]) -> list[Point]:
    """Close the right half of an outline, given from top to bottom, with its mirror image."""
    return [*right, *flip(right)[::-1]]


def flip(points: Sequence[Point]) -> list[Point]:
    """Return the points mirrored at the vertical axis."""
    return [(-x, y) for x, y in points]


def smooth(points: Sequence[Point], rounds: int = 2) -> list[Point]:
    """Return the closed outline with its corners cut `rounds` times (Chaikin 1974)."""
    line = list(points)
    for _ in range(rounds):
        pairs = zip(line, [*line[1:], line[0]], strict=True)
        line = [(a + k * (c - a) // 4, b + k * (d - b) // 4) for (a, b), (c, d) in pairs for k in (1, 3)]
    return line


def stroke(line: Sequence[Point], width: int) -> list[Point]:
    """Return the outline of a polyline of the given width; a closed polyline gives a ring."""
    left: list[Point] = []
    right: list[Point] = []
    for k, (x, y) in enumerate(line):
        before, after = line[max(k - 1, 0)], line[min(k + 1, len(line) - 1)]
        dx, dy = after[0] - before[0], after[1] - before[1]
        # The larger of the two sides plus 3/8 of the smaller is the length within 7%.
        long, short = max(abs(dx), abs(dy)), min(abs(dx), abs(dy))
        length = max(1, long + 3 * short // 8) * 2
        ox, oy = -dy * width // length, dx * width // length
        left.append((x + ox, y + oy))
        right.append((x - ox, y - oy))
    return [*left, *reversed(right)]


def cover(polygons: Sequence[np.ndarray], side: int) -> np.ndarray:
    """Return which polygon is on top at every pixel.

    polygons: (corners, 2) int64 arrays of x, y in 1/SUB pixels, later ones above earlier ones.
    A pixel is inside when its centre is (even-odd rule; a centre on a left or top edge counts).
    Returns (side, side) uint8: 0 where there is none, else the polygon's position plus one.
    """
    count = len(polygons)
    if not count:
        return np.zeros((side, side), np.uint8)
    if count > 255:
        raise ValueError(f"{count} polygons are more than a byte can number")
    lengths = np.array([len(polygon) for polygon in polygons])
    owner = np.repeat(np.arange(count), lengths)
    start = np.concatenate(polygons)
    follower = np.arange(1, len(start) + 1)
    last = np.cumsum(lengths) - 1
    follower[last] = last - lengths + 1
    end = start[follower]
    down = start[:, 1] <= end[:, 1]
    (x0, y0), (x1, y1) = np.where(down, start.T, end.T), np.where(down, end.T, start.T)

    half = SUB // 2
    first = np.clip(-((half - y0) // SUB), 0, side)
    crossings = np.clip(-((half - y1) // SUB), 0, side) - first
    edge = np.repeat(np.arange(len(owner)), crossings)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(crossings) - crossings, crossings) + first[edge]
    run, rise = (x1 - x0)[edge], (y1 - y0)[edge]
    x = x0[edge] - (y0[edge] - row * SUB - half) * run // rise  # rounded up, as the columns are
    column = np.clip(-((half - x) // SUB), 0, side)

    inside = np.zeros((side + 1, count, side), np.uint8)
    np.add.at(inside.reshape(-1), (column * count + owner[edge]) * side + row, np.uint8(1))
    for k in range(1, side):  # one column at a time is ten times as fast as accumulate()
        inside[k] ^= inside[k - 1]
    numbers = np.arange(1, count + 1, dtype=np.uint8)[:, None]
    top: np.ndarray = ((inside[:side] & 1) * numbers).max(axis=1).T
    return top
