"""What the tables of a leaderboard and of the methods' effects hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.effects import NONE, Effect
from bench.kinds.base import PAIRS
from bench.leaderboard import BEHIND, BEST, NOT_STORED, TIED, Board, Hole, Row
from bench.metrics.registry import get_metric
from bench.report.pairs import pair_notes
from bench.report.settings import kind_of, rehearsal_notes, rehearses, trivial_notes, trivial_values
from bench.report.table import Column, Table
from bench.report.tables import metric_column

HOLES_LISTED = 40
"""Missing combinations that are listed one by one (seeds of one backbone and method together)."""


def leaderboard_table(boards: Sequence[Board], full: bool = False, left: int = 0) -> Table:
    """Return the boards' rows one after the other, the trivial answers under each.

    full: for machines: every column, and every metric that the kind heads its tables with. left: settings
    that are on no board because they rank below.
    """
    metric = boards[0].metric
    names = _others(boards, full)
    body = [row for board in boards for row in _board_rows(board, names)]
    columns = _columns(metric, names)
    if not full:
        columns = [column for column in columns if column.key not in _idle(body)]
    title = f"{_places(boards)} ranked by {get_metric(metric).title} on test"
    return Table(title, columns, body, tuple(_notes(boards, body, left)))


def _places(boards: Sequence[Board]) -> str:
    """Return which tasks the boards are of, and which stage where they are all of one."""
    stages = {str(board.cell["stage"]) for board in boards}
    tasks = ", ".join(dict.fromkeys(str(board.cell["task"]) for board in boards))
    return f"{tasks} {stages.pop()}" if len(stages) == 1 else tasks


def _others(boards: Sequence[Board], full: bool) -> list[str]:
    """Return the metrics shown beside the one that ranks."""
    kinds = [kind_of(board.rows[0].setting.records[0]) for board in boards]
    names = [name for kind in kinds for name in ((*kind.headline,) if full else (kind.selection,))]
    return [name for name in dict.fromkeys(names) if name != boards[0].metric]


def _columns(metric: str, others: Sequence[str]) -> list[Column]:
    return [
        Column("task", "task"),
        Column("stage", "stage"),
        Column("data", "data"),
        Column("items", "test items", "int"),
        Column("rank", "rank", "int"),
        Column("regime", "regime"),
        Column("backbone", "backbone"),
        Column("method", "method"),
        Column("setting", "setting"),
        Column("seeds", "seeds", "int"),
        metric_column(metric),
        Column("low", "low", "ratio"),
        Column("high", "high", "ratio"),
        Column("standing", "standing"),
        Column("gap", "to best", "signed"),
        Column("gap_low", "low", "signed"),
        Column("gap_high", "high", "signed"),
        *(metric_column(name) for name in others),
        Column("seconds", "seconds", "seconds"),
        Column("parameters", "parameters", "int"),
        Column("images_per_second", "train img/s", "int"),
    ]


def _board_rows(board: Board, others: Sequence[str]) -> list[dict[str, Any]]:
    cell = board.cell
    place = {"task": cell["task"], "stage": cell["stage"], "items": len(board.contest.items.ids)}
    place["data"] = f"{cell['data']['source']} {cell['data']['fingerprint'][:8]}"
    rows = [{**place, **_cells(row, board.metric, others)} for row in board.rows]
    for trivial, values in trivial_values(board.rows[0].setting, [board.metric, *others]).items():
        if any(value is not None for value in values.values()):
            rows.append({**place, "method": trivial, **values})
    return rows


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _cells(row: Row, metric: str, others: Sequence[str]) -> dict[str, Any]:
    cell = row.setting.cell
    return {
        "rank": row.rank,
        **{key: cell[key] for key in ("regime", "backbone")},
        "method": cell["method_text"],
        "setting": row.setting.differs,
        "seeds": len(row.setting.records),
        **{name: _mean(row.setting.values("test", name)) for name in others},
        metric: row.value,
        **{key: getattr(row, key) for key in ("low", "high", "standing", "gap", "gap_low", "gap_high")},
        **vars(row.cost),
    }


def _idle(body: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the columns that say nothing, or the same in every row."""
    empty = ("setting", "low", "high", "standing", "gap_low", "gap_high", "parameters", "images_per_second")
    idle = {key for key in empty if all(row.get(key) in (None, "") for row in body)}
    same = ("task", "stage", "data", "items", "regime")
    return idle | {key for key in same if len({row.get(key) for row in body} - {None}) < 2}


