"""The parts of a person's head and shoulders as polygons, each with a material and a depth.

Coordinates are integers on the face as seen from the front: 0, 0 between the eyes, x to the right of the
picture, y downwards, the crown at about -1000 and the chin at about 1000.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench.data.synthetic.person import Person, Shot
from bench.data.synthetic.raster import Point, box, flip, mirror, oval, smooth, stroke

BACK, BACK_2, BACK_3, SKIN, SHADE, DEEP, LIP, LIP_DARK, MOUTH, EYE, IRIS = range(11)
PUPIL, BROW, LOCKS, LOCKS_DARK, BEARD, FRAME, CLOTH, COVER, COVER_DARK = range(11, 20)

MOUTH_HEIGHT = 650

FACE, FLAT, BODY = range(3)
"""Depths of parts: on the dome of the head, upright through its axis, or independent of its rotation."""


class Hair(NamedTuple):
    """A hair style: its length beside the face, its thickness, its length behind the head."""

    sides: int
    thick: int
    behind: int = 0


STYLES: Mapping[str, Hair] = {
    "bald": Hair(0, 0), "crop": Hair(10, 10), "short": Hair(40, 60), "curls": Hair(160, 190),
    "fringe": Hair(760, 90, 1050), "bob": Hair(640, 110, 820),
    "long": Hair(900, 80, 1500),
}  # fmt: skip


class Piece(NamedTuple):
    """A filled polygon, its material, and where it lies in depth: `lift` in front of `place`."""

    points: Sequence[Point]
    material: int
    place: int = FACE
    lift: int = 0


def _pair(points: Sequence[Point], material: int, place: int = FACE, lift: int = 0) -> list[Piece]:
    """Return a piece and its mirror image."""
    return [Piece(side, material, place, lift) for side in (points, flip(points))]


def _outline(p: Person) -> list[Point]:
    """Return the right half of the head's outline from crown to chin."""
    w, jaw = p.width, p.width * p.jaw // 100
    skull = [(0, -1000), (w * 58 // 100, -1000), (w, -700), (w, 160), ((w + 2 * jaw) // 3, 520)]
    return [*skull, (jaw * 7 // 10, p.chin - 200), (jaw * 4 // 10, p.chin), (0, p.chin + 30)]


def _body(p: Person) -> list[Piece]:
    """Return shoulders, neckline and neck."""
    neck, chin = p.width * 48 // 100, p.chin
    shoulders = mirror([(neck + 60, chin + 130), (neck + 700, chin + 360), (neck + 960, chin + 1700)])
    hollow = mirror([(neck + 70, chin + 80), (neck, chin + 220), (0, chin + 420)])
    return [
        Piece(smooth(shoulders, 1), CLOTH, BODY),
        Piece(hollow, SKIN, BODY),
        Piece(mirror([(neck, 300), (neck, chin + 130), (0, chin + 240)]), SKIN, BODY),
        Piece(smooth(mirror([(neck, 600), (neck, chin + 60), (0, chin + 190)]), 1), SHADE, BODY),
    ]


def _hair_behind(p: Person) -> list[Piece]:
    """Return the hair behind the head."""
    style, far = STYLES[p.hair], p.width + STYLES[p.hair].thick + 60 + p.volume // 2
    right = [(0, -1080), (p.width * 8 // 10, -1000), (far, -400), (far, style.behind), (0, style.behind)]
    return [Piece(smooth(mirror(right)), LOCKS_DARK, FLAT, -160)] if style.behind else []


def _hair(p: Person) -> list[Piece]:
    """Return the hair over the face, from its outer edge to the hairline."""
    w, low, thick = p.width, *STYLES[p.hair][:2]
    thick += p.volume * thick // 100
    top, line = -1000 - thick, p.brow_height - 20 if p.hair == "fringe" else p.hairline
    rim = [
        (0, top),
        (w * 6 // 10, top + 60),
        (w + thick // 2, -720),
        (w + thick, -300),
        (w + thick // 2, low),
    ]
    edge = [(w - 90, low), (w - 90, -180), (w - 110, line + 120), (w // 2, line - 20), (0, line - 60)]
    return [] if p.hair == "bald" else [Piece(smooth(mirror([*rim, *edge])), LOCKS)]


def _head(p: Person, shot: Shot) -> list[Piece]:
    """Return ears, face, mole and nose, which is shaded on the side that is turned from the light."""
    low, wing = p.nose, p.nose_width
    side = [
        (60, -60),
        (70, low - 170),
        (wing, low - 50),
        (wing - 10, low + 20),
        (wing // 2, low - 30),
        (30, 0),
    ]
    return [
        *_pair(oval(p.width - 20, 90, p.ear, 120 + p.ear // 2), SKIN, FLAT, -40),
        *_pair(oval(p.width, 90, p.ear * 6 // 10, 70 + p.ear // 3), DEEP, FLAT, -40),
        Piece(smooth(mirror(_outline(p))), SKIN),
        *_pair(oval(p.eye_gap, -50, p.eye + 40, 110), SHADE),
        *([Piece(oval(*p.mole, 34, 34)[::3], DEEP, lift=10)] if p.mole else []),
        Piece(smooth(flip(side) if shot.light[0] > 0 else side), SHADE, lift=150),
        Piece(mirror([(0, low + 2), (wing - 20, low), (0, low + 56)]), SHADE, lift=170),
        *_pair(oval(wing * 52 // 100, low + 6, wing * 26 // 100, 28), DEEP, lift=190),
    ]


def _mouth(p: Person, shot: Shot) -> list[Piece]:
    """Return the lips and the gap between them."""
    half = p.mouth * (200 + max(0, shot.smile)) // 200

    def curve(middle: int) -> list[Point]:
        """Return the line between the corners of the mouth that is `middle` lower halfway."""
        ends = MOUTH_HEIGHT - shot.smile * 3 // 5
        depth = shot.smile * 4 // 5 + middle
        return [(half * t // 6, ends + depth * (36 - t * t) // 36) for t in (-6, -4, -2, 0, 2, 4, 6)]

    upper, lower = -shot.gap // 3, shot.gap * 2 // 3
    line, floor = curve(upper), curve(lower)[::-1]
    return [
        Piece(smooth([*curve(upper - p.lips), *line[::-1]], 1), LIP_DARK, lift=60),
        Piece(smooth([*floor, *curve(lower + p.lips)], 1), LIP, lift=60),
        Piece([*line, *floor] if shot.gap else stroke(line, 22), MOUTH, lift=60),
    ]


def _eyes(p: Person) -> list[Piece]:
    """Return eyes and brows; the lids cover parts of the eyes."""

    def seen(points: Sequence[Point]) -> list[Point]:
        """Return the part of an outline that the lids of the right eye leave open, in its place."""
        open_ = ((x, y, p.eye_open * max(0, p.eye * p.eye - x * x) // (p.eye * p.eye)) for x, y in points)
        return [(p.eye_gap + x, min(max(y, -room), room * 7 // 10)) for x, y, room in open_]

    lid, radius = [(p.eye * t // 6, -1000) for t in range(-6, 7)], 50 + p.eye // 6
    inner, outer, y, end = (
        p.eye_gap - p.eye,
        p.eye_gap + p.eye + 40,
        p.brow_height,
        p.brow_height - p.brow_tilt,
    )
    x, high = (inner + outer) // 2, (y + end) // 2 - 40
    lower = [(outer - 60, end + p.brow // 2), (x, high + p.brow), (inner, y + p.brow)]
    return [
        *_pair(seen([*lid, *((x, 1000) for x, _ in lid[::-1])]), EYE),
        *_pair(seen(oval(0, -6, radius, radius)), IRIS),
        *_pair(seen(oval(0, -6, radius // 2, radius // 2)), PUPIL),
        *_pair(stroke(seen(lid), 30), PUPIL),
        *_pair(smooth([(inner, y), (x, high), (outer, end), *lower], 1), BROW, lift=40),
    ]


def _beard(p: Person, shot: Shot) -> list[Piece]:
    """Return the beard; it follows the mouth."""
    lip, half, low = MOUTH_HEIGHT - p.lips, p.mouth, MOUTH_HEIGHT + p.lips + shot.gap * 2 // 3
    whiskers = [
        (0, lip - 90),
        (half * 8 // 10, lip - 40),
        (half + 50, lip + 90),
        (half // 2, lip + 20),
        (0, lip),
    ]
    inner = [(0, low + 40), (half * 7 // 10, low + 30), (half + 60, lip), (p.width - 200, lip - 150)]
    edge = [(p.width - 60, 60), (p.width, 60), *_outline(p)[4:]]
    pieces = [Piece(smooth(mirror(whiskers), 1), BEARD, lift=80)] if p.beard != "none" else []
    whole = [Piece(smooth(mirror([*inner, *edge]), 1), BEARD)] if p.beard in ("full", "stubble") else []
    return whole + pieces


def _worn(p: Person, shot: Shot) -> list[Piece]:
    """Return glasses and a cap."""
    pieces, w, side = [], p.width, p.width + 40 + STYLES[p.hair].thick
    if p.glasses != "none":
        x, wide = p.eye_gap + 10, min(p.eye + 76, p.eye_gap - 26)
        rim = oval(x, 20, wide, wide) if p.glasses == "round" else box(x - wide, -120, x + wide, 140)
        pieces += _pair(stroke([*rim, *rim[:2]], 44), FRAME, lift=130)
        pieces += _pair(stroke([(x + wide, -20), (w, 0)], 44), FRAME, lift=60)
        pieces.append(Piece(stroke([(wide - x, -20), (0, -50), (x - wide, -20)], 40), FRAME, lift=160))
    if shot.cap:
        dome = mirror([(0, -1330), (side * 84 // 100, -1160), (side, -400), (0, -340)])
        visor = mirror([(0, -520), (w * 7 // 10, -490), (side, -380), (w * 9 // 10, -330), (0, -400)])
        pieces += [Piece(smooth(dome), COVER, FLAT, 40), Piece(smooth(visor), COVER_DARK, FLAT, 500)]
    return pieces


def pieces_of(p: Person, shot: Shot) -> list[Piece]:
    """Return all parts of a person from back to front."""
    own = (*_hair_behind(p), *_body(p), *_head(p, shot), *_beard(p, shot), *_mouth(p, shot))
    return [*own, *_eyes(p), *_hair(p), *_worn(p, shot)]
