"""Source of any table of photos: CSV, TSV or Parquet, images as paths or as bytes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.core.errors import DataError
from bench.data import parquet
from bench.data.examples import Examples, ImageReader, Problem, because_of, fingerprint, require_columns
from bench.data.files import DataFolder, open_folder
from bench.data.hashing import hash_files, hash_rows
from bench.data.label_rows import label_notes
from bench.data.layout import Layout, PhotoRow, in_order_of_content, unused
from bench.data.listings import price_in
from bench.data.photo_tree import PhotoNames, PhotoTree, walk
from bench.data.reader import FolderImages
from bench.data.split_rules import part_of
from bench.data.table_columns import as_attributes, attributes_of, image_column
from bench.data.table_rows import TableRows, find_tables, read_tables
from bench.data.tables import printable

SOURCE = "table"
FORMAT_VERSION = 1
"""Part of the fingerprint; bumped when the result of reading a folder changes."""

SPLIT = "split"
"""The column with the part of a published split, if it follows from the names of tables."""

PERSON, PRICE = "person", "price"

_LAYOUT = "it must hold a .csv, .tsv or .parquet file with a row for each photo"


@dataclass
class PhotoTable:
    """A table and the photos beside it, before any image is read. image: its column of images."""

    root: DataFolder
    rows: TableRows
    image: str
    names: PhotoNames
    problems: list[Problem]

    @property
    def embedded(self) -> bool:
        """Whether the table has the images' bytes, not their paths."""
        return self.image in self.rows.images


def open_photo_table(
    folder: Path, cache: Path, needed_columns: Sequence[str], follow_links: bool, layout: Layout
) -> Examples:
    """Read a table of photos.

    folder: the data folder, or the table itself. An item is the path of a photo; for images in the table, the
    name beside the bytes, or table and row if a name is missing or repeated. All columns are kept, and
    `person` and `price` are those that the layout names. Rows without a label, a part of the published split
    or a photo are left out. Attributes are "1", "0" or "" for unknown (`as_attributes`). The order is that of
    the photos' content. Raises DataError if the table or a column is missing, a Parquet file is incomplete,
    or no row is usable.
    """
    table = open_rows(folder, follow_links, layout)
    problems, columns = table.problems, dict(table.rows.columns)
    where = f"{table.root.root}: {printable(table.rows.tables[0])}"
    own = (layout.person, layout.price, *(layout.attributes or ()))
    check_image(table, (*needed_columns, *own, layout.group, layout.title))
    require_columns(where, [name for name in (*needed_columns, *own) if name not in (PERSON, "")], columns)
    attributes = (
        () if layout.attributes is None else attributes_of(table.rows, layout.attributes, table.image)
    )
    if layout.attributes is not None and not attributes:
        raise DataError(f"{where} has no column of labels, 1 for yes and 0 for no")
    columns |= as_attributes(attributes, columns, table.rows.where, problems)
    if layout.person:
        columns[PERSON] = columns[layout.person]
    if layout.price:
        columns[PRICE] = tuple(price_in(cell) for cell in columns[layout.price])
    require_columns(where, needed_columns, columns)
    if layout.split:
        columns[layout.split] = tuple(part_of(cell) or cell for cell in columns[layout.split])
    ties = [columns[name] for name in (layout.label, *attributes, layout.split, layout.group) if name]
    chosen = _labelled(table, layout, columns)
    rows = (
        _embedded(table, chosen, cache) if table.embedded else _named(table, chosen, layout, columns, cache)
    )
    rows = in_order_of_content(
        [replace(row, ties=tuple(cells[row.number] for cells in ties)) for row in rows]
    )
    if not rows:
        raise DataError(f"{table.root.root}: no row can be used{because_of(problems)}")
    kept = {
        name: tuple([cells[row.number] for row in rows])
        for name, cells in columns.items()
        if name != table.image
    }
    content = tuple(row.content for row in rows)
    marked = {**kept, "\x00meaning": layout.meaning, "\x00attributes": attributes}
    return Examples(
        items=tuple(row.item for row in rows),
        columns=kept,
        images=_reader(table, rows, content),
        fingerprint=fingerprint(SOURCE, FORMAT_VERSION, marked, content),
        source=SOURCE,
        problems=(*problems, *label_notes(attributes, kept)),
        attributes=attributes,
    )


def check_image(table: PhotoTable, others: Sequence[str]) -> None:
    """Raise DataError if the column of images has another role, too."""
    if table.image in others:
        raise DataError(
            f"{table.root.root}: {printable(table.rows.tables[0])}: column {table.image!r} is the image, and "
            "cannot be the label, split, group, title or price as well: name another one"
        )


