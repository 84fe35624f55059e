"""One photo of a drawn person to pixels: the head is turned, coloured, lit, and spoiled as photos are."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

import numpy as np

from bench.data.drawn import face_shape as f
from bench.data.drawn.colours import CLOTHES, RGB, Colour, mixed
from bench.data.drawn.dice import Dice
from bench.data.drawn.face_hair import beard, behind, hair
from bench.data.drawn.face_parts import brows, ear, eyes, head, marks, mouth, nose
from bench.data.drawn.face_person import EYES, Person, Portrait, Shot, hair_colour, skin_colour
from bench.data.drawn.face_wear import body, cover, glasses
from bench.data.drawn.picture import halved
from bench.data.drawn.raster import SUB, Part, box, oval
from bench.data.drawn.raster import cover as covered

SIDE = 96
"""Pixels of an image's side."""

CANVAS = 2 * SIDE

_FRAMES: tuple[Colour, ...] = ((26, 24, 28), (70, 44, 32), (120, 30, 40), (40, 60, 96), (196, 168, 104))
_WALLS = (
    "White", "Grey", "Beige", "Cream", "Steel", "Blue", "Green", "Brown", "Pink", "Olive", "Navy Blue", "Tan",
)  # fmt: skip


def render(portrait: Portrait) -> np.ndarray:
    """Return the picture, (SIDE, SIDE, 3) uint8 RGB, in whole-number arithmetic alone."""
    person, shot = portrait.person, portrait.shot
    d = Dice("face picture", portrait.version, portrait.key)
    ground = _ground(d, shot.ground)
    pieces = _pieces(person, shot)
    outlines = [np.array(part.points, np.int64) * SUB for part in ground] + _posed(pieces, shot)
    material = np.array(
        [f.BACK, *(part.material for part in ground), *(piece.material for piece in pieces)], np.uint8
    )
    kinds = material[covered(outlines, CANVAS)]
    canvas = _palette(d, person).take(kinds, axis=0)
    own = halved((kinds > f.BACK_3).astype(np.int16) << 8)
    return _spoiled(d, _lit(halved(canvas), own, shot), shot)


def _pieces(person: Person, shot: Shot) -> list[f.Piece]:
    """Return all of a person from back to front."""
    near = -1 if shot.yaw > 0 else 1  # the ear that the turned head shows
    return [
        *behind(person), *body(person, shot), *ear(person, -near), *head(person), *ear(person, near),
        *marks(person), *beard(person, shot), *mouth(person, shot), *nose(person, shot), *eyes(person, shot),
        *brows(person, shot), *hair(person), *glasses(person), *cover(person, shot),
    ]  # fmt: skip


