"""Table of the protocol keys that `--set` takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bench.core.cell import Value
from bench.core.protocol import KEYS, REGIME_DEFAULTS, Key
from bench.core.table import Column, Table

if TYPE_CHECKING:
    from bench.data.task_card import TaskCard

GROUPS = {
    "epochs": "training",
    "train_from": "fine-tuning",
    "standardize": "images and features",
    "mask_class_words": "titles",
    "source": "data and split",
    "rehearse": "rehearsal",
    "labels": "labels",
    "noise": "label noise",
    "hide": "hidden labels",
    "pairs": "pairs of photos",
    "duplicates": "leaks",
    "tune": "tuning",
}
"""The first key of each group, in the order of KEYS."""


def settings_table(card: TaskCard | None = None) -> Table:
    """Return a row for each key. card: adds a column with the values of the task's card."""
    rows: list[dict[str, Any]] = []
    group = ""
    for key in KEYS.values():
        group = GROUPS.get(key.name, group)
        regimes = {
            regime: values[key.name] for regime, values in REGIME_DEFAULTS.items() if key.name in values
        }
        row = {
            "group": group,
            "key": key.name,
            "default": _by_place(key.default, regimes),
            "values": values_of(key),
            "meaning": key.help,
        }
        rows.append(row if card is None else {**row, "card": _of_card(card, key.name)})
    columns = [
        Column("group", "group", rank=2),
        Column("key", "key", rank=0),
        Column("default", "default", rank=0),
        *([] if card is None else [Column("card", card.name, rank=0)]),
        Column("meaning", "meaning", rank=0),
        Column("values", "values", rank=3),
    ]
    notes = [
        "--set KEY=VALUE sets one for all stages, --set STAGE.KEY=VALUE a training value of one stage. All "
        "are part of a cell's identity."
    ]
    if card is not None:
        notes += [
            f"--set protocol={name}: {', '.join(f'{key}={shown_value(one)}' for key, one in values.items())}"
            for name, values in card.protocols.items()
        ]
    return Table("Protocol keys", columns, rows, tuple(notes))


def by_group(table: Table) -> list[Table]:
    """Return the table of keys as one for each group."""
    groups = dict.fromkeys(str(row["group"]) for row in table.rows)
    columns = [column for column in table.columns if column.key != "group"]
    tables = [
        Table(group.capitalize(), columns, [row for row in table.rows if row["group"] == group])
        for group in groups
    ]
    return [*tables[:-1], replace(tables[-1], notes=table.notes)]


def values_of(key: Key) -> str:
    """Return the values that a key takes: words, or a type with its bounds."""
    if key.choices:
        return ", ".join(key.choices)
    if key.type is bool:
        return "true, false"
    if key.type is str:
        return "text"
    kind = "whole number" if key.type is int else "number"
    ends = [f"{key.low:g}" if key.low is not None else "", f"{key.high:g}" if key.high is not None else ""]
    bounds = f" {ends[0]} to {ends[1]}" if all(ends) else f" from {ends[0]}" if ends[0] else ""
    return ", ".join([f"{kind}{bounds}", *key.words])


def shown_value(value: Value) -> str:
    """Return a value as `--set` takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _by_place(value: Value, others: Mapping[str, Value]) -> str:
    """Return a value, and those of regimes or stages that have another.

    >>> _by_place(40, {"frozen": 400})
    '40 (frozen: 400)'
    """
    differ = [f"{place}: {shown_value(other)}" for place, other in others.items() if other != value]
    return f"{shown_value(value)} ({', '.join(differ)})" if differ else shown_value(value)


def _of_card(card: TaskCard, name: str) -> str | None:
    """Return a card's values of a key, by regime and stage, or None."""
    common = dict(card.protocol["common"])
    others = {
        place: values[name] for place, values in card.protocol.items() if place != "common" and name in values
    }
    others |= {key.rpartition(".")[0]: value for key, value in common.items() if key.endswith(f".{name}")}
    if name in common:
        return _by_place(common[name], others)
    return ", ".join(f"{place}: {shown_value(value)}" for place, value in others.items()) or None
