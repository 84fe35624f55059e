"""Photos of marketplace listings: a table of listings beside `images/`, or one folder for each class."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.data.examples import Examples, Problem, fingerprint
from bench.data.files import DataFolder
from bench.data.hashing import hash_files
from bench.data.photo_files import IMAGES, SUFFIXES, PhotoFiles, list_folder
from bench.data.reader import FolderImages
from bench.data.tables import CsvTable, printable, read_csv
from bench.errors import DataError

SOURCE = "listings"
FORMAT_VERSION = 1
"""Part of the fingerprint; raised when the same folder would be read differently."""

TABLES = ("listings.csv", "images.csv")

NAMES: Mapping[str, tuple[str, ...]] = {
    "category": ("category", "label", "class"),
    "listing": ("id", "listing", "listing_id"),
    "sender": ("sender", "sender_id", "seller", "seller_id", "user", "user_id"),
    "price": ("price",),
}
"""What this source calls a column, and what tables may call it; capitals do not matter."""

_PHOTO = re.compile(r"(image|photo|picture|file|filename)s?[ _]?\d*", re.IGNORECASE)
_PRICE = re.compile(r"\d+(?:\.\d+)?")
_LAYOUT = f"it must hold listings.csv and {IMAGES}/, or one folder of photos for each class"


@dataclass(frozen=True)
class Photo:
    """One photo of a listing: its file, what the table says of it, and where."""

    file: str
    where: str
    cells: Mapping[str, str]


@dataclass
class Found:
    """What a layout holds: usable photos by item id, and everything else."""

    photos: dict[str, Photo] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def open_listings(folder: Path, cache: Path, needed_columns: Sequence[str]) -> Examples:
    """Read a folder of listings.

    Columns of the result: `category`, `sender`, `listing`, `price` ("" where unknown or no number), `group`
    (the sender, or the listing where senders are unknown: what a split should keep together), and the
    table's others. Everything left out or odd is one of `problems`. No image is decoded here. cache:
    folder for the content hashes. Raises DataError when the folder or a column is missing, or nothing is
    left.
    """
    if not os.path.isdir(folder):
        raise DataError(f"data folder {str(folder)!r} is not there or not a folder; {_LAYOUT}")
    root = DataFolder(folder)
    name = _table_name(root)
    found = _from_table(root, name) if name else _from_folders(root)
    hashes = hash_files(Path(root.root), [photo.file for photo in found.photos.values()], cache)
    for item, photo in list(found.photos.items()):
        if photo.file in hashes.refused:
            why = hashes.refused[photo.file]
            found.problems.append(Problem(why.kind, photo.file, f"{why}"))
            del found.photos[item]
    if not found.photos:
        first = next((problem for problem in found.problems if problem.fatal), None)
        because = f" (the first problem: {first.where}: {first.why})" if first else ""
        raise DataError(f"{root.root}: no photo can be used{because}; {_LAYOUT}")
    photos = tuple(found.photos.values())
    titles = dict.fromkeys(title for photo in photos for title in photo.cells)
    columns = {title: tuple(photo.cells.get(title, "") for photo in photos) for title in titles}
    for column in needed_columns:
        if column not in columns:
            raise DataError(f"{root.root}: has no column {column!r} (it has: {', '.join(columns)})")
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
    """Return the table to read, None where there is none."""
    names = sorted(name for name in list_folder(root.root) if name.lower().endswith((".csv", ".tsv")))
    for name in TABLES:
        if name in names:
            return name
    if len(names) > 1:
        raise DataError(f"{root.root}: holds several tables ({', '.join(names[:5])}); call one listings.csv")
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
        if price and not _price(price):
            found.problems.append(
                Problem("bad_price", where, f"price {price[:40]!r} is no number; left empty", fatal=False)
            )
        cells["price"] = _price(price)
        cells["group"] = cells["sender"] or cells["listing"]
        for text in photos:
            _add(found, files, Photo(text, where, cells))
    _disagreements(found)
    found.problems += files.without_row(name)
    return found


def _titles(table: CsvTable, where: str) -> dict[str, int]:
    """Return the place of each column under the name it has from here on."""
    known = {other: own for own, others in NAMES.items() for other in others}
    places: dict[str, int] = {}
    for place, title in enumerate(table.header):
        own = known.get(title.lower(), title)
        if title and own not in places and not _PHOTO.fullmatch(title):
            places[own] = place
    if "category" not in places:
        raise DataError(f"{where}: has no column category (it has: {', '.join(table.header)[:200]})")
    if "listing" not in places and not _photo_places(table):
        raise DataError(
            f"{where}: has neither a column id nor a column image (it has: {', '.join(table.header)[:200]})"
        )
    return places


def _photo_places(table: CsvTable) -> list[int]:
    return [place for place, title in enumerate(table.header) if _PHOTO.fullmatch(title)]


def _price(text: str) -> str:
    """Return the number in a price as it is written, without currency and thousands marks; "" for none.

    Of a comma and a point the last one parts the decimals; so does a comma with one or two digits after it.

    >>> [_price(text) for text in ("S$1,250.50", "1.250,50", "12,5", "1,250", "12", "free", "1.2.3")]
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


def _add(found: Found, files: PhotoFiles, photo: Photo) -> None:
    """Take up a photo of a row, or say why it cannot be used."""
    file = files.find(photo.file)
    if isinstance(file, Problem):
        found.problems.append(Problem(file.kind, photo.where, file.why, file.fatal))
        return
    item = file.removeprefix(f"{IMAGES}/").rpartition(".")[0]
    if item in found.photos:
        other = found.photos[item]
        same = other.cells["category"] == photo.cells["category"]
        kind, what = ("duplicate_image", "named") if same else ("label_conflict", "given another category")
        found.problems.append(
            Problem(kind, photo.where, f"photo {item[:80]} was {what} by {other.where}, which is kept")
        )
        return
    found.photos[item] = Photo(file, photo.where, photo.cells)


def _disagreements(found: Found) -> None:
    """Note every listing whose photos are not all of one category; they stay as they are."""
    first: dict[str, Photo] = {}
    noted: set[str] = set()
    for photo in found.photos.values():
        listing = photo.cells["listing"]
        other = first.setdefault(listing, photo)
        if listing and listing not in noted and other.cells["category"] != photo.cells["category"]:
            noted.add(listing)
            why = f"listing {listing[:80]} is of another category in {other.where}"
            found.problems.append(Problem("listing_disagrees", photo.where, why, fatal=False))


def _from_folders(root: DataFolder) -> Found:
    found = Found()
    for name in list_folder(root.root):
        if name.startswith(".") or not os.path.isdir(f"{root.root}/{name}"):
            continue
        if not root.holds(name):
            found.problems.append(Problem("outside", printable(name), "a link that leaves the data folder"))
            continue
        files = [file for file in list_folder(f"{root.root}/{name}") if file.lower().endswith(SUFFIXES)]
        if not files:
            found.problems.append(
                Problem("empty_class", f"{printable(name)}/", "the folder holds no photo", fatal=False)
            )
        cells = {"category": printable(name.strip()), "sender": "", "listing": "", "price": "", "group": ""}
        for file in files:
            found.photos[printable(f"{name}/{file}")] = Photo(f"{name}/{file}", f"{name}/", cells)
    return found
