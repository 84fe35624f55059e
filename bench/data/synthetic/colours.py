"""Colours by the names of the Kaggle set, and how frequent they are in each kind of goods."""

from __future__ import annotations

from collections.abc import Mapping

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""

RGB: Mapping[str, Colour] = {
    "Black": (34, 34, 38), "White": (240, 240, 238), "Blue": (62, 104, 178), "Navy Blue": (34, 44, 88),
    "Grey": (142, 144, 148), "Red": (190, 42, 48), "Brown": (104, 68, 44), "Green": (58, 130, 72),
    "Purple": (112, 66, 138), "Pink": (232, 138, 170), "Beige": (216, 196, 160), "Maroon": (112, 28, 44),
    "Yellow": (236, 204, 70), "Olive": (112, 112, 58), "Silver": (190, 194, 200), "Steel": (160, 166, 176),
    "Orange": (230, 126, 48), "Cream": (242, 230, 202), "Gold": (204, 168, 84), "Tan": (188, 142, 94),
    "Khaki": (176, 160, 116), "Turquoise Blue": (64, 176, 186),
}  # fmt: skip

CLOTHES: Mapping[str, int] = {
    "Black": 16, "Blue": 16, "White": 15, "Grey": 10, "Red": 9, "Green": 8, "Navy Blue": 8, "Purple": 6,
    "Pink": 5, "Maroon": 3, "Yellow": 3, "Brown": 3, "Beige": 3, "Orange": 2, "Cream": 2, "Olive": 2,
    "Turquoise Blue": 1, "Khaki": 1, "Multi": 1,
}  # fmt: skip
MENSWEAR: Mapping[str, int] = {
    "Blue": 20, "Black": 16, "White": 16, "Grey": 14, "Navy Blue": 11, "Green": 8, "Red": 6, "Olive": 3,
    "Maroon": 2, "Yellow": 2, "Khaki": 2,
}  # fmt: skip
WOMENSWEAR: Mapping[str, int] = {
    "Pink": 18, "Black": 14, "Purple": 13, "White": 13, "Red": 12, "Turquoise Blue": 7, "Orange": 5,
    "Blue": 5, "Green": 4, "Beige": 4, "Yellow": 3, "Multi": 2,
}  # fmt: skip
LEATHER: Mapping[str, int] = {
    "Black": 38, "Brown": 28, "Tan": 8, "Beige": 6, "White": 4, "Red": 4, "Maroon": 3, "Blue": 3, "Grey": 3,
    "Green": 2, "Purple": 1,
}  # fmt: skip
SHOES: Mapping[str, int] = {
    "Black": 30, "Brown": 22, "White": 8, "Blue": 9, "Grey": 9, "Navy Blue": 6, "Red": 5, "Beige": 4,
    "Green": 3, "Tan": 2,
}  # fmt: skip
METALS: Mapping[str, int] = {
    "Black": 36, "Steel": 19, "White": 14, "Silver": 10, "Brown": 8, "Gold": 5, "Blue": 4, "Pink": 4,
}  # fmt: skip


def mix(colour: Colour, other: Colour, percent: int) -> Colour:
    """Return the colour with `percent` of the other one mixed in."""
    red, green, blue = (
        (a * (100 - percent) + b * percent) // 100 for a, b in zip(colour, other, strict=True)
    )
    return red, green, blue
