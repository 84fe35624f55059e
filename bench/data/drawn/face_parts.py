"""A face's own parts from back to front: head, ears, nose, mouth, eyes, brows and marks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.data.drawn import face_shape as f
from bench.data.drawn.face_person import Person, Shot
from bench.data.drawn.face_shape import FLAT, Piece, both, joined, mirrored, pen, smooth
from bench.data.drawn.raster import Point, box, mirror, oval


def outline(person: Person, wider: int = 0) -> list[Point]:
    """Return the right half of the head's outline from crown to chin, `wider` units further out."""
    w, jaw = person.width + wider, person.width * person.jaw // 100 + wider
    return [
        (0, -1010 - wider),
        (w * 58 // 100, -1000 - wider),
        (w * 96 // 100, -700 - wider // 2),
        (w + 12, -250),
        (w, 160),
        (w * 30 // 100 + jaw * 70 // 100, 520),
        ((jaw + person.chin_width) // 2, person.chin - 200),
        (person.chin_width, person.chin + wider),
        (0, person.chin + 30 + wider),
    ]


def head(person: Person) -> list[Piece]:
    """Return the skull, the face on it and the soft shades that make it round."""
    w, low, jaw = person.width, person.nose, person.width * person.jaw // 100
    edge = [(w - 60, -100), (w + 10, 150), (jaw + 20, 520), (person.chin_width + 70, 880),
            (person.chin_width, 790), (jaw - 120, 500)]  # fmt: skip
    socket = oval(person.eye_gap, person.eye_height - 60, person.eye + 40, 120)
    pieces = [
        Piece(np.array(oval(0, -330, w * 96 // 100, 640), np.int64), f.SHADE, FLAT, -220),
        Piece(smooth(mirror(outline(person))), f.SKIN),
        Piece(both(smooth(edge)), f.LOW_LIGHT),
        Piece(both(socket), f.LOW_LIGHT),
    ]
    if person.cheeks > 6:
        pieces.append(Piece(both(oval(w * 56 // 100, low - 50, 160, 110)), f.BLUSH))
    if person.lines:
        fold = [(person.nose_width + 20, low - 20), (person.mouth + 50, person.mouth_height - 90),
                (person.mouth + 70, person.mouth_height + 10)]  # fmt: skip
        pieces.append(Piece(both(smooth(pen(fold, 24), 1)), f.SHADE))
    return pieces


def ear(person: Person, side: int) -> list[Piece]:
    """Return the ear on one side, 1 for the right of the picture."""
    x, reach, high = person.width - 40, person.ear + 50, person.ear_height
    y = person.eye_height + 90
    shell = [
        (x, y - high),
        (x + reach, y - high),
        (x + reach + 10, y),
        (x + reach // 2, y + high),
        (x, y + high),
    ]
    inner = [(x + 20, y - high // 2), (x + reach * 3 // 4, y - high * 6 // 10), (x + reach * 7 // 10, y),
             (x + 20, y + high // 2)]  # fmt: skip
    return [
        Piece(smooth(shell if side > 0 else mirrored(shell)), f.SKIN, FLAT, -40),
        Piece(smooth(inner if side > 0 else mirrored(inner), 1), f.DEEP, FLAT, -40),
    ]


def nose(person: Person, shot: Shot) -> list[Piece]:
    """Return the nose: its shaded side is the one that the light leaves."""
    low, wing, bridge, top = person.nose, person.nose_width, person.bridge, person.eye_height
    dark = -1 if shot.light_right > 0 else 1
    side = [(bridge, top - 90), (bridge + 14, low - 170), (wing, low - 50), (wing - 10, low + 20),
            (wing // 2, low - 30), (bridge // 2, low - 190), (bridge // 2, top)]  # fmt: skip
    under = [(20 - wing, low), (-wing // 2, low + 34), (0, low + 56), (wing // 2, low + 34), (wing - 20, low),
             (0, low + 2)]  # fmt: skip
    hole = oval(wing * 52 // 100, low + 6, wing * 26 // 100, 28)
    fold = pen([(wing - 26, low - 100), (wing + 2, low - 50), (wing - 8, low + 14)], 28)
    tip = oval(-dark * wing // 6, low - 84, wing * 32 // 100, 46)
    ridge = box(-dark * bridge // 2 - 18, top, -dark * bridge // 2 + 18, low - 140)
    return [
        Piece(smooth(side if dark > 0 else mirrored(side)), f.SHADE, lift=150),
        Piece(smooth(ridge, 1), f.SHINE, lift=170),
        Piece(np.array(tip, np.int64), f.SHINE, lift=260),
        Piece(smooth(under, 1), f.SHADE, lift=170),
        Piece(both(fold), f.DEEP, lift=120),
        Piece(both(hole), f.DEEP, lift=190),
    ]


def mouth(person: Person, shot: Shot) -> list[Piece]:
    """Return lips and, where it is open, what is between them."""
    half = person.mouth * (200 + max(0, shot.smile)) // 200
    up, down, gap = person.upper_lip, person.lower_lip, shot.gap
    lift = shot.smile * 6 // 10
    across = (-100, -75, -50, -25, 0, 25, 50, 75, 100)
    bend = [person.mouth_height - lift * t * t // 10000 for t in across]
    bulge = [(10000 - t * t) // 100 for t in across]  # percent, none at the corners

    def edge(at_middle: int, dent: int = 0) -> list[Point]:
        """A lip's edge, so many units down in its middle but for the dent there."""
        return [
            (half * t // 100, own + at_middle * much // 100 + (dent if t == 0 else 0))
            for t, own, much in zip(across, bend, bulge, strict=True)
        ]

    upper, lower = lift // 3 - gap // 3, lift // 3 + gap * 2 // 3
    line, floor = edge(upper), edge(lower)
    pieces = [
        Piece(pen(edge(lower + down + 56)[3:6], 30), f.SHADE, lift=60),
        Piece(smooth([*edge(upper - up - 14, up // 3), *line[::-1]], 1), f.LIP_DARK, lift=60),
        Piece(smooth([*floor, *edge(lower + down)[::-1]], 1), f.LIP, lift=60),
    ]
    if not gap:
        return [*pieces, Piece(pen(line, 20), f.MOUTH, lift=60)]
    bite = min(gap // 2, 52)
    teeth = [(x, y + bite * much // 100) for (x, y), much in zip(line, bulge, strict=True)]
    return [
        *pieces,
        Piece(np.array([*line, *floor[::-1]], np.int64), f.MOUTH, lift=40),
        Piece(np.array([*line[1:-1], *teeth[-2:0:-1]], np.int64), f.TEETH, lift=40),
    ]


def eyes(person: Person, shot: Shot) -> list[Piece]:
    """Return both eyes; what is between the lids is cut off at them."""
    wide, square = person.eye, person.eye * person.eye
    up = person.eye_open * shot.lids * 62 // 10000
    down = person.eye_open * min(shot.lids, 100) * 42 // 10000

    def between_lids(points: Sequence[Point], side: int) -> np.ndarray:
        """The part of an outline that the lids leave open, tilted and put into its place."""
        seen = []
        for x, y in points:
            room = max(0, square - x * x)
            y = min(max(y, -up * room // square), down * room // square)
            tilt = side * person.eye_tilt * x // wide
            seen.append((side * person.eye_gap + x, y - tilt + person.eye_height))
        return np.array(seen, np.int64)

    def two(points: Sequence[Point]) -> np.ndarray:
        return joined([between_lids(points, side) for side in (-1, 1)])

    steps = [wide * t // 6 for t in range(-6, 7)]
    look, radius = wide * shot.gaze // 100, 50 + wide // 6
    upper = [between_lids([(x, -1000) for x in steps], side) for side in (-1, 1)]
    pieces = [
        Piece(two([(x, -1000) for x in steps] + [(x, 1000) for x in steps[::-1]]), f.WHITE),
        Piece(two(oval(look, -6, radius, radius)), f.IRIS),
        Piece(two(oval(look, -6, radius // 2, radius // 2)[::2]), f.PUPIL),
        Piece(two(box(look + 8, -44, look + 40, -14)), f.GLINT),
        Piece(joined([_lash(person, lid, side) for lid, side in zip(upper, (-1, 1), strict=True)]), f.LASH),
    ]
    if person.crease and shot.lids > 40:
        folds = [pen(lid[1:-1:2] - np.array([0, 56]), 18) for lid in upper]
        pieces.append(Piece(joined(folds), f.DEEP))
    if person.lines:
        bags = [between_lids([(x, 1000) for x in steps[3:-2]], side) + np.array([0, 54]) for side in (-1, 1)]
        pieces.append(Piece(joined([pen(bag, 18) for bag in bags]), f.SHADE))
    return pieces


def _lash(person: Person, lid: np.ndarray, side: int) -> np.ndarray:
    """Return the dark edge along an upper lid, drawn out at its outer end where there are long lashes."""
    over = lid - np.array([0, 38 if person.lashes else 24])
    if not person.lashes:
        return np.concatenate([lid, over[::-1]])
    tip = lid[[-1 if side > 0 else 0]] + np.array([[side * 50, -46]])
    return np.concatenate([lid, tip, over[::-1]] if side > 0 else [tip, lid, over[::-1]])


def brows(person: Person, shot: Shot) -> list[Piece]:
    """Return both brows, thick at their inner end."""
    y, thick = person.brow_height + person.eye_height - shot.raised, person.brow
    first, last = person.brow_gap, person.eye_gap + person.eye + 40
    third = (last - first) // 3
    tilt, arch = person.brow_tilt, person.brow_arch
    inner, outer = y - tilt // 3 - arch * 2 // 3, y - tilt * 2 // 3 - arch
    upper = [(first, y), (first + third, inner - thick // 6), (last - third, outer), (last, y - tilt + 10)]
    lower = [
        (last - third, outer + thick * 7 // 10),
        (first + third, inner + thick * 8 // 10),
        (first, y + thick),
    ]
    return [Piece(both(smooth([*upper, *lower], 1)), f.BROW, lift=40)]


def marks(person: Person) -> list[Piece]:
    """Return freckles and moles."""
    spots = [np.array(oval(x, y, size, size)[::4], np.int64) for x, y, size in person.marks]
    return [Piece(joined(spots), f.MARK, lift=10)] if spots else []