def open_rows(folder: Path, follow_links: bool, layout: Layout) -> PhotoTable:
    """Open the table of a folder, or a table itself, without reading an image. Raises DataError."""
    given = os.path.isfile(folder)
    root = open_folder(folder.parent if given else folder, _LAYOUT, follow_links)
    # The folder may be large: search it only if the table has no image bytes.
    tree = PhotoTree() if given else walk(root)
    tables = [folder.name] if given else find_tables(root, tree.others, layout.file)
    rows = read_tables(root, tables)
    if given and not rows.images:
        tree = walk(root)
    if rows.part and SPLIT not in rows.columns:
        rows.columns[SPLIT] = rows.part
    names = PhotoNames(tree.photos)
    where = f"{root.root}: {printable(rows.tables[0])}:"
    image = image_column(where, rows, names, layout)
    return PhotoTable(root, rows, image, names, [*rows.problems, *tree.problems])


def _labelled(table: PhotoTable, layout: Layout, columns: Mapping[str, Sequence[str]]) -> list[int]:
    """Return the rows that have a label and a part of the published split."""
    chosen = []
    wanted = [(layout.label, "empty_label"), (layout.split, "no_part")]
    for row, where in enumerate(table.rows.where):
        lacks = next(((name, code) for name, code in wanted if name and not columns[name][row]), None)
        if lacks is None:
            chosen.append(row)
        else:
            table.problems.append(Problem(lacks[1], where, f"{lacks[0][:80]} is empty"))
    return chosen


def _named(
    table: PhotoTable,
    chosen: Sequence[int],
    layout: Layout,
    columns: Mapping[str, Sequence[str]],
    cache: Path,
) -> list[PhotoRow]:
    """Return the rows whose photo is found, once in each part of the published split."""
    cells, where, problems = columns[table.image], table.rows.where, table.problems
    labels = columns.get(layout.label, ())
    found: dict[tuple[str, str], int] = {}
    files: dict[int, tuple[str, str]] = {}
    items: set[str] = set()
    for row in chosen:
        file = table.names.find(cells[row], table.rows.places[row][0])
        if isinstance(file, Problem):
            problems.append(replace(file, where=where[row]))
            continue
        part = columns[layout.split][row] if layout.split else ""
        first = found.setdefault((file, part), row)
        if first != row:
            same = not labels or labels[first] == labels[row]
            code, what = ("duplicate_image", "is also") if same else ("label_conflict", "has another label")
            why = f"photo {printable(file)[:80]} {what} in {where[first]}, which is kept"
            problems.append(Problem(code, where[row], why))
            continue
        shown = printable(file)
        files[row] = file, unused(f"{shown} ({part})" if shown in items else shown, items)
    hashes = hash_files(table.root, [file for file, _ in files.values()], cache)
    rows = []
    for row, (photo, item) in files.items():
        if (refused := hashes.refused.get(photo)) is not None:
            problems.append(Problem(refused.code, where[row], f"{printable(photo)}: {refused}"))
        else:
            rows.append(PhotoRow(item, hashes.found[photo], photo, row, ()))
    problems += (
        Problem("no_row", printable(file), "no row names it", fatal=False)
        for file in sorted(table.names.photos - table.names.asked)
    )
    return rows


def _embedded(table: PhotoTable, chosen: Sequence[int], cache: Path) -> list[PhotoRow]:
    """Return the rows with an image in the table."""
    counts = Counter(shard for shard, _ in table.rows.places)
    hashes = hash_rows(
        table.root, counts, lambda shard: parquet.image_bytes(table.root, shard, table.image), cache
    )
    own = [f"{printable(shard)}:{row + 1}" for shard, row in table.rows.places]
    names = table.rows.names.get(table.image, ())
    if names and len(set(names)) == len(names) and "" not in names:
        own = list(names)
    rows = []
    for number in chosen:
        shard, row = table.rows.places[number]
        if content := hashes[shard][row]:
            rows.append(PhotoRow(own[number], content, (shard, row), number, ()))
        else:
            table.problems.append(Problem("no_image", table.rows.where[number], "the image is empty"))
    return rows


def _reader(table: PhotoTable, rows: Sequence[PhotoRow], content: tuple[str, ...]) -> ImageReader:
    if table.embedded:
        places = [row.place for row in rows]
        return parquet.ParquetImages(table.root, places, table.image, content)
    return FolderImages(table.root, tuple(str(row.place) for row in rows), content)
