"""What the parts of a drawing are made of: numbers that the picture turns into colours."""

from __future__ import annotations

BACK = 0  # what is behind the garment
MAIN = 1  # the garment's own colour; patterns lie on it
SHADE = 2  # the same, darker
LIGHT = 3  # the same, paler
TRIM = 4  # a second colour
DARK = 5
PALE = 6
METAL = 7
SKIN = 8
HAIR = 9
OTHER = 10  # clothes of the person that are not for sale
CLUTTER = 11  # and the two after it
FIGURE = frozenset({SKIN, HAIR, OTHER})
COUNT = 14
