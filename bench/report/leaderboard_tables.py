"""Tables of leaderboards and of the effects of methods."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.compare.effects import NONE, Effect
from bench.compare.leaderboard import BEHIND, BEST, NOT_BETTER, NOT_STORED, TIED, Board, Hole, Row
from bench.compare.paired_bootstrap import FEW_CHANGES
from bench.core.kind import get_kind
from bench.core.table import Column, Table
from bench.metrics.registry import get_metric
from bench.report.result_tables import kind_notes, metric_column
from bench.report.tuning_tables import side_by_side, side_by_side_columns
from bench.store.settings import kind_of, mean_of, rehearsal_notes, rehearses, trivial_notes, trivial_values

HOLES_LISTED = 40
"""Maximum number of missing combinations in a note; seeds are grouped by backbone and method."""


def leaderboard_table(boards: Sequence[Board], full: bool = False, left: int = 0) -> Table:
    """Return the rows of all boards, each followed by its trivial answers.

    full: for machines: every column and every headline metric. left: number of settings that rank too low to
    be on a board.
    """
    metric = boards[0].metric
    names = _others(boards, full)
    body = [row for board in boards for row in _board_rows(board, names)]
    selection = kind_of(boards[0].records[0]).selection
    columns = _columns(metric, names, selection)
    if not full:
        columns = [column for column in columns if column.key not in _idle(body)]
    title = f"{_places(boards)} ranked by {get_metric(metric).title} on test"
    return Table(title, columns, body, tuple(_notes(boards, body, left)), marked="chosen")


def _places(boards: Sequence[Board]) -> str:
    """Return the boards' tasks, and their stage if it is the same."""
    stages = {str(board.cell["stage"]) for board in boards}
    tasks = ", ".join(dict.fromkeys(str(board.cell["task"]) for board in boards))
    return f"{tasks} {stages.pop()}" if len(stages) == 1 else tasks


def _others(boards: Sequence[Board], full: bool) -> list[str]:
    """Return the metrics shown beside the ranking one."""
    kinds = [kind_of(board.rows[0].setting.records[0]) for board in boards]
    names = [
        name for kind in kinds for name in ((*kind.headline,) if full else (kind.selection, kind.headline[0]))
    ]
    return [name for name in dict.fromkeys(names) if name != boards[0].metric]


def _columns(metric: str, others: Sequence[str], selection: str) -> list[Column]:
    test, gap, chosen, cost = "on test", "difference to the best", "on validation", "cost"
    return [
        Column("task", "task"),
        Column("stage", "stage"),
        Column("data", "data", rank=2),
        Column("items", "test items", "int", rank=3),
        Column("rank", "rank", "int", rank=0),
        Column("regime", "regime", rank=2),
        Column("backbone", "backbone"),
        Column("method", "method", rank=0),
        Column("setting", "setting"),
        Column("seeds", "seeds", "int", rank=3),
        replace(metric_column(metric), rank=0, spread=("low", "high"), group=test),
        Column("low", "low", "ratio", group=test),
        Column("high", "high", "ratio", group=test),
        *(replace(metric_column(name), rank=2, group=test) for name in others),
        replace(metric_column(selection, "val"), rank=2, group=chosen),
        Column("chosen", "chosen", "bool", group=chosen),
        Column("standing", "standing", rank=0, group=gap),
        Column("gap", "to best", "signed", spread=("gap_low", "gap_high"), group=gap),
        Column("gap_low", "low", "signed", group=gap),
        Column("gap_high", "high", "signed", group=gap),
        Column("seconds", "seconds", "seconds", rank=3, group=cost),
        Column("parameters", "parameters", "int", rank=3, group=cost),
        Column("images_per_second", "train img/s", "int", rank=3, group=cost),
    ]


def _board_rows(board: Board, others: Sequence[str]) -> list[dict[str, Any]]:
    cell = board.cell
    place = {"task": cell["task"], "stage": cell["stage"], "items": len(board.bootstrap.items.ids)}
    place["data"] = f"{cell['data']['source']} {cell['data']['fingerprint'][:8]}"
    selection = get_kind(board.bootstrap.kind).selection
    rows = [{**place, **_cells(row, board.metric, others, selection)} for row in board.rows]
    for trivial, values in trivial_values(board.rows[0].setting, [board.metric, *others]).items():
        if any(value is not None for value in values.values()):
            rows.append({**place, "method": trivial, **values})
    return rows


def _cells(row: Row, metric: str, others: Sequence[str], selection: str) -> dict[str, Any]:
    return {
        "rank": row.rank,
        **row.setting.columns,
        **{name: mean_of(row.setting.values("test", name)) for name in others},
        metric: row.value,
        f"val_{selection}": mean_of(row.setting.values("val", selection)),
        "chosen": True if row.chosen else None,
        **{key: getattr(row, key) for key in ("low", "high", "standing", "gap", "gap_low", "gap_high")},
        **vars(row.cost),
    }


