"""Who is on a drawn photo and how it was taken: two descriptions without any pixel, both rolled by dice."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import astuple, dataclass

from bench.data.drawn.colours import Colour, mixed
from bench.data.drawn.dice import Dice

SKIN: tuple[Colour, ...] = (
    (250, 219, 200), (240, 199, 170), (226, 176, 140), (202, 146, 106), (162, 110, 76), (118, 78, 56),
    (88, 58, 44),
)  # fmt: skip
"""A ramp: a person's tone lies anywhere on it, so that no two people need to share one."""

HAIR: Mapping[str, Colour] = {
    "black": (30, 27, 30), "dark": (58, 41, 32), "brown": (98, 66, 42), "fair": (150, 108, 66),
    "blond": (214, 178, 116), "red": (170, 80, 42), "grey": (146, 146, 150), "white": (222, 219, 212),
}  # fmt: skip
EYES: Mapping[str, Colour] = {
    "dark": (54, 34, 24), "brown": (104, 66, 36), "hazel": (128, 104, 52), "green": (82, 128, 82),
    "blue": (74, 122, 176), "grey": (122, 138, 150),
}  # fmt: skip

_PALE_HAIR = {
    "black": 14, "dark": 22, "brown": 22, "fair": 12, "blond": 12, "red": 8, "grey": 6, "white": 4,
}  # fmt: skip
_DEEP_HAIR = {"black": 66, "dark": 22, "grey": 8, "white": 4}
_PALE_EYES = {"dark": 12, "brown": 28, "hazel": 14, "green": 14, "blue": 20, "grey": 12}
_DEEP_EYES = {"dark": 60, "brown": 34, "hazel": 6}
_SHORT = {
    "short": 26,
    "crop": 18,
    "quiff": 18,
    "parted": 18,
    "curls": 14,
    "receding": 14,
    "bald": 10,
    "long": 6,
}
_LONG = {"long": 24, "bob": 20, "fringe": 18, "waves": 18, "bun": 16, "curls": 12, "tail": 14, "short": 6}
_BEARDS = {"none": 46, "stubble": 16, "full": 16, "goatee": 10, "moustache": 12}


@dataclass(frozen=True)
class Person:
    """What all photos of a person share.

    Lengths, tilts and shifts are in units, of which half a head is about 1000 high. jaw: percent of the
    head's width. tone: hundredths of a step of SKIN. warm: what its red has more and its blue less. hue:
    percent by which the hair is paler than its colour's name says. volume, part: of the hair, percent.
    lip_red, cheeks: percent of red. frame: which colour the glasses have. marks: x, y and size of freckles
    and moles.
    """

    width: int
    jaw: int
    chin: int
    chin_width: int
    tone: int
    warm: int
    hair: str
    hair_colour: str
    hue: int
    hairline: int
    peak: int
    volume: int
    part: int
    brow: int
    brow_tilt: int
    brow_arch: int
    brow_gap: int
    brow_height: int
    eye: int
    eye_open: int
    eye_gap: int
    eye_tilt: int
    eye_height: int
    iris: str
    crease: bool
    lashes: bool
    nose: int
    nose_width: int
    bridge: int
    mouth: int
    mouth_height: int
    upper_lip: int
    lower_lip: int
    lip_red: int
    ear: int
    ear_height: int
    beard: str
    glasses: str
    frame: int
    cheeks: int
    lines: bool
    marks: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True)
class Shot:
    """What differs from photo to photo.

    yaw, pitch, roll: sines in thousandths (yaw and roll positive to the right of the picture). scale:
    percent. right, down: shift in pixels of the picture. smile: -100 to 100. gap: how far the mouth is open,
    raised: how far the brows are up, units. lids: percent of how far the eyes open. gaze: percent of the
    eye's half width. light_right, light_down: slope of the light. gain, contrast, cast: of 256. blur: passes.
    over: what hides a part, or "none". ground: what is behind. top: the neck of what is worn.
    """

    yaw: int
    pitch: int
    roll: int
    scale: int
    right: int
    down: int
    smile: int
    gap: int
    raised: int
    lids: int
    gaze: int
    light_right: int
    light_down: int
    gain: int
    contrast: int
    cast: Colour
    blur: int
    over: str
    ground: str
    top: str


@dataclass(frozen=True)
class Portrait:
    """All that the pixels of one photo depend on. version, key: where the dice for small things start."""

    person: Person
    shot: Shot
    version: int
    key: str

    @property
    def content_hash(self) -> str:
        """The sha256 of the description: two images with equal hashes are the same drawing."""
        return hashlib.sha256(repr(astuple(self)).encode("utf-8")).hexdigest()


