"""Reader of task cards (`tasks/<name>/task.toml`)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from bench.core.cell import Value
from bench.core.errors import BenchError, unknown
from bench.core.forms import SCALARS, Each, Keys, Named, check_form
from bench.core.kind import KINDS, Kind, get_kind, is_kind, supporting
from bench.core.protocol import CARD, REGIME_DEFAULTS, check
from bench.core.regular_files import Refused, read_file
from bench.core.stage_values import check_stages, check_value, named
from bench.data.layout import NO_LAYOUT, Layout
from bench.data.split_rules import COLUMN, on_column

REGIMES = ("frozen", "scratch", "finetune")
"""Heads on a frozen backbone's features; nets from random weights; nets from a backbone's weights."""


@dataclass(frozen=True)
class Stage:
    """A subtask that is scored on its own: the classes of training ranks first..last-1 (None: to the end)."""

    name: str
    first: int
    last: int | None


@dataclass(frozen=True)
class Grid:
    """The default grid of `bench run`. sample: size of the synthetic sample."""

    backbones: tuple[str, ...]
    methods: tuple[str, ...]
    seeds: str
    sample: str = "small"


@dataclass(frozen=True)
class TaskCard:
    """A task card.

    source: the data source; sources: others, by their name in `--set source=`.
    label: the column of the class, or "" if the data lists its attributes. not_classes: labels that mean no
    label. confused: classes often confused with each class. truth: a column with the true label, or "".
    titles: a column with titles, or "". auxiliary: columns with further labels, for `multitask`.
    protocol: common values, then those of each regime. protocols: sets of values by their name in
    `--set protocol=`. grids: `data` for real data, `drawn` for the synthetic sample. split_column: "" if the
    rule uses none. split_group: a column of groups beside a published split, or "". columns: the card's
    `[data]`.
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
    split_group: str = ""
    columns: Layout = NO_LAYOUT

    @property
    def group(self) -> str:
        """The column of groups, "" for none."""
        return self.split_column if self.split_rule == "grouped" else self.split_group

    @property
    def layout(self) -> Layout:
        """What the columns of the data mean."""
        split = self.split_column if self.split_rule == COLUMN else ""
        return replace(self.columns, label=self.label, split=split, group=self.group, title=self.titles)

    def layers(self, regime: str, given: Mapping[str, Value]) -> tuple[Mapping[str, Value], ...]:
        """Return the protocol values to merge, in this order.

        The regime's defaults; the card's common values and those of the regime; a named set; the given ones.
        Raises BenchError for an unknown set of values or stage.
        """
        values, rest = named(self.protocols, given, self.name)
        check_stages(rest, [stage.name for stage in self.stages], self.name)
        own = self.protocol["common"], self.protocol.get(regime, {})
        return REGIME_DEFAULTS[regime], *own, values, rest


def find_cards(folders: Iterable[Path]) -> dict[str, Path]:
    """Return the card file of every task in the folders; the first folder wins."""
    found: dict[str, Path] = {}
    for folder in folders:
        for card in sorted(folder.glob("*/task.toml")):
            found.setdefault(card.parent.name, card)
    return found


def load_card(name: str, folders: Iterable[Path]) -> TaskCard:
    """Return the named task's card. Raises BenchError for an unknown task or a faulty card."""
    cards = find_cards(folders)
    if name not in cards:
        hint = "--tasks DIR or BENCH_TASKS adds cards of your own"
        raise unknown("task", name, cards, f"known: {', '.join(cards) or 'none'}; {hint}")
    return read_card(cards[name])


def read_card(path: Path) -> TaskCard:
    """Read and check one card. Raises BenchError that names the file and the key."""
    try:
        return card_of_text(read_file(path).decode("utf-8"), path)
    except (Refused, UnicodeDecodeError) as error:
        raise BenchError(f"{path}: not a readable task card: {error}") from None


def card_of_text(text: str, path: Path) -> TaskCard:
    """Read and check a card. path: its file, whose folder has the task's name. Raises BenchError."""
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{path}: not a readable task card: {error}") from None
    return _Reader(str(path)).card(raw, path)


_GRID = Keys({"backbones": Each(str), "methods": Each(str), "seeds": str}, {"sample": str})

_DATA = Keys({}, {"file": str, "image": str, "attributes": Each(str), "person": str, "price": str})

_CARD = Keys(
    {
        "name": str,
        "version": int,
        "kind": str,
        "title": str,
        "source": str,
        "split": Keys({"rule": str}, {"column": str, "group": str}),
        "stage": Each(Keys({"name": str}, {"first": int, "last": int})),
        "grid": Keys({"data": _GRID}, {"drawn": _GRID}),
    },
    {
        "label": str,
        "data": _DATA,
        "sources": Named(str),
        "protocol": Named((*SCALARS, Named(SCALARS))),
        "protocols": Named(Named(SCALARS)),
        "not_classes": Each(str),
        "confused": Named(Each(str)),
        "truth": str,
        "titles": str,
        "auxiliary": Each(str),
    },
)
"""Schema of a card; the values are checked by `_Reader`."""


