"""The synthetic faces sample: people, each on several photos, under made-up names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.data.examples import Examples
from bench.data.synthetic.images import STREAM, SyntheticImage, SyntheticImages, check_size, fingerprint
from bench.data.synthetic.person import Person, Shot, random_description
from bench.data.synthetic.random_stream import RandomStream
from bench.data.synthetic.write import write_sample

if TYPE_CHECKING:
    import numpy as np

SIZES: Mapping[str, tuple[int, int]] = {"tiny": (20, 4), "small": (80, 8)}
"""The sample's sizes: people, and photos of each."""

PERSON = "person"
NUMBER = "number"

AWKWARD = ("Zoë_O'Dell", "Noa_van_der_Lek", "Sasha_Núñez-Holt")
"""Names in every sample that are easily mistreated as paths or words."""

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
class Portrait(SyntheticImage):
    """One photo of a person; the key is the seed of clothes, background and noise."""

    person: Person
    shot: Shot

    def render(self) -> np.ndarray:
        """Return the image, (96, 96, 3) uint8 RGB."""
        from bench.data.synthetic.portrait import draw

        return draw(RandomStream("portrait", repr(self.values)), self.person, self.shot)


def faces_sample(size: str, seed: int = 0) -> Examples:
    """Return the sample `tiny` or `small`; no image is rendered before it is read.

    Rows are sorted by person, then by photo, and a person's name is as a folder of photos would be called.
    All photos of a person share the traits of the face; pose, light, expression, crop, blur, clothes and
    background differ from photo to photo. Raises BenchError for an unknown size.
    """
    check_size(size, SIZES)
    people, photos = SIZES[size]
    items, persons, numbers, portraits = [], [], [], []
    for name in sorted(_names(RandomStream("names", STREAM, size, seed), people)):
        key = f"{size}/{seed}/{name}"
        person = random_description(Person, RandomStream("person", STREAM, key))
        for number in range(1, photos + 1):
            shot = random_description(Shot, RandomStream("shot", STREAM, f"{key}/{number}"))
            items.append(f"{name}/{name}_{number:04d}")
            persons.append(name)
            numbers.append(str(number))
            portraits.append(Portrait(f"{key}/{number}", person, shot))
    return Examples(
        items=tuple(items),
        columns={PERSON: tuple(persons), NUMBER: tuple(numbers)},
        images=SyntheticImages(tuple(portraits)),
        fingerprint=fingerprint("faces", size, seed),
        source=f"drawn-faces-{size}",
    )


def _names(s: RandomStream, count: int) -> list[str]:
    """Return `count` different names, AWKWARD ones among them."""
    names = dict.fromkeys(AWKWARD)
    while len(names) < count:
        names[f"{s.choice(_FIRST)}_{s.choice(_LAST_STARTS)}{s.choice(_LAST_ENDS)}"] = None
    return list(names)


def write_people(examples: Examples, folder: Path) -> None:
    """Write examples as folders of people, pixel for pixel; raises DataError as `write_sample` does."""
    write_sample(examples, folder, {}, "{}.png", levels=2)