def _idle(body: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the columns that are empty or constant."""
    empty = {"setting", "low", "high", "standing", "gap_low", "gap_high", "chosen", "parameters"}
    empty |= {"images_per_second", *(key for key in body[0] if key.startswith("val_"))}
    idle = {key for key in empty if all(row.get(key) in (None, "") for row in body)}
    same = ("task", "stage", "data", "items", "regime")
    return idle | {key for key in same if len({row.get(key) for row in body} - {None}) < 2}


def _notes(boards: Sequence[Board], body: Sequence[Mapping[str, Any]], left: int) -> list[str]:
    notes = [f"{left} more settings rank below: --top 0 shows all."] if left else []
    if any(row.get("low") is not None for row in body):
        over = _resampled(board.bootstrap.kind for board in boards)
        notes.append(
            f"low, high: 95% intervals by a bootstrap over {over}, and over seeds if there are several; "
            "those of the difference to the best are paired."
        )
    else:
        notes.append(_without_interval(boards[0].metric))
    standings = [row.get("standing") for row in body]
    if TIED in standings:
        notes.append(
            f"{TIED}: not distinguishable from the {BEST}: the interval includes 0, p is above .05, or fewer "
            f"than {FEW_CHANGES} items are answered differently; {BEHIND}: none of these."
        )
    if NOT_BETTER in standings:
        notes.append(f"{NOT_BETTER}: an answer that ignores the image does as well or better.")
    cells = [row.setting.cell for board in boards for row in board.rows]
    notes += rehearsal_notes(cells)
    if any(row.get("chosen") for row in body):
        title = get_metric(kind_of(boards[0].records[0]).selection).title
        notes.append(
            f"chosen: the best mean {title} on validation. Choose by it, as bench run does, not by rank."
        )
    elif BEST in standings and not all(map(rehearses, cells)):
        notes.append("Ranked by test score; choose settings by validation, as bench run does.")
    notes += [*trivial_notes(body), *hole_notes(boards)]
    for board in boards:
        notes += kind_notes([row.setting for row in board.rows], board.metric)
    return notes


def _resampled(kinds: Iterable[str]) -> str:
    """Return the units that intervals of these kinds of task resample."""
    return " or ".join(dict.fromkeys(get_kind(kind).nouns.resampled for kind in kinds))


def _without_interval(metric: str) -> str:
    info = get_metric(metric)
    return f"{info.title} has no interval: {info.no_bootstrap or 'the bootstrap does not compute it'}."


def hole_notes(boards: Sequence[Board]) -> list[str]:
    """Return a line for each stage and data set with missing or failed combinations."""
    notes = {}
    for board in boards:
        if board.holes:
            grid = f"{board.cell['stage']} ({board.cell['data']['source']})"
            notes[grid, board.holes] = f"{grid}: not measured: {_listed(board.holes)}."
    return list(notes.values())


def _listed(holes: Sequence[Hole]) -> str:
    groups: dict[tuple[str, str, str], list[int]] = {}
    for hole in holes:
        groups.setdefault((hole.backbone, hole.method, hole.why), []).append(hole.seed)
    lines = []
    for (backbone, method, why), seeds in groups.items():
        note = "" if why == NOT_STORED else f" ({why})"
        lines.append(f"{backbone} {method} seed {','.join(map(str, seeds))}{note}")
    more = len(lines) - HOLES_LISTED
    return "; ".join(lines[:HOLES_LISTED]) + (f"; and {more} more" if more > 0 else "")


def effects_table(effects: Sequence[Effect], full: bool = False) -> Table:
    """Return a row for each metric and method, with the effects at each budget side by side.

    full: every column, for machines, and a row for each budget.
    """
    tasks, stages = ({getattr(effect, key) for effect in effects} for key in ("task", "stage"))
    columns = [
        *([Column("task", "task")] if len(tasks) > 1 else []),
        *([Column("stage", "stage")] if len(stages) > 1 or full else []),
        Column("what", "what"),
        Column("method", "method", rank=0),
        Column("effect", "effect", "signed", rank=0, spread=("low", "high")),
        Column("low", "low", "signed"),
        Column("high", "high", "signed"),
        Column("p", "p", "ratio", rank=3),
        Column("q", "q", "ratio"),
        Column("verdict", "verdict", rank=0),
        Column("up", "better in", "int", rank=2),
        Column("pairs", "of pairs", "int", rank=2),
        Column("backbones", "backbones", "int", rank=3),
        *([Column("trials", "trials", "int", rank=3), Column("tuner", "tuner", rank=3)] if full else []),
    ]
    rows = [
        {
            **vars(effect),
            **effect.budget._asdict(),
            "what": get_metric(effect.metric).title,
            "effect": effect.value,
        }
        for effect in effects
    ]
    base = effects[0].base if effects else NONE
    over = _resampled(effect.kind for effect in effects)
    notes = [
        f"effect: the metric with the method minus that of {base}, on the same test items, backbone and "
        "seed; mean over backbones.",
        f"low, high: 95% intervals by a paired bootstrap over {over}, and over seeds if there are several; "
        "backbones are fixed.",
        "A verdict also needs q <= .05 (Benjamini-Hochberg over the methods).",
    ]
    if not effects:
        notes = [f"No method has a cell with the same backbone, seed and protocol as a cell of {NONE}."]
    if not full and len({effect.budget for effect in effects}) > 1:
        columns, rows = side_by_side_columns(effects), side_by_side(effects)
        notes.append(
            "untuned: the default setting of every method; n trials: the best of n on validation, for every "
            f"method and {base} alike (bench run --tune n)."
        )
    where = f" on {' '.join((*tasks, *stages))}" if len(tasks) == len(stages) == 1 else ""
    return Table(f"Effects of methods, relative to {base}{where}", columns, rows, tuple(notes))
