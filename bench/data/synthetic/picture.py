"""Images of goods: an outline in a pose, colours and a pattern, a background, light and noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.data.synthetic import raster
from bench.data.synthetic.colours import RGB, Colour, mix
from bench.data.synthetic.random_stream import RandomStream
from bench.data.synthetic.raster import SUB, Part, box, cover, oval

SIDE = 64
"""Pixels of an image's side."""

CANVAS = 2 * SIDE
"""Pixels of the side of the canvas: every pixel of an image is the mean of four."""

BLACK, WHITE = (14, 14, 18), (252, 250, 246)


class Look(NamedTuple):
    """Colours of goods, and the pattern in the colour of the ink.

    pattern: solid or plain, striped, checked, printed or dotted. period: of the pattern in canvas pixels.
    two: the lower half has the other colour.
    """

    main: Colour
    other: Colour
    ink: Colour
    pattern: str
    period: int
    two: bool = False


def random_look(s: RandomStream, colour: str, pattern: str) -> Look:
    """Return colours for goods of a colour that is a name in `RGB` or "Multi"."""
    main = RGB[s.choice(tuple(RGB)) if colour == "Multi" else colour]
    other = RGB[s.choice(tuple(RGB))]
    ink = mix(main, other if s.chance(60) else contrast(main), s.integer(35, 90))
    return Look(main, other, ink, pattern, s.integer(5, 16))