def skin_colour(person: Person) -> Colour:
    """Return the skin's own colour, before any light falls on it."""
    step, rest = divmod(person.tone, 100)
    red, green, blue = mixed(SKIN[step], SKIN[min(step + 1, len(SKIN) - 1)], rest)
    return min(255, red + person.warm), green, max(0, blue - person.warm)


def hair_colour(person: Person) -> Colour:
    """Return the hair's own colour: a shade of what it is called."""
    red, green, blue = HAIR[person.hair_colour]
    scale = 100 + person.hue
    return min(255, red * scale // 100), min(255, green * scale // 100), min(255, blue * scale // 100)


def roll_person(d: Dice) -> Person:
    """Roll one person: all traits that are not tied to another are independent of each other."""
    tone = d.between(0, 590)
    deep = tone > 330
    strong = d.chance(50)
    hair = d.pick(_SHORT if strong else _LONG)
    marks = []
    if not deep and d.chance(20):
        sides = ((1, d.between(4, 7)), (-1, d.between(4, 7)))
        marks += [
            (side * d.between(120, 430), d.between(130, 420), d.between(14, 20))
            for side, count in sides
            for _ in range(count)
        ]
    if d.chance(18):
        marks.append((d.one_of((-1, 1)) * d.between(130, 470), d.between(180, 760), d.between(30, 40)))
    return Person(
        width=d.between(640, 800),
        jaw=d.between(78, 92) if strong else d.between(70, 84),
        chin=d.between(960, 1130),
        chin_width=d.between(240, 420) if strong else d.between(170, 320),
        tone=tone,
        warm=d.between(-8, 10),
        hair=hair,
        hair_colour=d.pick(_DEEP_HAIR if deep else _PALE_HAIR),
        hue=d.between(-16, 24),
        hairline=d.between(-690, -500),
        peak=d.between(-60, 70),
        volume=d.between(0, 100),
        part=d.between(-60, 60),
        brow=d.between(62, 100) if strong else d.between(34, 68),
        brow_tilt=d.between(-60, 70),
        brow_arch=d.between(0, 90),
        brow_gap=d.between(70, 170),
        brow_height=d.between(-290, -200),
        eye=d.between(136, 190),
        eye_open=d.between(66, 124),
        eye_gap=d.between(255, 345),
        eye_tilt=d.between(-34, 50),
        eye_height=d.between(-40, 50),
        iris=d.pick(_DEEP_EYES if deep else _PALE_EYES),
        crease=d.chance(55),
        lashes=not strong and d.chance(75),
        nose=d.between(330, 470),
        nose_width=d.between(105, 215),
        bridge=d.between(40, 90),
        mouth=d.between(190, 330),
        mouth_height=d.between(600, 700),
        upper_lip=d.between(22, 80),
        lower_lip=d.between(44, 110),
        lip_red=d.between(10, 40) if strong or d.chance(20) else d.between(30, 80),
        ear=d.between(70, 170),
        ear_height=d.between(150, 230),
        beard=d.pick(_BEARDS) if strong else "none",
        glasses=d.pick({"none": 78, "round": 8, "square": 8, "thin": 6}),
        frame=d.between(0, 4),
        cheeks=d.between(0, 20),
        lines=d.chance(25),
        marks=tuple(marks),
    )


def roll_shot(d: Dice) -> Shot:
    """Roll one photo: turned a bit, lit from somewhere, in some mood, cut out more or less well."""
    light = d.between(0, 130)
    return Shot(
        yaw=d.between(-210, 210) + d.between(-210, 210),
        pitch=d.between(-80, 80) + d.between(-60, 60),
        roll=d.between(-80, 80) + d.between(-80, 80),
        scale=d.between(86, 114),
        right=d.between(-6, 6),
        down=d.between(-5, 5),
        smile=d.between(-40, 100),
        gap=d.between(20, 150) if d.chance(38) else 0,
        raised=d.between(-25, 70),
        lids=d.between(5, 20) if d.chance(5) else d.between(70, 112),
        gaze=d.between(-32, 32),
        light_right=light * d.one_of((-1, 1)),
        light_down=d.between(-60, 50),
        gain=d.between(180, 290),
        contrast=d.between(190, 290),
        cast=(d.between(224, 282), d.between(238, 268), d.between(218, 286)),
        blur=d.pick({0: 62, 1: 22, 2: 11, 3: 5}),
        over=d.pick({"none": 86, "cap": 4, "beanie": 3, "hand": 3, "scarf": 4}),
        ground=d.pick({"wall": 30, "sky": 22, "lights": 24, "shelves": 24}),
        top=d.pick({"round": 40, "collar": 30, "vee": 30}),
    )
