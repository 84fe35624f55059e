"""Stored cells that differ in nothing but their seed, taken together, and the trivial answers beside them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.kinds.base import Kind, get_kind
from bench.spec import canonical_json

Record = Mapping[str, Any]
"""A stored cell as `result.json` holds it."""

TRIVIAL = "trivial"
"""Stands where a method stands, for the answer that looks at no image; and is the role of its row."""

TRIVIAL_NOTES = {
    TRIVIAL: "every image is given the shares of the classes in train as its scores",
    "majority": "every image is given each attribute's more frequent answer in train",
    "all_positive": "every image is given every attribute",
    "constant": "every pair is given the answer that most training pairs have",
    "prior": "every image is given each attribute's share of yes in train as its score",
}
"""What the answers that look at no image are, by the name they have in results and tables."""


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


def settings_of(records: Sequence[Record]) -> list[Setting]:
    """Group cells that differ in nothing but their seed, in the order of each group's first cell."""
    differs = differences(records)
    groups: dict[str, list[Record]] = {}
    for record in records:
        identity = {key: value for key, value in record["cell"].items() if key not in ("seed", "method_text")}
        groups.setdefault(canonical_json(identity), []).append(record)
    return [Setting(tuple(group), differs[group[0]["id"]]) for group in groups.values()]


def differences(records: Iterable[Record]) -> dict[str, str]:
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


def trivial_values(setting: Setting, names: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """Return the metrics, means over seeds, of each answer that looks at no image, by its name."""
    stored = [name for name in kind_of(setting.records[0]).trivial_names if _has(setting, name)]
    return {trivial: {name: mean_of(setting.values(trivial, name)) for name in names} for trivial in stored}


def trivial_notes(body: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a note for each answer that looks at no image which stands where a method stands."""
    methods = {row["method"] for row in body if "backbone" not in row}
    return [f"{name}: {text}." for name, text in TRIVIAL_NOTES.items() if name in methods]


def rehearses(cell: Mapping[str, Any]) -> bool:
    """Tell whether a cell's test images are training images that a rehearsal held back."""
    return bool(cell["protocol"].get("rehearse"))


def stage_name(cell: Mapping[str, Any]) -> str:
    """Return a cell's stage, and which one it rehearses."""
    return (
        f"{cell['stage']}, rehearsal of {cell['protocol']['rehearse']}" if rehearses(cell) else cell["stage"]
    )


def cell_title(record: Record) -> str:
    """Return what a table of one cell is called."""
    cell = record["cell"]
    named = f"{cell['backbone']}, {cell['method_text']}, seed {cell['seed']}"
    return f"{cell['task']} {stage_name(cell)}: {named} ({record['id'][:8]})"


def rehearsal_notes(cells: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a note for each stage that cells rehearse."""
    stages = dict.fromkeys(str(cell["protocol"]["rehearse"]) for cell in cells if rehearses(cell))
    return [f"Rehearsal of {stage}: `test` is training images, held back; the real test part is not touched."
            for stage in stages]  # fmt: skip


def _has(setting: Setting, part: str) -> bool:
    return bool(setting.measured) and part in setting.measured[0]["metrics"]


def kind_of(record: Record) -> Kind:
    """Return the kind of the record's task. Raises BenchError if this version does not know it."""
    return get_kind(record["cell"]["kind"])


def mean_of(values: Sequence[float]) -> float | None:
    """Return the mean, None of nothing."""
    return math.fsum(values) / len(values) if values else None
