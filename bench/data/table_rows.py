"""Rows of a data folder's tables: CSV, TSV, Parquet, CelebA's lists; one file or several."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.core.errors import DataError, nearest
from bench.data import parquet
from bench.data.examples import Problem
from bench.data.files import DataFolder
from bench.data.split_rules import part_of
from bench.data.tables import printable, read_csv, read_text

ENDINGS = (".csv", ".tsv", *parquet.ENDINGS)

CELEBA, CELEBA_PARTS = "list_attr_celeba", "list_eval_partition"
"""Names, without ending, of CelebA's attributes and of its split: 0 trains, 1 validates, 2 tests."""

_CELEBA_WORDS = {"0": "train", "1": "val", "2": "test"}
_PART = re.compile(r"([a-z]+)(?=$|[-_. ])")


@dataclass(frozen=True)
class TableRows:
    """The n rows of all tables, in their order.

    columns: n cells by name, "" where a table lacks the column. places: table and row, from 0, of each row.
    where: the same for messages. images: columns of bytes. names: for some of these, n names of the images.
    part: of the published split that the tables' names give, n of them, or () for none. problems: rows left
    out, oddities.
    """

    tables: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]
    places: tuple[tuple[str, int], ...]
    where: tuple[str, ...]
    images: tuple[str, ...] = ()
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    part: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.places)


@dataclass(frozen=True)
class _One:
    """The rows of one table."""

    name: str
    columns: dict[str, tuple[str, ...]]
    rows: tuple[int, ...]
    where: tuple[str, ...]
    images: tuple[str, ...] = ()
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def find_tables(root: DataFolder, others: Sequence[str], file: str) -> list[str]:
    """Return the tables to read, sorted.

    others: all files of the folder that are not photos. file: a table's name, "" to find it: Parquet files in
    any subfolder are shards of one table; several CSV or TSV files must be one for each part of a published
    split. Raises DataError if there is none, or are several.
    """
    if file:
        if file not in others:
            guess = nearest(file, [name for name in others if name.endswith((*ENDINGS, ".txt"))])
            raise DataError(f"{root.root}: has no table {file!r}{guess}")
        return [file]
    shards = [name for name in others if name.lower().endswith(parquet.ENDINGS)]
    if shards:
        return shards
    tables = [name for name in others if name.lower().endswith(ENDINGS) or stem_of(name) == CELEBA]
    lists = [name for name in tables if stem_of(name) == CELEBA]
    if lists:
        return lists[:1]
    tables = [name for name in tables if stem_of(name) != CELEBA_PARTS]
    top = [name for name in tables if "/" not in name]
    for chosen in (top, tables):
        parts = [_part(name) for name in chosen]
        if len(chosen) == 1 or (len(set(parts)) == len(parts) > 1 and "" not in parts):
            return chosen
    if not tables:
        raise DataError(f"{root.root}: has no table; it must hold a .csv, .tsv or .parquet file")
    shown = ", ".join(printable(name) for name in tables[:5])
    raise DataError(f"{root.root}: has several tables ({shown}); name one: --data {root.root}/FILE")


def read_tables(root: DataFolder, tables: Sequence[str]) -> TableRows:
    """Read the tables. Raises DataError if one cannot be read or they do not fit together."""
    read = [_read(root, name) for name in tables]
    first = read[0]
    for one in read[1:]:
        if one.images != first.images:
            raise DataError(
                f"{root.root}: {printable(one.name)} and {printable(first.name)} have other columns of "
                f"images; name one table: --data {root.root}/FILE"
            )
    titles = list(dict.fromkeys(title for one in read for title in one.columns))
    columns = {
        title: tuple(cell for one in read for cell in one.columns.get(title, ("",) * len(one.rows)))
        for title in titles
    }
    names = {
        title: tuple(name for one in read for name in one.names[title])
        for title in first.names
        if all(title in one.names for one in read)
    }
    parts = [_part(one.name) for one in read]
    part: tuple[str, ...] = ()
    if len(set(parts)) > 1 and "" not in parts:
        part = tuple(part for part, one in zip(parts, read, strict=True) for _ in one.rows)
    return TableRows(
        tables=tuple(tables),
        columns=columns,
        places=tuple((one.name, row) for one in read for row in one.rows),
        where=tuple(where for one in read for where in one.where),
        images=first.images,
        names=names,
        part=part,
        problems=tuple(problem for one in read for problem in one.problems),
    )


