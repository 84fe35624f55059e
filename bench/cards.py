"""Find and validate task cards (`tasks/<name>/task.toml`)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.data.rules import PEOPLE
from bench.errors import BenchError, unknown
from bench.kinds.base import KINDS
from bench.protocol import CARD, check
from bench.spec import Value
from bench.staged import check_stages, check_value, named

REGIMES = ("frozen", "scratch", "finetune")
"""Heads on a frozen backbone's features; nets from random weights; nets that go on from a backbone's."""

ONE_LABEL = ("multiclass", "verification")
"""Kinds whose labels are one column."""


@dataclass(frozen=True)
class Stage:
    """A part of the task scored on its own: the classes of train ranks first..last-1 (None: to the end)."""

    name: str
    first: int
    last: int | None


@dataclass(frozen=True)
class Grid:
    """What runs when the command names nothing; `sample` is the drawn sample's size."""

    backbones: tuple[str, ...]
    methods: tuple[str, ...]
    seeds: str
    sample: str = "small"


@dataclass(frozen=True)
class TaskCard:
    """A task as its card states it.

    source: the way the data is read; sources: others, by the name that `--set source=` gives them.
    label: the column with the class, or "" where the data says which columns are attributes.
    not_classes: labels that say there is no label. confused: which classes a class is taken for.
    truth: a column with the true label, for data that has one, or "". titles: a column with a title in words,
    likewise. auxiliary: columns with coarser labels or the like, that `multitask` trains on besides.
    protocol: common values, then those of each regime. protocols: sets of values by the name that
    `--set protocol=` gives them. grids: for the drawn sample and for real data.
    """

    name: str
    version: int
    kind: str
    title: str
    source: str
    sources: Mapping[str, str]
    label: str
    split_rule: str
    split_column: str
    not_classes: tuple[str, ...]
    confused: Mapping[str, tuple[str, ...]]
    truth: str
    titles: str
    stages: tuple[Stage, ...]
    protocol: Mapping[str, Mapping[str, Value]]
    protocols: Mapping[str, Mapping[str, Value]]
    grids: Mapping[str, Grid]
    path: Path
    auxiliary: tuple[str, ...] = ()

    def layers(self, regime: str, given: Mapping[str, Value]) -> tuple[Mapping[str, Value], ...]:
        """Return the protocol values to be merged, in this order: common ones, the regime's, the given ones.

        Raises BenchError where these name a set of values, or a stage, that is not here.
        """
        values, rest = named(self.protocols, given, self.name)
        check_stages(rest, [stage.name for stage in self.stages], self.name)
        return self.protocol["common"], self.protocol.get(regime, {}), values, rest


def find_cards(folders: Iterable[Path]) -> dict[str, Path]:
    """Return the card file of every task in the folders; a name found twice is the first folder's."""
    found: dict[str, Path] = {}
    for folder in folders:
        for card in sorted(folder.glob("*/task.toml")):
            found.setdefault(card.parent.name, card)
    return found


def load_card(name: str, folders: Iterable[Path]) -> TaskCard:
    """Return the named task's card. Raises BenchError for an unknown task or a faulty card."""
    cards = find_cards(folders)
    if name not in cards:
        raise unknown("task", name, cards, f"there are: {', '.join(cards) or 'none'}")
    return read_card(cards[name])


