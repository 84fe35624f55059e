"""What the tables of stored results hold: all results, the grid's means over seeds, the best setting."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.kinds.base import KINDS, Kind, get_kind
from bench.metrics.registry import COUNTS, METRICS, get_metric
from bench.report.table import Column, Table
from bench.spec import canonical_json

Record = Mapping[str, Any]
"""A stored cell as `result.json` holds it."""

TRIVIAL = "trivial"
"""Stands where a method stands, for the answer that looks at no image."""


@dataclass(frozen=True)
class Setting:
    """The measured and failed cells that differ in nothing but their seed.

    differs: the protocol values that tell it from others of the same name, "epochs=5"; mostly empty.
    """

    records: tuple[Record, ...]
    differs: str

    @property
    def cell(self) -> Mapping[str, Any]:
        """The identity of its first cell."""
        identity: Mapping[str, Any] = self.records[0]["cell"]
        return identity

    @property
    def measured(self) -> tuple[Record, ...]:
        """The cells with status `ok`."""
        return tuple(record for record in self.records if record["status"] == "ok")

    def values(self, split: str, metric: str) -> list[float]:
        """Return the metric of every cell in which it is defined."""
        found = (record["metrics"].get(split, {}).get(metric) for record in self.measured)
        return [value for value in found if value is not None]


def results_table(records: Iterable[Record], full: bool = False) -> Table:
    """Return a row for every stored cell, failed ones included.

    full: every metric and count beside the headline metrics, and the protocol values that tell apart
    cells of the same name even where there are none. Sorted by name, then seed.
    """
    rows = sorted(records, key=_by_name)
    differs = _differences(rows)
    names = _headline(rows)
    if full:
        names += [name for name in (*METRICS, *COUNTS) if name not in names]
    columns = [
        Column("cell", "cell"),
        Column("task", "task"),
        Column("stage", "stage"),
        Column("regime", "regime"),
        Column("backbone", "backbone"),
        Column("method", "method"),
        *([Column("setting", "setting")] if full or any(differs.values()) else []),
        Column("seed", "seed", "int"),
        Column("status", "status"),
        *(metric_column(name) for name in names),
        Column("seconds", "seconds", "seconds"),
        Column("reason", "reason"),
    ]
    return Table("", columns, [_result_row(record, names, differs[record["id"]]) for record in rows])


def grid_table(records: Iterable[Record], selection: str | None = None) -> Table:
    """Return each setting's mean and standard deviation over seeds on test, and the trivial row.

    Settings stand in the order of their first cell, stage by stage. Failed cells are counted and in no
    mean. selection: the metric whose mean on validation marks the best setting of each stage; None is
    the kind's own.
    """
    rows = list(records)
    names, selection = _headline(rows), selection or _selection(rows)
    settings = settings_of(rows)
    best = {id(setting) for group in _by_stage(settings).values() if (setting := _best(group, selection))}
    body = []
    for (task, stage), group in _by_stage(settings).items():
        body += [
            {
                "task": task,
                "stage": stage,
                "regime": setting.cell["regime"],
                "backbone": setting.cell["backbone"],
                "method": setting.cell["method_text"],
                "setting": setting.differs,
                "seeds": len(setting.measured),
                "failed": len(setting.records) - len(setting.measured),
                "best": id(setting) in best,
                f"val_{selection}": _mean(setting.values("val", selection)),
                **_spread(setting, names),
            }
            for setting in group
        ]
        body += [
            {"task": task, "stage": stage, "method": TRIVIAL, **row} for row in _trivial_rows(group, names)
        ]
    return Table(
        "Mean over seeds on test", _grid_columns(body, names, selection), body, _grid_notes(body, selection)
    )


def best_setting(records: Iterable[Record], selection: str | None = None) -> str:
    """Return the id of the first seed's cell of the setting with the best mean on validation.

    Where validation scores nothing (there was no validation part) that is the first setting measured.
    Raises ValueError if no cell was measured.
    """
    rows = [record for record in records if record["status"] == "ok"]
    if not rows:
        raise ValueError("no cell was measured")
    settings = settings_of(rows)
    chosen = _best(settings, selection or _selection(rows)) or settings[0]
    first: str = min(chosen.measured, key=lambda record: int(record["cell"]["seed"]))["id"]
    return first


def settings_of(records: Sequence[Record]) -> list[Setting]:
    """Group cells that differ in nothing but their seed, in the order of each group's first cell."""
    differs = _differences(records)
    groups: dict[str, list[Record]] = {}
    for record in records:
        identity = {key: value for key, value in record["cell"].items() if key not in ("seed", "method_text")}
        groups.setdefault(canonical_json(identity), []).append(record)
    return [Setting(tuple(group), differs[group[0]["id"]]) for group in groups.values()]


def metric_column(name: str, prefix: str = "") -> Column:
    """Return the column of a metric or count; the prefix stands before its name and its title."""
    if name in COUNTS:
        return Column(name, name.replace("_", " "), "int")
    title = get_metric(name).title
    return (
        Column(f"{prefix}_{name}", f"{prefix} {title}", "ratio") if prefix else Column(name, title, "ratio")
    )


def kind_of(record: Record) -> Kind:
    """Return the kind of the record's task. Raises BenchError if this version does not know it."""
    return get_kind(record["cell"]["kind"])


