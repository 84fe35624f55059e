"""Tables of stored results: all cells, means over seeds, the best setting."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.core.cell import canonical_json
from bench.core.kind import KINDS, Kind, get_kind
from bench.core.table import Column, Table
from bench.metrics.registry import COUNTS, METRICS, get_metric, metrics_of
from bench.store.settings import (
    Record,
    Setting,
    cell_name,
    choice_of,
    differences,
    kind_of,
    mean_of,
    rehearsal_notes,
    settings_of,
    trivial_answers,
    trivial_notes,
    trivial_values,
)


def results_table(records: Iterable[Record], full: bool = False) -> Table:
    """Return a row for every stored cell, failed ones included.

    A record may have the number of its `answer`. full: all metrics and counts, and a column of the protocol
    values that differ even if it is empty. Sorted by name, then seed.
    """
    rows = sorted(records, key=_by_name)
    differs = differences(rows)
    names = _worth_room(_headline(rows), rows)
    if full:
        known = _known(rows)
        names += [name for name in (*METRICS, *COUNTS) if name in known and name not in names]
    columns = [
        Column("cell", "cell", rank=0),
        Column("task", "task"),
        Column("stage", "stage"),
        Column("regime", "regime", rank=3),
        Column("backbone", "backbone"),
        Column("method", "method", rank=0),
        *([Column("setting", "setting")] if full or any(differs.values()) else []),
        Column("seed", "seed", "int"),
        Column("status", "status"),
        *(replace(metric_column(name), rank=2) for name in names),
        Column("seconds", "seconds", "seconds", rank=2),
        Column("reason", "reason"),
    ]
    return Table("", columns, [_result_row(record, names, differs[record["id"]]) for record in rows])


def grid_table(records: Iterable[Record], selection: str | None = None) -> Table:
    """Return each setting's mean and standard deviation over seeds on test, and the trivial rows.

    Settings are in the order of their first cell, by stage. Failed cells are counted but in no mean.
    selection: the metric whose mean on validation marks the best setting of each stage; None: the kind's own.
    """
    rows = list(records)
    names, selection = _worth_room(_headline(rows), rows), selection or _selection(rows)
    settings = settings_of(rows)
    best = {id(setting) for group in _by_stage(settings).values() if (setting := choice_of(group, selection))}
    body = []
    for (task, stage), group in _by_stage(settings).items():
        body += [
            {
                "task": task,
                "stage": stage,
                **setting.columns,
                "seeds": len(setting.measured),
                "failed": len(setting.records) - len(setting.measured),
                "best": id(setting) in best,
                f"val_{selection}": mean_of(setting.values("val", selection)),
                **_spread(setting, names),
            }
            for setting in group
        ]
        body += [{"task": task, "stage": stage, **row} for row in _trivial_rows(group, names)]
    return Table(
        "Mean over seeds on test",
        _grid_columns(body, names, selection),
        body,
        _grid_notes(body, selection, settings),
    )


def best_setting(records: Iterable[Record], selection: str | None = None) -> str:
    """Return the id of the first seed's cell of the setting with the best mean on validation.

    Without validation scores, that is the first measured setting. Raises ValueError if no cell was measured.
    """
    rows = [record for record in records if record["status"] == "ok"]
    if not rows:
        raise ValueError("no cell was measured")
    settings = settings_of(rows)
    chosen = choice_of(settings, selection or _selection(rows)) or settings[0]
    first: str = min(chosen.measured, key=lambda record: int(record["cell"]["seed"]))["id"]
    return first


def metric_column(name: str, prefix: str = "") -> Column:
    """Return the column of a metric or count. prefix: put before its name and title."""
    if name in COUNTS:
        return Column(name, name.replace("_", " "), "int")
    title = get_metric(name).title
    return (
        Column(f"{prefix}_{name}", f"{prefix} {title}", "ratio") if prefix else Column(name, title, "ratio")
    )


def _result_row(record: Record, names: Sequence[str], differs: str) -> dict[str, Any]:
    cell, test = record["cell"], record["metrics"].get("test", {})
    return {
        "cell": cell_name(record),
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
    """Return the headline metrics of all kinds among the records; of the first kind if there are none."""
    kinds = [*dict.fromkeys(record["cell"]["kind"] for record in records)] or [next(iter(KINDS))]
    return list(dict.fromkeys(name for kind in kinds for name in get_kind(kind).headline))


def _worth_room(names: Iterable[str], records: Sequence[Record]) -> list[str]:
    """Leave out metrics that are undefined everywhere and not compared, such as an error over one fold."""
    defined = {
        name
        for record in records
        for name, value in record["metrics"].get("test", {}).items()
        if value is not None
    }
    return [name for name in names if name in defined or get_metric(name).compared]


def _known(records: Iterable[Record]) -> set[str]:
    """Return all metrics and counts of the records; those of the first kind if they have none."""
    known = {name for record in records for name in record["metrics"].get("test", {})}
    return known or {*metrics_of(next(iter(KINDS))), *COUNTS}


def _selection(records: Sequence[Record]) -> str:
    return (kind_of(records[0]) if records else get_kind(next(iter(KINDS)))).selection


def _by_stage(settings: Iterable[Setting]) -> dict[tuple[str, str], list[Setting]]:
    stages: dict[tuple[str, str], list[Setting]] = {}
    for setting in settings:
        stages.setdefault((setting.cell["task"], setting.cell["stage"]), []).append(setting)
    return stages


def _trivial_rows(settings: Iterable[Setting], names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the trivial answers' rows for each test set of the settings; several if data or split differ."""
    seen: dict[str, dict[str, Any]] = {}
    for setting in settings:
        for trivial, values in trivial_values(setting, names).items():
            row = {"method": trivial, **values}
            seen.setdefault(canonical_json(row), {**row, "setting": setting.differs})
    several = len(seen) > len({row["method"] for row in seen.values()})
    rows = [{**row, "setting": row["setting"] if several else ""} for row in seen.values()]
    return sorted(rows, key=lambda row: [*trivial_answers()].index(row["method"]))


