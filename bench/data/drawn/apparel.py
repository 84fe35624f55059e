"""Outlines of clothes: topwear, bottomwear, underwear, sarees, laid flat or worn by a figure.

Coordinates are whole numbers, about -100 to 100, y downwards. Every function takes the dice it may roll
and returns the parts from back to front.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from bench.data.drawn.dice import Dice
from bench.data.drawn.materials import DARK, HAIR, LIGHT, MAIN, METAL, OTHER, PALE, SHADE, SKIN, TRIM
from bench.data.drawn.raster import Part, Point, box, mirror, oval, stroke

Range = tuple[int, int]


class Cut(NamedTuple):
    """How a piece of topwear may be cut. waist and flare are percent of the shoulder's width.

    sleeves: length -> weight. necks: round, vee, wide, band, collar, hood -> weight.
    fronts: plain, logo, pocket, half (placket), buttons, zip, ruffle, border -> weight.
    worn: percent shown on a figure. band: whether the hem is ribbed.
    legs: what such a figure has on them, `trousers` or nothing (`bare`).
    """

    sleeves: Mapping[int, int]
    hem: Range
    shoulder: Range
    waist: Range
    flare: Range
    necks: Mapping[str, int]
    fronts: Mapping[str, int]
    worn: int = 50
    band: bool = False
    legs: str = "trousers"


CUTS: Mapping[str, Cut] = {
    "Tshirts": Cut(
        {0: 4, 16: 4, 32: 88, 100: 4}, (46, 58), (40, 48), (84, 96), (86, 100),
        {"round": 54, "vee": 22, "collar": 22, "wide": 2}, {"plain": 36, "logo": 48, "half": 16}, worn=22,
    ),
    "Shirts": Cut(
        {32: 10, 58: 6, 100: 84}, (58, 74), (40, 48), (84, 96), (86, 100),
        {"collar": 92, "round": 5, "vee": 3}, {"buttons": 90, "half": 6, "plain": 4}, worn=22,
    ),
    "Tops": Cut(
        {0: 66, 16: 24, 32: 10}, (36, 60), (32, 40), (66, 84), (84, 120),
        {"wide": 40, "round": 26, "vee": 30, "collar": 4},
        {"plain": 40, "ruffle": 28, "logo": 18, "buttons": 8, "half": 6}, worn=85,
    ),
    "Kurtas": Cut(
        {16: 4, 32: 16, 58: 50, 100: 30}, (86, 110), (36, 44), (82, 94), (98, 118),
        {"band": 50, "vee": 28, "round": 22}, {"half": 50, "plain": 20, "border": 30}, worn=50,
    ),
    "Dresses": Cut(
        {0: 64, 16: 26, 32: 10}, (80, 102), (33, 39), (62, 76), (132, 175),
        {"wide": 34, "vee": 33, "round": 33}, {"plain": 74, "ruffle": 14, "border": 12}, worn=85,
        legs="bare",
    ),
    "Sweatshirts": Cut(
        {58: 4, 100: 96}, (52, 68), (42, 50), (88, 98), (80, 92),
        {"round": 52, "hood": 33, "collar": 15}, {"pocket": 32, "plain": 28, "logo": 22, "zip": 18},
        band=True,
    ),
}  # fmt: skip


def _figure(d: Dice, shoulder: int, spread: int, legs: str) -> list[Part]:
    """Return head, neck, arms and legs (`trousers`, `bare` or `none`), to be covered by what is worn."""
    parts = [
        Part(oval(0, -106, 15, 20), HAIR),
        Part(oval(0, -102, 12, 17), SKIN),
        Part(box(-7, -90, 7, -64), SKIN),
    ]
    if legs == "trousers":
        outer = shoulder - 8
        parts.append(Part([(-outer - 2, 30), (outer + 2, 30), (outer, 170), (-outer, 170)], OTHER))
        if d.chance(40):
            parts.append(Part([(d.between(-3, 3), 60), (6, 170), (-6, 170)], DARK))
    elif legs == "bare":
        parts += (Part([(s * 3, 50), (s * 22, 50), (s * 16, 170), (s * 6, 170)], SKIN) for s in (1, -1))
    parts += (Part(arm, SKIN) for arm in _arms(shoulder, 104, spread, 7))
    return parts


def _arms(shoulder: int, length: int, spread: int, width: int) -> list[list[Point]]:
    """Return the right and the left arm (or sleeve) of a given length."""
    x = shoulder - 4 + spread * length // 100
    y = -60 + length
    armpit = -34 if length > 24 else -60 + length
    right = [
        (shoulder - 8, -67),
        (shoulder, -62),
        (x + width, y - 3),
        (x - width, y + 2),
        (shoulder - 8, armpit),
    ]
    return [right, [(-px, py) for px, py in right]]


def _neck(kind: str, neck: int) -> list[Part]:
    """Return what is seen at the neck, above the garment."""
    if kind == "collar":
        flap = [(2, -58), (neck, -76), (neck + 9, -66), (13, -48)]
        inner = mirror([(neck - 3, -74), (0, -58)])
        return [Part(inner, DARK), Part(flap, LIGHT), Part([(-x, y) for x, y in flap], LIGHT)]
    if kind == "hood":
        return [Part(oval(0, -72, neck + 13, 19), SHADE), Part(oval(0, -69, neck - 1, 11), DARK)]
    if kind == "band":
        return [Part(mirror([(neck + 1, -79), (neck + 2, -70), (3, -56)]), LIGHT)]
    return []


def _front(d: Dice, kind: str, half_width: int, hem: int) -> list[Part]:
    """Return what is sewn on or printed on the front."""
    if kind == "logo":
        x, y, size = d.between(-6, 6), d.between(-32, -8), d.between(9, 21)
        if d.chance(50):
            return [Part(oval(x, y, size, size * 3 // 4), TRIM), Part(oval(x, y, size // 2, size // 3), PALE)]
        tall = d.between(4, 16)
        return [Part(box(x - size, y - tall, x + size, y + tall), TRIM)]
    if kind == "pocket":
        return [Part([(-18, 18), (18, 18), (25, 42), (-25, 42)], SHADE)]
    if kind == "ruffle":
        return [Part(box(-half_width + 6, y, half_width - 6, y + 5), SHADE) for y in range(-44, hem - 20, 24)]
    if kind == "border":
        return [Part(box(-half_width, hem - 13, half_width, hem - 5), TRIM), Part(oval(0, -46, 13, 12), TRIM)]
    if kind == "zip":
        return [Part(box(-2, -60, 2, hem), METAL)]
    if kind in ("buttons", "half"):
        bottom = hem if kind == "buttons" else -12
        dots = [Part(box(-2, y, 2, y + 3), PALE) for y in range(-50, bottom - 6, 17)]
        return [Part(box(-5, -60, 5, bottom), d.one_of((SHADE, LIGHT))), *dots]
    return []


def topwear(d: Dice, cut: Cut) -> list[Part]:
    """Return an upper garment or a dress."""
    worn = d.chance(cut.worn)
    spread = d.between(8, 26) if worn else d.between(30, 60)
    shoulder, hem = d.between(*cut.shoulder), d.between(*cut.hem)
    half_waist = shoulder * d.between(*cut.waist) // 100
    half_hem = shoulder * d.between(*cut.flare) // 100
    sleeve, kind, front = d.pick(cut.sleeves), d.pick(cut.necks), d.pick(cut.fronts)
    neck = d.between(17, 25) if kind == "wide" else d.between(10, 15)
    depth = {"vee": d.between(16, 34), "wide": d.between(10, 22), "round": d.between(6, 15)}.get(kind, 5)
    throat = (
        [(0, -73 + depth)] if kind == "vee" else [(0, -73 + depth), (neck * 2 // 3, -74 + depth * 3 // 4)]
    )

    parts = _figure(d, shoulder, spread, cut.legs) if worn else []
    if sleeve:
        flare = d.between(9, 15)
        parts += (
            Part(arm, SHADE if d.chance(30) else MAIN) for arm in _arms(shoulder, sleeve, spread, flare)
        )
    side = [(neck, -74), (shoulder, -63), (shoulder - 6, -34), (half_waist, 4), (half_hem, hem)]
    parts.append(Part(mirror([*throat, *side]), MAIN))
    if sleeve:  # the seams that tell a sleeve from the body
        parts += (
            Part(stroke([(s * (shoulder - 3), -60), (s * (shoulder - 8), -32)], 3), SHADE) for s in (1, -1)
        )
    for s in (1, -1):  # folds
        x = s * d.between(8, 24)
        parts.append(Part(stroke([(x, d.between(-6, 20)), (x + s * d.between(-6, 6), hem - 6)], 3), SHADE))
    parts += _front(d, front, min(half_waist, half_hem), hem)
    parts += _neck(kind, neck)
    if cut.band:
        parts.append(Part(mirror([(half_hem, hem - 8), (half_hem - 4, hem + 2)]), SHADE))
    return parts


def legs(d: Dice, length: Range, ankle: Range, style: str) -> list[Part]:
    """Return trousers of any length. style: `jeans`, `crease`, `stripe` or `plain`."""
    long, hip, apart = d.between(*length), d.between(30, 38), d.between(4, 26)
    end = d.between(*ankle)
    hem = -80 + long
    inner = apart * long // 160
    right = [(0, -80), (hip - 3, -80), (hip, -52), (inner + 2 * end, hem), (inner, hem), (1, -28)]
    parts: list[Part] = []
    if d.chance(40):
        parts = [Part(box(-hip + 3, -120, hip - 3, -70), OTHER)]
        limb = [(hip - 4, -40), (inner + 2 * end - 5, 92), (inner + 3, 92), (4, -34)]
        parts += [Part(limb, SKIN), Part([(-x, y) for x, y in limb], SKIN)]
    parts += [Part(right, MAIN), Part([(-x, y) for x, y in right], MAIN)]
    parts += [Part(stroke([(0, -74), (0, -30)], 3), SHADE), Part(box(-hip + 3, -82, hip - 3, -73), SHADE)]
    for s in (1, -1):
        middle = s * (inner + end)
        if style == "jeans":
            pocket = [(s * 10, -70), (s * 16, -56), (s * (hip - 3), -58)]
            parts += [
                Part(stroke(pocket, 3), LIGHT),
                Part(oval(middle, -80 + long * 3 // 5, end - 3, long // 6), LIGHT),
            ]
        elif style == "crease":
            parts.append(Part(stroke([(s * hip // 2, -66), (middle, hem)], 3), SHADE))
        elif style == "stripe":
            parts.append(Part(stroke([(s * (hip - 3), -66), (s * (inner + 2 * end - 3), hem)], 6), TRIM))
    return parts


def trousers(d: Dice, name: str) -> list[Part]:
    """Return jeans, trousers, track pants or shorts."""
    length, ankle, styles = {
        "Jeans": ((148, 176), (9, 17), {"jeans": 80, "plain": 20}),
        "Trousers": ((148, 176), (10, 18), {"crease": 65, "plain": 35}),
        "Track Pants": ((142, 174), (9, 19), {"stripe": 65, "plain": 35}),
        "Shorts": ((56, 96), (16, 22), {"plain": 60, "stripe": 25, "jeans": 15}),
    }[name]
    return legs(d, length, ankle, d.pick(styles))


def briefs(d: Dice, leg: Range) -> list[Part]:
    """Return underwear; leg runs from 0 (a slip) to 100 (a trunk)."""
    k = d.between(*leg)
    wide, top = d.between(44, 54), d.between(-38, -28)
    outline = [
        (wide, top),
        (wide + k // 20, top + 16 + k // 2),
        (10 + k // 4, 34 - k // 10),
        (6, 36 - k // 8),
    ]
    parts: list[Part] = []
    if d.chance(45):
        parts = [Part(mirror([(wide - 6, -95), (wide - 4, -30), (wide + 1, 95), (5, 95), (2, 20)]), SKIN)]
    parts += [
        Part(mirror(outline), MAIN),
        Part(box(-wide, top - 9, wide, top), d.one_of((PALE, TRIM, SHADE, DARK))),
    ]
    if d.chance(70):
        parts += [Part(stroke([(s * 12, top + 2), (s * 15, 8), (s * 5, 30)], 3), SHADE) for s in (1, -1)]
    return parts


def saree(d: Dice) -> list[Part]:
    """Return a saree on a figure: a column of cloth and the fall over one shoulder."""
    hem, flare = d.between(88, 105), d.between(36, 54)
    s = d.one_of((1, -1))
    fall = [(s * 30, -66), (s * 12, -66), (-s * 30, 6), (-s * 34, 34), (s * 6, 10), (s * 40, -40)]
    tail = [(s * 30, -64), (s * 44, -50), (s * d.between(48, 62), 50), (s * 36, 62)]
    parts = [
        *_figure(d, 36, d.between(6, 24), "none"),
        Part(mirror([(12, -70), (36, -62), (26, -10), (0, -8)]), TRIM),
    ]
    parts += [
        Part(mirror([(26, 2), (32, 20), (flare, hem), (0, hem + 3)]), MAIN),
        Part(tail, SHADE),
        Part(fall, MAIN),
    ]
    parts.append(Part([(-flare, hem - 10), (flare, hem - 10), (flare, hem), (-flare, hem)], TRIM))
    parts.append(Part(stroke([(s * 13, -66), (-s * 30, 8)], 5), TRIM))
    parts += (
        Part(stroke([(d.between(-8, 8), 24), (d.between(-20, 20), hem - 12)], 3), SHADE) for _ in range(3)
    )
    return parts


def skirt(d: Dice) -> list[Part]:
    """Return a skirt."""
    waist, hem, flare = d.between(24, 32), d.between(30, 80), d.between(36, 68)
    parts: list[Part] = []
    if d.chance(40):
        parts = [Part(mirror([(waist, -120), (waist - 2, -40), (0, -38)]), OTHER)]
        parts += [Part([(s * 4, 0), (s * 24, 0), (s * 18, 130), (s * 7, 130)], SKIN) for s in (1, -1)]
    parts += [Part(mirror([(waist, -58), (waist + 10, -30), (flare, hem), (0, hem + 5)]), MAIN)]
    parts.append(Part(box(-waist - 1, -62, waist + 1, -53), SHADE))
    parts += (Part(stroke([(x // 2, -40), (x, hem)], 3), SHADE) for x in range(-flare + 14, flare, 24))
    return parts
