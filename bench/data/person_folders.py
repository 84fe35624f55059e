"""Source of photos of people: one folder per person, and lists of pairs."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.core.errors import DataError
from bench.data.examples import Examples, PairList, Problem, because_of, fingerprint, require_columns
from bench.data.files import LEAVES, DataFolder, open_folder
from bench.data.hashing import hash_files
from bench.data.pair_lists import FILES, PhotoIndex, read_pair_lists
from bench.data.people_table import PEOPLE, people_columns
from bench.data.photo_tree import ENDINGS, LEFT_BY_SYSTEMS
from bench.data.reader import FolderImages
from bench.data.tables import printable

SOURCE = "people"
FORMAT_VERSION = 1
"""Part of the fingerprint; bumped when the result of reading a folder changes."""

FOLDERS = ("lfw", "lfw_funneled", "lfw-deepfunneled", "images", "people")
"""Subfolders of a data folder that are searched for people first."""

_LAYOUT = (
    "it must hold one folder of photos for each person, at its top or in one folder (lfw/<name>/<photo>)"
)

_OWN_NUMBER = re.compile(r"([0-9]{1,9})$")
_DIGITS = re.compile(r"([0-9]+)")


@dataclass(frozen=True)
class PersonPhoto:
    """One photo. file: its path in the data folder. name: the person's folder. number: in lists."""

    file: str
    name: str
    number: int


@dataclass
class _Found:
    """Photos by item id, and problems."""

    photos: dict[str, PersonPhoto] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def open_people(
    folder: Path, cache: Path, needed_columns: Sequence[str], follow_links: bool = False
) -> Examples:
    """Read a folder of people.

    An item is "<person>/<file without ending>". Columns of the result: `person`, the folder's name, and
    `number`: the one at the end of the file's name (Name_0003.jpg, 3.pgm), or, if any file of the person has
    none, the photo's rank. Names are sorted, with numbers in them by value. Lists of pairs are those of
    `pair_lists.FILES` in the given folder, else beside the folders of people; they are part of the
    fingerprint. A table of people adds columns, which are not, see `people_columns`. Files left out and
    oddities are in `problems`. Images are not decoded here. cache: folder for the content hashes. Raises
    DataError if the folder or a column is missing, two subfolders have people, the table of people cannot be
    read, or no photo is usable.
    """
    root = open_folder(folder, _LAYOUT, follow_links)
    path = _path_of_people(root)
    found = _look(root, path)
    hashes = hash_files(root, [photo.file for photo in found.photos.values()], cache)
    refused: dict[tuple[str, int], str] = {}
    for item, photo in list(found.photos.items()):
        if photo.file in hashes.refused:
            why = hashes.refused[photo.file]
            found.problems.append(Problem(why.code, printable(photo.file), f"{why}"))
            refused[photo.name, photo.number] = f"{why}"
            del found.photos[item]
    if not found.photos:
        raise DataError(f"{root.root}: no photo can be used{because_of(found.problems)}; {_LAYOUT}")
    photos, items = tuple(found.photos.values()), tuple(found.photos)
    columns = {
        "person": tuple(_person(photo.name) for photo in photos),
        "number": tuple(str(photo.number) for photo in photos),
    }
    require_columns(f"{root.root}:", needed_columns, columns)
    content = tuple(hashes.found[photo.file] for photo in photos)
    people = PhotoIndex([photo.name for photo in photos], [photo.number for photo in photos], items, refused)
    more, odd = people_columns(root, columns["person"])
    lists, notes = read_pair_lists([(root, ""), (root, path)] if path else [(root, "")], people, content)
    return Examples(
        items=items,
        columns={**columns, **more},
        images=FolderImages(root, tuple(photo.file for photo in photos), content),
        fingerprint=fingerprint(SOURCE, FORMAT_VERSION, {**columns, **_as_cells(lists)}, content),
        source=SOURCE,
        problems=(*found.problems, *odd, *notes),
        pair_lists=lists,
    )


def _as_cells(lists: Mapping[str, PairList]) -> dict[str, tuple[str, ...]]:
    """Return lists of pairs as columns, whose control characters keep them apart from the data's."""
    return {
        f"\x00{name}": tuple(
            f"{one} {two} {same:d} {fold}"
            for one, two, same, fold in zip(pairs.first, pairs.second, pairs.same, pairs.folds, strict=True)
        )
        for name, pairs in lists.items()
    }


def _person(name: str) -> str:
    return printable(name.strip())


def _by_size(name: str) -> tuple[list[tuple[int, str]], str]:
    """Return a sort key of names that sorts the numbers in them by value."""
    pieces = _DIGITS.split(name)
    return [(int(piece), "") if index % 2 else (-1, piece) for index, piece in enumerate(pieces)], name


