"""One side of a comparison: the measured cells of a setting."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.compare.verdict import Sides
from bench.core.cell import Value
from bench.core.kind import get_kind
from bench.store.read import StoredCell
from bench.store.settings import settings_of


@dataclass(frozen=True)
class Side:
    """Measured cells that differ only in the seed, by seed in rising order.

    kind: of the task. differs: values that distinguish it from others of its name, "epochs=5"; mostly empty.
    declared: conditions that are not recorded; see `bench.compare.conditions`.
    """

    task: str
    task_version: int
    kind: str
    stage: str
    regime: str
    backbone: str
    weights: str
    method: str
    protocol: Mapping[str, Value]
    source: str
    fingerprint: str
    differs: str
    cells: Mapping[int, StoredCell]
    declared: Mapping[str, str] = field(default_factory=dict)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, rising."""
        return tuple(self.cells)

    def beside(self, baseline: str, against: str = "") -> Sides:
        """Return the sides of a comparison with a baseline. against: see `Sides`."""
        return Sides(
            task=self.task,
            kind=self.kind,
            baseline=baseline,
            stage=self.stage,
            backbone=self.backbone,
            method=self.method,
            regime=self.regime,
            setting=self.differs,
            seeds=self.seeds,
            against=against,
        )

    @property
    def headline(self) -> str:
        """The kind's main metric."""
        return get_kind(self.kind).headline[0]

    @property
    def size(self) -> int:
        """Test items of the first seed."""
        first = self.results()[0]
        n = first["metrics"].get("test", {}).get("n")
        return int(sum(row["test_support"] for row in first["per_class"]) if n is None else n)

    def results(self) -> list[Mapping[str, Any]]:
        """Return the record of every cell."""
        return [cell.result for cell in self.cells.values()]

    def mean(self, metric: str) -> float | None:
        """Return the mean test metric over seeds, None if it is undefined for one of them."""
        values = [result["metrics"].get("test", {}).get(metric) for result in self.results()]
        return None if None in values else math.fsum(values) / len(values)


def sides_of(cells: Iterable[StoredCell], task: str, declared: Mapping[str, str] | None = None) -> list[Side]:
    """Group a task's measured cells, keeping the order in which settings first appear.

    declared: see `Side`.
    """
    by_id = {
        cell.result["id"]: cell
        for cell in cells
        if cell.result["cell"]["task"] == task and cell.result["status"] == "ok"
    }
    out = []
    for group in settings_of([cell.result for cell in by_id.values()]):
        identity = group.cell
        same = ("task", "task_version", "kind", "stage", "regime", "backbone", "weights", "protocol")
        by_seed = sorted((int(record["cell"]["seed"]), str(record["id"])) for record in group.records)
        side = Side(
            **{name: identity[name] for name in same},
            method=identity["method_text"],
            source=identity["data"]["source"],
            fingerprint=identity["data"]["fingerprint"],
            differs=group.differs,
            cells={seed: by_id[key] for seed, key in by_seed},
            declared=declared or {},
        )
        out.append(side)
    return out
