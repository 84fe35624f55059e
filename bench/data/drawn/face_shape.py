"""What drawn faces are made of: pieces with a depth, the materials that cover them, and soft outlines.

Coordinates are whole numbers on the face as seen from the front: 0, 0 between the eyes, x to the right of the
picture, y downwards, the crown at about -1000 and the chin at about 1000.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.data.drawn.raster import Point, stroke

BACK, BACK_2, BACK_3, SKIN, SHADE, DEEP, SHINE, BLUSH, LIP, LIP_DARK, MOUTH, TEETH, WHITE = range(13)
IRIS, PUPIL, GLINT, LASH, BROW, HAIR, HAIR_LIGHT, HAIR_DARK, BEARD, FRAME, MARK = range(13, 24)
CLOTH, CLOTH_DARK, COVER, COVER_DARK, LOW_LIGHT, COUNT = range(24, 30)

ON_FACE = 0  # bent over the head, `lift` in front of the skin
FLAT = 1  # upright through the head's axis, `lift` in front of it
BODY = 2  # stays where it is when the head turns

WIDE, HIGH, DEPTH = 810, 1120, 700
"""The head as a surface: half as wide, half as high, and the depth of its middle in front of the axis."""

Outline = Sequence[Point] | np.ndarray
"""Corners of a polygon: pairs of whole numbers, or (corners, 2) int64."""


class Piece(NamedTuple):
    """A filled polygon, (corners, 2) int64, its material, and where it lies in depth."""

    points: np.ndarray
    material: int
    place: int = ON_FACE
    lift: int = 0


def smooth(points: Outline, rounds: int = 2) -> np.ndarray:
    """Return the closed outline with its corners cut off `rounds` times (Chaikin 1974)."""
    line = np.array(points, np.int64)
    for _ in range(rounds):
        after = np.concatenate([line[1:], line[:1]])
        cut = np.empty((2 * len(line), 2), np.int64)
        cut[0::2], cut[1::2] = (3 * line + after) >> 2, (line + 3 * after) >> 2
        line = cut
    return line


def mirrored(points: Outline) -> np.ndarray:
    """Return the same outline on the other half of the face."""
    other: np.ndarray = np.array(points, np.int64) * np.array([-1, 1])
    return other


def joined(outlines: Sequence[np.ndarray]) -> np.ndarray:
    """Return outlines that do not overlap as one polygon, which costs the raster less.

    Each way from one to the next is gone twice, so that it bounds nothing (even-odd rule).
    """
    ways = [np.concatenate([outline, outline[:1]]) for outline in outlines]
    return np.concatenate([*ways, *(outline[:1] for outline in outlines[-2::-1])])


def both(points: Outline) -> np.ndarray:
    """Return an outline that keeps to one half of the face, together with its mirror image."""
    own = np.array(points, np.int64)
    return joined([own, mirrored(own)])


def pen(line: Outline, width: int) -> np.ndarray:
    """Return the outline of a line, as `raster.stroke` does."""
    return np.array(stroke(np.asarray(line).tolist(), width), np.int64)


def depth(points: np.ndarray) -> np.ndarray:
    """Return how far the skin lies in front of the head's axis at (n, 2) points of the face: (n,) int64.

    A paraboloid, to which the lower half adds what chin and lips stand forward.
    """
    x, y = points[:, 0], points[:, 1]
    across = WIDE * WIDE - x * x
    own = DEPTH * across // (WIDE * WIDE) - DEPTH * y * y // (HIGH * HIGH)
    chin = np.maximum(y, 0) * 35 // 100 * across // (WIDE * WIDE)
    forward: np.ndarray = np.maximum(own + chin, 0)
    return forward
