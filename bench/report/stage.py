"""One board with all that a report's sections about it are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from bench.baselines import Baseline
from bench.effects import base_of
from bench.leaderboard import Board
from bench.report.settings import Setting, stage_name
from bench.report.tables import best_setting
from bench.spec import Predictions
from bench.store import Stored, slug

Thumbnail = Callable[[Stored, str], bytes | None]
"""Makes a small JPEG of an item of a cell's data, or None where it cannot be reached."""


@dataclass(frozen=True)
class Stage:
    """Everything that the sections about one board are made of.

    cells: all stored cells by id. several: whether other boards share the stage's name.
    """

    board: Board
    cells: Mapping[str, Stored]
    baseline: Baseline | None
    thumbnail: Thumbnail
    several: bool = False

    @property
    def title(self) -> str:
        """What the stage's heading says."""
        cell = self.board.cell
        title = f"{cell['task']}: {stage_name(cell)}"
        if not self.several:
            return title
        source = f"{cell['data']['source']} {cell['data']['fingerprint'][:8]}"
        return f"{title} on {len(self.board.contest.items.ids):,} items of {source}"

    def stem(self, what: str) -> str:
        """Return the name of a plot's files."""
        cell = self.board.cell
        some = f"-{cell['data']['fingerprint'][:8]}-{len(self.board.contest.items.ids)}"
        return slug(f"{cell['task']}-{cell['stage']}{some if self.several else ''}-{what}").lower()

    @cached_property
    def best(self) -> Setting:
        """The setting that is best on validation: what a user would choose without looking at test."""
        chosen = best_setting(self.board.records)
        return next(
            row.setting for row in self.board.rows if chosen in {r["id"] for r in row.setting.records}
        )

    @cached_property
    def plain(self) -> Setting | None:
        """The same as `best` with the method `none`; None where that was not run, or is the best itself."""
        base = base_of(self.board.records)
        found = [setting for setting in self.alike if setting.cell["method_text"] == base]
        return found[0] if found and found[0] is not self.best else None

    @cached_property
    def alike(self) -> list[Setting]:
        """The settings that differ from `best` in nothing but the method, the best first."""
        base = _without_method(self.best)
        return [row.setting for row in self.board.rows if _without_method(row.setting) == base]

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
        """Return what tells a setting from the others of its board, the shortest way."""
        cell = setting.cell
        parts = [f"{cell['backbone']} {cell['method_text']}", setting.differs]
        if seed:
            parts.append(f"seed {self.first(setting)['cell']['seed']}")
        return ", ".join(part for part in parts if part)


def _without_method(setting: Setting) -> dict[str, Any]:
    return {key: value for key, value in setting.cell.items() if key not in ("method", "method_text", "seed")}
