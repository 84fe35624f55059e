"""One garment to pixels: its outline, a pose, colours and patterns, a background, and what spoils a photo."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from bench.data.drawn import accessories, apparel, footwear, materials
from bench.data.drawn.colours import RGB, Colour, mixed
from bench.data.drawn.dice import Dice
from bench.data.drawn.drawing import CANVAS, SIDE, Drawing
from bench.data.drawn.raster import SUB, Part, box, cover, oval

SHAPES: Mapping[str, Callable[[Dice], list[Part]]] = {
    "Tshirts": lambda d: apparel.topwear(d, apparel.CUTS["Tshirts"]),
    "Shirts": lambda d: apparel.topwear(d, apparel.CUTS["Shirts"]),
    "Tops": lambda d: apparel.topwear(d, apparel.CUTS["Tops"]),
    "Kurtas": lambda d: apparel.topwear(d, apparel.CUTS["Kurtas"]),
    "Dresses": lambda d: apparel.topwear(d, apparel.CUTS["Dresses"]),
    "Sweatshirts": lambda d: apparel.topwear(d, apparel.CUTS["Sweatshirts"]),
    "Sarees": apparel.saree,
    "Skirts": apparel.skirt,
    "Jeans": lambda d: apparel.trousers(d, "Jeans"),
    "Trousers": lambda d: apparel.trousers(d, "Trousers"),
    "Track Pants": lambda d: apparel.trousers(d, "Track Pants"),
    "Shorts": lambda d: apparel.trousers(d, "Shorts"),
    "Briefs": lambda d: apparel.briefs(d, (0, 45)),
    "Trunk": lambda d: apparel.briefs(d, (35, 100)),
    "Casual Shoes": lambda d: footwear.shoe(d, footwear.LASTS["Casual Shoes"]),
    "Sports Shoes": lambda d: footwear.shoe(d, footwear.LASTS["Sports Shoes"]),
    "Formal Shoes": lambda d: footwear.shoe(d, footwear.LASTS["Formal Shoes"]),
    "Heels": footwear.heel,
    "Flats": footwear.flat,
    "Sandals": footwear.sandal,
    "Flip Flops": footwear.flip_flop,
    "Watches": accessories.watch,
    "Sunglasses": accessories.sunglasses,
    "Belts": accessories.belt,
    "Handbags": accessories.handbag,
    "Backpacks": accessories.backpack,
    "Wallets": accessories.wallet,
    "Clutches": accessories.clutch,
    "Socks": accessories.socks,
    "Caps": accessories.cap,
    "Ties": accessories.tie,
    "Scarves": accessories.scarf,
    "Mufflers": accessories.muffler,
    "Gloves": accessories.glove,
    "Umbrellas": accessories.umbrella,
}


def render(drawing: Drawing, at_home: bool = False) -> np.ndarray:
    """Return the picture, (SIDE, SIDE, 3) uint8 RGB: of a catalogue, or among the clutter of a home."""
    d = Dice("picture", *drawing.parts)
    back = _background(d, {"white": 8, "grey": 22, "tinted": 70} if at_home else _CATALOGUE)
    behind = _clutter(d, 92 if at_home else 6, 9 if at_home else 5)
    garment = SHAPES[drawing.shape](d)
    before = _occlusion(d, 24 if at_home else 6)
    polygons = [_points(part) for part in behind]
    polygons += _posed(d, garment)
    polygons += [_points(part) for part in before]
    material = np.array([materials.BACK, *(part.material for part in (*behind, *garment, *before))], np.uint8)
    kinds = material[cover(polygons, CANVAS)]
    palette = _palette(d, drawing.colour, back)
    if drawing.pattern != "solid":
        kinds = np.where((kinds == materials.MAIN) & _pattern(d, drawing.pattern), materials.COUNT, kinds)
    return _spoiled(d, palette.take(kinds, axis=0))


_CATALOGUE = {"white": 76, "grey": 17, "tinted": 7}


def _background(d: Dice, styles: Mapping[str, int]) -> Colour:
    """Return the background's colour, of a style by its share of a hundred."""
    style = d.pick(styles)
    if style == "white":
        level = d.between(236, 255)
        return level, level, level
    if style == "grey":
        level = d.between(200, 238)
        return level, level, level + d.between(-6, 6)
    return d.between(170, 250), d.between(170, 250), d.between(170, 250)


def _clutter(d: Dice, percent: int, most: int) -> list[Part]:
    """Return what stands about behind the garment, in so many percent of the pictures."""
    if not d.chance(percent):
        return []
    parts = []
    for k in range(d.between(1, most)):
        x, y, size = d.between(0, CANVAS), d.between(0, CANVAS), d.between(6, 34)
        shape = (
            oval(x, y, size, d.between(6, 34))
            if d.chance(40)
            else box(x - size, y - d.between(4, 40), x + size, y)
        )
        parts.append(Part(shape, materials.CLUTTER + k % 3))
    return parts


def _occlusion(d: Dice, percent: int) -> list[Part]:
    """Return what hides a part of the garment, in so many percent of the pictures."""
    if not d.chance(percent):
        return []
    x, y = d.between(0, CANVAS), d.between(0, CANVAS)
    long, wide = d.between(14, 60), d.between(6, 22)
    shape = (
        box(x - wide, y - long, x + wide, y + long)
        if d.chance(50)
        else box(x - long, y - wide, x + long, y + wide)
    )
    return [Part(shape, d.one_of((materials.CLUTTER, materials.CLUTTER + 1, materials.BACK)))]


def _points(part: Part) -> np.ndarray:
    """Return the corners of a part given in canvas pixels, as (n, 2) fixed-point numbers."""
    return np.array(part.points, np.int64) * SUB