class _Reader:
    """Checks of a card's values; every error names the file and the key."""

    def __init__(self, where: str) -> None:
        self.where = where

    def card(self, raw: Mapping[str, Any], path: Path) -> TaskCard:
        check_form(raw, _CARD, "the card", self.where)
        split = raw["split"]
        if not is_kind(raw["kind"]):
            raise unknown("kind", raw["kind"], KINDS, f"in {self.where}")
        kind = get_kind(raw["kind"])
        if kind.label_column != ("label" in raw):
            needs = "needs" if kind.label_column else "has no"
            self.fail(f"a {kind.name} task {needs} key 'label', a column")
        if raw["name"] != path.parent.name:
            self.fail(f"name is {raw['name']!r}, but its folder is {path.parent.name!r}")
        if on_column(split["rule"]) and "column" not in split:
            self.fail(f"[split] has no 'column', which the rule {split['rule']!r} needs")
        self.rule(split["rule"], kind)
        if CARD in raw.get("sources", {}):
            self.fail(f"[sources] cannot have the name {CARD!r}: it means the card's own source")
        confused = raw.get("confused", {})
        return TaskCard(
            name=raw["name"],
            version=raw["version"],
            kind=kind.name,
            title=raw["title"],
            source=raw["source"],
            sources=raw.get("sources", {}),
            label=raw.get("label", ""),
            split_rule=split["rule"],
            split_column=split.get("column", ""),
            not_classes=self.words(raw, "not_classes"),
            confused={name: self.words(confused, name) for name in confused},
            truth=raw.get("truth", ""),
            titles=raw.get("titles", ""),
            auxiliary=self.auxiliary(raw),
            split_group=split.get("group", ""),
            columns=self.columns(raw.get("data", {}), kind),
            stages=self.stages(raw["stage"]),
            protocol=self.protocol(raw.get("protocol", {})),
            protocols=self.named_protocols(raw),
            grids={name: self.grid(table) for name, table in raw["grid"].items()},
            path=path,
        )

    def fail(self, why: str) -> NoReturn:
        raise BenchError(f"{self.where}: {why}")

    def rule(self, rule: str, kind: Kind) -> None:
        """Raise BenchError for another kind's split rule, or if the kind requires its own."""
        owners = {other.split_rule: other.name for other in map(get_kind, KINDS) if other.split_rule}
        own = kind.split_rule or (rule if rule in owners else "")
        if own and (rule != own or owners[own] != kind.name):
            self.fail(f"the rule {own!r} is only for {owners[own]} tasks, which need it")

    def columns(self, table: Mapping[str, Any], kind: Kind) -> Layout:
        if "attributes" in table and kind.label_column:
            self.fail(f"[data] attributes are for tasks of many labels; a {kind.name} task has a key 'label'")
        attributes = None if kind.label_column else self.words(table, "attributes")
        return Layout(**{**table, "attributes": attributes})

    def words(self, table: Mapping[str, Any], key: str) -> tuple[str, ...]:
        names = table.get(key, [])
        if not all(names):
            self.fail(f"{key} has an empty name")
        return tuple(names)

    def auxiliary(self, raw: Mapping[str, Any]) -> tuple[str, ...]:
        columns = self.words(raw, "auxiliary")
        if raw.get("label") in columns or len(set(columns)) < len(columns):
            self.fail("auxiliary names a column twice, or the label itself")
        if columns and "auxiliary" not in get_kind(raw["kind"]).supports:
            self.fail(f"auxiliary columns are for {supporting('auxiliary')} tasks, not {raw['kind']}")
        return columns

    def stages(self, tables: list[Mapping[str, Any]]) -> tuple[Stage, ...]:
        stages = tuple(Stage(table["name"], table.get("first", 0), table.get("last")) for table in tables)
        for stage in stages:
            if stage.first < 0 or (stage.last is not None and stage.last <= stage.first):
                self.fail(f"stage {stage.name!r} needs whole numbers 0 <= first < last")
            if not re.fullmatch(r"[A-Za-z0-9_-]+", stage.name):
                self.fail(f"stage {stage.name!r}: a name takes letters, digits, - and _")
        if not stages or len({stage.name for stage in stages}) != len(stages):
            self.fail("a card needs one or more stages with different names")
        return stages

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
        stages = [table["name"] for table in raw["stage"]]
        out = {}
        for name, table in raw.get("protocols", {}).items():
            where = f"{self.where} [protocols.{name}]"
            out[name] = {key: check_value(key, item, where) for key, item in table.items()}
            check_stages(out[name], stages, where)
        return out

    def grid(self, table: Mapping[str, Any]) -> Grid:
        backbones, methods = (self.words(table, key) for key in ("backbones", "methods"))
        return Grid(backbones, methods, table["seeds"], table.get("sample", "small"))
