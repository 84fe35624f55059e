"""What people on drawn photos wear or hold: clothes, glasses, hats, scarves, a hand before the face."""

from __future__ import annotations

import numpy as np

from bench.data.drawn import face_shape as f
from bench.data.drawn.face_hair import THICK, crown
from bench.data.drawn.face_person import Person, Shot
from bench.data.drawn.face_shape import BODY, FLAT, Piece, both, joined, pen, smooth
from bench.data.drawn.raster import box, mirror, oval


def body(person: Person, shot: Shot) -> list[Piece]:
    """Return neck, shoulders and what they are in."""
    neck, chin = person.width * (30 + person.jaw // 5) // 100, person.chin
    throat = mirror([(neck, 300), (neck, chin + 130), (neck + 150, chin + 280), (0, chin + 700)])
    shadow = mirror([(neck, 600), (neck, chin + 60), (0, chin + 190)])
    shoulders = mirror([(neck + 60, chin + 130), (neck + 260, chin + 250), (neck + 760, chin + 370),
                        (neck + 960, chin + 760), (neck + 960, chin + 1700), (0, chin + 1700)])  # fmt: skip
    hollow = {
        "round": oval(0, chin + 110, neck + 60, 250),
        "collar": oval(0, chin + 90, neck + 40, 220),
        "vee": [(-neck - 70, chin + 80), (neck + 70, chin + 80), (neck, chin + 280), (0, chin + 600),
                (-neck, chin + 280)],
    }[shot.top]  # fmt: skip
    pieces = [Piece(smooth(shoulders, 1), f.CLOTH, BODY)]
    if shot.top == "round":
        band = np.array(oval(0, chin + 110, neck + 100, 290), np.int64)
        pieces.append(Piece(band, f.CLOTH_DARK, BODY))
    pieces += [
        Piece(np.array(hollow, np.int64), f.SKIN, BODY),
        Piece(smooth(throat, 1), f.SKIN, BODY),
        Piece(smooth(shadow, 1), f.SHADE, BODY),
    ]
    if shot.top == "collar":
        flap = [(neck - 10, chin + 60), (neck + 110, chin + 190), (neck - 60, chin + 480), (14, chin + 310)]
        pieces.append(Piece(both(flap), f.CLOTH_DARK, BODY))
    return pieces


def glasses(person: Person) -> list[Piece]:
    """Return the glasses that a person always wears, if any."""
    if person.glasses == "none":
        return []
    x, y = person.eye_gap + 10, person.eye_height + 20
    wide, high, width = person.eye + 76, 150, 44
    if person.glasses == "round":
        wide = high = max(180, person.eye + 40)
    elif person.glasses == "thin":
        high, width = 116, 28
    wide = min(wide, x - 36)
    if person.glasses == "round":
        rings = [np.array(oval(x, y, wide + grow, high + grow), np.int64) for grow in (0, -width)]
    else:
        rings = [smooth(box(x - wide - grow, y - high - grow, x + wide + grow, y + high + grow), 1)
                 for grow in (0, -width)]  # fmt: skip
    # The inner edge lies in the outer one: by the even-odd rule the frame alone is left.
    rim = joined(rings)
    glint = pen([(x + wide // 3, y - high // 2), (x + wide // 2, y - high // 4)], 22)
    return [
        Piece(both(pen([(x + wide - 10, y - 40), (person.width, y - 20)], width)), f.FRAME, lift=60),
        Piece(both(rim), f.FRAME, lift=130),
        Piece(pen([(wide - x, y - 40), (0, y - 70), (x - wide, y - 40)], width), f.FRAME, lift=160),
        Piece(joined([glint, glint - np.array([2 * x, 0])]), f.GLINT, lift=130),
    ]


def cover(person: Person, shot: Shot) -> list[Piece]:
    """Return what hides a part of the face or of the hair in this photo."""
    if shot.over in ("cap", "beanie"):
        return _hat(person, shot.over == "cap")
    if shot.over == "scarf":
        return _scarf(person.width)
    return _hand(1 if shot.gaze > 0 else -1) if shot.over == "hand" else []


def _hat(person: Person, is_cap: bool) -> list[Piece]:
    """Return a hat that the hair fits into: a cap with a visor or a beanie with a rim."""
    w, rim = person.width, -400
    side, top = w + 40 + THICK.get(person.hair, 0), crown(person) - (200 if person.hair == "curls" else 60)
    dome = mirror([(0, top - 20), (side * 45 // 100, top - 10), (side * 84 // 100, top + 160),
                   (side, (top + rim) // 2 + 60), (side, rim), (0, rim + 60)])  # fmt: skip
    whole = Piece(smooth(dome), f.COVER, FLAT, 40)
    if is_cap:
        visor = mirror([(0, rim - 120), (w * 7 // 10, rim - 90), (side, rim + 20), (w * 9 // 10, rim + 70),
                        (w // 2, rim + 20), (0, rim)])  # fmt: skip
        return [whole, Piece(smooth(visor), f.COVER_DARK, FLAT, 500)]
    end = side + 30
    band = mirror([(0, rim - 120), (w * 7 // 10, rim - 140), (end, rim - 170), (end, rim + 20),
                   (w * 7 // 10, rim + 80), (0, rim + 90)])  # fmt: skip
    return [whole, Piece(smooth(band, 1), f.COVER_DARK, FLAT, 160)]


def _scarf(w: int) -> list[Piece]:
    """Return a scarf over the mouth of a head of that half width."""
    wrap = mirror([(0, 560), (w * 6 // 10, 500), (w + 60, 420), (w + 120, 900), (w + 60, 1400), (0, 1500)])
    fold = pen([(-w, 760), (0, 900), (w, 740)], 40)
    return [Piece(smooth(wrap), f.COVER, FLAT, 180), Piece(smooth(fold, 1), f.COVER_DARK, FLAT, 220)]


def _hand(side: int) -> list[Piece]:
    """Return the person's hand before one cheek, 1 for the right of the picture."""
    palm = [(side * x, y) for x, y in ((250, 900), (640, 660), (820, 900), (720, 1900), (200, 1900))]
    pieces = []
    for k, reach in enumerate((420, 300, 290, 380)):
        finger = [(side * (310 + 90 * k), 960), (side * (230 + 135 * k), reach)]
        pieces.append(Piece(smooth(pen(finger, 134)), f.DEEP, BODY))
        pieces.append(Piece(smooth(pen(finger, 108)), f.SKIN, BODY))
    return [*pieces, Piece(smooth(palm), f.SKIN, BODY)]
