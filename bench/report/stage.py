"""Input of a report's sections about one stage: a leaderboard with its cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bench.compare.against_baseline import compare
from bench.compare.baselines.types import Baseline
from bench.compare.conclusions import concluding_metrics
from bench.compare.effects import Effect, base_of, effect_metrics, effects
from bench.compare.leaderboard import Board
from bench.compare.verdict import Comparison
from bench.core.predictions import Predictions
from bench.runs.cell_data import ColumnValues
from bench.store.settings import Setting, pairing_keys, stage_name
from bench.store.write import Stored, slug

Thumbnail = Callable[[Stored, str], bytes | None]
"""Returns a small JPEG of an item of a cell's data, None if it is not available."""


@dataclass(frozen=True)
class StageReport:
    """One board, with all stored cells by id.

    several: whether other boards share the stage's name. values: of a column, for subgroups of test items.
    """

    board: Board
    cells: Mapping[str, Stored]
    baseline: Baseline | None
    thumbnail: Thumbnail
    several: bool = False
    values: ColumnValues | None = None

    @property
    def title(self) -> str:
        """The stage's heading."""
        cell = self.board.cell
        title = f"{cell['task']}: {stage_name(cell)}"
        if not self.several:
            return title
        source = f"{cell['data']['source']} {cell['data']['fingerprint'][:8]}"
        return f"{title} on {len(self.board.bootstrap.items.ids):,} items of {source}"

    def stem(self, what: str) -> str:
        """Return the name of a plot's files, without ending."""
        cell = self.board.cell
        some = f"-{cell['data']['fingerprint'][:8]}-{len(self.board.bootstrap.items.ids)}"
        return slug(f"{cell['task']}-{cell['stage']}{some if self.several else ''}-{what}").lower()

    @cached_property
    def best(self) -> Setting:
        """The setting that validation chooses, or the first one without validation scores."""
        return (self.board.choice or self.board.rows[0]).setting

    @cached_property
    def plain(self) -> Setting | None:
        """The same as `best` with the method `none`; None if it was not run or is the best itself."""
        base = base_of(self.board.records)
        found = [setting for setting in self.alike if setting.cell["method_text"] == base]
        return found[0] if found and found[0] is not self.best else None

    @cached_property
    def effects(self) -> list[Effect]:
        """The effects of its methods, those on the metrics of the conclusions first."""
        return effects(self.board.records, self.board.bootstrap, shown_metrics(self.board.bootstrap.kind))

    @cached_property
    def alike(self) -> list[Setting]:
        """The settings that differ from `best` only in the method, best first."""
        keys = pairing_keys(self.board.records)
        base = keys[self.best.records[0]["id"]]
        return [row.setting for row in self.board.rows if keys[row.setting.records[0]["id"]] == base]

    @cached_property
    def compared(self) -> list[Comparison]:
        """Comparison of the cells of `best` with the baseline; empty without one."""
        if self.baseline is None:
            return []
        stored = [self.cells[record["id"]] for record in self.best.records]
        return [row for row in compare(stored, self.baseline) if row.sides.backbone]

    @cached_property
    def answers(self) -> Predictions:
        """Test predictions of the best setting's first seed."""
        return self.predictions(self.best)

    def predictions(self, setting: Setting) -> Predictions:
        """Return test predictions of a setting's first seed."""
        return self.cells[self.first(setting)["id"]].predictions("test")

    def first(self, setting: Setting) -> Mapping[str, Any]:
        """Return the record of a setting's first seed."""
        return min(setting.records, key=lambda record: int(record["cell"]["seed"]))

    def named(self, setting: Setting, seed: bool = False) -> str:
        """Return the shortest name of a setting that is unique on its board."""
        name = self.board.name(setting)
        return f"{name}, seed {self.first(setting)['cell']['seed']}" if seed else name


def shown_metrics(kind: str) -> list[str]:
    """Return the metrics of effects in a report."""
    first, *rest = concluding_metrics(kind)
    return list(dict.fromkeys([first, *rest, *effect_metrics(kind, first)]))
