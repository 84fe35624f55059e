"""Thumbnails of items, for reports."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import BenchError

if TYPE_CHECKING:
    from bench.data.examples import Examples
    from bench.store.write import Stored

SIDE = 112
"""Pixels of the longer side."""


class Thumbnails:
    """Pictures of items by id, from a data folder or from a cell's synthetic sample.

    Data must have the cell's fingerprint. The constructor raises BenchError for a data folder that the task's
    source cannot read.
    """

    def __init__(
        self,
        data: Path | None,
        task: str,
        tasks: Sequence[Path],
        cache_folder: Path,
        follow_links: bool = False,
    ) -> None:
        self._task, self._tasks, self._cache, self._follow = task, tasks, cache_folder, follow_links
        self._given = None if data is None else self._open(data, None)
        self._places: dict[str, Mapping[str, int]] = {}
        self._sample = cache(self._open_sample)

    def __call__(self, stored: Stored, item: str) -> bytes | None:
        """Return a JPEG, or None if the picture is not available."""
        from bench.data.examples import ImageError

        examples = self._examples(stored.record["cell"])
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

    def _examples(self, cell: Mapping[str, Any]) -> Examples | None:
        from bench.data.sources import sample_size

        wanted = cell["data"]["fingerprint"]
        if self._given is not None:
            return self._given if self._given.fingerprint == wanted else None
        if (size := sample_size(str(cell["data"]["source"]))) is None:
            return None
        sample = self._sample(size, cell["protocol"].get("source"))
        return sample if sample is not None and sample.fingerprint == wanted else None

    def _open_sample(self, size: str, source: str | None) -> Examples | None:
        try:
            return self._open(None, size, {} if source is None else {"source": source})
        except BenchError:
            return None

    def _open(
        self, data: Path | None, size: str | None, settings: Mapping[str, Any] | None = None
    ) -> Examples:
        from bench.runs.open_task import open_task
        from bench.runs.plan import Request

        request = Request(self._task, data, size, settings=settings or {}, follow_links=self._follow)
        return open_task(request, self._tasks, self._cache)[1]


def jpeg(pixels: Any) -> bytes:
    """Return (h, w, 3) uint8 pixels as a JPEG whose longer side is SIDE."""
    from PIL import Image

    picture = Image.fromarray(pixels)
    picture.thumbnail((SIDE, SIDE))
    return _written(picture)


def side_by_side(left: bytes, right: bytes) -> bytes:
    """Join two small JPEGs side by side, with a grey line between them."""
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
