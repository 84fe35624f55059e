"""Tables of metrics on subgroups of the test items, of gaps between them, and of two runs by subgroup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.compare.leaderboard import Board
from bench.compare.subgroups import DIFFERENT, UNKNOWN, Gap, Subgroup, Subgroups
from bench.compare.verdict import FEW_ITEMS, Comparison
from bench.core.kind import get_kind
from bench.core.table import Column, Table
from bench.metrics.registry import COUNTS, get_metric, metrics_of
from bench.report.result_tables import metric_column
from bench.store.settings import Setting

NO_VALUE = "(no value)"
"""Name of the subgroup without a value in tables; in csv and json its `row` is `unknown`."""

LISTED = 40
"""Maximum number of subgroups in a table for people; csv and json have all."""

ALL, SUBGROUP, GAP = "all", "subgroup", "gap"
"""Types of rows, in the column `row`, beside `unknown`."""


def shown_metrics(kind: str, full: bool) -> tuple[str, ...]:
    """Return the metrics of subgroups in tables. full: all, for machines."""
    known = get_kind(kind)
    return metrics_of(kind) if full else tuple(known.subgroup_metrics or known.headline)


def compared_metrics(kind: str, full: bool) -> tuple[str, ...]:
    """Return the metrics that two runs are compared by on subgroups. full: all, not just the main ones."""
    known = get_kind(kind)
    if full:
        return metrics_of(kind)
    return tuple(known.subgroup_metrics or dict.fromkeys((known.headline[0], known.selection)))


def subgroup_table(found: Subgroups, cells: Sequence[str], title: str, full: bool = False) -> Table:
    """Return the metrics of a setting on the test set and on each subgroup, with intervals.

    cells: of one setting; values are means over them. full: for machines: all subgroups, counts and columns.
    """
    metrics = found.metrics
    groups, notes = _listed(found, full)
    body = [_group_row(found.whole, cells, metrics) | {"row": ALL, "subgroup": ""}]
    body += [_group_row(group, cells, metrics) for group in groups]
    counts = [name for name in COUNTS if name != "n" and any(row.get(name) is not None for row in body)]
    columns = [
        Column("row", "row", rank=3) if not full else Column("row", "row"),
        Column("subgroup", found.column, rank=0),
        Column("items", "test items", "int", rank=0),
        *(replace(metric_column(name), rank=4) for name in counts),
        *_interval_columns(metrics),
        Column("why", "why"),
    ]
    if not full:
        columns = columns[1:]
        body[0]["subgroup"] = "all"
    return Table(f"{title}, by {found.column}", columns, body, (*notes, *_notes(found)))


def gap_table(found: Subgroups, cells: Sequence[str], title: str = "") -> Table:
    """Return the gap between the worst and the best subgroup in each metric."""
    rows = [_gap_row(gap, cells) for metric in found.metrics if (gap := found.gap(metric, cells)) is not None]
    columns = [Column("metric", "metric", rank=0), *_gap_columns()]
    heading = title or f"Gaps between the worst and the best {found.column}"
    notes = gap_notes(found) if rows else [f"Fewer than two subgroups of {FEW_ITEMS} test items: no gap."]
    return Table(heading, columns, rows, tuple(notes))


def board_tables(boards: Sequence[tuple[Board, Subgroups]], full: bool = False, left: int = 0) -> list[Table]:
    """Return the gap of each ranked setting, and its ranking metric on each subgroup.

    full: for machines, both in one table. left: number of settings that rank too low to be on a board.
    """
    gaps, values = [], []
    for board, found in boards:
        place = {"task": board.cell["task"], "stage": board.cell["stage"]}
        groups = _listed(found, full)[0]
        for row in board.rows:
            cells = _ids(row.setting)
            own = {**place, "rank": row.rank, **row.setting.columns}
            whole = {"items": found.whole.items, **_interval(found.whole, board.metric, cells, "value")}
            gap = found.gap(board.metric, cells)
            gaps.append({"row": GAP, **own, **whole, **({} if gap is None else _gap_row(gap, cells))})
            for group in groups:
                size = {"subgroup": _name(group), "items": group.items, **_why(group, board.metric, cells)}
                value = _interval(group, board.metric, cells, "value")
                values.append({"row": _role(group), **own, **size, **value})
    first, column = boards[0]
    title, metric = get_metric(first.metric).title, first.metric
    setting = [
        Column("task", "task"),
        Column("stage", "stage"),
        Column("rank", "rank", "int", rank=0),
        Column("regime", "regime", rank=3),
        Column("backbone", "backbone"),
        Column("method", "method", rank=0),
        Column("setting", "setting"),
        Column("seeds", "seeds", "int", rank=3),
    ]
    measured = [
        Column("value", title, "ratio", rank=0, spread=("value_low", "value_high")),
        Column("value_low", "low", "ratio"),
        Column("value_high", "high", "ratio"),
    ]
    where = [Column("subgroup", column.column, rank=0), Column("items", "test items", "int")]
    why = [Column("why", "why")]
    notes = [f"{left} more settings rank below: --top 0 shows all."] if left else []
    notes += gap_notes(column)
    if full:
        columns = [Column("row", "row"), *setting, *where, *measured, *_gap_columns(), *why]
        merged = [{**row, "metric": metric} for row in (*gaps, *values)]
        return [Table("", [Column("metric", "metric"), *columns], merged)]
    heads = f"{first.cell['task']} ranked by {title} on test, by {column.column}"
    return [
        Table(heads, _worth(setting + measured + _gap_columns(), gaps), gaps, tuple(notes)),
        Table(
            f"{title} by {column.column}",
            _worth(setting + where + measured + why, values),
            values,
            tuple(dict.fromkeys([*_listed(column, full)[1], *_notes(column)])),
        ),
    ]


def difference_table(
    rows: Sequence[Comparison], column: str, title: str, every_column: bool = False
) -> Table:
    """Return the differences of two runs on each subgroup; `class_name` of a row is the subgroup."""
    columns = [
        Column("stage", "stage"),
        Column("backbone", "backbone"),
        Column("method", "method"),
        Column("setting", "setting"),
        Column("seeds", "seeds", rank=2),
        Column("against", "against"),
        Column("metric", "metric", rank=0),
        Column("subgroup", column, rank=0),
        Column("items", "test items", "int"),
        Column("ours", "ours", "ratio"),
        Column("theirs", "theirs", "ratio"),
        Column("difference", "difference", "signed", rank=0, spread=("low", "high")),
        Column("low", "low", "signed"),
        Column("high", "high", "signed"),
        Column("p", "p", "ratio", rank=4),
        Column("q", "q", "ratio", rank=3),
        Column("verdict", "verdict", rank=0),
        Column("why", "why", rank=2),
    ]
    body = []
    for row in rows:
        gap, sides = row.difference, row.sides
        body.append(
            {
                **{key: getattr(sides, key) for key in ("stage", "backbone", "method", "setting")},
                "seeds": ", ".join(map(str, sides.seeds)),
                "against": sides.against,
                "metric": row.metric if every_column else get_metric(row.metric).title,
                "subgroup": "all" if row.class_name is None else row.class_name or NO_VALUE,
                "items": gap.n_ours,
                "difference": gap.value,
                **{key: getattr(gap, key) for key in ("ours", "theirs", "low", "high", "p")},
                "q": row.verdict.q,
                "verdict": row.verdict.name,
                "why": row.verdict.why,
            }
        )
    over = dict.fromkeys(get_kind(row.sides.kind).nouns.resampled for row in rows)
    notes = [
        f"Intervals are 95%, by a paired bootstrap over {' or '.join(over)}, and over seeds if there are "
        "several.",
        "A verdict on a subgroup also needs q <= .05 (Benjamini-Hochberg over the subgroups of a metric).",
    ]
    return Table(title, columns if every_column else _worth(columns, body), body, tuple(notes))


def gap_notes(found: Subgroups) -> list[str]:
    """Return the notes below a table of gaps."""
    return [
        "gap: the higher value minus the lower one. Its interval and p are those of the largest difference "
        f"between any two subgroups of at least {FEW_ITEMS} test items, because the pair is selected for it.",
        f"{DIFFERENT}: beyond chance. The gap of small subgroups is too large on average.",
    ]


def _notes(found: Subgroups) -> list[str]:
    over = get_kind(found.kind).nouns.resampled
    lines = [f"Intervals are 95%, by a bootstrap over {over}, and over seeds if there are several."]
    if any(group.value == UNKNOWN for group in found.groups):
        lines.append(f"{NO_VALUE}: items without a value; gaps ignore them.")
    return lines


def _listed(found: Subgroups, full: bool) -> tuple[Sequence[Subgroup], list[str]]:
    """Return the subgroups that a table lists, and a note on those that it leaves out."""
    if full or len(found.groups) <= LISTED:
        return found.groups, []
    rest = found.groups[LISTED:]
    items = sum(group.items for group in rest)
    return found.groups[:LISTED], [
        f"{len(rest):,} smaller subgroups of {items:,} test items are left out: --format csv lists all."
    ]


def _group_row(group: Subgroup, cells: Sequence[str], metrics: Iterable[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"row": _role(group), "subgroup": _name(group), "items": group.items}
    row |= {name: _count(group.mean(name, cells)) for name in COUNTS if name != "n"}
    for metric in metrics:
        row |= _interval(group, metric, cells, metric)
    if group.bootstrap is None:
        row["why"] = f"fewer than {FEW_ITEMS} items"
    return row


def _count(value: float | None) -> int | None:
    return None if value is None else round(value)


def _role(group: Subgroup) -> str:
    return "unknown" if group.value == UNKNOWN else SUBGROUP


def _name(group: Subgroup) -> str:
    return group.value or NO_VALUE


def _why(group: Subgroup, metric: str, cells: Sequence[str]) -> dict[str, str]:
    return {"why": f"fewer than {FEW_ITEMS} items"} if group.few(metric, cells) else {}


def _interval(group: Subgroup, metric: str, cells: Sequence[str], key: str) -> dict[str, float | None]:
    found = group.estimate(metric, cells)
    low, high = (None, None) if found is None else (found.low, found.high)
    return {key: group.mean(metric, cells), f"{key}_low": low, f"{key}_high": high}


def _interval_columns(metrics: Iterable[str]) -> list[Column]:
    columns = []
    for index, name in enumerate(metrics):
        title, rank = get_metric(name).title, min(index, 1) + 1
        columns += [
            Column(name, title, "ratio", rank, (f"{name}_low", f"{name}_high")),
            Column(f"{name}_low", f"{title} low", "ratio"),
            Column(f"{name}_high", f"{title} high", "ratio"),
        ]
    return columns


def _gap_columns() -> list[Column]:
    return [
        Column("worst", "worst", rank=1),
        Column("worst_value", "worst value", "ratio", rank=2),
        Column("best", "best", rank=1),
        Column("best_value", "best value", "ratio", rank=2),
        Column("gap", "gap", "ratio", rank=0, spread=("gap_low", "gap_high")),
        Column("gap_low", "gap low", "ratio"),
        Column("gap_high", "gap high", "ratio"),
        Column("p", "p", "ratio", rank=3),
        Column("verdict", "verdict", rank=1),
    ]


def _gap_row(gap: Gap, cells: Sequence[str]) -> dict[str, Any]:
    return {
        "metric": get_metric(gap.metric).title,
        "worst": _name(gap.worst),
        "worst_value": gap.worst.mean(gap.metric, cells),
        "best": _name(gap.best),
        "best_value": gap.best.mean(gap.metric, cells),
        "gap": gap.estimate.value,
        "gap_low": gap.estimate.low,
        "gap_high": gap.estimate.high,
        "p": gap.estimate.p,
        "verdict": gap.verdict,
    }


def _ids(setting: Setting) -> list[str]:
    return [str(record["id"]) for record in setting.records]


def _worth(columns: Sequence[Column], rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """Return the columns that have a value and, of those that name a setting, more than one."""
    same = ("task", "stage", "regime", "against", "seeds")
    kept = [column for column in columns if any(row.get(column.key) not in (None, "") for row in rows)]
    return [
        column for column in kept if column.key not in same or len({row.get(column.key) for row in rows}) > 1
    ]
