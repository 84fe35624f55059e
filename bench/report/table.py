"""A table as data: typed columns, rows of raw values, notes. Rendering rounds; nothing else does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
