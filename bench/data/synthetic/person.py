"""Descriptions of people and of photos of them, at random."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar

from bench.data.synthetic.random_stream import RandomStream

D = TypeVar("D", "Person", "Shot")

_DEEP_HAIR = {"black": 66, "dark": 22, "grey": 12}
_PALE_HAIR = {"black": 14, "dark": 22, "brown": 22, "fair": 12, "blond": 12, "red": 8, "grey": 10}
_DEEP_EYES = {"dark": 60, "brown": 40}
_PALE_EYES = {"dark": 16, "brown": 36, "green": 24, "blue": 24}
_SHORT = {"short": 38, "crop": 30, "curls": 18, "bald": 14}
_LONG = {"long": 40, "bob": 32, "fringe": 28}
_BEARDS = {"none": 50, "stubble": 16, "full": 20, "moustache": 14}


def _random(draw: Callable[[RandomStream, Mapping[str, Any]], Any]) -> Any:
    """Return a field and its distribution, given a stream and the fields before it."""
    return field(metadata={"draw": draw})


def _uniform(low: int, high: int) -> Any:
    return _random(lambda s, _: s.integer(low, high))


def _weighted(weights: Mapping[Any, int]) -> Any:
    return _random(lambda s, _: s.weighted(weights))


@dataclass(frozen=True)
class Person:
    """Traits that all photos of a person share.

    Lengths, heights and tilts are in thousandths of half the height of a head. tone: from 0, pale, to 590,
    deep. strong: whether hair is short and a beard may grow. jaw: percent of the head's width. lip_red:
    percent. mole: position, or None.
    """

    tone: int = _uniform(0, 590)
    strong: bool = _random(lambda s, _: s.chance(50))
    hair: str = _random(lambda s, own: s.weighted(_SHORT if own["strong"] else _LONG))
    hair_colour: str = _random(lambda s, own: s.weighted(_DEEP_HAIR if own["tone"] > 330 else _PALE_HAIR))
    iris: str = _random(lambda s, own: s.weighted(_DEEP_EYES if own["tone"] > 330 else _PALE_EYES))
    beard: str = _random(lambda s, own: s.weighted(_BEARDS) if own["strong"] else "none")
    glasses: str = _weighted({"none": 78, "round": 11, "square": 11})
    mole: tuple[int, int] | None = _random(
        lambda s, _: (s.integer(-450, 450), s.integer(200, 760)) if s.chance(20) else None
    )
    width: int = _uniform(640, 800)
    jaw: int = _uniform(70, 94)
    chin: int = _uniform(950, 1130)
    hairline: int = _uniform(-690, -480)
    volume: int = _uniform(0, 110)
    brow: int = _uniform(36, 104)
    brow_tilt: int = _uniform(-70, 80)
    brow_height: int = _uniform(-300, -190)
    eye: int = _uniform(132, 192)
    eye_open: int = _uniform(40, 90)
    eye_gap: int = _uniform(250, 350)
    nose: int = _uniform(320, 480)
    nose_width: int = _uniform(100, 220)
    mouth: int = _uniform(180, 340)
    lips: int = _uniform(30, 105)
    lip_red: int = _uniform(10, 80)
    ear: int = _uniform(60, 180)


@dataclass(frozen=True)
class Shot:
    """Everything that differs from photo to photo.

    yaw, pitch, roll: sines in thousandths. scale: percent. right, down: shift in pixels. smile: -100 to 100.
    gap: how far the mouth is open. light: its slope to the right and down. gain: of 256. cast: from blue to
    red. blur: passes. ground: what is behind.
    """

    yaw: int = _random(lambda s, _: s.integer(-210, 210) + s.integer(-210, 210))
    pitch: int = _random(lambda s, _: s.integer(-80, 80) + s.integer(-60, 60))
    roll: int = _random(lambda s, _: s.integer(-80, 80) + s.integer(-80, 80))
    scale: int = _uniform(86, 114)
    right: int = _uniform(-6, 6)
    down: int = _uniform(-5, 5)
    smile: int = _uniform(-40, 100)
    gap: int = _random(lambda s, _: s.integer(20, 150) if s.chance(38) else 0)
    light: tuple[int, int] = _random(lambda s, _: (s.integer(-130, 130), s.integer(-60, 50)))
    gain: int = _uniform(180, 290)
    cast: int = _uniform(-32, 32)
    blur: int = _weighted({0: 62, 1: 22, 2: 11, 3: 5})
    cap: bool = _random(lambda s, _: s.chance(12))
    ground: str = _weighted({"wall": 40, "lights": 30, "shelves": 30})


def random_description(cls: type[D], s: RandomStream) -> D:
    """Return a Person or a Shot whose fields follow their distributions."""
    values: dict[str, Any] = {}
    for one in fields(cls):
        values[one.name] = one.metadata["draw"](s, values)
    return cls(**values)