def _notes(boards: Sequence[Board], body: Sequence[Mapping[str, Any]], left: int) -> list[str]:
    notes = [f"{left} more settings rank below: --top 0 shows all."] if left else []
    if any(row.get("low") is not None for row in body):
        over = "the people on test pairs" if _of_pairs(boards) else "test items"
        notes.append(
            f"low, high: 95% of the bootstrap over {over}, and over seeds where there are several; "
            "of the difference to the best, paired."
        )
    else:
        notes.append(_without_interval(boards[0].metric))
    standings = [row.get("standing") for row in body]
    if TIED in standings:
        notes.append(f"{TIED}: not distinguishable from the {BEST}; {BEHIND}: the interval leaves out 0.")
    cells = [row.setting.cell for board in boards for row in board.rows]
    notes += rehearsal_notes(cells)
    if BEST in standings and not all(map(rehearses, cells)):
        notes.append("Ranked by test: who chooses by this table chooses on test. bench run marks the best on "
                     "validation.")  # fmt: skip
    notes += [*trivial_notes(body), *hole_notes(boards)]
    for board in boards:
        notes += pair_notes([row.setting for row in board.rows], board.metric)
    return notes


def _of_pairs(boards: Sequence[Board]) -> bool:
    return any(board.contest.kind == PAIRS for board in boards)


def _without_interval(metric: str) -> str:
    title = get_metric(metric).title
    if metric == "ece":
        return f"{title} has no interval: resampling a sum of absolute gaps moves it up."
    return f"{title} has no interval: no bootstrap draws it."


def hole_notes(boards: Sequence[Board]) -> list[str]:
    """Return a line for each stage and data whose grid is not full: what is missing, what failed."""
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
    parts = []
    for (backbone, method, why), seeds in groups.items():
        said = "" if why == NOT_STORED else f" ({why})"
        parts.append(f"{backbone} {method} seed {','.join(map(str, seeds))}{said}")
    more = len(parts) - HOLES_LISTED
    return "; ".join(parts[:HOLES_LISTED]) + (f"; and {more} more" if more > 0 else "")


def effects_table(effects: Sequence[Effect], full: bool = False) -> Table:
    """Return a row for each method and metric, methods of one metric together. full: for machines."""
    tasks, stages = ({getattr(effect, key) for effect in effects} for key in ("task", "stage"))
    columns = [
        *([Column("task", "task")] if len(tasks) > 1 else []),
        *([Column("stage", "stage")] if len(stages) > 1 or full else []),
        Column("what", "what"),
        Column("method", "method"),
        Column("effect", "effect", "signed"),
        Column("low", "low", "signed"),
        Column("high", "high", "signed"),
        Column("p", "p", "ratio"),
        Column("q", "q", "ratio"),
        Column("verdict", "verdict"),
        Column("up", "better in", "int"),
        Column("pairs", "of pairs", "int"),
        Column("backbones", "backbones", "int"),
    ]
    rows = [
        {**vars(effect), "what": get_metric(effect.metric).title, "effect": effect.value}
        for effect in effects
    ]
    base = effects[0].base if effects else NONE
    over = "the people on test pairs" if any(effect.kind == PAIRS for effect in effects) else "test items"
    notes = [
        f"effect: the metric with the method less that of {base}, on the same test items, backbone and seed; "
        "mean over backbones.",
        f"low, high: 95% of the paired bootstrap over {over}, and over seeds where there are several; "
        "backbones are taken as they are.",
        "A verdict needs q <= .05 as well (Benjamini-Hochberg over the methods).",
    ]
    if not effects:
        notes = [f"No method has a cell beside one of {NONE} with the same backbone, seed and protocol."]
    where = f" on {' '.join((*tasks, *stages))}" if len(tasks) == len(stages) == 1 else ""
    return Table(f"What each method adds to {base}{where}", columns, rows, tuple(notes))