def _result_row(record: Record, names: Sequence[str], differs: str) -> dict[str, Any]:
    cell, test = record["cell"], record["metrics"].get("test", {})
    return {
        "cell": record["id"][:8],
        "task": cell["task"],
        "stage": cell["stage"],
        "regime": cell["regime"],
        "backbone": cell["backbone"],
        "method": cell["method_text"],
        "setting": differs,
        "seed": cell["seed"],
        "status": record["status"],
        **{name: test.get(name) for name in names},
        "seconds": record.get("timings", {}).get("seconds"),
        "reason": record.get("reason"),
    }


def _by_name(record: Record) -> tuple[Any, ...]:
    cell = record["cell"]
    method = cell["method_text"]
    return (
        *(cell[key] for key in ("task", "stage", "regime", "backbone")),
        method != "none",
        method,
        cell["seed"],
        record["id"],
    )


def _headline(records: Iterable[Record]) -> list[str]:
    """Return the headline metrics of all kinds among the records; of every kind if there are none."""
    kinds = dict.fromkeys(record["cell"]["kind"] for record in records) or KINDS
    return list(dict.fromkeys(name for kind in kinds for name in get_kind(kind).headline))


def _selection(records: Sequence[Record]) -> str:
    return (kind_of(records[0]) if records else get_kind(next(iter(KINDS)))).selection


def _differences(records: Iterable[Record]) -> dict[str, str]:
    """Say, by cell id, which values tell a cell from others of the same name: "batch_size=64, epochs=5"."""
    namesakes: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        cell = record["cell"]
        name = tuple(cell[key] for key in ("task", "stage", "regime", "backbone", "method_text"))
        namesakes.setdefault(name, []).append(record)
    out = {}
    for group in namesakes.values():
        flat = [_unnamed(record["cell"]) for record in group]
        keys = sorted({key for values in flat for key in values})
        varied = [key for key in keys if len({repr(values.get(key)) for values in flat}) > 1]
        for record, values in zip(group, flat, strict=True):
            out[record["id"]] = ", ".join(f"{key}={values.get(key)}" for key in varied)
    return out


def _unnamed(cell: Mapping[str, Any]) -> dict[str, Any]:
    """All of an identity that no column of its own shows."""
    data = f"{cell['data']['source']}@{cell['data']['fingerprint'][:8]}"
    own = {key: cell[key] for key in ("task_version", "weights", "identity_version")}
    return {**cell["protocol"], **own, "data": data}


def _by_stage(settings: Iterable[Setting]) -> dict[tuple[str, str], list[Setting]]:
    stages: dict[tuple[str, str], list[Setting]] = {}
    for setting in settings:
        stages.setdefault((setting.cell["task"], setting.cell["stage"]), []).append(setting)
    return stages


def _best(settings: Iterable[Setting], selection: str) -> Setting | None:
    best, score = None, None
    for setting in settings:
        mean = _mean(setting.values("val", selection))
        if get_metric(selection).better(mean, score):
            best, score = setting, mean
    return best


def _trivial_rows(settings: Iterable[Setting], names: Sequence[str]) -> list[dict[str, Any]]:
    """One row for each test part the settings were scored on: one, unless the data or the split differ."""
    seen: dict[str, dict[str, Any]] = {}
    for setting in settings:
        if setting.measured and TRIVIAL in setting.measured[0]["metrics"]:
            row = {name: _mean(setting.values(TRIVIAL, name)) for name in names}
            seen.setdefault(canonical_json(row), {**row, "setting": setting.differs})
    return [{**row, "setting": row["setting"] if len(seen) > 1 else ""} for row in seen.values()]


def _spread(setting: Setting, names: Iterable[str]) -> dict[str, float | None]:
    out = {}
    for name in names:
        found = setting.values("test", name)
        out[name], out[f"{name}_sd"] = _mean(found), _sd(found)
    return out


def _grid_columns(body: Sequence[Mapping[str, Any]], names: Iterable[str], selection: str) -> list[Column]:
    """Leave out what says the same in every row, or nothing."""
    several = {key: len({row.get(key) for row in body} - {None}) > 1 for key in ("task", "regime")}
    columns = [
        *([Column("task", "task")] if several["task"] else []),
        Column("stage", "stage"),
        *([Column("regime", "regime")] if several["regime"] else []),
        Column("backbone", "backbone"),
        Column("method", "method"),
        *([Column("setting", "setting")] if any(row.get("setting") for row in body) else []),
        Column("seeds", "seeds", "int"),
        *([Column("failed", "failed", "int")] if any(row.get("failed") for row in body) else []),
    ]
    for name in names:
        columns.append(metric_column(name))
        if any(row.get(f"{name}_sd") is not None for row in body):
            columns.append(Column(f"{name}_sd", "±", "ratio"))
    return [*columns, metric_column(selection, "val"), Column("best", "best", "bool")]


def _grid_notes(body: Sequence[Mapping[str, Any]], selection: str) -> list[str]:
    notes = []
    if any(row.get("best") for row in body):
        notes.append(f"best: the highest mean {get_metric(selection).title} on validation in its stage.")
    if any((row.get("seeds") or 0) > 1 for row in body):
        notes.append("±: the standard deviation over seeds.")
    if any(row["method"] == TRIVIAL for row in body):
        notes.append(f"{TRIVIAL}: every image is given the shares of the classes in train as its scores.")
    if failed := sum(row.get("failed") or 0 for row in body):
        notes.append(f"failed: {failed} {'cell is' if failed == 1 else 'cells are'} in no mean.")
    return notes


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _sd(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation (n - 1)."""
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
