"""Images of people: the head turned, coloured, lit, blurred and noisy before a background."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

import numpy as np

from bench.data.synthetic import face as f
from bench.data.synthetic.colours import CLOTHES, RGB, Colour, mix
from bench.data.synthetic.person import Person, Shot
from bench.data.synthetic.picture import BLACK, WHITE, add_noise, contrast, halve
from bench.data.synthetic.random_stream import RandomStream
from bench.data.synthetic.raster import SUB, box, cover, oval

SIDE = 96
"""Pixels of an image's side."""

CANVAS = 2 * SIDE

WIDE, HIGH, DEPTH = 810, 1120, 700
"""The head as a dome: half its width, half its height, and how far it stands in front of its axis."""

_TONES: tuple[Colour, ...] = (
    (250, 219, 200), (240, 199, 170), (226, 176, 140), (202, 146, 106), (162, 110, 76), (118, 78, 56),
    (88, 58, 44),
)  # fmt: skip
_LOCKS = {
    "black": (30, 27, 30), "dark": (58, 41, 32), "brown": (98, 66, 42), "fair": (150, 108, 66),
    "blond": (214, 178, 116), "red": (170, 80, 42), "grey": (166, 166, 168),
}  # fmt: skip
_IRIS = {"dark": (54, 34, 24), "brown": (104, 66, 36), "green": (82, 128, 82), "blue": (74, 122, 176)}


def draw(s: RandomStream, person: Person, shot: Shot) -> np.ndarray:
    """Return an image, (SIDE, SIDE, 3) uint8 RGB; the stream decides on clothes, background and noise."""
    ground, pieces = _ground(s, shot.ground), f.pieces_of(person, shot)
    points = [np.array(piece.points, np.int64) * SUB for piece in ground] + posed(pieces, shot)
    numbers = np.array([f.BACK, *(piece.material for piece in (*ground, *pieces))], np.uint8)
    material = numbers[cover(points, CANVAS)]
    own = halve((material > f.BACK_3)[:, :, None].astype(np.int16) << 8)[:, :, 0]
    picture = _lit(halve(_palette(s, person).take(material, axis=0)), own, shot)
    for _ in range(shot.blur):
        padded = np.pad(picture, ((1, 1), (1, 1), (0, 0)), mode="edge")
        rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
        picture = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) >> 4
    return add_noise(s, picture, s.integer(0, 18))


def posed(pieces: Sequence[f.Piece], shot: Shot) -> list[np.ndarray]:
    """Return the corners on the canvas, (n, 2) in fixed point: the head turned, nodded and rolled."""
    lengths = [len(piece.points) for piece in pieces]
    x, y = np.concatenate([np.array(piece.points, np.int64) for piece in pieces]).T
    lift = np.repeat([piece.lift for piece in pieces], lengths)
    place = np.repeat([piece.place for piece in pieces], lengths)
    dome = (
        DEPTH - DEPTH * x * x // (WIDE * WIDE) - DEPTH * y * y // (HIGH * HIGH) + np.maximum(y, 0) * 35 // 100
    )
    z = np.where(place == f.FACE, np.maximum(dome, 0), 0) + lift
    turn, nod, tilt = ((sine, isqrt(1_000_000 - sine * sine)) for sine in (shot.yaw, shot.pitch, shot.roll))
    across = (x * turn[1] + z * turn[0]) // 1000
    ahead = (z * turn[1] - x * turn[0]) // 1000
    below = (y * nod[1] + ahead * nod[0]) // 1000 - 900  # of the neck, about which the head rolls
    head_x = (across * tilt[1] - below * tilt[0]) // 1000
    head_y = (below * tilt[1] + across * tilt[0]) // 1000 + 900
    still = place == f.BODY
    own = np.stack([np.where(still, x, head_x), np.where(still, y, head_y)], axis=1)
    shift = np.array([CANVAS // 2 + 2 * shot.right, CANVAS // 2 - 4 + 2 * shot.down], np.int64) * SUB
    corners = own * (67 * SUB * shot.scale // 100) // 1000 + shift
    return np.split(corners, np.cumsum(lengths)[:-1])


def _ground(s: RandomStream, style: str) -> list[f.Piece]:
    """Return the background, in canvas pixels."""
    if style == "wall":
        left, right = s.integer(60, 150), s.integer(60, 150)
        return [f.Piece([(0, left), (CANVAS, right), (CANVAS, CANVAS), (0, CANVAS)], f.BACK_2)]
    pieces = []
    for k in range(s.integer(4, 9)):
        x, y, size = s.integer(0, CANVAS), s.integer(0, CANVAS), s.integer(8, 30)
        outline = oval(x, y, size, size) if style == "lights" else box(x, y - size, x + size, y + 2 * size)
        pieces.append(f.Piece(outline, f.BACK_2 + k % 2))
    return pieces


def _palette(s: RandomStream, p: Person) -> np.ndarray:
    """Return the colour of every material, (materials, 3) int16."""
    step, rest = divmod(p.tone, 100)
    skin = mix(_TONES[step], _TONES[step + 1], rest)
    locks, lip = _LOCKS[p.hair_colour], mix(skin, (176, 40, 60), p.lip_red)
    names = {name: weight for name, weight in CLOTHES.items() if name != "Multi"}
    wall, wall_2, cloth, other = (RGB[s.weighted(names)] for _ in range(4))
    colours = {
        f.BACK: wall, f.BACK_2: mix(wall, wall_2, 50), f.BACK_3: mix(wall, s.choice((BLACK, WHITE)), 30),
        f.SKIN: skin, f.SHADE: mix(skin, (90, 30, 36), 14), f.DEEP: mix(skin, (64, 18, 20), 46),
        f.LIP: mix(lip, WHITE, 6), f.LIP_DARK: mix(lip, BLACK, 14), f.MOUTH: mix(lip, (44, 10, 16), 78),
        f.EYE: (240, 238, 236), f.IRIS: _IRIS[p.iris], f.PUPIL: (18, 14, 14),
        f.LOCKS_DARK: mix(locks, BLACK, 28), f.BROW: mix(locks, BLACK, 30), f.LOCKS: locks,
        f.BEARD: mix(locks, skin, 66 if p.beard == "stubble" else 8), f.FRAME: (34, 28, 30), f.CLOTH: cloth,
        f.COVER: other, f.COVER_DARK: mix(other, contrast(other), 24),
    }  # fmt: skip
    return np.array([colours[number] for number in range(len(colours))], np.int16)


def _lit(picture: np.ndarray, person: np.ndarray, shot: Shot) -> np.ndarray:
    """Return (SIDE, SIDE, 3) int32 under the light of the photo, which falls on the person most.

    person: (SIDE, SIDE) of 256, the share of each pixel that the person covers.
    """
    y, x = np.indices((SIDE, SIDE), np.int32) - SIDE // 2
    slope = (shot.light[0] * x + shot.light[1] * y) * 5 // (SIDE * 2)
    dome = (x * x + y * y) * 46 // (SIDE * SIDE // 4)
    gain = 256 + (slope * (96 + (person * 160 >> 8)) >> 8) - (dome * person >> 8)
    level = np.maximum(gain, 40) * shot.gain >> 8
    colour = np.array([256 + shot.cast, 256, 256 - shot.cast], np.int32)
    lit: np.ndarray = picture * level[:, :, None] * colour >> 16
    return lit
