"""Tables of comparisons: filters, order, columns and notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.compare.baselines.types import Baseline, Flag
from bench.compare.conditions import described
from bench.compare.two_runs import UNPAIRED
from bench.compare.verdict import VERDICTS, Comparison
from bench.core.kind import get_kind
from bench.core.table import Column, Table

NO_VERDICT = "no verdict"
"""Name of the filter for rows without a verdict."""


def narrowed(
    comparisons: Iterable[Comparison],
    classes: Collection[str] = (),
    metrics: Collection[str] = (),
    verdicts: Collection[str] = (),
    min_support: int = 0,
) -> list[Comparison]:
    """Return the rows that pass all filters; an empty filter passes every row.

    classes: names; rows of whole stages are left out. min_support: minimum number of test items of a class,
    in the run that has more. Verdicts and q-values are those computed over all rows.
    """
    return [
        row
        for row in comparisons
        if (not classes or row.class_name in classes)
        and (not metrics or row.metric in metrics)
        and (not verdicts or (row.verdict.name or NO_VERDICT) in verdicts)
        and (row.class_name is None or row.size >= min_support)
    ]


def compare_table(
    comparisons: Sequence[Comparison],
    baseline: Baseline,
    classes: bool = True,
    every_column: bool = False,
    sort: str = "size",
) -> Table:
    """Return the comparison with a baseline as a table, sorted by setting, then by `sort`.

    classes: whether to show a row per class. every_column: for machines; by default, empty columns are left
    out and constant ones become a note. sort: one of SORTS.
    """
    title = f"{baseline.task} against {baseline.name} ({baseline.type}): {baseline.summary}"
    shown = [row for row in comparisons if classes or row.class_name is None]
    flags = _flags(baseline, {row.sides.stage for row in shown})
    own = {row.sides.baseline: baseline.flags for row in shown}
    table = _as_table(title, shown, flags, own, every_column, sort)
    if not baseline.published or not shown:
        return table
    conditions = described(shown[0].sides.kind, [result.conditions for result in baseline.published])
    return replace(table, notes=(*table.notes, conditions))


def comparison_table(
    comparisons: Sequence[Comparison],
    title: str,
    baselines: Sequence[Baseline] = (),
    every_column: bool = False,
    sort: str = "size",
) -> Table:
    """Return the comparison of any two runs as a table; see `compare_table`. baselines: those compared."""
    stages = {row.sides.stage for row in comparisons}
    flags = [flag for baseline in baselines for flag in _flags(baseline, stages)]
    whole = [flag for baseline in baselines for flag in baseline.flags]
    own = {row.sides.baseline: whole for row in comparisons}
    return _as_table(title, comparisons, flags, own, every_column, sort)


def _as_table(
    title: str,
    shown: Sequence[Comparison],
    flags: Sequence[Flag],
    own: Mapping[str, Sequence[Flag]],
    every_column: bool,
    sort: str,
) -> Table:
    places = {sides: i for i, sides in enumerate(dict.fromkeys(row.sides for row in shown))}
    ordered = sorted(shown, key=lambda row: (places[row.sides], *SORTS[sort](row)))
    rows = [_cells(row, own.get(row.sides.baseline, ())) for row in ordered]
    columns, notes = (
        ([*_FOR_MACHINES, *_COLUMNS, _COMMAND], []) if every_column else _without_repeats(_COLUMNS, rows)
    )
    notes.append(_tally(ordered))
    offered = dict.fromkeys(filter(None, (row.verdict.comparable_run for row in ordered)))
    notes += [f"A run under the published conditions: {command}" for command in offered]
    notes += dict.fromkeys(f"{flag.name}: {flag.why}" for flag in flags)
    if any(UNPAIRED in row.verdict.why for row in ordered):
        notes.append("The two runs were tested on different items, so they are not paired.")
    facets = [get_kind(kind).tables for kind in dict.fromkeys(row.sides.kind for row in ordered)]
    if any(row.difference.theirs_low is not None for row in ordered):
        notes += dict.fromkeys(tables.published_note for tables in facets)
    elif any(row.difference.low is not None for row in ordered):
        notes += dict.fromkeys(tables.paired_note for tables in facets)
    return Table(title, columns, rows, tuple(notes))


_COLUMNS = (
    Column("stage", "stage"),
    Column("regime", "regime", rank=2),
    Column("backbone", "backbone"),
    Column("method", "method"),
    Column("setting", "setting"),
    Column("seeds", "seeds", rank=2),
    Column("against", "against"),
    Column("what", "what", rank=0),
    Column("n_ours", "n ours", "int", rank=4),
    Column("n_theirs", "n theirs", "int", rank=4),
    Column("ours", "ours", "ratio"),
    Column("theirs", "theirs", "ratio", spread=("theirs_low", "theirs_high")),
    Column("theirs_low", "theirs low", "ratio"),
    Column("theirs_high", "theirs high", "ratio"),
    Column("difference", "difference", "signed", rank=0, spread=("low", "high")),
    Column("low", "low", "signed"),
    Column("high", "high", "signed"),
    Column("p", "p", "ratio", rank=4),
    Column("q", "q", "ratio", rank=4),
    Column("verdict", "verdict", rank=0),
    Column("why", "why", rank=3),
)

_FOR_MACHINES = (
    Column("task", "task"),
    Column("baseline", "baseline"),
    Column("flags", "flags"),
    Column("metric", "metric"),
    Column("class_name", "class"),
)

_COMMAND = Column("comparable_run", "comparable run")

_NOTED_IF_CONSTANT = ("stage", "regime", "backbone", "method", "setting", "seeds", "against", "why")


def _by_size(row: Comparison) -> tuple[Any, ...]:
    """Metrics of whole stages first, then classes by size."""
    if row.class_name is None:
        return (False,)
    return (True, -row.size, row.class_name, row.metric)


def _by_difference(row: Comparison) -> tuple[Any, ...]:
    """Largest difference first; rows without one last."""
    gap = row.difference.value
    return (gap is None, -abs(gap or 0.0), row.class_name or "", row.metric)


def _by_p(row: Comparison) -> tuple[Any, ...]:
    """Smallest p first; rows without one last."""
    p = row.difference.p
    return (p is None, p or 0.0, row.class_name or "", row.metric)


def _by_name(row: Comparison) -> tuple[Any, ...]:
    """Metrics of whole stages first, then classes by name."""
    return (False,) if row.class_name is None else (True, row.class_name, row.metric)


SORTS: Mapping[str, Callable[[Comparison], tuple[Any, ...]]] = {
    "size": _by_size,
    "difference": _by_difference,
    "p": _by_p,
    "name": _by_name,
}
"""Sort keys of the rows of one setting."""


def _cells(row: Comparison, flags: Iterable[Flag]) -> dict[str, Any]:
    cells: dict[str, Any] = {
        **vars(row.sides),
        **vars(row.difference),
        **vars(row.verdict),
        "seeds": ", ".join(map(str, row.sides.seeds)),
        "metric": row.metric,
        "class_name": row.class_name,
        "what": row.what,
        "difference": row.difference.value,
        "verdict": row.verdict.name,
        "flags": ", ".join(dict.fromkeys(flag.name for flag in flags)),
    }
    return {key: None if value == "" else value for key, value in cells.items()}


def _without_repeats(
    columns: Sequence[Column], rows: Sequence[dict[str, Any]]
) -> tuple[list[Column], list[str]]:
    """Return the columns that vary, and a note with the values of the constant ones."""
    kept, once = [], []
    for column in columns:
        values = {row[column.key] for row in rows}
        if values <= {None}:
            continue
        if column.key in _NOTED_IF_CONSTANT and len(values) == 1:
            once.append(f"{column.title}: {next(iter(values))}")
        else:
            kept.append(column)
    return kept, ["; ".join(once)] if once else []


def _flags(baseline: Baseline, stages: Collection[str]) -> list[Flag]:
    """Return the flags of the baseline and of its results and numbers for these stages."""
    flags = list(baseline.flags)
    for result in baseline.published:
        if result.stage in stages:
            flags += result.flags
            flags += [flag for number in result.metrics.values() for flag in number.flags]
            flags += [
                flag for row in result.classes.values() for number in row.values() for flag in number.flags
            ]
    return flags


def _tally(rows: Sequence[Comparison]) -> str:
    counts = Counter(row.verdict.name or NO_VERDICT for row in rows)
    return (
        ", ".join(f"{counts[name]} {name}" for name in (*VERDICTS, NO_VERDICT) if counts[name])
        or "nothing to compare"
    )
