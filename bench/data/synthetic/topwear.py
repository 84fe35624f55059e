"""Topwear and dresses from a few measures: shoulders, hem, sleeves, neckline, front.

Coordinates are integers, about -100 to 100, y downwards; parts are listed from back to front.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from bench.data.synthetic import raster as r
from bench.data.synthetic.random_stream import RandomStream
from bench.data.synthetic.raster import Part, Point, box, flip, mirror, oval, stroke

Range = tuple[int, int]
Weights = Mapping[str, int]


class Top(NamedTuple):
    """Measures of a piece of topwear; one that reaches far down is a dress.

    sleeves: length -> weight. waist, flare: percent of the shoulder's width. necks: round, vee, wide, collar
    or hood -> weight. fronts: plain, logo, pocket, buttons or border -> weight. worn: percent shown on a
    person. legs: the material of the legs of this person.
    """

    sleeves: Mapping[int, int]
    hem: Range
    shoulder: Range
    waist: Range
    flare: Range
    necks: Weights
    fronts: Weights
    worn: int
    legs: int = r.OTHER


TOPS: Mapping[str, Top] = {
    "Tshirts": Top({0: 4, 16: 4, 32: 88, 100: 4}, (46, 58), (40, 48), (84, 96), (86, 100),
        {"round": 54, "vee": 22, "collar": 22, "wide": 2}, {"plain": 48, "logo": 52}, 22),
    "Shirts": Top({32: 10, 58: 6, 100: 84}, (58, 74), (40, 48), (84, 96), (86, 100),
        {"collar": 92, "round": 5, "vee": 3}, {"buttons": 94, "plain": 6}, 22),
    "Tops": Top({0: 66, 16: 24, 32: 10}, (36, 60), (32, 40), (66, 84), (84, 120),
        {"wide": 40, "round": 26, "vee": 30, "collar": 4}, {"plain": 62, "logo": 20, "buttons": 18}, 85),
    "Kurtas": Top({16: 4, 32: 16, 58: 50, 100: 30}, (86, 110), (36, 44), (82, 94), (98, 118),
        {"vee": 28, "round": 72}, {"buttons": 45, "plain": 20, "border": 35}, 50),
    "Dresses": Top({0: 64, 16: 26, 32: 10}, (80, 102), (33, 39), (62, 76), (132, 175),
        {"wide": 34, "vee": 33, "round": 33}, {"plain": 82, "border": 18}, 85, r.SKIN),
    "Sweatshirts": Top({58: 4, 100: 96}, (52, 68), (42, 50), (88, 98), (80, 92),
        {"round": 52, "hood": 33, "collar": 15}, {"pocket": 40, "plain": 36, "logo": 24}, 50),
}  # fmt: skip


def _limbs(shoulder: int, length: int, spread: int, width: int) -> list[list[Point]]:
    """Return the right and the left arm, or sleeve, of a length."""
    x, y = shoulder - 4 + spread * length // 100, length - 60
    inner = (shoulder - 8, min(-34, y) if length > 24 else y)
    right = [(shoulder - 8, -67), (shoulder, -62), (x + width, y - 3), (x - width, y + 2), inner]
    return [right, flip(right)]


def _front(s: RandomStream, motif: str, half_width: int, hem: int) -> list[Part]:
    """Return the pattern or details of the front."""
    if motif == "logo":
        x, y, size = s.integer(-6, 6), s.integer(-32, -8), s.integer(9, 21)
        return [Part(oval(x, y, size, size * s.integer(4, 9) // 10), r.TRIM)]
    if motif == "pocket":
        return [Part([(-18, 18), (18, 18), (25, 42), (-25, 42)], r.SHADE)]
    if motif == "border":
        return [Part(box(-half_width, hem - 13, half_width, hem - 5), r.TRIM)]
    if motif == "buttons":
        bottom = min(hem, s.choice((-10, 120, 120)))
        dots = [Part(box(-2, y, 2, y + 3), r.PALE) for y in range(-50, bottom - 6, 17)]
        return [Part(box(-5, -60, 5, bottom), s.choice((r.SHADE, r.LIGHT))), *dots]
    return []


def _neck(neckline: str, neck: int) -> list[Part]:
    """Return the collar or hood above the neckline."""
    if neckline == "hood":
        return [Part(oval(0, -72, neck + 13, 19), r.SHADE), Part(oval(0, -69, neck - 1, 11), r.DARK)]
    if neckline == "collar":
        flap = [(2, -58), (neck, -76), (neck + 9, -66), (13, -48)]
        return [Part(flap, r.LIGHT), Part(flip(flap), r.LIGHT)]
    return []


def topwear(s: RandomStream, top: Top) -> list[Part]:
    """Return a piece of topwear or a dress, on a person or laid flat."""
    worn = s.chance(top.worn)
    spread = s.integer(8, 26) if worn else s.integer(30, 60)
    shoulder, hem = s.integer(*top.shoulder), s.integer(*top.hem)
    waist, flare = shoulder * s.integer(*top.waist) // 100, shoulder * s.integer(*top.flare) // 100
    sleeve, neckline, front = s.weighted(top.sleeves), s.weighted(top.necks), s.weighted(top.fronts)
    neck = s.integer(17, 25) if neckline == "wide" else s.integer(10, 15)
    depth = s.integer(*{"vee": (16, 34), "wide": (10, 22), "round": (6, 15)}.get(neckline, (5, 5))) - 73
    parts = []
    if worn:
        parts = [Part(oval(0, -102, 13, 18), r.SKIN), Part(box(-7, -90, 7, -64), r.SKIN)]
        parts += [Part(arm, r.SKIN) for arm in _limbs(shoulder, 104, spread, 7)]
        leg = [(2, 30), (shoulder - 10, 30), (shoulder - 12 if top.legs == r.OTHER else 18, 170), (5, 170)]
        parts += [Part(leg, top.legs), Part(flip(leg), top.legs)]
    if sleeve:
        parts += [Part(limb, r.MAIN) for limb in _limbs(shoulder, sleeve, spread, s.integer(9, 15))]
    throat = [(0, depth)] if neckline == "vee" else [(0, depth), (neck * 2 // 3, depth - 3)]
    side = [(neck, -74), (shoulder, -63), (shoulder - 6, -34), (waist, 4), (flare, hem)]
    parts.append(Part(mirror([*throat, *side]), r.MAIN))
    if sleeve:
        seam = stroke([(shoulder - 3, -60), (shoulder - 8, -32)], 3)
        parts += [Part(seam, r.SHADE), Part(flip(seam), r.SHADE)]
    x = s.integer(-24, 24)
    parts.append(Part(stroke([(x, s.integer(-6, 20)), (x + s.integer(-6, 6), hem - 6)], 3), r.SHADE))
    return parts + _front(s, front, min(waist, flare), hem) + _neck(neckline, neck)