def _scan(path: str) -> list[os.DirEntry[str]]:
    """Return a folder's entries, sorted, without hidden files. Raises OSError."""
    with os.scandir(path) as entries:
        shown = [entry for entry in entries if not entry.name.startswith(".")]
    return sorted(shown, key=lambda entry: _by_size(entry.name)) if len(shown) > 1 else shown


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # entry.is_dir() raises for a link to itself.
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def _is_photo(entry: os.DirEntry[str]) -> bool:
    return entry.name.lower().endswith(ENDINGS)


def _outside(root: DataFolder, path: str, entry: os.DirEntry[str]) -> bool:
    """Return whether a folder is a link out of the data folder."""
    return entry.is_symlink() and not root.holds(f"{path}{entry.name}")


def _holds_people(root: DataFolder, path: str) -> bool:
    """Return whether a folder, "" or ending with "/", has a subfolder with a photo."""
    try:
        return root.holds(path.rstrip("/")) and any(
            _is_photo(photo) and not _is_folder(photo)
            for entry in _scan(f"{root.root}/{path}")
            if _is_folder(entry) and not _outside(root, path, entry)
            for photo in _scan(entry.path)
        )
    except OSError:
        # An unreadable folder does not rule out the others.
        return False


def _path_of_people(root: DataFolder) -> str:
    """Return the path of the folder with the folders of people, "" or ending with "/"."""
    try:
        names = [entry.name for entry in _scan(root.root) if _is_folder(entry)]
    except OSError as error:
        raise DataError(
            f"{root.root}: cannot be listed ({error.strerror}); make the folder readable"
        ) from None
    for known in (True, False):
        searched = [f"{name}/" for name in names if (name in FOLDERS) is known]
        found = [path for path in searched if _holds_people(root, path)]
        if len(found) > 1:
            where = " and in ".join(printable(path) for path in found[:3])
            raise DataError(f"{root.root}: has people in {where}; give one of these folders")
        if found:
            return found[0]
        if known and _holds_people(root, ""):
            return ""
    raise DataError(f"{root.root}: has no folder with photos of a person; {_LAYOUT}")


def _look(root: DataFolder, path: str) -> _Found:
    """Collect the photos of all people, without opening any."""
    found = _Found()
    names: dict[str, str] = {}
    for entry in _scan(f"{root.root}/{path}"):
        where, name = printable(f"{path}{entry.name}"), entry.name
        if not _is_folder(entry):
            _stray(found, where, entry, (*FILES.values(), PEOPLE))
            continue
        if _outside(root, path, entry):
            found.problems.append(Problem("outside", where, LEAVES))
            continue
        person = _person(name)
        if not person or person in names:
            why = f"reads as {names[person]}, which is kept" if person else "the name is blank"
            found.problems.append(Problem("unclear_name", f"{where}/", f"{why}; rename the folder"))
            continue
        names[person] = f"{where}/"
        try:
            _photos_of(found, path, name, _scan(entry.path))
        except OSError as error:
            why = f"cannot be listed ({error.strerror})"
            found.problems.append(Problem("unreadable", f"{where}/", why))
    return found


def _photos_of(found: _Found, path: str, name: str, entries: Sequence[os.DirEntry[str]]) -> None:
    """Collect the photos of one person."""
    where, person = printable(f"{path}{name}"), _person(name)
    photos = []
    for entry in entries:
        if _is_folder(entry):
            place = f"{where}/{printable(entry.name)}/"
            found.problems.append(Problem("stray_folder", place, "is not searched", fatal=False))
        elif _is_photo(entry):
            photos.append(entry.name)
        else:
            _stray(found, f"{where}/{printable(entry.name)}", entry, ())
    if not photos:
        found.problems.append(Problem("empty_person", f"{where}/", "the folder has no photo", fatal=False))
    stems = [photo.rpartition(".")[0] for photo in photos]
    numbers = [int(own[1]) for own in map(_OWN_NUMBER.search, stems) if own]
    if len(numbers) < len(photos):
        numbers = list(range(1, len(photos) + 1))
    for photo, stem, number in zip(photos, stems, numbers, strict=True):
        item = f"{person}/{printable(stem)}"
        if item in found.photos:
            why = f"{item} is also {printable(found.photos[item].file)}, which is kept"
            found.problems.append(Problem("duplicate_name", f"{where}/{printable(photo)}", why))
            continue
        found.photos[item] = PersonPhoto(f"{path}{name}/{photo}", name, number)


def _stray(found: _Found, where: str, entry: os.DirEntry[str], expected: Collection[str]) -> None:
    """Note a file that is not a photo, unless it is expected or the operating system's."""
    if entry.name not in expected and entry.name.lower() not in LEFT_BY_SYSTEMS:
        found.problems.append(Problem("stray_file", where, "is not read", fatal=False))
