"""Source of marketplace listings: a table beside `images/`, or one folder of photos per class."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.core.errors import DataError
from bench.data.examples import Examples, Problem, because_of, fingerprint, require_columns
from bench.data.files import DataFolder, open_folder
from bench.data.hashing import hash_files
from bench.data.photo_files import IMAGES, PhotoFiles, list_folder
from bench.data.photo_tree import ENDINGS
from bench.data.reader import FolderImages
from bench.data.split_rules import part_of
from bench.data.tables import CsvTable, printable, read_csv

SOURCE = "listings"
FORMAT_VERSION = 1
"""Part of the fingerprint; bumped when the result of reading a folder changes."""

TABLES = ("listings.csv", "images.csv")

NAMES: Mapping[str, tuple[str, ...]] = {
    "category": ("category", "label", "class"),
    "listing": ("id", "listing", "listing_id"),
    "sender": ("sender", "sender_id", "seller", "seller_id", "user", "user_id"),
    "price": ("price",),
}
"""Column names of this source, with the names that tables may use for them, in any case."""

_PHOTO = re.compile(r"(image|photo|picture|file|filename)s?[ _]?\d*", re.IGNORECASE)
_PRICE = re.compile(r"\d+(?:\.\d+)?")
_LAYOUT = f"it must hold listings.csv and {IMAGES}/, or one folder of photos per class"


@dataclass(frozen=True)
class ListingPhoto:
    """One photo of a listing: its file, its place in the table, its cells."""

    file: str
    where: str
    cells: Mapping[str, str]


@dataclass
class Found:
    """Usable photos by item id, and problems."""

    photos: dict[str, ListingPhoto] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def open_listings(
    folder: Path, cache: Path, needed_columns: Sequence[str], follow_links: bool = False
) -> Examples:
    """Read a folder of listings.

    Columns of the result: `category`, `sender`, `listing`, `price` ("" if unknown or not a number), `group`
    (the sender, or the listing of an unknown sender: a split should keep it together), and the table's
    others. Photos left out and oddities are in `problems`. Images are not decoded here. cache: folder for the
    content hashes. Raises DataError if the folder or a column is missing, or if no photo is usable.
    """
    root = open_folder(folder, _LAYOUT, follow_links)
    name = _table_name(root)
    found = _from_table(root, name) if name else _from_folders(root)
    hashes = hash_files(root, [photo.file for photo in found.photos.values()], cache)
    for item, photo in list(found.photos.items()):
        if photo.file in hashes.refused:
            why = hashes.refused[photo.file]
            found.problems.append(Problem(why.code, photo.file, f"{why}"))
            del found.photos[item]
    if not found.photos:
        raise DataError(f"{root.root}: no photo can be used{because_of(found.problems)}; {_LAYOUT}")
    photos = tuple(found.photos.values())
    titles = dict.fromkeys(title for photo in photos for title in photo.cells)
    columns = {title: tuple(photo.cells.get(title, "") for photo in photos) for title in titles}
    require_columns(f"{root.root}:", needed_columns, columns)
    content = tuple(hashes.found[photo.file] for photo in photos)
    return Examples(
        items=tuple(found.photos),
        columns=columns,
        images=FolderImages(root, tuple(photo.file for photo in photos), content),
        fingerprint=fingerprint(SOURCE, FORMAT_VERSION, columns, content),
        source=SOURCE,
        problems=tuple(found.problems),
    )


def _table_name(root: DataFolder) -> str | None:
    """Return the table to read, None if there is none."""
    names = sorted(name for name in list_folder(root.root) if name.lower().endswith((".csv", ".tsv")))
    for name in TABLES:
        if name in names:
            return name
    if len(names) > 1:
        raise DataError(f"{root.root}: has several tables ({', '.join(names[:5])}); name one listings.csv")
    return names[0] if names else None


def _from_table(root: DataFolder, name: str) -> Found:
    table = read_csv(root, name, (), delimiters=",;\t|", encoding="cp1252")
    titles = _titles(table, f"{root.root}/{name}")
    files = PhotoFiles(root, _LAYOUT)
    found = Found(problems=list(table.problems))
    for row, line in enumerate(table.lines):
        where = f"{name} line {line}"
        own = {title: table.columns[place][row] for title, place in titles.items()}
        cells = {**dict.fromkeys(NAMES, ""), **own}
        photos = [
            text for place in _photo_places(table) for text in re.split("[;|]", table.columns[place][row])
        ]
        photos = [text.strip() for text in photos if text.strip()] or [cells["listing"]]
        if not cells["category"]:
            found.problems.append(
                Problem("empty_label", where, f"the category of {photos[0][:80]!r} is empty")
            )
            continue
        price = cells["price"]
        if price and not price_in(price):
            found.problems.append(
                Problem("bad_price", where, f"price {price[:40]!r} is not a number; left empty", fatal=False)
            )
        cells["price"] = price_in(price)
        cells["group"] = cells["sender"] or cells["listing"]
        for text in photos:
            _add(found, files, ListingPhoto(text, where, cells))
    _disagreements(found)
    found.problems += files.without_row(name)
    return found


def _titles(table: CsvTable, where: str) -> dict[str, int]:
    """Return the index of each column by its name in this source."""
    known = {other: own for own, others in NAMES.items() for other in others}
    places: dict[str, int] = {}
    for index, title in enumerate(table.header):
        own = known.get(title.lower(), title)
        if title and own not in places and not _PHOTO.fullmatch(title):
            places[own] = index
    if "category" not in places:
        raise DataError(f"{where}: has no column category (it has: {', '.join(table.header)[:200]})")
    if "listing" not in places and not _photo_places(table):
        raise DataError(
            f"{where}: has neither a column id nor a column image (it has: {', '.join(table.header)[:200]})"
        )
    return places


def _photo_places(table: CsvTable) -> list[int]:
    return [index for index, title in enumerate(table.header) if _PHOTO.fullmatch(title)]


def price_in(text: str) -> str:
    """Return the number in a price, without currency and thousands separators; "" for none.

    The last of a comma and a point is the decimal separator; so is a comma before one or two digits.

    >>> [price_in(text) for text in ("S$1,250.50", "1.250,50", "12,5", "1,250", "12", "free", "1.2.3")]
    ['1250.50', '1250.50', '12.5', '1250', '12', '', '']
    """
    number = re.sub(r"^[^\d.,-]+|[^\d.,-]+$", "", text).replace(" ", "").replace("'", "")
    if re.fullmatch(r"\d{1,3}(\.\d{3})+,\d+|\d+,\d{1,2}", number):
        number = number.replace(".", "").replace(",", ".")
    elif re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", number):
        number = number.replace(",", "")
    elif re.fullmatch(r"\d{1,3}(\.\d{3}){2,}", number):
        number = number.replace(".", "")
    return number if _PRICE.fullmatch(number) else ""


def _add(found: Found, files: PhotoFiles, photo: ListingPhoto) -> None:
    """Add a photo of a row, or a problem if it cannot be used."""
    file = files.find(photo.file)
    if isinstance(file, Problem):
        found.problems.append(Problem(file.code, photo.where, file.why, file.fatal))
        return
    item = file.removeprefix(f"{IMAGES}/").rpartition(".")[0]
    if item in found.photos:
        other = found.photos[item]
        same = other.cells["category"] == photo.cells["category"]
        code, what = ("duplicate_image", "is also") if same else ("label_conflict", "has another category")
        found.problems.append(
            Problem(code, photo.where, f"photo {item[:80]} {what} in {other.where}, which is kept")
        )
        return
    found.photos[item] = ListingPhoto(file, photo.where, photo.cells)


def _disagreements(found: Found) -> None:
    """Note every listing whose photos have different categories; they are kept."""
    first: dict[str, ListingPhoto] = {}
    noted: set[str] = set()
    for photo in found.photos.values():
        listing = photo.cells["listing"]
        other = first.setdefault(listing, photo)
        if listing and listing not in noted and other.cells["category"] != photo.cells["category"]:
            noted.add(listing)
            why = f"listing {listing[:80]} has another category in {other.where}"
            found.problems.append(Problem("listing_disagrees", photo.where, why, fatal=False))


def _from_folders(root: DataFolder) -> Found:
    found = Found()
    names = [
        name for name in list_folder(root.root) if os.path.isdir(f"{root.root}/{name}") and name[0] != "."
    ]
    if names and all(map(part_of, names)):
        raise DataError(
            f"{root.root}: {printable(', '.join(names[:4]))} are parts of a published split, not classes: "
            'leave out --task, or write source = "folders" in the card (bench init DIR writes one)'
        )
    for name in names:
        if not root.holds(name):
            found.problems.append(Problem("outside", printable(name), "a link out of the data folder"))
            continue
        files = [file for file in list_folder(f"{root.root}/{name}") if file.lower().endswith(ENDINGS)]
        if not files:
            found.problems.append(
                Problem("empty_class", f"{printable(name)}/", "the folder has no photo", fatal=False)
            )
        cells = {"category": printable(name.strip()), "sender": "", "listing": "", "price": "", "group": ""}
        for file in files:
            found.photos[printable(f"{name}/{file}")] = ListingPhoto(f"{name}/{file}", f"{name}/", cells)
    return found