def stem_of(name: str) -> str:
    """Return a file's name without folder and endings, in lower case."""
    return name.rpartition("/")[2].partition(".")[0].lower()


def _part(name: str) -> str:
    """Return the part of a published split from a table's name or its folder.

    >>> _part("data/train-00000-of-00002.parquet"), _part("valid/metadata.csv"), _part("trains.csv")
    ('train', 'val', '')
    """
    begins = _PART.match(name.rpartition("/")[2].lower())
    return (part_of(begins[1]) if begins else "") or part_of(name.rpartition("/")[0].rpartition("/")[2])


def _read(root: DataFolder, name: str) -> _One:
    if name.lower().endswith(parquet.ENDINGS):
        shard = parquet.read_shard(root, name)
        rows = tuple(range(shard.rows))
        where = tuple(f"{printable(name)} row {row + 1}" for row in rows)
        notes = tuple(
            Problem("other_column", printable(name), f"column {column[:80]!r} is not read", fatal=False)
            for column in shard.skipped
        )
        return _One(name, shard.columns, rows, where, shard.images, shard.paths, notes)
    if stem_of(name) == CELEBA:
        return _celeba(root, name)
    return _separated(root, name)


def _separated(root: DataFolder, name: str) -> _One:
    table = read_csv(root, name, (), delimiters=",;\t|", encoding="cp1252")
    columns: dict[str, tuple[str, ...]] = {}
    for title, cells in zip(table.header, table.columns, strict=True):
        if title and columns.setdefault(title, cells) != cells:
            raise DataError(f"{root.root}/{name}: has several columns {title[:80]!r}; keep one")
    where = tuple(f"{name} line {line}" for line in table.lines)
    return _One(name, columns, tuple(range(len(where))), where, problems=table.problems)


def _celeba(root: DataFolder, name: str) -> _One:
    """Read CelebA's attributes, as published or as CSV, and its split if its file is beside them."""
    lines = _blank_separated(root, name)
    if lines is None:
        one = _separated(root, name)
        image = next(iter(one.columns.values()), ())
    else:
        header, records, problems = lines
        image = tuple(fields[0] for _, fields in records)
        columns = {"image": image}
        for index, title in enumerate(header, 1):
            columns[title] = tuple(fields[index] for _, fields in records)
        where = tuple(f"{name} line {line}" for line, _ in records)
        one = _One(name, columns, tuple(range(len(records))), where, problems=problems)
    beside = name.rpartition("/")[0]
    for ending in (".txt", ".csv"):
        parts = f"{beside}/{CELEBA_PARTS}{ending}".removeprefix("/")
        try:
            text = read_text(root, parts, "cp1252")[0]
        except DataError:
            continue
        words = dict(re.findall(r"^(\S+?)[ ,]+([012])\s*$", text, re.MULTILINE))
        one.columns["split"] = tuple(_CELEBA_WORDS.get(words.get(file, ""), "") for file in image)
        break
    return one


def _blank_separated(
    root: DataFolder, name: str
) -> tuple[list[str], list[tuple[int, list[str]]], tuple[Problem, ...]] | None:
    """Return header, records by line, and problems of a list: a count, names, then rows; else None."""
    text = read_text(root, name, "cp1252")[0]
    lines = [printable(line).split() for line in text.splitlines()]
    if len(lines) < 3 or len(lines[0]) != 1 or not lines[0][0].isdigit():
        return None
    header, records, problems = lines[1], [], []
    for number, fields in enumerate(lines[2:], 3):
        if len(fields) == len(header) + 1:
            records.append((number, fields))
        elif fields:
            why = f"{len(fields)} fields, expected {len(header) + 1}"
            code = "too_few_fields" if len(fields) <= len(header) else "too_many_fields"
            problems.append(Problem(code, f"{name} line {number}", why))
    return header, records, tuple(problems)