def _posed(d: Dice, parts: Sequence[Part]) -> list[np.ndarray]:
    """Return the corners on the canvas in fixed-point numbers: scaled, tilted, sheared, moved, turned."""
    corners = [np.array(part.points, np.int64) for part in parts]
    own = np.concatenate(
        [c for c, part in zip(corners, parts, strict=True) if part.material not in materials.FIGURE]
    )
    low, high = own.min(axis=0), own.max(axis=0)
    # A product photo fills its frame; a bit of the true size is left as a clue.
    reach = int((high - low).max()) * 2 // 3 + 60
    scale = CANVAS * SUB * d.between(84, 94) * 10 // reach
    wide, tall = scale * d.between(94, 106) // 100, scale * d.between(94, 106) // 100
    tilt = d.between(-35, 35) if d.chance(90) else d.between(-160, 160)
    shear = d.between(-40, 40)
    turned = -1 if d.chance(3) else 1
    matrix = np.array(
        [[turned * wide, wide * tilt // 1000], [tall * (shear - tilt) // 1000 * turned, tall]], np.int64
    )
    shift = np.array(
        [CANVAS * SUB // 2 + d.between(-20, 20), CANVAS * SUB // 2 + d.between(-20, 20)], np.int64
    )
    centre = (low + high) // 2
    return [(corner - centre) @ matrix // 1000 + shift for corner in corners]


def _palette(d: Dice, name: str, back: Colour) -> np.ndarray:
    """Return (materials + 1, 3) int16: a colour for each material and, last, for the pattern."""
    base = RGB[d.one_of(tuple(RGB)) if name == "Multi" else name]
    red, green, blue = (min(255, max(0, level + d.between(-14, 14))) for level in base)
    main = (red, green, blue)
    black, white = (12, 12, 14), (252, 252, 250)
    pale = sum(main) > 500
    other = RGB[d.one_of(tuple(RGB))]
    colours = {
        materials.BACK: back,
        materials.MAIN: main,
        materials.SHADE: mixed(main, black, d.between(16, 38)) if sum(main) > 120 else mixed(main, white, 18),
        materials.LIGHT: mixed(main, white, d.between(15, 35)) if not pale else mixed(main, black, 10),
        materials.TRIM: other,
        materials.DARK: (d.between(10, 60),) * 3,
        materials.PALE: (d.between(215, 255),) * 3,
        materials.METAL: d.one_of(((178, 182, 188), (205, 172, 92), (120, 122, 128))),
        materials.SKIN: d.one_of(((238, 205, 180), (214, 168, 134), (168, 118, 84), (118, 80, 58))),
        materials.HAIR: d.one_of(((30, 22, 18), (62, 42, 28), (112, 76, 42))),
        materials.OTHER: RGB[d.one_of(("Blue", "Black", "Navy Blue", "White", "Grey", "Khaki"))],
        materials.CLUTTER: mixed(back, RGB[d.one_of(tuple(RGB))], d.between(20, 75)),
        materials.CLUTTER + 1: mixed(back, RGB[d.one_of(tuple(RGB))], d.between(15, 60)),
        materials.CLUTTER + 2: mixed(back, black, d.between(8, 30)),
        materials.COUNT: mixed(
            main, other if d.chance(60) else (white if not pale else black), d.between(35, 90)
        ),
    }
    return np.array([colours[kind] for kind in range(materials.COUNT + 1)], np.int16)


def _pattern(d: Dice, name: str) -> np.ndarray:
    """Return (CANVAS, CANVAS) bool: where the pattern's colour covers the garment's."""
    y, x = np.indices((CANVAS, CANVAS), np.int32)
    slant = d.between(-3, 3)
    u, v = x + (y * slant >> 4), y - (x * slant >> 4)
    period = d.between(5, 16)
    thick = max(2, period * d.between(25, 50) // 100)
    across, along = u % period < thick, v % period < thick
    if name == "striped":
        return across if d.chance(45) else along
    if name == "checked":
        return across | along if d.chance(50) else across ^ along
    odd = v // period % 2 * (period // 2)
    spots: np.ndarray = ((u + odd) % period < thick + 1) & (v % period < thick + 1)
    return spots


def halved(picture: np.ndarray) -> np.ndarray:
    """Return the picture at half its size, (h, w, 3) int16 to (h / 2, w / 2, 3) int16."""
    rows = picture[0::2] + picture[1::2]
    small: np.ndarray = (rows[:, 0::2] + rows[:, 1::2]) >> 2
    return small


def _spoiled(d: Dice, canvas: np.ndarray) -> np.ndarray:
    """Return the picture at its size, with uneven light, at times coarse, and with noise."""
    small = halved(canvas)
    if d.chance(15):
        small = halved(small).repeat(2, axis=0).repeat(2, axis=1)
    y, x = np.indices((SIDE, SIDE), np.int32)
    right, down = d.between(-1, 1), d.between(-1, 1)
    gain = d.between(225, 268) + (right * (x - SIDE // 2) >> 1) + (down * (y - SIDE // 2) >> 1)
    light = small * gain[:, :, None] >> 8  # int32: the gain is
    # Two bytes added give a triangle of a spread of 104: scaled to the noise's own spread in eighths.
    count = SIDE * SIDE * 3
    bytes_ = np.frombuffer(d.noise(2 * count), np.uint8).astype(np.int32)
    grain = (bytes_[:count] + bytes_[count:] - 255) * d.between(0, 18) >> 8
    picture: np.ndarray = np.clip(light + grain.reshape(small.shape), 0, 255).astype(np.uint8)
    return picture
