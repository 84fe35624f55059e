"""What grows on a head: hair behind it, hair over it, beards."""

from __future__ import annotations

import numpy as np

from bench.data.drawn import face_shape as f
from bench.data.drawn.face_parts import outline
from bench.data.drawn.face_person import Person, Shot
from bench.data.drawn.face_shape import FLAT, Piece, pen, smooth
from bench.data.drawn.raster import Point, mirror, oval

_LENGTH = {"long": 1500, "waves": 1320, "bob": 820, "fringe": 1050}
"""How far down the hair behind the head reaches, for styles that have some."""

_SIDES = {
    "short": 40, "crop": 10, "quiff": 0, "parted": 90, "curls": 160, "receding": 120, "long": 900,
    "waves": 820, "bob": 640, "fringe": 760, "bun": -60, "tail": -40,
}  # fmt: skip
"""How far down the hair beside the face reaches."""

THICK = {
    "short": 60, "crop": 10, "quiff": 30, "parted": 60, "curls": 120, "receding": 30, "long": 80,
    "waves": 110, "bob": 110, "fringe": 90, "bun": 20, "tail": 30,
}  # fmt: skip
"""How far the hair stands off the head."""


def behind(person: Person) -> list[Piece]:
    """Return the hair behind the head."""
    w, out = person.width, THICK.get(person.hair, 0) + person.volume // 2
    if person.hair in _LENGTH:
        low, far = _LENGTH[person.hair] + person.volume, w + out + 60
        right = [(0, -1080), (w * 8 // 10, -1000), (far - 10, -400)]
        if person.hair == "waves":
            right += [(far + (130 if k % 2 else -20), y) for k, y in enumerate(range(-100, low - 100, 210))]
        else:
            right += [(far, 300), (far + (80 if person.hair == "bob" else 0), low - 160)]
        whole = mirror([*right, (w * 7 // 10, low), (0, low)])
        return [Piece(smooth(whole), f.HAIR_DARK, FLAT, -160)]
    if person.hair == "bun":
        size = 260 + person.volume
        return [
            Piece(np.array(oval(person.part, -1130, size, size * 9 // 10), np.int64), f.HAIR_DARK, FLAT, -60)
        ]
    if person.hair == "tail":
        side = 1 if person.part > 0 else -1
        tail = [(0, -1000), (w + 60, -900), (w + 260, -300), (w + 300, 500), (w + 160, 1200), (w - 60, 1100),
                (w - 100, 0)]  # fmt: skip
        return [Piece(smooth([(side * x, y) for x, y in tail]), f.HAIR_DARK, FLAT, -200)]
    return []


def hair(person: Person) -> list[Piece]:
    """Return the hair over the face: from its outer edge to the hairline."""
    if person.hair == "bald":
        return [Piece(np.array(oval(-120, -760, 190, 80), np.int64), f.SHINE)]
    w, low, top = person.width, _SIDES[person.hair], crown(person)
    thick = THICK[person.hair] + person.volume * (10 if person.hair == "crop" else 60) // 100
    outer = [
        (w + thick // 2 + 20, low),
        (w + thick + 30, -300),
        (w + thick // 2, -720),
        (w * 62 // 100, top + 60),
    ]
    summit = [(0, top)]
    if person.hair == "quiff":
        summit = [(-300, top + 40), (-40, top), (340, top - 90)]
    if person.hair == "quiff" and person.part < 0:
        summit = [(-x, y) for x, y in summit[::-1]]
    rim = [*((-x, y) for x, y in outer), *summit, *outer[::-1]]
    whole = smooth([*rim, *_hairline(person, 1), *_hairline(person, -1)[::-1]])
    own = [Piece(whole, f.HAIR)]
    if person.hair == "curls":
        return [*_curls(person, thick), *own]
    return own if person.hair in ("receding", "crop") else own + _streaks(person, top)


def crown(person: Person) -> int:
    """Return how high the hair reaches, bun aside."""
    if person.hair == "bald":
        return -1010
    more = {"crop": 10, "quiff": 160}.get(person.hair, 60)
    return -1030 - THICK[person.hair] - person.volume * more // 100


def _hairline(person: Person, side: int) -> list[Point]:
    """Return one half of the hairline, from where the hair ends at the side to the middle."""
    w, line, low = person.width, person.hairline, _SIDES[person.hair]
    if person.hair == "receding":
        right = [(w - 70, low), (w - 60, -300), (w - 120, -700), (w // 2, -960), (0, -985)]
        return [(side * x, y) for x, y in right]
    inset = 70 if low < 300 else 90
    right = [(w - inset, low), (w - inset, -180), (w - inset - 40, -380)]
    middle = 0
    if person.hair == "fringe":
        brow = person.brow_height + person.eye_height - 30
        right += [(w - 150, brow), (w // 3, brow + 10), (0, brow - person.peak // 2)]
    elif person.hair in ("parted", "quiff"):
        # From the parting the hair falls to one side: low there, high on the other.
        falls = side * person.part < 0
        right += [
            (w * 8 // 10, line + (90 if falls else -30)),
            (w // 3, line + (60 if falls else -60)),
            (0, line - 60),
        ]
        middle = person.part * 5 // 2
    elif person.hair in ("long", "bob", "waves"):
        right += [(w * 9 // 10, line + 160), (w // 2, line - 40), (0, line - 220)]
        middle = person.part * 5
    else:
        right += [(w * 8 // 10, line - 10), (w // 2, line - 60), (0, line + person.peak)]
    return [(side * x + middle * (w - x) // w, y) for x, y in right]


def _curls(person: Person, thick: int) -> list[Piece]:
    """Return locks around the outer edge of curly hair."""
    size = 150 + person.volume // 2
    around = oval(0, -420, person.width + thick - 30, 620 + thick)
    locks = [np.array(oval(x, y, size, size)[::2], np.int64) for x, y in around if y < 40]
    return [Piece(lock, f.HAIR if k % 2 else f.HAIR_DARK, FLAT, 60) for k, lock in enumerate(locks)]


def _streaks(person: Person, top: int) -> list[Piece]:
    """Return where the light lies on smooth hair, and the parting."""
    w, from_ = person.width, person.part * 3
    low = (top * 4 + person.hairline * 6) // 10
    shine = [
        (from_ + x, y)
        for x, y in ((-w // 2, low), (-w * 4 // 10, top + 190), (-60, top + 110), (-w * 3 // 10, top + 230))
    ]
    pieces = [Piece(smooth(shine), f.HAIR_LIGHT, lift=20)]
    if person.hair in ("parted", "long", "bob", "waves"):
        at = person.part * (3 if person.hair == "parted" else 5)
        pieces.append(
            Piece(pen([(at * 8 // 10, top + 40), (at, person.hairline - 180)], 22), f.HAIR_DARK, lift=20)
        )
    return pieces


def beard(person: Person, shot: Shot) -> list[Piece]:
    """Return the beard; it moves with the mouth."""
    if person.beard == "none":
        return []
    w, jaw, lip = person.width, person.width * person.jaw // 100, person.mouth_height - person.upper_lip
    drop = shot.gap * 2 // 3
    low = person.mouth_height + person.lower_lip + drop
    half = person.mouth
    whiskers = mirror([(0, lip - 90), (70, lip - 84), (half * 8 // 10, lip - 40), (half + 50, lip + 90),
                       (half - 10, lip + 80), (half // 2, lip + 20), (0, lip + 6)])  # fmt: skip
    moustache = Piece(smooth(whiskers, 1), f.BEARD, lift=80)
    if person.beard == "moustache":
        return [moustache]
    if person.beard == "goatee":
        tuft = mirror([(0, low + 20), (half // 2 + 20, low + 30), (half, lip + 60), (half + 70, lip + 60),
                       (half + 40, low + 60), (half * 6 // 10, person.chin + 20),
                       (0, person.chin + 50)])  # fmt: skip
        return [moustache, Piece(smooth(tuft, 1), f.BEARD, lift=40)]
    edge = [point for point in outline(person, 24 if person.beard == "full" else 0) if point[1] > 100]
    inner = [(w - 60, 60), (jaw - 60, lip - 150), (half + 70, lip - 70), (half + 40, lip + 60),
             (half * 7 // 10, low + 30), (0, low + 40)]  # fmt: skip
    right = [*inner[::-1], (w + 6, 60), *edge]
    whole = [*right, *((-x, y) for x, y in right[::-1])]
    return [Piece(smooth(whole, 1), f.BEARD), moustache]
