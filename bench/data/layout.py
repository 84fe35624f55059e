"""Layout of a data folder: columns of photos, labels and other roles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.core.errors import BenchError, unknown

ROLES = ("image", "split", "group", "title", "price")
"""Roles of columns beside the label."""


@dataclass(frozen=True)
class Layout:
    """The columns of a table by role, "" for missing ones.

    file: the table's name in the folder, "" for the only one. image: the column with paths or bytes of
    images, "" to detect it. label: the class. attributes: columns with yes and no, () for all such columns,
    None if labels are classes. person: the column that is read as `person`. price: the one read as `price`.
    split, group, title: columns that the card's split and titles name.
    """

    file: str = ""
    image: str = ""
    attributes: tuple[str, ...] | None = None
    person: str = ""
    price: str = ""
    label: str = ""
    split: str = ""
    group: str = ""
    title: str = ""

    @property
    def meaning(self) -> tuple[str, ...]:
        """The roles of the columns, as text for the fingerprint, because another label makes another task.

        File names and image columns are left out: only content counts.
        """
        named = (self.label, *(self.attributes or ()))
        return (*named, "", self.person, self.price, self.split, self.group, self.title)

    @property
    def of_any_data(self) -> bool:
        """Whether it has values for sources of any columns only."""
        return any((self.file, self.image, self.attributes, self.person, self.price))

    @property
    def needed(self) -> tuple[str, ...]:
        """The required columns, the label first."""
        own = (self.label, *(self.attributes or ()), self.split, self.group, self.title)
        return tuple(dict.fromkeys(name for name in own if name))


NO_LAYOUT = Layout()
"""Layout of a card without `[data]`."""


@dataclass(frozen=True)
class PhotoRow:
    """One usable photo before the rows are ordered.

    item: its id. content: hash of its bytes. place: location of the image, for its reader. ties: cells that
    order identical photos.
    """

    item: str
    content: str
    place: Any
    number: int
    ties: tuple[str, ...]


def unused(item: str, taken: set[str]) -> str:
    """Return an item id that is not taken, and take it: two names may be printed alike.

    >>> taken = {"a", "a (2)"}
    >>> unused("a", taken), unused("b", taken)
    ('a (3)', 'b')
    """
    name, number = item, 2
    while name in taken:
        name, number = f"{item} ({number})", number + 1
    taken.add(name)
    return name


def in_order_of_content(rows: Sequence[PhotoRow]) -> list[PhotoRow]:
    """Return rows in an order that depends on the photos and labels alone.

    Folds, validation and minibatches depend on the order of examples. The same photos therefore give the same
    predictions from any layout: folders, CSV or Parquet, under any names, in any number of shards.
    """
    return sorted(rows, key=lambda row: (row.content, row.ties, row.item))


def parse_roles(texts: Sequence[str]) -> dict[str, str]:
    """Read `--column ROLE=COLUMN` options. Raises BenchError for an unknown or repeated role.

    >>> parse_roles(["split=fold", "group=seller"])
    {'split': 'fold', 'group': 'seller'}
    """
    roles: dict[str, str] = {}
    for text in texts:
        role, equals, column = text.partition("=")
        if not equals or not column:
            raise BenchError(f"--column {text!r}: write ROLE=COLUMN, for example split=fold")
        if role not in ROLES:
            raise unknown("role of a column", role, ROLES, f"--column takes {', '.join(ROLES)}")
        if role in roles:
            raise BenchError(f"--column {role} is given twice")
        roles[role] = column
    return roles


def parse_label(texts: Sequence[str]) -> tuple[str, ...]:
    """Read `--label` options, columns separated by commas. Raises BenchError for an empty name.

    >>> parse_label(["Smiling, Male", "Young"])
    ('Smiling', 'Male', 'Young')
    """
    label = tuple(dict.fromkeys(name.strip() for text in texts for name in text.split(",")))
    if "" in label:
        raise BenchError("--label: a name is empty")
    return label
