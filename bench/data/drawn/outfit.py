"""One garment whose attributes are given, to pixels: what is said of it is what can be seen."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from bench.data.drawn import materials
from bench.data.drawn.colours import RGB, mixed
from bench.data.drawn.dice import Dice
from bench.data.drawn.drawing import CANVAS, SIDE

if TYPE_CHECKING:
    import numpy as np

    from bench.data.drawn.apparel import Cut

SLEEVES: Mapping[str, Mapping[int, int]] = {"none": {0: 1}, "short": {20: 30, 34: 70}, "long": {100: 1}}
"""Length of the arms' cover in the units of `apparel`, by how often it is drawn."""

DEEP = ("Black", "Navy Blue", "Brown", "Maroon", "Purple", "Green")
FAIR = ("White", "Silver", "Pink", "Beige", "Yellow", "Cream", "Khaki", "Orange")

_LIGHT = (250, 248, 244)
_INK = (18, 18, 24)


@dataclass(frozen=True)
class Outfit:
    """All that the pixels depend on.

    sleeves: one of SLEEVES. pattern: plain, striped or dotted. two: the lower half has another colour.
    version, key: where the dice start.
    """

    sleeves: str
    dark: bool
    pattern: str
    two: bool
    collar: bool
    long: bool
    version: int
    key: str

    @property
    def content_hash(self) -> str:
        """The sha256 of the description: two images with equal hashes are the same drawing."""
        return hashlib.sha256(repr(astuple(self)).encode("utf-8")).hexdigest()


@dataclass(frozen=True)
class OutfitImages:
    """Draws image i whenever it is asked for; nothing is kept, so any thread may read."""

    outfits: tuple[Outfit, ...]

    def read(self, index: int) -> np.ndarray:
        """Return the picture, (SIDE, SIDE, 3) uint8 RGB."""
        return render(self.outfits[index])

    def content_hashes(self) -> tuple[str, ...]:
        """Return one hash per image, from its description: nothing is drawn."""
        return tuple(outfit.content_hash for outfit in self.outfits)


def render(outfit: Outfit) -> np.ndarray:
    """Return the picture, (SIDE, SIDE, 3) uint8 RGB, in whole-number arithmetic alone."""
    import numpy as np

    from bench.data.drawn.apparel import topwear
    from bench.data.drawn.picture import halved
    from bench.data.drawn.raster import SUB, cover

    d = Dice("outfit picture", *astuple(outfit))
    parts = topwear(d, _cut(outfit))
    material = np.array([materials.BACK, *(part.material for part in parts)], np.uint8)
    wide, tall = d.between(490, 570), d.between(490, 560)
    lean, right, top = d.between(-40, 40), d.between(-5, 5), d.between(18, 30)
    matrix = np.array([[wide, lean], [lean, tall]], np.int64)
    # In thousandths of a pixel per unit; the shoulders, at -64, come to the same height in every picture.
    shift = np.array([(CANVAS // 2 + right) * 1000, top * 1000 + 64 * tall], np.int64)
    corners = [(np.array(part.points, np.int64) @ matrix + shift) * SUB // 1000 for part in parts]
    kinds = material[cover(corners, CANVAS)]
    y, x = np.indices((CANVAS, CANVAS), np.int32)
    if outfit.two:
        waist = top + d.between(30, 38)
        kinds = np.where((kinds == materials.MAIN) & (y > waist), materials.TRIM, kinds)
    if outfit.pattern != "plain":
        cloth = (kinds == materials.MAIN) | (kinds == materials.TRIM)
        kinds = np.where(cloth & _pattern(d, outfit.pattern, x, y), materials.COUNT, kinds)
    canvas = _palette(d, outfit).take(kinds, axis=0)
    small = halved(canvas)
    lit = small.astype(np.int32) * d.between(225, 265) >> 8
    noise = np.frombuffer(d.noise(SIDE * SIDE * 3), np.uint8).astype(np.int32)
    grain = (noise.reshape(small.shape) - 128) * d.between(0, 26) >> 8
    picture: np.ndarray = np.clip(lit + grain, 0, 255).astype(np.uint8)
    return picture


def _cut(outfit: Outfit) -> Cut:
    """Return how the garment is cut: what the outfit does not say is left to the dice."""
    from bench.data.drawn.apparel import Cut

    return Cut(
        sleeves=SLEEVES[outfit.sleeves],
        hem=(88, 104) if outfit.long else (40, 58),
        shoulder=(36, 46),
        waist=(72, 92) if outfit.long else (84, 98),
        flare=(108, 160) if outfit.long else (86, 106),
        necks={"collar": 1} if outfit.collar else {"round": 50, "vee": 30, "wide": 20},
        fronts={"buttons": 80, "half": 20} if outfit.collar else {"plain": 80, "pocket": 20},
        worn=25,
        legs="bare" if outfit.long else "trousers",
    )


def _pattern(d: Dice, name: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return (CANVAS, CANVAS) bool: where the pattern's colour covers the garment's."""
    period = d.between(9, 15)
    if name == "striped":
        place = y if d.chance(70) else x
        return (place + d.between(0, period)) % period < period * 2 // 5
    odd = y // period % 2 * (period // 2)
    size = period * 9 // 20
    spots: np.ndarray = ((x + odd) % period < size) & (y % period < size)
    return spots


def _palette(d: Dice, outfit: Outfit) -> np.ndarray:
    """Return (materials + 1, 3) int16: a colour for each material and, last, for the pattern."""
    import numpy as np

    names = DEEP if outfit.dark else FAIR
    main, other = d.one_of(names), d.one_of(names)
    if other == main:
        other = names[(names.index(main) + 1) % len(names)]
    shift = [d.between(-12, 12) for _ in range(3)]
    level = d.between(150, 235)
    back = [level + d.between(-12, 12) for _ in range(3)]
    red, green, blue = (min(255, max(0, value + move)) for value, move in zip(RGB[main], shift, strict=True))
    own = (red, green, blue)
    far = _LIGHT if outfit.dark else _INK
    colours = {
        materials.BACK: back,
        materials.MAIN: own,
        materials.SHADE: mixed(own, _INK if not outfit.dark else _LIGHT, 22),
        materials.LIGHT: mixed(own, far, 45),
        materials.TRIM: list(RGB[other]),
        materials.DARK: [d.between(10, 60)] * 3,
        materials.PALE: [d.between(215, 255)] * 3,
        materials.METAL: [178, 182, 188],
        materials.SKIN: d.one_of(([238, 205, 180], [214, 168, 134], [168, 118, 84], [118, 80, 58])),
        materials.HAIR: [62, 42, 28],
        materials.OTHER: list(RGB[d.one_of(("Blue", "Grey", "Navy Blue", "Khaki"))]),
        materials.COUNT: mixed(own, far, d.between(65, 95)),
    }
    return np.array([colours.get(kind, back) for kind in range(materials.COUNT + 1)], np.int16)
