"""Inspection of a data folder without a card: class folders or a table, the label, a published split."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.core.errors import BenchError, DataError, unknown
from bench.core.kind import KINDS, UNNAMED, Kind, get_kind, is_kind
from bench.core.plural import counted
from bench.data import class_folders, photo_table
from bench.data.examples import require_columns
from bench.data.files import open_folder
from bench.data.layout import Layout
from bench.data.photo_tree import PhotoTree, walk
from bench.data.similar_names import similar_names
from bench.data.split_rules import PARTS, part_of, published_parts
from bench.data.table_columns import attributes_of
from bench.data.table_rows import CELEBA, ENDINGS, stem_of
from bench.data.tables import printable

_LABELS = ("label", "class", "category", "target", "species", "breed")
_LABEL = re.compile(rf"({'|'.join(_LABELS)})([ _-]?name)?", re.IGNORECASE)
_SPLIT = re.compile(r"(split|set|part|partition|subset|fold|phase)([ _-]?name)?", re.IGNORECASE)
_GROUP = re.compile(
    r"(group|seller|sender|user|owner|patient|subject|person|listing|video|camera|site)([ _-]?(id|name))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class DataQuery:
    """Data without a card, and the user's description of it.

    labels: the column of the class, or several of attributes. kind: of the task. roles: columns by role, of
    `bench.data.layout.ROLES`.
    """

    data: Path
    labels: tuple[str, ...] = ()
    kind: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    follow_links: bool = False

    @property
    def asks_for_table(self) -> bool:
        """Whether it names a column."""
        return bool(self.labels or self.roles)


@dataclass(frozen=True)
class Survey:
    """Contents of a data folder, for a card.

    source: of `bench.data.sources`. photos: their number, or that of rows. parts: photos by part of the
    published split, {} without one. notes: what was found, in sentences.
    """

    source: str
    kind: str
    layout: Layout
    photos: int
    parts: Mapping[str, int]
    notes: tuple[str, ...]


def survey(query: DataQuery) -> Survey:
    """Inspect the names of files and the cells of a table, without opening photos.

    A table with photos and a clear label takes precedence over class folders. Raises BenchError for an
    unknown kind, DataError if the label is ambiguous or a column is missing.
    """
    if query.kind is not None and not is_kind(query.kind):
        raise unknown("kind", query.kind, KINDS, f"one of {', '.join(KINDS)}")
    if os.path.isfile(query.data):
        return _of_table(query)
    root = open_folder(query.data, "it must hold class folders, or a table of photos", query.follow_links)
    tree = walk(root)
    if not _has_table(tree):
        if query.asks_for_table:
            column = (*query.labels, *query.roles.values())[0]
            raise DataError(
                f"{root.root}: has no table (.csv, .tsv, .parquet) with a column {column!r}; class folders "
                "need neither --label nor --column"
            )
        return _of_folders(query, root.root, tree)
    if query.asks_for_table or len(class_folders.look(tree).classes) < 2 or _names_labels(query):
        return _of_table(query)
    return _of_folders(query, root.root, tree)


def _has_table(tree: PhotoTree) -> bool:
    return any(name.lower().endswith(ENDINGS) or stem_of(name) == CELEBA for name in tree.others)


def _names_labels(query: DataQuery) -> bool:
    """Return whether the folder's table has photos and an unambiguous label."""
    try:
        return bool(_labels(query, photo_table.open_rows(query.data, query.follow_links, Layout())))
    except DataError:
        return False


def _of_folders(query: DataQuery, where: str, tree: PhotoTree) -> Survey:
    found, kind = class_folders.look(tree), get_kind(query.kind or UNNAMED)
    layout = kind.own_data.of_folders(published=any(found.parts[part] for part in PARTS))
    if len(found.classes) < 2:
        have = f"its {len(tree.photos):,} photos are in no two folders" if tree.photos else "has no photo"
        raise DataError(
            f"{where}: {have}, and there is no table; make a folder for each class, or a table of the photos"
        )
    parts = {part: found.parts[part] for part in PARTS if found.parts[part]} if layout.split else {}
    notes = [f"{len(found.photos):,} photos in {len(found.classes):,} class folders"]
    if found.top:
        notes[0] += f" of {printable(found.top)}"
    if kind.own_data.unsplit and found.parts:
        notes.append(f"the published split is not used: {kind.own_data.unsplit}")
    if parts:
        learned = {photo.label for photo in found.photos if photo.part == "train"}
        notes += _split_notes(parts, sorted(found.classes.keys() - learned))
    notes += _similar_notes(sorted(found.classes))
    if found.problems:
        notes.append(f"{len(found.problems):,} files or folders are left out; bench data check lists them")
    return Survey(class_folders.SOURCE, kind.name, layout, len(found.photos), parts, tuple(notes))


