"""Outlines of bags, watches, sunglasses, belts and other small things; units as in apparel."""

from __future__ import annotations

from bench.data.drawn.dice import Dice
from bench.data.drawn.materials import BACK, DARK, LIGHT, MAIN, METAL, PALE, SHADE, TRIM
from bench.data.drawn.raster import Part, arc, box, mirror, oval, stroke


def watch(d: Dice) -> list[Part]:
    """Return a watch: a strap behind a round or square case with hands."""
    strap, size = d.between(14, 26), d.between(32, 48)
    parts = [Part(mirror([(strap, -98), (strap + 5, -20), (strap + 5, 20), (strap, 98)]), MAIN)]
    if d.chance(50):
        parts += (Part(box(-strap, y, strap, y + 3), SHADE) for y in range(-92, 92, d.between(10, 18)))
    case, dial = d.one_of((METAL, METAL, MAIN, TRIM)), d.one_of((PALE, DARK, MAIN, PALE, TRIM))
    inner = size - d.between(5, 11)
    if d.chance(68):
        parts += [Part(oval(0, 0, size, size), case), Part(oval(0, 0, inner, inner), dial)]
    else:
        tall = d.between(80, 120)
        parts.append(Part(box(-size, -size * tall // 100, size, size * tall // 100), case))
        parts.append(Part(box(-inner, -inner * tall // 100, inner, inner * tall // 100), dial))
    parts.append(Part(box(size - 1, -5, size + 7, 5), METAL))
    hand = DARK if dial != DARK else PALE
    parts.append(Part(stroke([(0, 0), (d.between(-18, 18), -inner * 3 // 5)], 4), hand))
    parts.append(Part(stroke([(0, 0), (inner // 2, d.between(-14, 14))], 5), hand))
    if d.chance(35):
        parts += [Part(oval(x, inner // 2, 7, 7), METAL) for x in (-12, 12)]
    return parts


def sunglasses(d: Dice) -> list[Part]:
    """Return a pair of sunglasses from the front, the arms folded back."""
    rx, ry = d.between(28, 40), d.between(18, 32)
    frame, lens = d.one_of((MAIN, MAIN, DARK, METAL)), d.one_of((DARK, DARK, SHADE, MAIN))
    rim, square = d.between(4, 8), d.chance(45)
    parts: list[Part] = []
    for s in (1, -1):
        arm = [(s * (42 + rx - 4), -ry // 2), (s * (42 + rx + 12), -ry // 2 - d.between(4, 24))]
        parts.append(Part(stroke([*arm, (s * (44 + rx), -ry - d.between(10, 34))], 6), frame))
        for wide, tall, material in ((rx, ry, frame), (rx - rim, ry - rim, lens)):
            shape = box(s * 42 - wide, -tall, s * 42 + wide, tall) if square else oval(s * 42, 0, wide, tall)
            parts.append(Part(shape, material))
        parts.append(Part([(s * 42 - 12, -ry + 9), (s * 42 - 4, -ry + 8), (s * 42 - 16, ry // 3)], LIGHT))
    parts.append(Part(stroke([(-16, -ry // 3), (0, -ry // 2), (16, -ry // 3)], 7), frame))
    return parts


def belt(d: Dice) -> list[Part]:
    """Return a belt, rolled up or stretched out."""
    metal = d.one_of((METAL, METAL, TRIM))
    if d.chance(60):
        rx, ry, width = d.between(56, 84), d.between(34, 66), d.between(14, 26)
        parts = [Part(oval(0, 0, rx, ry), MAIN), Part(oval(0, 0, rx - width, ry - width), BACK)]
        parts.append(Part(stroke(arc(0, 0, rx - width // 2, ry - width // 2, 2, 10), 3), SHADE))
        x, y = -rx + width // 2, d.between(-8, 8)
    else:
        width, bend = d.between(18, 30), d.between(-18, 18)
        line = [(-92, bend), (-30, 0), (30, -bend // 2), (96, bend // 2)]
        parts = [Part(stroke(line, width), MAIN)]
        parts += (Part(oval(x, -bend // 3, 3, 3), DARK) for x in range(40, 90, 14))
        x, y = -80, bend
    big = width // 2 + d.between(4, 9)
    parts += [
        Part(box(x - big, y - big, x + big, y + big), metal),
        Part(box(x - big // 2, y - big // 2, x + big // 2, y + big // 2), SHADE),
    ]
    return parts


def handbag(d: Dice) -> list[Part]:
    """Return a bag with one or two handles."""
    top, bottom, tall = d.between(38, 72), d.between(52, 84), d.between(62, 96)
    high = d.between(30, 74)
    parts = [
        Part(stroke(arc(0, -20, top * 2 // 3, high, 12, 24), d.between(5, 10)), d.one_of((MAIN, SHADE, DARK)))
    ]
    parts.append(
        Part(mirror([(top, -24), (bottom, tall - 44), (bottom - 8, tall - 24), (0, tall - 22)]), MAIN)
    )
    parts.append(Part(mirror([(top, -24), (top + 3, -12), (0, -12)]), SHADE))
    trim = d.pick({"flap": 30, "pocket": 30, "strap": 20, "plain": 20})
    if trim == "flap":
        parts.append(Part(mirror([(top, -24), (top - 4, 10), (0, d.between(14, 26))]), LIGHT))
        parts.append(Part(oval(0, 14, 6, 6), METAL))
    elif trim == "pocket":
        parts.append(Part(box(-top * 2 // 3, 4, top * 2 // 3, tall - 34), d.one_of((SHADE, TRIM))))
    elif trim == "strap":
        parts += [Part(box(s * top // 2 - 4, -24, s * top // 2 + 4, tall - 24), TRIM) for s in (1, -1)]
    return parts


def backpack(d: Dice) -> list[Part]:
    """Return a backpack with its loop, pocket and shoulder straps."""
    wide, tall = d.between(44, 58), d.between(64, 84)
    parts = [Part(stroke(arc(0, -tall, 14, d.between(10, 20), 12, 24), 6), DARK)]
    parts += [
        Part(
            stroke([(s * (wide - 8), -tall // 2), (s * (wide + 14), 0), (s * (wide - 4), tall - 8)], 9), DARK
        )
        for s in (1, -1)
    ]
    parts.append(
        Part(
            mirror(
                [(wide // 2, -tall), (wide - 6, -tall + 16), (wide, tall - 14), (wide - 10, tall), (0, tall)]
            ),
            MAIN,
        )
    )
    parts.append(Part(box(-wide + 10, 4, wide - 10, tall - 10), d.one_of((SHADE, LIGHT, TRIM))))
    parts.append(Part(box(-wide + 12, 8, wide - 12, 12), METAL))
    parts.append(Part(stroke([(-wide + 6, -16), (0, -tall // 2), (wide - 6, -16)], 4), SHADE))
    return parts


def wallet(d: Dice) -> list[Part]:
    """Return a wallet, closed or open."""
    wide, tall = d.between(58, 86), d.between(40, 62)
    parts = [Part(box(-wide, -tall, wide, tall), MAIN)]
    if d.chance(40):
        parts.append(Part(box(-2, -tall, 2, tall), SHADE))
        parts += (Part(box(10, y, wide - 8, y + 4), LIGHT) for y in range(-tall + 14, tall - 8, 18))
    else:
        parts.append(Part(stroke([(-wide, tall - 10), (wide, tall - 10)], 3), LIGHT))
        parts.append(Part(box(-wide, -tall, wide, -tall + 6), SHADE))
    if d.chance(40):
        parts.append(Part(box(wide // 2, tall // 3, wide * 3 // 4, tall * 2 // 3), d.one_of((METAL, TRIM))))
    if d.chance(30):
        parts.append(Part(box(wide - 4, -12, wide + 10, 12), SHADE))
    return parts


def clutch(d: Dice) -> list[Part]:
    """Return an evening bag: wide, with a flap and a clasp."""
    wide, tall = d.between(66, 92), d.between(34, 54)
    parts = [Part(mirror([(wide - 6, -tall), (wide, tall - 6), (wide - 8, tall), (0, tall)]), MAIN)]
    parts.append(
        Part(mirror([(wide - 6, -tall), (wide - 10, -4), (0, d.between(4, 22))]), d.one_of((LIGHT, SHADE)))
    )
    parts.append(Part(oval(0, 4, 8, 6), METAL))
    if d.chance(45):
        parts.append(Part(stroke(arc(0, -tall, wide - 16, d.between(24, 60), 12, 24), 3), METAL))
    return parts


def socks(d: Dice) -> list[Part]:
    """Return a pair of socks."""
    tall, turn = d.between(30, 96), d.between(34, 54)
    parts: list[Part] = []
    for dx, dy in ((d.between(18, 34), d.between(-14, 6)), (-14, 6)):
        sock = [
            (-20, -tall),
            (14, -tall),
            (16, 28),
            (turn, 52),
            (turn + 6, 68),
            (turn - 10, 76),
            (-6, 72),
            (-22, 44),
        ]
        moved = [(x + dx, y + dy) for x, y in sock]
        parts += [
            Part(moved, MAIN),
            Part(box(dx - 20, dy - tall, dx + 14, dy - tall + 12), d.one_of((SHADE, TRIM))),
        ]
        parts.append(Part(oval(dx + turn - 6, dy + 64, 13, 11), d.one_of((SHADE, TRIM, MAIN))))
        parts.append(Part([(dx - 22, dy + 44), (dx - 4, dy + 50), (dx - 6, dy + 72)], SHADE))
    return parts


def cap(d: Dice) -> list[Part]:
    """Return a cap with its peak."""
    rx, ry, reach = d.between(52, 64), d.between(50, 66), d.between(30, 52)
    dome = [*arc(-10, 20, rx, ry, 12, 24), (rx - 12, 28), (-rx - 8, 28)]
    peak = [(rx - 30, 14), (rx + reach - 10, 26), (rx + reach - 4, 38), (rx - 20, 36), (-20, 28)]
    parts = [Part(dome, MAIN), Part(peak, d.one_of((SHADE, TRIM, MAIN, DARK)))]
    parts += [Part(stroke([(-10, 20 - ry), (x, 24)], 3), SHADE) for x in (-36, 14)]
    parts.append(Part(oval(-10, 20 - ry, 6, 4), SHADE))
    if d.chance(60):
        parts.append(Part(oval(d.between(2, 22), -4, 12, 10), d.one_of((TRIM, PALE))))
    return parts


def tie(d: Dice) -> list[Part]:
    """Return a necktie."""
    wide = d.between(16, 26)
    knot = mirror([(14, -96), (9, -74), (0, -74)])
    blade = mirror([(8, -74), (wide, 66), (0, 96)])
    tail = [(-6, -70), (d.between(4, 24), -70), (d.between(16, 34), 58), (4, 66)]
    return [
        Part(tail, SHADE),
        Part(blade, MAIN),
        Part(knot, LIGHT),
        Part(stroke([(-10, -74), (10, -72)], 3), DARK),
    ]


def scarf(d: Dice) -> list[Part]:
    """Return a scarf: a loop and two ends with a fringe."""
    width, spread = d.between(18, 30), d.between(8, 34)
    parts = []
    for s, end in ((1, d.between(50, 92)), (-1, d.between(60, 96))):
        side = [(s * 14, -50), (s * (14 + width), -46), (s * (spread + width), end), (s * spread // 2, end)]
        parts.append(Part(side, MAIN if s > 0 else SHADE))
        low, high = sorted((s * spread // 2, s * (spread + width)))
        parts += (Part(box(x, end, x + 3, end + 12), MAIN) for x in range(low, high, 8))
    rx, ry = d.between(38, 52), d.between(24, 36)
    parts += [Part(oval(0, -54, rx, ry), MAIN), Part(oval(0, -64, rx - 20, ry - 16), DARK)]
    parts.append(Part(stroke(arc(0, -54, rx - 8, ry - 8, 1, 11), 3), SHADE))
    return parts


def muffler(d: Dice) -> list[Part]:
    """Return a folded muffler with bands and a fringe."""
    wide, tall = d.between(26, 42), d.between(70, 90)
    parts = [Part(box(-wide, -tall, wide, tall), MAIN), Part(box(-wide, -tall, -wide // 3, tall), SHADE)]
    parts += (Part(box(-wide, y, wide, y + 7), TRIM) for y in range(tall - 50, tall - 6, 16))
    parts += (Part(box(x, tall, x + 3, tall + 12), MAIN) for x in range(-wide, wide, 8))
    return parts


def glove(d: Dice) -> list[Part]:
    """Return a glove with its fingers up."""
    wide, reach = d.between(26, 34), d.between(34, 48)
    parts = [
        Part(stroke([(x, 0), (x + x // 4, -reach - lift)], 15), MAIN)
        for x, lift in ((-24, 26), (-8, 38), (9, 34), (25, 20))
    ]
    parts.append(Part(stroke([(wide - 6, 34), (wide + 22, 10), (wide + 28, -12)], 16), MAIN))
    parts.append(Part([(-wide - 4, -4), (wide + 4, -4), (wide, 50), (-wide, 50)], MAIN))
    parts.append(Part(box(-wide - 3, 48, wide + 3, d.between(66, 84)), d.one_of((SHADE, TRIM))))
    parts += (Part(stroke([(x, -2), (x, 20)], 3), SHADE) for x in (-14, 1, 16))
    return parts


def umbrella(d: Dice) -> list[Part]:
    """Return an open umbrella."""
    rx, ry = d.between(78, 96), d.between(50, 76)
    parts = [Part(box(-2, -10, 3, 76), METAL), Part(stroke(arc(10, 76, 9, 14, 0, 12), 6), DARK)]
    parts.append(Part([*arc(0, 0, rx, ry, 12, 24), (rx // 2, -9), (0, 0), (-rx // 2, -9)], MAIN))
    parts += (Part([(0, -ry), (s * rx // 2, -9), (s * rx // 6, -3)], SHADE) for s in (1, -1))
    parts.append(Part(box(-2, -ry - 10, 2, -ry), METAL))
    return parts
