"""The embedded faces sample: people drawn by code, each on several photos, under made-up names."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.data.drawn.dice import Dice
from bench.data.drawn.face_person import Portrait, roll_person, roll_shot
from bench.data.examples import Examples
from bench.errors import DataError, unknown

if TYPE_CHECKING:
    import numpy as np

FACES_VERSION = 1
"""Bumped when the same size and seed would no longer give the same rows and pixels."""

SIZES: Mapping[str, tuple[int, int]] = {"tiny": (20, 4), "small": (80, 8)}
"""The sample's sizes: people, and photos of each."""

PERSON = "person"
NUMBER = "number"

AWKWARD = ("Zoë_O'Dell", "Noa_van_der_Lek", "Sasha_Núñez-Holt")
"""Names that are there in every sample: names are hostile text."""

_FIRST = (
    "Alex", "Ari", "Bela", "Bo", "Charlie", "Dale", "Dara", "Eden", "Ellis", "Emery", "Finley", "Gale",
    "Harper", "Indra", "Jamie", "Jo", "Jules", "Kai", "Kerry", "Kim", "Lee", "Lou", "Luca", "Maxime", "Mika",
    "Morgan", "Nico", "Nikita", "Pat", "Quinn", "Ravi", "Remy", "Robin", "Rowan", "Sam", "Shay", "Sky",
    "Sunny", "Tal", "Toni", "Val", "Wren", "Yael", "Yuri",
)  # fmt: skip
_LAST_STARTS = (
    "Alder", "Ash", "Birken", "Bram", "Brook", "Clover", "Dorn", "Elder", "Fern", "Gorse", "Hazel", "Heather",
    "Linden", "Marl", "Moss", "Oaken", "Penn", "Reed", "Rush", "Sedge", "Sorrel", "Thorn", "Willow", "Yarrow",
)  # fmt: skip
_LAST_ENDS = ("by", "dale", "field", "gate", "ham", "ley", "mere", "more", "stead", "ton", "well", "wick")


@dataclass(frozen=True)
class FaceImages:
    """Draws photo i whenever it is asked for; nothing is kept, so any thread may read."""

    portraits: tuple[Portrait, ...]

    def read(self, index: int) -> np.ndarray:
        """Return the picture, (96, 96, 3) uint8 RGB."""
        from bench.data.drawn.face_picture import render

        return render(self.portraits[index])

    def content_hashes(self) -> tuple[str, ...]:
        """Return one hash per image, from its description: nothing is drawn."""
        return tuple(portrait.content_hash for portrait in self.portraits)


def draw_faces(size: str, seed: int = 0) -> Examples:
    """Return the sample `tiny` or `small`; no pixel is drawn before it is read.

    Rows are sorted by person, then by photo, and a person's name is as a folder of photos would be called.
    What a person looks like is rolled once and shared by his photos; pose, light, expression, crop, blur,
    clothes and background are rolled for each photo. Raises BenchError for an unknown size.
    """
    if size not in SIZES:
        raise unknown("sample", size, SIZES, f"known: {', '.join(SIZES)}")
    people, photos = SIZES[size]
    items, persons, numbers, portraits = [], [], [], []
    for name in sorted(_names(Dice("names", FACES_VERSION, size, seed), people)):
        key = f"{size}/{seed}/{name}"
        person = roll_person(Dice("person", FACES_VERSION, key))
        for number in range(1, photos + 1):
            shot = roll_shot(Dice("shot", FACES_VERSION, f"{key}/{number}"))
            items.append(f"{name}/{name}_{number:04d}")
            persons.append(name)
            numbers.append(str(number))
            portraits.append(Portrait(person, shot, FACES_VERSION, f"{key}/{number}"))
    return Examples(
        items=tuple(items),
        columns={PERSON: tuple(persons), NUMBER: tuple(numbers)},
        images=FaceImages(tuple(portraits)),
        fingerprint=hashlib.sha256(f"faces {FACES_VERSION} {size} {seed}".encode("ascii")).hexdigest(),
        source=f"drawn-faces-{size}",
    )


def _names(d: Dice, count: int) -> list[str]:
    """Return so many different names, AWKWARD ones among them."""
    names = dict.fromkeys(AWKWARD)
    while len(names) < count:
        names[f"{d.one_of(_FIRST)}_{d.one_of(_LAST_STARTS)}{d.one_of(_LAST_ENDS)}"] = None
    return list(names)


def write_people(examples: Examples, folder: Path) -> None:
    """Write examples as a folder that the `people` source reads: `<name>/<name>_0001.png`, pixel for pixel.

    Raises DataError when the folder cannot be written or an item is not the path of a photo in a folder.
    """
    from PIL import Image

    odd = next((item for item in examples.items if not _is_photo(item)), None)
    if odd is not None:
        raise DataError(f"item {odd!r} cannot be the name of a folder and of a photo in it")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for index, item in enumerate(examples.items):
            own, name = item.split("/")
            (folder / own).mkdir(exist_ok=True)
            Image.fromarray(examples.images.read(index)).save(folder / own / f"{name}.png")
    except OSError as error:
        raise DataError(f"cannot write the sample to {folder}: {error.strerror or error}") from error


def _is_photo(item: str) -> bool:
    """Return whether an item is `<folder>/<photo>`, with neither leading elsewhere nor hidden."""
    parts = item.split("/")
    return len(parts) == 2 and all(
        part and not part.startswith(".") and not set(part) & set("\\:\0") for part in parts
    )