def _posed(pieces: Sequence[f.Piece], shot: Shot) -> list[np.ndarray]:
    """Return the corners on the canvas in fixed-point numbers: turned, tilted, nodded and cut out."""
    lengths = [len(piece.points) for piece in pieces]
    points = np.concatenate([piece.points for piece in pieces])
    lift = np.repeat([piece.lift for piece in pieces], lengths)
    place = np.repeat([piece.place for piece in pieces], lengths)
    x, y = points[:, 0], points[:, 1]
    z = np.where(place == f.ON_FACE, f.depth(points), 0) + lift
    turn, nod, tilt = ((s, isqrt(1_000_000 - s * s)) for s in (shot.yaw, shot.pitch, shot.roll))
    across = (x * turn[1] + z * turn[0]) // 1000
    ahead = (z * turn[1] - x * turn[0]) // 1000
    down = (y * nod[1] + ahead * nod[0]) // 1000
    # The head rolls about the neck, not about its middle.
    below = down - 900
    head_x = (across * tilt[1] - below * tilt[0]) // 1000
    head_y = (below * tilt[1] + across * tilt[0]) // 1000 + 900
    still = place == f.BODY
    own = np.stack([np.where(still, x, head_x), np.where(still, y, head_y)], axis=1)
    unit = 67 * SUB * shot.scale // 100
    shift = np.array([CANVAS // 2 + 2 * shot.right, CANVAS // 2 - 4 + 2 * shot.down], np.int64) * SUB
    corners = own * unit // 1000 + shift
    return np.split(corners, np.cumsum(lengths)[:-1])


def _ground(d: Dice, style: str) -> list[Part]:
    """Return what is behind the person."""
    if style == "wall":
        return [Part(box(0, d.between(90, 150), CANVAS, CANVAS), f.BACK_2)] if d.chance(50) else []
    if style == "sky":
        line = d.between(60, 150)
        hills = [(0, line), (CANVAS // 3, line - d.between(-20, 40)), (CANVAS, line - d.between(-30, 30))]
        return [Part([*hills, (CANVAS, CANVAS), (0, CANVAS)], f.BACK_2)]
    parts = []
    for k in range(d.between(4, 9)):
        x, y, size = d.between(0, CANVAS), d.between(0, CANVAS), d.between(8, 30)
        shape = (
            oval(x, y, size, size)
            if style == "lights"
            else box(x - size // 2, y - 2 * size, x + size, y + size)
        )
        parts.append(Part(shape, f.BACK_2 + k % 2))
    return parts


def _palette(d: Dice, person: Person) -> np.ndarray:
    """Return (materials, 3) int16: a colour for each material."""
    skin, locks = skin_colour(person), hair_colour(person)
    black, white = (16, 10, 14), (255, 252, 246)
    wall = RGB[d.one_of(_WALLS)]
    names = {name: weight for name, weight in CLOTHES.items() if name != "Multi"}
    cloth, other = RGB[d.pick(names)], RGB[d.pick(names)]
    shade = mixed(skin, (90, 30, 36), 18)
    lip = mixed(skin, (176, 40, 60), person.lip_red)
    colours = {
        f.BACK: wall,
        f.BACK_2: mixed(wall, RGB[d.one_of(_WALLS)], d.between(20, 70)),
        f.BACK_3: mixed(wall, white if d.chance(50) else black, d.between(15, 45)),
        f.SKIN: skin,
        f.SHADE: shade,
        f.DEEP: mixed(skin, (64, 18, 20), 46),
        f.SHINE: mixed(skin, white, 16),
        f.LOW_LIGHT: mixed(skin, shade, 38),
        f.BLUSH: mixed(skin, (206, 66, 74), person.cheeks),
        f.LIP: mixed(lip, white, 6),
        f.LIP_DARK: mixed(lip, black, 14),
        f.MOUTH: mixed(lip, (44, 10, 16), 78),
        f.TEETH: (244, 240, 232),
        f.WHITE: (240, 238, 236),
        f.IRIS: EYES[person.iris],
        f.PUPIL: (14, 12, 14),
        f.GLINT: (250, 252, 255),
        f.LASH: (28, 20, 20),
        f.BROW: mixed(mixed(locks, black, 30), skin, 15),
        f.HAIR: locks if person.hair != "crop" else mixed(locks, skin, 28),
        f.HAIR_LIGHT: mixed(locks, white, 16),
        f.HAIR_DARK: mixed(locks, black, 28),
        f.BEARD: mixed(mixed(locks, black, 8), skin, 66 if person.beard == "stubble" else 8),
        f.FRAME: _FRAMES[person.frame],
        f.MARK: mixed(skin, (88, 40, 26), 52),
        f.CLOTH: cloth,
        f.CLOTH_DARK: mixed(cloth, black if sum(cloth) > 200 else white, 22),
        f.COVER: other,
        f.COVER_DARK: mixed(other, black if sum(other) > 200 else white, 24),
    }
    return np.array([colours[kind] for kind in range(f.COUNT)], np.int16)


def _lit(picture: np.ndarray, own: np.ndarray, shot: Shot) -> np.ndarray:
    """Return (SIDE, SIDE, 3) int32 under the photo's light: most on the person, some on what is behind.

    own: (SIDE, SIDE) of 256, how much of each pixel the person covers.
    """
    y, x = np.indices((SIDE, SIDE), np.int32)
    x, y = x - SIDE // 2 - shot.right, y - SIDE // 2 - shot.down
    slope = (shot.light_right * x + shot.light_down * y) * 5 // (SIDE * 2)
    round_ = (x * x + y * y) * 46 // (SIDE * SIDE // 4)
    gain = 256 + (slope * (96 + (own * 160 >> 8)) >> 8) - (round_ * own >> 8)
    level = np.maximum(gain, 40) * shot.gain >> 8
    lit = picture * level[:, :, None] * np.array(shot.cast, np.int32) >> 16
    contrasted: np.ndarray = ((lit - 128) * shot.contrast >> 8) + 128
    return contrasted


def _spoiled(d: Dice, picture: np.ndarray, shot: Shot) -> np.ndarray:
    """Return the picture with blur and noise, as bytes."""
    for _ in range(shot.blur):
        padded = np.pad(picture, ((1, 1), (1, 1), (0, 0)), mode="edge")
        rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
        picture = (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) >> 4
    noise = np.frombuffer(d.noise(SIDE * SIDE * 3), np.uint8).astype(np.int32)
    grain = (noise.reshape(picture.shape) - 128) * d.between(0, 24) >> 8
    spoiled: np.ndarray = np.clip(picture + grain, 0, 255).astype(np.uint8)
    return spoiled
