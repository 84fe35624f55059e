"""All photos below a data folder, by path and by name."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.core.errors import DataError
from bench.data.examples import Problem
from bench.data.files import LEAVES, DataFolder
from bench.data.tables import printable

ENDINGS = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff",
    ".avif", ".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".mpo", ".pbm", ".pgm", ".ppm", ".pnm", ".qoi", ".tga",
)  # fmt: skip
"""Endings of the formats in `bench.data.images.FORMATS`, in lower case."""

LEFT_BY_SYSTEMS = ("thumbs.db", "desktop.ini")
"""Files that Windows writes into folders of photos."""


@dataclass
class PhotoTree:
    """The photos below a folder.

    photos: paths relative to the data folder, sorted folder by folder. others: further files. problems:
    folders that cannot be searched.
    """

    photos: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def walk(root: DataFolder) -> PhotoTree:
    """Find all photos, by the ending of their names; hidden files and folders are skipped.

    Links to folders are followed inside the data folder, each folder once. Raises DataError if the folder
    itself cannot be listed.
    """
    tree, seen = PhotoTree(), set[str]()
    try:
        os.listdir(root.root)
    except OSError as error:
        raise DataError(
            f"{root.root}: cannot be listed ({error.strerror}); make the folder readable"
        ) from None
    _search(root, "", tree, seen)
    return tree


def _search(root: DataFolder, path: str, tree: PhotoTree, seen: set[str]) -> None:
    real = os.path.realpath(f"{root.root}/{path}")
    if real in seen:
        return
    seen.add(real)
    try:
        with os.scandir(f"{root.root}/{path}") as found:
            entries = sorted((entry for entry in found if entry.name[0] != "."), key=lambda one: one.name)
    except OSError as error:
        tree.problems.append(Problem("unreadable", printable(path), f"cannot be listed ({error.strerror})"))
        return
    for entry in entries:
        name = f"{path}{entry.name}"
        if os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir(follow_symlinks=False):
            if entry.is_symlink() and not root.holds(name):
                tree.problems.append(Problem("outside", f"{printable(name)}/", LEAVES))
            else:
                _search(root, f"{name}/", tree, seen)
        elif entry.name.lower().endswith(ENDINGS):
            tree.photos.append(name)
        elif entry.name.lower() not in LEFT_BY_SYSTEMS:
            tree.others.append(name)


def composed(name: str) -> str:
    """Return a file's name in Unicode's form C: operating systems encode accented letters in two ways."""
    return unicodedata.normalize("NFC", name)


class PhotoNames:
    """Photos by the names that a table may use for them.

    A name without a folder matches anywhere below the data folder, with or without its ending; a path is
    relative to the data folder or the table's folder. Accented letters match in either encoding.
    """

    def __init__(self, photos: list[str]) -> None:
        self.photos = set(photos)
        self.whole: dict[str, list[str]] = {}
        self.without_ending: dict[str, list[str]] = {}
        self.by_name: dict[str, list[str]] = {}
        for photo in photos:
            path = composed(photo)
            self.whole.setdefault(path, []).append(photo)
            self.without_ending.setdefault(path.rpartition(".")[0], []).append(photo)
            name = path.rpartition("/")[2]
            self.by_name.setdefault(name, []).append(photo)
            self.by_name.setdefault(name.rpartition(".")[0], []).append(photo)
        self.asked: set[str] = set()

    def find(self, text: str, table: str) -> str | Problem:
        """Return the photo's path, or the problem with its name. table: the path of the table."""
        path = text.replace("\\", "/").removeprefix("./")
        if path.startswith("/") or ".." in path.split("/") or ":" in path.partition("/")[0]:
            why = f"photo {text[:80]!r} is outside the data folder: paths start at that folder or the table"
            return Problem("outside", "", why)
        folder = table.rpartition("/")[0]
        found = list(self._at(path))
        if not found and folder:
            found = list(self._at(f"{folder}/{path}"))
        if not found and "/" not in path:
            found = self.by_name.get(composed(path), [])
        if not found:
            return Problem("no_image", "", f"there is no photo {text[:80]!r}")
        if len(found) > 1:
            places = " and ".join(printable(place) for place in found[:2])
            return Problem("ambiguous_image", "", f"photo {text[:80]} could be {places}: give its path")
        self.asked.add(found[0])
        return found[0]

    def _at(self, path: str) -> Iterator[str]:
        """Yield the photos at exactly this path, else those that only lack the ending."""
        if path in self.photos:
            yield path
        else:
            path = composed(path)
            yield from self.whole.get(path) or self.without_ending.get(path, [])