def _spread(setting: Setting, names: Iterable[str]) -> dict[str, float | None]:
    out = {}
    for name in names:
        found = setting.values("test", name)
        out[name], out[f"{name}_sd"] = mean_of(found), _sd(found)
    return out


def _grid_columns(body: Sequence[Mapping[str, Any]], names: Iterable[str], selection: str) -> list[Column]:
    """Return the columns that are neither constant nor empty."""
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
        column, spread = replace(metric_column(name), rank=0 if name == selection else 2), f"{name}_sd"
        if get_metric(name).compared and any(row.get(spread) is not None for row in body):
            columns += [replace(column, spread=(spread,)), Column(spread, "±", "ratio")]
        else:
            columns.append(column)
    return [*columns, metric_column(selection, "val"), Column("best", "best", "bool", rank=0)]


def every_grid_column(kind: Kind) -> list[Column]:
    """Return every column that `grid_table` can have for this kind."""
    names = [*kind.headline, kind.selection]
    spreads = {f"{name}_sd": 0.0 for name in names}
    rows = [{"task": key, "regime": key, "setting": key, "failed": 1, **spreads} for key in ("a", "b")]
    return _grid_columns(rows, names, kind.selection)


def _grid_notes(body: Sequence[Mapping[str, Any]], selection: str, settings: Sequence[Setting]) -> list[str]:
    notes = []
    if any(row.get("best") for row in body):
        notes.append(f"best: the highest mean {get_metric(selection).title} on validation in its stage.")
    if any((row.get("seeds") or 0) > 1 for row in body):
        notes.append("±: the standard deviation over seeds.")
    notes += trivial_notes(body)
    notes += rehearsal_notes(setting.cell for setting in settings)
    notes += kind_notes(settings)
    if failed := sum(row.get("failed") or 0 for row in body):
        notes.append(f"failed: {failed} {'cell is' if failed == 1 else 'cells are'} in no mean.")
    return notes


def kind_notes(settings: Sequence[Setting], metric: str = "") -> list[str]:
    """Return the notes of each kind of task below a table of settings. metric: the ranking one, if any."""
    by_kind: dict[str, list[Setting]] = {}
    for setting in settings:
        if setting.measured:
            by_kind.setdefault(setting.cell["kind"], []).append(setting)
    return [note for kind, own in by_kind.items() for note in get_kind(kind).tables.notes(own, metric)]


def _sd(values: Sequence[float]) -> float | None:
    """Return the sample standard deviation (n - 1)."""
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
