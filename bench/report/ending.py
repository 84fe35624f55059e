"""End of a run: the ranking of each stage, what can be concluded, the warnings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from bench.compare.conclusions import conclusion
from bench.compare.effects import Effect
from bench.compare.leaderboard import Board, Row
from bench.core.kind import Kind, get_kind
from bench.core.plural import counted
from bench.core.table import Column, Table
from bench.metrics.registry import get_metric
from bench.report.result_tables import metric_column
from bench.store.settings import mean_of, rehearsal_notes, stage_name, trivial_values

CHOSEN = "*"
"""Marks the setting that is best on validation."""


class Size(NamedTuple):
    """Number of stages, of settings per stage and of warnings to show."""

    stages: int
    settings: int
    warnings: int


@dataclass(frozen=True)
class Ending:
    """Rankings and warnings. effects: of the methods on each board."""

    boards: Sequence[Board]
    effects: Sequence[Sequence[Effect]]
    warnings: Sequence[str]

    def sizes(self) -> Iterator[Size]:
        """Yield smaller and smaller sizes: fewer settings first, then fewer warnings, then fewer stages."""
        stages, warned = len(self.boards), len(self.warnings)
        longest = max(len(board.rows) for board in self.boards)
        for rows in range(longest, 2, -1):
            yield Size(stages, rows, warned)
        for warnings in range(warned, -1, -1):
            yield Size(stages, min(longest, 2), warnings)
        for shown in range(stages, 0, -1):
            yield Size(shown, 1, 0)

    def tables(self, size: Size) -> list[Table]:
        """Return a ranking of each board: its best settings, including the chosen one."""
        pairs = zip(self.boards[: size.stages], self.effects, strict=False)
        tables = [_ranking(board, effects, size.settings) for board, effects in pairs]
        last, notes = tables[-1], self._notes()
        if left := len(self.boards) - size.stages:
            task = self.boards[0].cell["task"]
            notes.append(f"{counted(left, 'more ranking')}: bench leaderboard --task {task}")
        return [*tables[:-1], replace(last, notes=(*last.notes, *notes))]

    def lines(self, size: Size) -> list[str]:
        """Return the first warnings."""
        if not self.warnings:
            return []
        warned = size.warnings
        left = len(self.warnings) - warned
        more = [f"{left} more warnings (bench leaderboard shows them)"] if left else []
        return [f"Warning: {line}" for line in (*self.warnings[:warned], *more)]

    def _notes(self) -> list[str]:
        rows = [row for board in self.boards for row in board.rows]
        notes = rehearsal_notes(row.setting.cell for row in rows)
        if any(row.low is not None for row in rows):
            kinds = dict.fromkeys(board.bootstrap.kind for board in self.boards)
            over = " or ".join(dict.fromkeys(get_kind(kind).nouns.resampled for kind in kinds))
            single = all(len(row.setting.records) == 1 for row in rows)
            if single:
                over += "; with one seed they do not cover variation between seeds"
            else:
                over += " and over seeds"
            notes.append(f"Intervals: 95%, by a bootstrap over {over}. Differences are paired.")
        if any(row.chosen for row in rows):
            notes.append(f"{CHOSEN}: the best mean on validation, which is the setting to choose.")
        return notes


def _ranking(board: Board, effects: Sequence[Effect], limit: int) -> Table:
    """Return the best settings, then the chosen one where it ranks lower, then the trivial answers."""
    kind = get_kind(board.bootstrap.kind)
    shown = [row for index, row in enumerate(board.rows) if index < limit or row.chosen]
    others = [name for name in kind.headline[:1] if name != board.metric]
    body = [_cells(row, board.metric, others) for row in shown]
    for trivial, values in trivial_values(board.rows[0].setting, [board.metric, *others]).items():
        if any(value is not None for value in values.values()):
            body.append({"method": trivial, CHOSEN: "", **values})
    notes = [conclusion(board, effects)]
    if left := len(board.rows) - len(shown):
        notes.append(f"{counted(left, 'more setting')} below: bench leaderboard --task {board.cell['task']}")
    return Table(_title(board, kind), _columns(board.metric, others, body), body, tuple(notes))


def _title(board: Board, kind: Kind) -> str:
    cell, noun = board.cell, f"test {kind.nouns.item}"
    on = counted(len(board.bootstrap.items.ids), noun)
    return f"{cell['task']} {stage_name(cell)}: {get_metric(board.metric).title} on {on}"


def ranking_columns(kind: Kind) -> list[Column]:
    """Return every column that a ranking of this kind can have."""
    return _every_column(kind.selection, [name for name in kind.headline[:1] if name != kind.selection])


def _columns(metric: str, others: Sequence[str], body: Sequence[Mapping[str, Any]]) -> list[Column]:
    optional = ("setting", "low", "high", "standing", "gap", "gap_low", "gap_high")
    idle = {key for key in optional if all(row.get(key) in (None, "") for row in body)}
    if len({row.get("regime") for row in body} - {None}) < 2:
        idle.add("regime")
    return [column for column in _every_column(metric, others) if column.key not in idle]


def _every_column(metric: str, others: Sequence[str]) -> list[Column]:
    return [
        Column("rank", "rank", "int", rank=0),
        Column("regime", "regime"),
        Column("backbone", "backbone"),
        Column("method", "method", rank=0),
        Column("setting", "setting"),
        Column("seeds", "seeds", "int", rank=3),
        replace(metric_column(metric), rank=0, spread=("low", "high")),
        Column("low", "low", "ratio"),
        Column("high", "high", "ratio"),
        Column("standing", "standing", rank=0),
        Column(CHOSEN, CHOSEN, rank=0),
        Column("gap", "to best", "signed", rank=2, spread=("gap_low", "gap_high")),
        Column("gap_low", "low", "signed"),
        Column("gap_high", "high", "signed"),
        *(replace(metric_column(name), rank=2) for name in others),
        replace(metric_column(metric, "val"), rank=2),
    ]


def _cells(row: Row, metric: str, others: Sequence[str]) -> dict[str, Any]:
    setting = row.setting
    return {
        "rank": row.rank,
        **setting.columns,
        **{name: mean_of(setting.values("test", name)) for name in others},
        metric: row.value,
        f"val_{metric}": mean_of(setting.values("val", metric)),
        **{key: getattr(row, key) for key in ("low", "high", "standing", "gap", "gap_low", "gap_high")},
        CHOSEN: CHOSEN if row.chosen else "",
    }
