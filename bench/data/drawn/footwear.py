"""Outlines of shoes, sandals and slippers, from the side or half from above; units as in apparel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from bench.data.drawn.apparel import Range
from bench.data.drawn.dice import Dice
from bench.data.drawn.materials import BACK, DARK, LIGHT, MAIN, PALE, SHADE, SKIN, TRIM
from bench.data.drawn.raster import Part, Point, oval, stroke

GROUND = 40


class Last(NamedTuple):
    """What a shoe is built on. heel: height under the heel. sole: thickness.

    back, throat: height of the upper at the heel and at the instep. open: where the instep begins (x).
    toe: length of the toe. Weights: sides (plain, stripes, panel, wave), laces percent, white sole percent.
    """

    heel: Range
    sole: Range
    back: Range
    throat: Range
    open: Range
    toe: Range
    sides: Mapping[str, int]
    laces: int
    white: int


LASTS: Mapping[str, Last] = {
    "Casual Shoes": Last(
        (0, 3), (8, 14), (48, 60), (52, 66), (4, 20), (84, 94),
        {"plain": 60, "stripes": 14, "panel": 24, "wave": 2}, 62, 80,
    ),
    "Sports Shoes": Last(
        (4, 13), (14, 22), (56, 70), (60, 78), (0, 16), (80, 90),
        {"plain": 5, "stripes": 40, "panel": 15, "wave": 40}, 88, 80,
    ),
    "Formal Shoes": Last(
        (7, 13), (5, 8), (46, 56), (46, 60), (8, 24), (94, 106),
        {"plain": 86, "panel": 14}, 70, 0,
    ),
    "Heels": Last(
        (26, 66), (3, 8), (29, 44), (18, 30), (33, 51), (84, 98),
        {"plain": 80, "panel": 20}, 0, 4,
    ),
    "Flats": Last(
        (0, 10), (3, 8), (28, 42), (18, 30), (33, 51), (84, 96),
        {"plain": 90, "panel": 10}, 0, 4,
    ),
}  # fmt: skip


def shoe(d: Dice, last: Last) -> list[Part]:
    """Return a closed shoe from the side, toe to the right."""
    heel, sole = d.between(*last.heel), d.between(*last.sole)
    toe, x = d.between(*last.toe), d.between(*last.open)

    def lifted(px: int, height: int) -> Point:
        """Return the point so high above the sole's top at px."""
        rise = heel * (34 - px) // 118 if px < 34 else 0
        return px, GROUND - sole - rise - height

    back, throat = d.between(*last.back), d.between(*last.throat)
    dip = min(back, throat) * d.between(60, 85) // 100
    low = last.throat[1] < 40
    bottom = [lifted(toe, 2), lifted(34, 0), lifted(-84, 0)]
    mouth = [lifted(-82, back), lifted(-40, dip if not low else dip // 2), lifted(x, throat)]
    front = [lifted(x + 26, throat * 2 // 3), lifted(toe - 14, throat // 3 + 10), lifted(toe, 8)]
    far = [(px, py - 6) for px, py in mouth]
    parts = [Part([*mouth, *reversed(far)], SKIN if low and d.chance(35) else DARK)]
    parts.append(Part([*mouth, *front, *bottom], MAIN))

    side = d.pick(last.sides)
    if side == "stripes":
        for k in range(d.between(2, 4)):
            foot = -22 + 15 * k
            parts.append(Part(stroke([lifted(foot, 3), lifted(foot + 14, throat - 14 - 3 * k)], 6), TRIM))
    elif side == "panel":
        parts.append(Part([lifted(-82, back), lifted(-54, dip), lifted(-48, 2), lifted(-84, 0)], TRIM))
        parts.append(Part(stroke([lifted(toe - 30, 0), lifted(toe - 34, throat // 2)], 4), SHADE))
    elif side == "wave":
        parts.append(
            Part([lifted(-60, 14), lifted(-10, 4), lifted(36, throat * 2 // 3), lifted(-6, 16)], TRIM)
        )
    if d.chance(last.laces):
        lace = d.one_of((PALE, DARK, SHADE))
        for k in range(4):
            spot = lifted(x - 4 + 7 * k, throat - 3 - 4 * k)
            parts.append(Part(stroke([(spot[0] - 9, spot[1] + 9), (spot[0] + 2, spot[1] - 4)], 4), lace))
    elif low and d.chance(40):
        parts.append(Part(oval(*lifted(x + 14, throat * 2 // 3), 9, 6), d.one_of((TRIM, DARK, PALE))))

    edge = PALE if d.chance(last.white) else d.one_of((DARK, SHADE, DARK))
    under = [(-84, lifted(-84, 0)[1] + sole), (34, GROUND), (toe, GROUND - 3)]
    parts.append(Part([lifted(-86, 0), lifted(34, 0), lifted(toe + 2, 3), *reversed(under)], edge))
    if heel > 4:
        thin = d.between(5, 30) if heel > 24 else d.between(26, 44)
        top = GROUND - heel - 2
        parts.append(
            Part([(-84, top), (-84 + thin + 12, top + 4), (-78 + thin, GROUND), (-80, GROUND)], edge)
        )
    return parts


def _footbed(d: Dice, sole: int) -> list[Part]:
    """Return a sole seen half from above."""
    shape = [
        (-92, 12),
        (-84, -4),
        (-50, -10),
        (0, -14),
        (50, -22),
        (84, -14),
        (94, 4),
        (78, 20),
        (20, 26),
        (-70, 26),
    ]
    under = [(x, y + sole) for x, y in shape]
    return [
        Part(under, d.one_of((DARK, SHADE, PALE, MAIN))),
        Part(shape, d.one_of((MAIN, MAIN, LIGHT, SHADE, TRIM))),
    ]


def flip_flop(d: Dice) -> list[Part]:
    """Return a thong slipper: a sole and a strap from between the toes to both edges."""
    parts = _footbed(d, d.between(4, 13))
    post = (d.between(52, 66), d.between(-4, 4))
    high, width = d.between(6, 18), d.between(5, 11)
    strap = d.one_of((MAIN, DARK, TRIM, TRIM))
    parts += [
        Part(stroke([post, (30, -12 - high), (d.between(-24, 0), -9)], width), strap),
        Part(stroke([post, (24, 8 - high), (d.between(-26, -2), 26)], width), strap),
    ]
    return parts


def sandal(d: Dice) -> list[Part]:
    """Return an open shoe: straps over a sole, in a third of cases a slide that looks like a slipper."""
    if d.chance(20):
        parts = _footbed(d, d.between(5, 16))
        high, left, right = d.between(16, 32), d.between(-20, 4), d.between(44, 62)
        band = [
            (left, -12),
            (left + 10, -14 - high),
            (right - 8, -22 - high // 2),
            (right, -18),
            (right - 6, 24),
            (left, 28),
        ]
        parts.append(Part(band, d.one_of((MAIN, MAIN, DARK))))
        if d.chance(40):
            parts.append(Part(stroke([(left + 22, -12 - high), (left + 20, 26)], d.between(5, 14)), BACK))
        return parts
    heel, sole = d.between(0, 10), d.between(8, 16)
    base = [
        (-88, 24 - heel),
        (-30, 26 - heel // 2),
        (34, 28),
        (92, 24),
        (92, 28 + sole // 2),
        (34, 28 + sole),
    ]
    parts = [
        Part(
            [*base, (-86, 28 + sole if heel < 12 else 24 - heel + sole)], d.one_of((DARK, SHADE, DARK, PALE))
        )
    ]
    strap = d.one_of((MAIN, MAIN, DARK))
    height, width = d.between(30, 56), d.between(8, 17)
    lines = [
        [(72, 26), (60, 2), (34, 0), (22, 26)],
        [(28, 26), (4, -height // 2), (-22, 26 - heel // 2)],
        [(-84, 26 - heel), (-80, -height + 16), (-40, -height), (-14, 26 - heel // 2)],
        [(-80, -height + 20), (-34, -height + 26)],
    ]
    parts += (Part(stroke(line, width), strap) for line in lines[: d.between(3, 4)])
    if d.chance(40):
        parts.append(Part(oval(-36, -height + 10, 7, 6), d.one_of((TRIM, PALE))))
    return parts


def heel(d: Dice) -> list[Part]:
    """Return a high shoe, closed or with straps."""
    return _strappy(d) if d.chance(30) else shoe(d, LASTS["Heels"])


def flat(d: Dice) -> list[Part]:
    """Return a low shoe for women: a ballerina, at times a sandal."""
    return sandal(d) if d.chance(3) else shoe(d, LASTS["Flats"])


def _strappy(d: Dice) -> list[Part]:
    """Return a heeled sandal: a high arch with thin straps."""
    heel = d.between(18, 70)
    arch = [
        (-82, 34 - heel),
        (-40, 34 - heel),
        (30, 30),
        (92, 32),
        (92, 38),
        (30, 38),
        (-40, 42 - heel),
        (-82, 40 - heel),
    ]
    spike = d.between(5, 24)
    parts = [
        Part(arch, MAIN),
        Part([(-82, 38 - heel), (-70 + spike, 40 - heel), (-76 + spike, 40), (-78, 40)], SHADE),
    ]
    width, high = d.between(4, 10), d.between(26, 44)
    parts.append(Part(stroke([(78, 32), (62, 10), (40, 12), (30, 32)], width), MAIN))
    parts.append(
        Part(stroke([(-82, 36 - heel), (-78, 36 - heel - high), (-34, 34 - heel - high // 2)], width), MAIN)
    )
    if d.chance(60):
        parts.append(Part(stroke([(24, 30), (0, 10 - heel // 3), (-30, 34 - heel)], width), MAIN))
    return parts
