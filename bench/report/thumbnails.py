"""Small pictures of single items, where the data that was scored can be reached."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.data.examples import Examples
    from bench.store import Stored

SIDE = 112
"""Pixels of the longer side."""

DRAWN = "drawn-"
"""How the name of a drawn sample begins; its size stands last."""


class Thumbnails:
    """Finds an item's picture by its id: in a data folder, or in the drawn sample the cell was run on.

    A picture is shown only of data with the cell's own fingerprint. Raises BenchError, where an instance is
    made, for a data folder that cannot be read as the task's.
    """

    def __init__(self, data: Path | None, task: str, tasks: Sequence[Path], cache_folder: Path) -> None:
        self._task, self._tasks, self._cache = task, tasks, cache_folder
        self._given = None if data is None else self._open(data, None)
        self._places: dict[str, Mapping[str, int]] = {}
        self._drawn = cache(self._draw)

    def __call__(self, stored: Stored, item: str) -> bytes | None:
        """Return a JPEG, or None where the picture cannot be had."""
        from bench.data.examples import ImageError

        examples = self._examples(stored.record["cell"]["data"])
        if examples is None:
            return None
        places = self._places.setdefault(
            examples.fingerprint, {name: index for index, name in enumerate(examples.items)}
        )
        if item not in places:
            return None
        try:
            return jpeg(examples.images.read(places[item]))
        except (ImageError, BenchError):
            return None

    def _examples(self, data: Mapping[str, Any]) -> Examples | None:
        if self._given is not None:
            return self._given if self._given.fingerprint == data["fingerprint"] else None
        if not str(data["source"]).startswith(DRAWN):
            return None
        drawn = self._drawn(str(data["source"]).rpartition("-")[2])
        return drawn if drawn is not None and drawn.fingerprint == data["fingerprint"] else None

    def _draw(self, size: str) -> Examples | None:
        try:
            return self._open(None, size)
        except BenchError:
            return None

    def _open(self, data: Path | None, size: str | None) -> Examples:
        from bench.plan import Request, open_task

        return open_task(Request(self._task, data, size), self._tasks, self._cache)[1]


def jpeg(pixels: Any) -> bytes:
    """Return (h, w, 3) uint8 pixels as a JPEG whose longer side is SIDE."""
    from PIL import Image

    picture = Image.fromarray(pixels)
    picture.thumbnail((SIDE, SIDE))
    return _written(picture)


def side_by_side(left: bytes, right: bytes) -> bytes:
    """Return two small JPEGs as one, a grey line between them."""
    from PIL import Image

    pictures = [Image.open(io.BytesIO(data)).convert("RGB") for data in (left, right)]
    height = max(picture.height for picture in pictures)
    both = Image.new("RGB", (sum(picture.width for picture in pictures) + 2, height), (128, 128, 128))
    both.paste(pictures[0], (0, 0))
    both.paste(pictures[1], (pictures[0].width + 2, 0))
    return _written(both)


def _written(picture: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return file.getvalue()
