"""A table as data: typed columns, rows of raw values, notes. Rendering rounds; nothing else does."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Column:
    """One column. kind: `text`, `int`, `ratio` (3 decimals), `signed` (+.123), `seconds`, `bool`."""

    key: str
    title: str
    kind: str = "text"


@dataclass(frozen=True)
class Table:
    """Rows are mappings by column key; a missing key or None is an empty cell ("–" on a terminal)."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Any]]
    notes: Sequence[str] = field(default_factory=tuple)


def flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield key and value of nested mappings, keys joined by dots, lists as JSON.

    >>> list(flat({"a": {"b": 1}, "c": [1, 2]}))
    [('a.b', 1), ('c', '[1, 2]')]
    """
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", json.dumps(value) if isinstance(value, list | tuple) else value
