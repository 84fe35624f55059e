"""Source of class folders: `<class>/...`, or `train/<class>/...` and `test/<class>/...`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import DataError
from bench.data.examples import Examples, Problem, because_of, fingerprint
from bench.data.files import open_folder
from bench.data.hashing import hash_files
from bench.data.layout import Layout, PhotoRow, in_order_of_content, unused
from bench.data.people_table import PERSON, people_columns
from bench.data.photo_tree import PhotoTree, walk
from bench.data.reader import FolderImages
from bench.data.split_rules import part_of
from bench.data.tables import printable

SOURCE = "folders"
FORMAT_VERSION = 1
"""Part of the fingerprint; bumped when the result of reading a folder changes."""

SPLIT = "split"
"""The column with the part of a published split: train, val or test."""

CLASS = "class"
"""Default column of classes."""

_LAYOUT = "it must hold <class>/<photo>, or train/<class>/<photo> and test/<class>/<photo>"


@dataclass(frozen=True)
class ClassPhoto:
    """One photo: its file, its class, and the part of the published split, "" without one."""

    file: str
    label: str
    part: str


@dataclass(frozen=True)
class ClassFolders:
    """The photos of a folder of class folders. top: the folder that was searched, "" or ending with "/"."""

    photos: tuple[ClassPhoto, ...]
    problems: tuple[Problem, ...]
    top: str = ""

    @property
    def parts(self) -> Counter[str]:
        """Photos by part of the published split; empty without one."""
        return Counter(photo.part for photo in self.photos if photo.part)

    @property
    def classes(self) -> Counter[str]:
        """Photos by class."""
        return Counter(photo.label for photo in self.photos)


def open_class_folders(
    folder: Path, cache: Path, needed_columns: Sequence[str], follow_links: bool, layout: Layout
) -> Examples:
    """Read a folder of class folders.

    The class is the path of a photo's folder, so nested ones are classes like `shoes/boots`. Top folders
    named train, val (valid, validation, dev) and test are parts of a published split, if all top folders
    are; a photo in one has its class below it. A lone top folder of folders is searched in place of the data
    folder. Columns: the label, `class` if the card names no other, and `split`, if there is one. Where the
    classes are people (`person`), a table of them adds columns, which are not part of the fingerprint; see
    `bench.data.people_table`.
    Items are paths. The order is that of the photos' content. Raises DataError if no photo is usable, or for
    a split that the folders do not have.
    """
    root = open_folder(folder, _LAYOUT, follow_links)
    found = look(walk(root))
    problems = list(found.problems)
    hashes = hash_files(root, [photo.file for photo in found.photos], cache)
    label = layout.label or CLASS
    rows, taken = [], set[str]()
    for number, photo in enumerate(found.photos):
        if photo.file in hashes.refused:
            why = hashes.refused[photo.file]
            problems.append(Problem(why.code, printable(photo.file), f"{why}"))
            continue
        own = hashes.found[photo.file]
        rows.append(
            PhotoRow(unused(printable(photo.file), taken), own, photo.file, number, (photo.label, photo.part))
        )
    if not rows:
        raise DataError(f"{root.root}: no photo lies in a class folder{because_of(problems)}; {_LAYOUT}")
    if layout.split and not found.parts:
        raise DataError(
            f"{root.root}: has no folders train/ and test/, which the split by column {layout.split!r} "
            "needs: choose another rule, such as stratified"
        )
    rows = in_order_of_content(rows)
    photos = [found.photos[row.number] for row in rows]
    columns = {label: tuple(photo.label for photo in photos)}
    if found.parts:
        columns[layout.split or SPLIT] = tuple(photo.part for photo in photos)
    content = tuple(row.content for row in rows)
    missing = [name for name in needed_columns if name not in columns]
    if missing:
        has = ", ".join(columns)
        raise DataError(f"{root.root}: folders give no column {missing[0]!r} (they give: {has})")
    more, odd = people_columns(root, columns[label]) if label == PERSON else ({}, [])
    marked = {**columns, "\x00meaning": layout.meaning}
    return Examples(
        items=tuple(row.item for row in rows),
        columns={**more, **columns},
        images=FolderImages(root, tuple(photo.file for photo in photos), content),
        fingerprint=fingerprint(SOURCE, FORMAT_VERSION, marked, content),
        source=SOURCE,
        problems=(*problems, *odd),
    )


def look(tree: PhotoTree) -> ClassFolders:
    """Find classes and parts of a published split in the paths of photos."""
    top = _top(tree.photos)
    inside = [photo for photo in tree.photos if photo.startswith(top)]
    firsts = list(
        dict.fromkeys(photo[len(top) :].partition("/")[0] for photo in inside if "/" in photo[len(top) :])
    )
    parts = {first: part_of(first) for first in firsts}
    # A class may be called "train": all top folders must be parts, and train one of several.
    split = len(set(parts.values())) > 1 and "train" in parts.values() and all(parts.values())
    photos, problems = [], list(tree.problems)
    for photo in tree.photos:
        folder = photo[len(top) :].rpartition("/")[0] if photo.startswith(top) else ""
        part = ""
        if split and folder:
            first, _, folder = folder.partition("/")
            part = parts[first]
        label = printable(folder.strip())
        if label:
            photos.append(ClassPhoto(photo, label, part))
        else:
            why = "lies in no class folder"
            problems.append(Problem("no_class", printable(photo), f"{why}: it is left out"))
    return ClassFolders(tuple(photos), tuple(problems), top)


def _top(photos: Sequence[str]) -> str:
    """Return the folder with the folders of classes: a lone folder of folders is not a class."""
    top = ""
    while True:
        firsts = {photo[len(top) :].partition("/")[0] for photo in photos if "/" in photo[len(top) :]}
        deeper = all(photo[len(top) :].count("/") > 1 for photo in photos)
        if len(firsts) != 1 or not deeper:
            return top
        top = f"{top}{firsts.pop()}/"
