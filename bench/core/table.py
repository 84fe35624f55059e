"""Tables as data: typed columns, rows of unrounded values, notes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Column:
    """One column.

    type: `text`, `int`, `ratio` (3 decimals), `signed` (+.123), `seconds`, `bytes` (20.5 GB), `bool`.
    rank: on a terminal that is too narrow, columns of the highest rank are left out first, those of rank 0
    never. spread: keys of the columns that terminals and pages show within this one: of a standard deviation
    (.839 ±.011), or of the ends of an interval (.839 [.828, .850]). group: on a page, the heading of the
    neighbouring columns with the same one.
    """

    key: str
    title: str
    type: str = "text"
    rank: int = 1
    spread: tuple[str, ...] = ()
    group: str = ""


@dataclass(frozen=True)
class Table:
    """A table. rows: values by column key; a missing key or None is an empty cell.

    marked: key of a column of kind `bool`; a page highlights the rows where it is true.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    notes: Sequence[str] = field(default_factory=tuple)
    marked: str = ""


def flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the keys and values of nested mappings: keys joined by dots, lists as JSON.

    >>> list(flat({"a": {"b": 1}, "c": [1, 2]}))
    [('a.b', 1), ('c', '[1, 2]')]
    """
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", json.dumps(value) if isinstance(value, list | tuple) else value