def _of_table(query: DataQuery) -> Survey:
    given = Layout(image=query.roles.get("image", ""))
    table = photo_table.open_rows(query.data, query.follow_links, given)
    rows, where = table.rows, f"{table.root.root}: {printable(table.rows.tables[0])}"
    asked = (*query.labels, *(column for role, column in query.roles.items() if role != "image"))
    require_columns(where, asked, rows.columns)
    labels = _labels(query, table)
    photo_table.check_image(table, (*asked, *labels))
    if not labels and query.kind is not None and not get_kind(query.kind).label_column:
        raise DataError(f"{where} has no column of labels, 1 for yes and 0 for no")
    if not labels:
        raise DataError(
            f"{where} has no column that is clearly the label: add --label COLUMN{_candidates(table)}"
        )
    kind = _kind(query, labels)
    own = kind.own_data
    split = query.roles.get("split", "") or ("" if own.unsplit else _split_column(table, labels))
    group = query.roles.get("group", "")
    if own.unsplit and (split or group):
        raise BenchError(
            f"--column {'split' if split else 'group'}: a {kind.name} task is split by {labels[0]!r}"
        )
    layout: Layout = replace(
        own.of_table(labels),
        image=given.image,
        price=query.roles.get("price", ""),
        split=split,
        group=group,
        title=query.roles.get("title", ""),
    )
    tables = f"{len(rows.tables)} tables" if len(rows.tables) > 1 else printable(rows.tables[0])
    how = "holds" if table.embedded else "names"
    notes = [f"{len(rows):,} rows in {tables}; column {printable(table.image)!r} {how} the photos"]
    notes.append(own.note(where, labels, rows.columns))
    cells = own.classes(labels, rows.columns)
    notes += _similar_notes(sorted({*cells} - {""}))
    parts: Mapping[str, int] = {}
    if split:
        used = [row for row, cell in enumerate(cells) if cell and rows.columns[split][row]]
        sides = published_parts(split, [rows.columns[split][row] for row in used])
        learned = {cells[row] for row, side in zip(used, sides, strict=True) if side == "train"}
        written = Counter(part_of(rows.columns[split][row]) for row in used)
        parts = {part: written[part] for part in PARTS if written[part]}
        notes += _split_notes(parts, sorted({cells[row] for row in used} - learned))
    if not (split or own.unsplit):
        notes += _unused_splits(table, labels)
    maybe = [name for name in rows.columns if _GROUP.fullmatch(name) and name not in labels]
    if maybe and not (group or split or own.unsplit):
        notes.append(
            f"column {maybe[0]!r} may say which photos belong together: --column group={maybe[0]} keeps them "
            "on one side"
        )
    return Survey(photo_table.SOURCE, kind.name, layout, len(rows), parts, tuple(notes))


def _kind(query: DataQuery, labels: Sequence[str]) -> Kind:
    """Return the kind of the task: the requested one, or else by the number of labels."""
    many = next(name for name in KINDS if not get_kind(name).label_column)
    kind = get_kind(query.kind or (many if len(labels) > 1 else UNNAMED))
    if kind.label_column and len(labels) > 1:
        raise BenchError(f"--label names {len(labels)} columns, but a {kind.name} task has one")
    return kind


def _labels(query: DataQuery, table: photo_table.PhotoTable) -> tuple[str, ...]:
    """Return the columns of labels: the requested ones, one named like a label, or all with yes and no."""
    if query.labels:
        return query.labels
    columns = [name for name in table.rows.columns if name != table.image]
    likely = [name for name in columns if _LABEL.fullmatch(name)]
    if query.kind is None or get_kind(query.kind).label_column:
        exact = [name for name in likely if name.lower() in _LABELS[:2]]
        if len(chosen := exact or likely) == 1:
            return (chosen[0],)
        if likely or query.kind is not None:
            return ()
    split = _split_column(table, ())
    found = tuple(name for name in attributes_of(table.rows, (), table.image) if name != split)
    return found if len(found) > 1 or query.kind is not None else ()


def _candidates(table: photo_table.PhotoTable) -> str:
    """Return the columns that may be labels, with their numbers of values, in brackets."""
    counts = {
        name: len(set(cells) - {""}) for name, cells in table.rows.columns.items() if name != table.image
    }
    limit = max(len(table.rows) // 5, 20)
    likely = [f"{name[:40]} ({count} values)" for name, count in counts.items() if 2 <= count <= limit]
    return (
        f" (perhaps {', '.join(likely[:6])})"
        if likely
        else f" (it has: {', '.join(counts)[:200] or 'no other column of words'})"
    )


def _split_column(table: photo_table.PhotoTable, labels: Sequence[str]) -> str:
    """Return the column of a published split: named like one, with only words for parts, including train."""
    for name, cells in table.rows.columns.items():
        parts = {part_of(cell) for cell in set(cells) if cell}
        if name not in labels and _SPLIT.fullmatch(name) and "" not in parts and {"train"} < parts:
            return name
    return ""


def _unused_splits(table: photo_table.PhotoTable, labels: Sequence[str]) -> list[str]:
    """Return a note on each column that looks like a split but is not a valid one."""
    notes = []
    for name, cells in table.rows.columns.items():
        words = sorted(set(cells) - {""})
        parts = {part for word in words if (part := part_of(word))}
        if name in labels or not _SPLIT.fullmatch(name) or not parts:
            continue
        other = next((word for word in words if not part_of(word)), None)
        why = "every row is train" if "train" in parts else "no row is train"
        if other is not None:
            why = f"{other[:40]!r} is not train, val or test"
        notes.append(f"column {name!r} is not used as the split: {why}; photos are split by chance")
    return notes


def _similar_notes(names: Sequence[str]) -> list[str]:
    """Return a note on classes that differ only in writing, if there are some."""
    groups = similar_names(names)
    if not groups:
        return []
    shown = "; ".join(" and ".join(repr(name[:40]) for name in group[:3]) for group in groups[:3])
    return [f"classes that differ only in writing are different classes here: {shown}"]


def _split_notes(parts: Mapping[str, int], unseen: Sequence[str]) -> list[str]:
    notes = ["published split: " + ", ".join(f"{part} {count:,}" for part, count in parts.items())]
    if "test" not in parts:
        notes.append(
            "no published test set: the validation part becomes it, and a seeded part of train validates"
        )
    if unseen:
        shown = ", ".join(name[:40] for name in unseen[:3])
        one = len(unseen) == 1
        notes.append(
            f"{counted(len(unseen), 'class')} {'is' if one else 'are'} not in train, so "
            f"{'it' if one else 'they'} cannot be learned: {shown}"
        )
    return notes
