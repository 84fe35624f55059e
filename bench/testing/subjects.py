"""What the suites are run on: all that is registered, or the plug-ins that pytest's `--plugin` names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from bench.core.plugins import Plugin, load, owner_of

T = TypeVar("T")

_chosen: list[Plugin] = []


def choose(places: Iterable[str]) -> None:
    """Load plug-ins and run the suites on them alone. Raises BenchError for one that cannot be loaded."""
    _chosen.extend(load(place) for place in places)


def subjects(what: str, table: Mapping[str, T]) -> dict[str, T]:
    """Return what the suites are run on, by name. what: the table's things to `bench.core.plugins`."""
    return {name: value for name, value in table.items() if not _chosen or owner_of(what, name) in _chosen}


def is_own(what: str, name: str) -> bool:
    """Whether a thing is the package's own."""
    return owner_of(what, name) is None