def read_card(path: Path) -> TaskCard:
    """Read and check one card. Raises BenchError that names the file and the key."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BenchError(f"{path}: not a readable task card: {error}") from None
    return _Reader(str(path)).card(raw, path)


class _Reader:
    """Checks a card's tables; every error says which file and which key."""

    def __init__(self, where: str) -> None:
        self.where = where

    def card(self, raw: Mapping[str, Any], path: Path) -> TaskCard:
        required = ("name", "version", "kind", "title", "source", "split", "stage", "grid")
        optional = (
            *("label", "sources", "protocol", "protocols", "not_classes", "confused", "truth", "titles"),
            "auxiliary",
        )
        self.keys(raw, required, optional, "the card")
        if raw["kind"] not in KINDS:
            raise unknown("kind", str(raw["kind"]), KINDS, f"in {self.where}")
        self.keys(self.typed(raw, "grid", dict), ("drawn", "data"), (), "[grid]")
        if (raw["kind"] in ONE_LABEL) != ("label" in raw):
            needs = "needs" if raw["kind"] in ONE_LABEL else "has no"
            raise BenchError(f"{self.where}: a {raw['kind']} task {needs} key 'label', a column")
        if raw["name"] != path.parent.name:
            raise BenchError(f"{self.where}: name is {raw['name']!r}, but its folder is {path.parent.name!r}")
        split = self.typed(raw, "split", dict)
        self.keys(split, ("rule", "column"), (), "[split]")
        if (raw["kind"] == "verification") != (split["rule"] == PEOPLE):
            raise BenchError(
                f"{self.where}: the rule {PEOPLE!r} is that of verification tasks, and no other's"
            )
        return TaskCard(
            name=self.typed(raw, "name", str),
            version=self.typed(raw, "version", int),
            kind=self.typed(raw, "kind", str),
            title=self.typed(raw, "title", str),
            source=self.typed(raw, "source", str),
            sources=self.sources(self.typed({"sources": {}, **raw}, "sources", dict)),
            label=self.typed({"label": "", **raw}, "label", str),
            split_rule=self.typed(split, "rule", str),
            split_column=self.typed(split, "column", str),
            not_classes=self.words(raw.get("not_classes", []), "not_classes"),
            confused={
                name: self.words(others, f"[confused] {name!r}")
                for name, others in self.typed({"confused": {}, **raw}, "confused", dict).items()
            },
            truth=self.typed({"truth": "", **raw}, "truth", str),
            titles=self.typed({"titles": "", **raw}, "titles", str),
            auxiliary=self.auxiliary(raw),
            stages=self.stages(self.typed(raw, "stage", list)),
            protocol=self.protocol(raw.get("protocol", {})),
            protocols=self.named_protocols(raw),
            grids={name: self.grid(table, name) for name, table in self.typed(raw, "grid", dict).items()},
            path=path,
        )

    def keys(
        self, table: Mapping[str, Any], required: Iterable[str], optional: Iterable[str], what: str
    ) -> None:
        required = tuple(required)
        allowed = (*required, *optional)
        for key in table:
            if key not in allowed:
                raise unknown("key", key, allowed, f"in {what} of {self.where}")
        for key in required:
            if key not in table:
                raise BenchError(f"{self.where}: {what} has no {key!r}")

    def typed(self, table: Mapping[str, Any], key: str, kind: type) -> Any:
        value = table[key]
        if type(value) is not kind:
            raise BenchError(f"{self.where}: {key} must be a {kind.__name__}, not {value!r}")
        return value

    def sources(self, table: Mapping[str, Any]) -> dict[str, str]:
        if CARD in table:
            raise BenchError(f"{self.where}: [sources] cannot name one {CARD!r}: that is the card's own")
        return {name: self.typed(table, name, str) for name in table}

    def auxiliary(self, raw: Mapping[str, Any]) -> tuple[str, ...]:
        columns = self.words(raw.get("auxiliary", []), "auxiliary")
        if raw.get("label") in columns or len(set(columns)) < len(columns):
            raise BenchError(f"{self.where}: auxiliary names a column twice, or the label itself")
        if columns and raw["kind"] != "multiclass":
            raise BenchError(f"{self.where}: auxiliary columns are for multiclass tasks, not {raw['kind']}")
        return columns

    def words(self, value: Any, what: str) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(word, str) and word for word in value):
            raise BenchError(f"{self.where}: {what} must be a list of names, not {value!r}")
        return tuple(value)

    def stages(self, tables: list[Any]) -> tuple[Stage, ...]:
        stages = []
        for table in tables:
            self.keys(table, ("name",), ("first", "last"), "[[stage]]")
            first, last = table.get("first", 0), table.get("last")
            if (
                type(first) is not int
                or first < 0
                or (last is not None and (type(last) is not int or last <= first))
            ):
                raise BenchError(
                    f"{self.where}: stage {table['name']!r} needs whole numbers 0 <= first < last"
                )
            if not re.fullmatch(r"[A-Za-z0-9_-]+", self.typed(table, "name", str)):
                raise BenchError(
                    f"{self.where}: stage {table['name']!r}: a name takes letters, digits, - and _"
                )
            stages.append(Stage(table["name"], first, last))
        if not stages or len({stage.name for stage in stages}) != len(stages):
            raise BenchError(f"{self.where}: a card has one or more stages with names of their own")
        return tuple(stages)

    def protocol(self, table: Mapping[str, Any]) -> dict[str, dict[str, Value]]:
        layers: dict[str, dict[str, Value]] = {"common": {}}
        for key, value in table.items():
            if isinstance(value, dict):
                if key not in REGIMES:
                    raise unknown("regime", key, REGIMES, f"in {self.where}")
                layers[key] = {
                    name: check(name, item, f"{self.where} [protocol.{key}]") for name, item in value.items()
                }
            else:
                layers["common"][key] = check(key, value, f"{self.where} [protocol]")
        return layers

    def named_protocols(self, raw: Mapping[str, Any]) -> dict[str, dict[str, Value]]:
        tables = self.typed({"protocols": {}, **raw}, "protocols", dict)
        stages = [table.get("name") for table in raw["stage"]]
        out = {}
        for name in tables:
            where = f"{self.where} [protocols.{name}]"
            out[name] = {
                key: check_value(key, item, where) for key, item in self.typed(tables, name, dict).items()
            }
            check_stages(out[name], stages, where)
        return out

    def grid(self, table: Mapping[str, Any], name: str) -> Grid:
        if name not in ("drawn", "data"):
            raise unknown("grid", name, ("drawn", "data"), f"in {self.where}")
        self.keys(table, ("backbones", "methods", "seeds"), ("sample",), f"[grid.{name}]")
        return Grid(
            backbones=tuple(self.typed(table, "backbones", list)),
            methods=tuple(self.typed(table, "methods", list)),
            seeds=self.typed(table, "seeds", str),
            sample=str(table.get("sample", "small")),
        )
