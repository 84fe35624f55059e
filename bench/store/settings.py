"""Settings: stored cells grouped over seeds, their titles and notes, and the trivial answers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.core.cell import canonical_json
from bench.core.kind import KINDS, Kind, get_kind
from bench.metrics.registry import get_metric

Record = Mapping[str, Any]
"""The content of a cell's `result.json`."""

_OF_METHOD = ("method", "method_text", "seed")

TRIVIAL = "trivial"
"""The role of a trivial answer's row, and its method: an answer that ignores the image."""


def trivial_answers() -> dict[str, str]:
    """Return a description of each trivial answer, by its name in results and tables."""
    return {name: text for kind in KINDS for name, text in get_kind(kind).trivial_notes.items()}


@dataclass(frozen=True)
class Setting:
    """Cells, measured or failed, that differ only in their seed.

    differs: the protocol values that set it apart from others of the same name, "epochs=5"; often empty.
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
        """Return a metric of every cell that defines it."""
        found = (record["metrics"].get(split, {}).get(metric) for record in self.measured)
        return [value for value in found if value is not None]

    @property
    def columns(self) -> dict[str, Any]:
        """Its columns in a row of a table."""
        cell = self.cell
        return {
            "regime": cell["regime"],
            "backbone": cell["backbone"],
            "method": cell["method_text"],
            "setting": self.differs,
            "seeds": len(self.records),
        }

    @property
    def name(self) -> str:
        """Backbone, method and what `differs`: its shortest name among settings of one stage and regime."""
        return ", ".join(filter(None, (f"{self.cell['backbone']} {self.cell['method_text']}", self.differs)))


def settings_of(records: Sequence[Record]) -> list[Setting]:
    """Group cells that differ only in their seed, in the order of each group's first cell."""
    differs = differences(records)
    groups: dict[str, list[Record]] = {}
    for record in records:
        identity = {key: value for key, value in record["cell"].items() if key not in ("seed", "method_text")}
        groups.setdefault(canonical_json(identity), []).append(record)
    return [Setting(tuple(group), differs[group[0]["id"]]) for group in groups.values()]


def pairing_keys(records: Iterable[Record], without: Sequence[str] = ()) -> dict[str, str]:
    """Return, by cell id, what is equal for cells that differ only in method and seed.

    Plug-ins that only some methods use are left out; those that all need, for the backbone, kind or source,
    are not. without: further protocol keys to leave out.
    """
    groups: dict[str, list[Record]] = {}
    for record in records:
        rest = {key: value for key, value in record["cell"].items() if key not in (*_OF_METHOD, "plugins")}
        rest["protocol"] = {key: value for key, value in rest["protocol"].items() if key not in without}
        groups.setdefault(canonical_json(rest), []).append(record)
    keys = {}
    for rest_text, group in groups.items():
        plugins = [record["cell"].get("plugins", {}) for record in group]
        common = set.intersection(*map(set, plugins))
        for record, own in zip(group, plugins, strict=True):
            keys[record["id"]] = canonical_json([rest_text, {name: own[name] for name in common}])
    return keys


def choice_of(settings: Iterable[Setting], selection: str) -> Setting | None:
    """Return the setting with the best mean of a metric on validation, None without validation scores.

    Ties go to the method with the fewest steps, then to the first name: whatever the order of the settings,
    and never by test.
    """
    best, score = None, None
    for setting in sorted(settings, key=_plainness):
        mean = mean_of(setting.values("val", selection))
        if get_metric(selection).better(mean, score):
            best, score = setting, mean
    return best


def _plainness(setting: Setting) -> tuple[Any, ...]:
    identity = {key: value for key, value in setting.cell.items() if key != "seed"}
    return len(setting.cell["method"]), setting.name, canonical_json(identity)


def differences(records: Iterable[Record]) -> dict[str, str]:
    """Return, by cell id, the values that differ among cells of the same name: "batch_size=64, epochs=5".

    A cell without a value, such as an untuned one beside tuned ones, leaves it out.
    """
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
            out[record["id"]] = ", ".join(f"{key}={values[key]}" for key in varied if key in values)
    return out


def _unnamed(cell: Mapping[str, Any]) -> dict[str, Any]:
    """Return the identity's values that have no column in tables of results."""
    data = f"{cell['data']['source']}@{cell['data']['fingerprint'][:8]}"
    own = {key: cell[key] for key in ("task_version", "weights", "identity_version")}
    code = {f"plugin {name}": one["source"] for name, one in cell.get("plugins", {}).items()}
    return {**cell["protocol"], **own, **code, "data": data}


def trivial_values(setting: Setting, names: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """Return the metrics of each trivial answer, by its name; means over seeds."""
    stored = [name for name in kind_of(setting.records[0]).trivial_notes if _has(setting, name)]
    return {trivial: {name: mean_of(setting.values(trivial, name)) for name in names} for trivial in stored}


def trivial_notes(body: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a note for each trivial answer among a table's rows."""
    methods = {row["method"] for row in body if "backbone" not in row}
    return [f"{name}: {text}." for name, text in trivial_answers().items() if name in methods]


def rehearses(cell: Mapping[str, Any]) -> bool:
    """Return whether a cell is a rehearsal: its test images were held out of the training set."""
    return bool(cell["protocol"].get("rehearse"))


def stage_name(cell: Mapping[str, Any]) -> str:
    """Return a cell's stage and, for a rehearsal, the stage it rehearses."""
    return (
        f"{cell['stage']}, rehearsal of {cell['protocol']['rehearse']}" if rehearses(cell) else cell["stage"]
    )


def cell_title(record: Record) -> str:
    """Return the title of a table of one cell, or of the mean of several seeds."""
    cell = record["cell"]
    place, named = f"{cell['task']} {stage_name(cell)}", f"{cell['backbone']}, {cell['method_text']}"
    if len(record.get("seeds", ())) > 1:
        return f"{place}: {named}, mean of seeds {', '.join(map(str, record['seeds']))}"
    return f"{place}: {named}, seed {cell['seed']} ({cell_name(record)})"


def cell_name(record: Record) -> str:
    """Return the short name of a cell: the start of its id, and the number of its answer, if several."""
    number = record.get("answer", 1)
    return record["id"][:8] if number == 1 else f"{record['id'][:8]}.{number}"


def rehearsal_notes(cells: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a note for each rehearsed stage."""
    stages = dict.fromkeys(str(cell["protocol"]["rehearse"]) for cell in cells if rehearses(cell))
    note = "`test` is held-out training images; the real test set is not touched."
    return [f"Rehearsal of {stage}: {note}" for stage in stages]


def _has(setting: Setting, split: str) -> bool:
    return bool(setting.measured) and split in setting.measured[0]["metrics"]


def kind_of(record: Record) -> Kind:
    """Return the kind of the record's task. Raises BenchError if this version does not know it."""
    return get_kind(record["cell"]["kind"])


def mean_of(values: Sequence[float]) -> float | None:
    """Return the mean, None for no values."""
    return math.fsum(values) / len(values) if values else None
