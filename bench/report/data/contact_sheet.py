"""Contact sheet: a grid of small pictures with two lines of text each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.atomic_files import replacing
from bench.core.errors import StoreError
from bench.core.safe_text import visible
from bench.data.examples import ImageError, ImageReader

if TYPE_CHECKING:
    from bench.data.corrections import Suspect

SIDE, LINE, GAP, ACROSS, MOST = 112, 13, 6, 8, 96
"""Pixels of a picture's side, of a line and between pictures; pictures per row, maximum per sheet."""

_LETTERS = 18
_INK, _PAPER, _FIRST, _SECOND = (30, 30, 30), (255, 255, 255), (30, 30, 30), (0, 90, 160)


def write_sheet(path: Path, images: ImageReader, places: Sequence[tuple[int, str, str]]) -> None:
    """Write the first MOST pictures with their texts as PNG.

    places: position of an image, first and second line. An unreadable picture becomes an empty frame. Raises
    StoreError if the file cannot be written.
    """
    from PIL import Image, ImageDraw, ImageFont

    shown = places[:MOST]
    rows = -(-max(1, len(shown)) // ACROSS)
    high, wide = SIDE + 2 * LINE + 2 * GAP, SIDE + GAP
    sheet = Image.new("RGB", (ACROSS * wide + GAP, rows * high + GAP), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for number, (row, first, second) in enumerate(shown):
        left, top = GAP + number % ACROSS * wide, GAP + number // ACROSS * high
        try:
            picture = Image.fromarray(images.read(row))
            picture.thumbnail((SIDE, SIDE))
            sheet.paste(picture, (left + (SIDE - picture.width) // 2, top + (SIDE - picture.height) // 2))
        except ImageError:
            draw.rectangle((left, top, left + SIDE - 1, top + SIDE - 1), outline=_INK)
        for line, (text, ink) in enumerate(((first, _FIRST), (second, _SECOND))):
            draw.text((left, top + SIDE + 1 + line * LINE), _shortened(text), fill=ink, font=font)
    try:
        with replacing(path) as fresh:
            sheet.save(fresh, format="PNG")
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror or error})") from None


def suspect_texts(suspects: Sequence[Suspect], positions: Sequence[int]) -> list[tuple[int, str, str]]:
    """Return the position and the two lines of each suspect: its label and the suggested one."""
    return [
        (place, suspect.given, f"> {suspect.suggested}" if suspect.suggested != suspect.given else "price")
        for suspect, place in zip(suspects, positions, strict=True)
    ]


def _shortened(text: str) -> str:
    # A line break would overlap the next picture.
    text = visible(text)
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"
