"""Photos of a data folder's `images/`, by name with or without extension."""

from __future__ import annotations

import os
from collections.abc import Iterator

from bench.core.errors import DataError
from bench.data.examples import Problem
from bench.data.files import LEAVES, DataFolder
from bench.data.photo_tree import ENDINGS, composed
from bench.data.tables import printable

IMAGES = "images"


class PhotoFiles:
    """The files of the images folder, by name and by name without ending.

    layout: the expected contents of the data folder, for the message. Raises DataError if `images/` is
    missing.
    """

    def __init__(self, root: DataFolder, layout: str) -> None:
        path = f"{root.root}/{IMAGES}"
        if not os.path.isdir(path):
            raise DataError(f"{path}: no such folder; {layout}")
        if not root.holds(IMAGES):
            raise DataError(f"{path}: {LEAVES}; put the photos there")
        self.names = [name for name in list_folder(path) if not name.startswith(".")]
        self.whole = {composed(name): name for name in self.names} | {name: name for name in self.names}
        self.without_ending: dict[str, list[str]] = {}
        for name in self.names:
            if name.lower().endswith(ENDINGS):
                self.without_ending.setdefault(composed(name.rpartition(".")[0]), []).append(name)
        self.asked: set[str] = set()

    def find(self, text: str) -> str | Problem:
        """Return the file of a photo, or its problem."""
        if "/" in text or "\\" in text:
            return Problem("outside", "", f"photo {text[:80]!r} is a path; only photos in {IMAGES}/ are used")
        whole = self.whole.get(text) or self.whole.get(composed(text))
        found = [whole] if whole else self.without_ending.get(composed(text), [])
        if not found:
            return Problem("no_image", "", f"there is no {IMAGES}/{text[:80]}")
        if len(found) > 1:
            places = " and ".join(map(printable, found[:2]))
            return Problem("ambiguous_image", "", f"photo {text[:80]} could be {places}: give its ending")
        self.asked.add(found[0])
        return f"{IMAGES}/{found[0]}"

    def without_row(self, table: str) -> Iterator[Problem]:
        """Yield a note for each file without a row."""
        for name in self.names:
            if name not in self.asked:
                yield Problem(
                    "no_row", f"{IMAGES}/{printable(name)}", f"no row of {table} names it", fatal=False
                )


def list_folder(path: str) -> list[str]:
    """Return the names in a folder, sorted. Raises DataError if it cannot be listed."""
    try:
        return sorted(os.listdir(path))
    except OSError as error:
        raise DataError(f"{path}: cannot be listed ({error.strerror}); make the folder readable") from None
