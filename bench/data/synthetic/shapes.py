"""Outlines of goods from a table of primitives, one row per article type.

Coordinates are integers, about -100 to 100, y downwards; parts are listed from back to front.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.data.synthetic import raster
from bench.data.synthetic.random_stream import RandomStream
from bench.data.synthetic.raster import Part, Point, box, flip, mirror, oval, stroke
from bench.data.synthetic.topwear import TOPS, topwear

_LETTERS = {
    "B": raster.BACK, "M": raster.MAIN, "S": raster.SHADE, "L": raster.LIGHT, "T": raster.TRIM,
    "D": raster.DARK, "P": raster.PALE, "X": raster.METAL, "K": raster.SKIN,
}  # fmt: skip

_LEGS = "pair M 0 -80 33 -80 36 -52 42 84 14 84 1 -28; box S -31 -83 31 -74"
_HIPS = "profile/40 K -90 42 -30 46 30 48 95 40"
_SOCK = (
    "poly M {0} -62 {1} -62 {1} 32 {2} 64 {1} 80 {0} 76 {0} 48; box ST {0} -66 {1} -54; oval STM {1} 66 16 11"
)

PRIMITIVES: Mapping[str, str] = {
    "Sarees": "oval K 0 -94 13 18; profile T -70 12 -62 36 -8 28; profile M 0 28 20 34 98 46; "
    "poly S 30 -66 12 -66 -30 6 -34 34 6 10 40 -40; box T -46 88 46 98; line T 6 13 -66 -30 8",
    "Skirts": "pair/40 K 4 0 24 0 18 130 7 130; profile M -58 28 -30 38 50 56; box S -30 -64 30 -54; "
    "pair S 8 -40 12 -40 20 48 16 48",
    "Jeans": f"{_LEGS}; pair/80 L 18 10 32 10 34 50 20 50; pair L 12 -70 30 -60 30 -56 12 -66",
    "Trousers": f"{_LEGS}; pair/80 S 18 -66 21 -66 30 84 27 84",
    "Track Pants": f"{_LEGS}; pair/80 T 29 -70 35 -70 41 84 35 84",
    "Shorts": "pair/40 K 6 -40 30 -40 24 100 10 100; pair M 0 -60 36 -60 42 -30 52 30 8 30 1 -8; "
    "box S -35 -64 35 -54; line S 3 0 -54 0 -8",
    "Briefs": f"{_HIPS}; profile M -32 50 -8 48 34 12; box PTS -50 -42 50 -32; "
    "pair/70 S 10 -30 13 -30 8 28 5 28",
    "Trunk": f"{_HIPS}; pair M 0 -32 50 -32 54 28 10 32 0 18; box PTS -50 -42 50 -32",
    "Casual Shoes": "poly M -90 -30 -66 -36 -20 -34 30 0 80 14 94 28 94 42 -92 42; "
    "poly PDS -96 40 96 40 92 52 -92 52; line S 4 -66 -34 -40 -14 -20 -32; line/70 PT 5 -6 -24 24 -6",
    "Sports Shoes": "poly M -88 -46 -66 -34 -26 -44 24 -2 78 10 94 26 94 36 -92 36; "
    "poly P -96 32 96 32 98 48 88 56 -90 56; line T 8 -40 32 -10 -20; line T 8 -16 32 14 -8",
    "Formal Shoes": "poly M -90 -22 -62 -28 -16 -28 26 6 72 18 100 38 98 42 -92 42; line L 3 50 12 56 40; "
    "poly D -94 40 102 40 98 46 -50 46 -52 56 -92 56; poly D -64 -28 -18 -28 -40 -14",
    "Heels": "poly M -92 -34 -60 -40 -20 8 40 28 84 32 94 44 40 46 -24 30 -62 2; "
    "poly MD -92 -30 -72 -20 -80 62 -88 62; poly S -20 22 40 38 94 42 92 52 36 50",
    "Flats": "poly M -92 0 -76 -6 -50 16 10 22 40 10 90 26 98 40 -92 40; oval/60 TX 56 18 11 8; "
    "poly DS -94 38 100 38 94 46 -92 46",
    "Sandals": "poly DS -96 40 96 40 92 52 -92 52; line M 15 -78 40 -60 -16 -24 40; "
    "line M 14 -12 40 22 -2 62 40; line M 10 -56 -14 20 0",
    "Flip Flops": "poly MS -98 26 98 26 92 48 -92 48; line TM 11 -30 28 20 -2 56 28; box L -96 26 96 31",
    "Watches": "profile M -98 18 -20 26 20 26 98 18; box X 38 -5 50 5; oval XMT 0 0 42 42; "
    "oval PL 0 0 33 33; line D 4 0 0 -9 -24; line D 5 0 0 20 4",
    "Sunglasses": "pair MD 78 -18 92 -34 80 -38 74 -26; pair MDX 8 -20 30 -27 74 -24 82 0 66 26 30 28 10 10; "
    "pair DS 16 -14 32 -20 68 -17 74 0 62 19 34 20 17 8; line MD 7 -14 -10 0 -15 14 -10",
    "Belts": "oval M 0 0 80 54; oval B 0 0 58 34; box XT -88 -18 -52 18; box S -78 -8 -62 8",
    "Handbags": "line MD 8 -42 -20 -30 -70 30 -70 42 -20; profile M -24 54 40 70 60 64; "
    "profile S -24 54 -12 57; box/60 STL -38 4 38 44; oval/60 X 0 -2 7 7",
    "Backpacks": "line D 6 -14 -72 -8 -88 8 -88 14 -72; pair D 42 -34 62 0 54 64 40 60; "
    "profile M -76 26 -58 46 60 52 76 42; box X -38 8 38 12; box SLT -40 12 40 62",
    "Wallets": "box M -72 -50 72 50; box S -72 -50 72 -42; line L 3 -70 38 70 38; box/40 XT 36 16 56 32; "
    "box/40 S -2 -48 2 48",
    "Clutches": "line/45 X 3 -66 -40 -40 -80 40 -80 66 -40; profile M -42 76 36 82 42 74; "
    "profile LS -42 76 -4 70 14 0; oval X 0 8 8 6",
    "Socks": f"{_SOCK.format(4, 38, 72)}; {_SOCK.format(-44, -10, 24)}",
    "Caps": "profile M -40 16 -32 40 -6 60 26 64; poly STM 20 14 70 22 98 38 60 40 -10 30; "
    "line S 3 0 -38 -24 24; oval S 0 -40 7 5; oval/60 TP 10 -6 13 10",
    "Ties": "poly S -6 -70 14 -70 26 58 4 66; profile M -74 8 66 21 96 0; profile L -96 14 -74 9",
    "Scarves": "poly S -14 -50 -40 -46 -46 84 -14 84; poly M 14 -50 40 -46 46 70 10 70; oval M 0 -54 46 30; "
    "oval D 0 -64 24 14; box/60 T 10 56 45 62",
    "Mufflers": "box M -34 -80 34 84; box S -34 -80 -12 84; box T -34 44 34 51; box T -34 60 34 67",
    "Gloves": "line M 15 -24 0 -30 -64; line M 15 -8 0 -10 -78; line M 15 9 0 11 -74; line M 15 25 0 31 -58; "
    "line M 16 24 34 50 10 58 -12; profile M -4 34 52 30; box ST -33 50 33 74",
    "Umbrellas": "box X -2 -10 3 80; line D 6 1 76 6 90 18 88 22 74; profile M -64 10 -54 42 -34 70 2 90; "
    "pair S 0 -62 26 0 44 0 8 -62; box X -2 -76 2 -62",
}
"""Primitives of each type: a form, or form/percent where not all goods have it, the letters of the materials
that it may have, and numbers: poly and pair (with its mirror image) x y ..., profile y and half width ...,
line width x y ..., oval x y and radii, box left top right bottom."""


def _polygons(form: str, numbers: Sequence[int]) -> list[list[Point]]:
    """Return the polygons of one primitive."""
    if form == "box":
        left, top, right, bottom = numbers
        return [box(left, top, right, bottom)]
    if form == "oval":
        x, y, rx, ry = numbers
        return [oval(x, y, rx, ry)]
    if form == "line":
        return [stroke(list(zip(numbers[1::2], numbers[2::2], strict=True)), numbers[0])]
    points = list(zip(numbers[0::2], numbers[1::2], strict=True))
    if form == "profile":
        return [mirror([(half, y) for y, half in points])]
    return [points, flip(points)] if form == "pair" else [points]


def outline_of(s: RandomStream, name: str) -> list[Part]:
    """Return the parts of one piece of goods; measures differ from piece to piece."""
    if name in TOPS:
        return topwear(s, TOPS[name])
    parts = []
    for text in PRIMITIVES[name].split(";"):
        head, letters, *words = text.split()
        numbers = [int(word) for word in words]
        room = [min(5, 1 + abs(number) // 10) for number in numbers]
        numbers = [number + s.integer(-r, r) for number, r in zip(numbers, room, strict=True)]
        form, _, percent = head.partition("/")
        material = _LETTERS[s.choice(letters)]
        if s.chance(int(percent or 100)):
            parts += [Part(polygon, material) for polygon in _polygons(form, numbers)]
    return parts