def draw(s: RandomStream, goods: Sequence[Part], look: Look, at_home: bool) -> np.ndarray:
    """Return an image, (SIDE, SIDE, 3) uint8 RGB.

    at_home: in the clutter of a home, often with something before the goods, not in a catalogue.
    """
    level = s.integer(200, 255)
    tinted = (s.integer(170, 250), s.integer(170, 250), s.integer(170, 250))
    back = tinted if s.chance(70 if at_home else 7) else (level, level, level)
    clutter, pieces, hidden = (92, 9, 24) if at_home else (6, 5, 6)
    behind = _blocks(s, s.integer(1, pieces), 34) if s.chance(clutter) else []
    before = _blocks(s, 1, 46) if s.chance(hidden) else []
    parts = (*behind, *goods, *before)
    corners = [np.array(part.points, np.int64) * SUB for part in parts]
    corners[len(behind) : len(behind) + len(goods)] = _posed(s, goods)
    material = np.array([raster.BACK, *(part.material for part in parts)], np.uint8)[cover(corners, CANVAS)]
    cloth = material == raster.MAIN
    if look.two:
        material[cloth & (np.arange(CANVAS)[:, None] > CANVAS // 2)] = raster.TRIM
    if look.pattern not in ("solid", "plain"):
        material[cloth & _pattern(s, look.pattern, look.period)] = raster.PATTERN
    small = halve(_palette(s, look, back).take(material, axis=0))
    if s.chance(15):  # a coarse photo
        small = halve(small).repeat(2, axis=0).repeat(2, axis=1)
    y, x = np.indices((SIDE, SIDE), np.int32) - SIDE // 2
    gain = s.integer(225, 268) + (s.integer(-1, 1) * x >> 1) + (s.integer(-1, 1) * y >> 1)
    return add_noise(s, small * gain[:, :, None] >> 8, s.integer(0, 18))


def contrast(colour: Colour) -> Colour:
    """Return black for a pale colour and white for a dark one."""
    return BLACK if sum(colour) > 384 else WHITE


def _blocks(s: RandomStream, count: int, size: int) -> list[Part]:
    """Return ovals and boxes of other colours, anywhere on the canvas."""
    parts = []
    for k in range(count):
        x, y, wide, high = s.integer(0, CANVAS), s.integer(0, CANVAS), s.integer(6, size), s.integer(6, size)
        outline = oval(x, y, wide, high) if s.chance(40) else box(x - wide, y - high, x + wide, y + high)
        parts.append(Part(outline, raster.CLUTTER + k % 2))
    return parts


def _posed(s: RandomStream, parts: Sequence[Part]) -> list[np.ndarray]:
    """Return the corners on the canvas, (n, 2) in fixed point: scaled, rotated, sheared, moved, mirrored."""
    corners = [np.array(part.points, np.int64) for part in parts]
    person = (raster.SKIN, raster.OTHER)  # may be cut off by the frame
    own = [c for c, part in zip(corners, parts, strict=True) if part.material not in person]
    low, high = np.concatenate(own).min(axis=0), np.concatenate(own).max(axis=0)
    # A product photo fills its frame; some of the true size is left as a clue.
    scale = CANVAS * SUB * s.integer(84, 94) * 10 // (int((high - low).max()) * 2 // 3 + 60)
    wide, tall = scale * s.integer(92, 108) // 100, scale * s.integer(92, 108) // 100
    tilt = s.integer(-35, 35) if s.chance(90) else s.integer(-160, 160)
    shear, turned = s.integer(-40, 40) - tilt, -1 if s.chance(3) else 1
    matrix = np.array([[turned * wide, wide * tilt // 1000], [tall * shear // 1000 * turned, tall]], np.int64)
    shift = np.array([s.integer(-20, 20), s.integer(-20, 20)], np.int64) + CANVAS * SUB // 2
    return [(corner - (low + high) // 2) @ matrix // 1000 + shift for corner in corners]


def _palette(s: RandomStream, look: Look, back: Colour) -> np.ndarray:
    """Return the colour of every material, (materials, 3) int16."""
    red, green, blue = (min(255, max(0, level + s.integer(-14, 14))) for level in look.main)
    main = (red, green, blue)
    colours = {
        raster.BACK: back, raster.MAIN: main, raster.TRIM: look.other, raster.PATTERN: look.ink,
        raster.SHADE: mix(main, BLACK if sum(main) > 120 else WHITE, s.integer(16, 38)),
        raster.LIGHT: mix(main, contrast(main), s.integer(10, 35)),
        raster.DARK: (s.integer(10, 60),) * 3, raster.PALE: (s.integer(215, 255),) * 3,
        raster.METAL: s.choice(((178, 182, 188), (205, 172, 92), (120, 122, 128))),
        raster.SKIN: s.choice(((238, 205, 180), (214, 168, 134), (168, 118, 84), (118, 80, 58))),
        raster.OTHER: RGB[s.choice(("Blue", "Black", "Navy Blue", "White", "Grey", "Khaki"))],
        raster.CLUTTER: mix(back, RGB[s.choice(tuple(RGB))], s.integer(20, 75)),
        raster.CLUTTER_2: mix(back, RGB[s.choice(tuple(RGB))], s.integer(15, 60)),
    }  # fmt: skip
    return np.array([colours[number] for number in range(len(colours))], np.int16)


def _pattern(s: RandomStream, name: str, period: int) -> np.ndarray:
    """Return where a striped, checked, printed or dotted pattern has its colour, (CANVAS, CANVAS) bool."""
    y, x = np.indices((CANVAS, CANVAS), np.int32)
    slant = s.integer(-3, 3)
    u, v = x + (y * slant >> 4), y - (x * slant >> 4)
    thick = max(2, period * s.integer(30, 50) // 100)
    across, along = u % period < thick, v % period < thick
    if name == "striped":
        return across if s.chance(40) else along
    if name == "checked":
        return across | along if s.chance(50) else across ^ along
    spots: np.ndarray = along & ((u + v // period % 2 * (period // 2)) % period < thick + 1)
    return spots


def halve(picture: np.ndarray) -> np.ndarray:
    """Return the picture at half its size, (h, w, 3) int16 to (h / 2, w / 2, 3) int16."""
    rows = picture[0::2] + picture[1::2]
    small: np.ndarray = (rows[:, 0::2] + rows[:, 1::2]) >> 2
    return small


def add_noise(s: RandomStream, picture: np.ndarray, strength: int) -> np.ndarray:
    """Return the picture with noise as bytes; strength is its standard deviation in 1/2.5 levels."""
    noise = np.frombuffer(s.noise(2 * picture.size), np.uint8).astype(np.int32)
    grain = (noise[: picture.size] + noise[picture.size :] - 255) * strength >> 8
    noisy: np.ndarray = np.clip(picture + grain.reshape(picture.shape), 0, 255).astype(np.uint8)
    return noisy
