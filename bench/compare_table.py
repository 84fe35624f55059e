"""What a table of comparisons holds: which rows, in which order, and the notes under them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from bench.baselines import Baseline, Flag
from bench.comparison import VERDICTS, Comparison
from bench.kinds.base import PAIRS
from bench.report.table import Column, Table

NO_VERDICT = "no verdict"
"""What filters call a row without one."""


def narrowed(
    comparisons: Iterable[Comparison],
    classes: Collection[str] = (),
    metrics: Collection[str] = (),
    verdicts: Collection[str] = (),
    min_support: int = 0,
) -> list[Comparison]:
    """Return the rows that are asked for; what is empty leaves nothing out.

    classes: names; rows of whole stages go with them. min_support: test items that a class needs, on the side
    that has more. Verdicts and q-values are those of all rows.
    """
    return [
        row
        for row in comparisons
        if (not classes or row.class_name in classes)
        and (not metrics or row.metric in metrics)
        and (not verdicts or (row.verdict or NO_VERDICT) in verdicts)
        and (row.class_name is None or row.size >= min_support)
    ]


def compare_table(
    comparisons: Sequence[Comparison],
    baseline: Baseline,
    classes: bool = True,
    every_column: bool = False,
    sort: str = "size",
) -> Table:
    """Return the comparison with a baseline as a table: settings in order, and within them as `sort` says.

    classes: whether to show a row per class. every_column: for machines; without it an empty column is left
    out, and one that says the same in every row is said once in a note. sort: one of SORTS.
    """
    title = f"{baseline.task} against {baseline.name} ({baseline.type}): {baseline.summary}"
    shown = [row for row in comparisons if classes or row.class_name is None]
    flags = _flags(baseline, {row.stage for row in shown})
    own = {row.baseline: baseline.flags for row in shown}
    return _as_table(title, shown, flags, own, every_column, sort)


def versus_table(
    comparisons: Sequence[Comparison],
    title: str,
    baselines: Sequence[Baseline] = (),
    every_column: bool = False,
    sort: str = "size",
) -> Table:
    """Return the comparison of any two sides as a table; see `compare_table`. baselines: that take part."""
    stages = {row.stage for row in comparisons}
    flags = [flag for baseline in baselines for flag in _flags(baseline, stages)]
    whole = [flag for baseline in baselines for flag in baseline.flags]
    own = {row.baseline: whole for row in comparisons}
    return _as_table(title, comparisons, flags, own, every_column, sort)


def _as_table(
    title: str,
    shown: Sequence[Comparison],
    flags: Sequence[Flag],
    own: Mapping[str, Sequence[Flag]],
    every_column: bool,
    sort: str,
) -> Table:
    places = {key: i for i, key in enumerate(dict.fromkeys(map(_place, shown)))}
    ordered = sorted(shown, key=lambda row: (places[_place(row)], *SORTS[sort](row)))
    rows = [_cells(row, own.get(row.baseline, ())) for row in ordered]
    columns, notes = ([*_FOR_MACHINES, *_COLUMNS], []) if every_column else _without_repeats(_COLUMNS, rows)
    notes.append(_tally(ordered))
    notes += dict.fromkeys(f"{flag.name}: {flag.why}" for flag in flags)
    of_pairs = any(row.kind == PAIRS for row in ordered)
    if any(row.theirs_low is not None for row in ordered):
        notes.append(_PUBLISHED_PAIRS_NOTE if of_pairs else _PUBLISHED_NOTE)
    elif any(row.low is not None for row in ordered):
        notes.append(_PAIRS_NOTE if of_pairs else _PINNED_NOTE)
    return Table(title, columns, rows, tuple(notes))


_PUBLISHED_NOTE = (
    "Intervals are 95%: Wilson for the published number, Newcombe for the difference (means over classes: "
    "normal). "
    "A class needs q <= .05 as well (score test, Benjamini-Hochberg)."
)
_PINNED_NOTE = (
    "Intervals are 95% of the paired bootstrap (over seeds too where there are several); p is McNemar's with "
    "one seed. "
    "A class needs q <= .05 as well (Benjamini-Hochberg)."
)

_PUBLISHED_PAIRS_NOTE = (
    "Intervals are 95%: of the published number Wilson's, or Student's where a standard error over folds is "
    "published; of the difference, that and ours over resampled people, added in squares."
)
_PAIRS_NOTE = (
    "Intervals are 95% of the paired bootstrap over the people on the pairs (over seeds too where there are "
    "several); so is p: pairs share people, so McNemar's test has no place."
)

_COLUMNS = (
    Column("stage", "stage"),
    Column("regime", "regime"),
    Column("backbone", "backbone"),
    Column("method", "method"),
    Column("setting", "setting"),
    Column("seeds", "seeds"),
    Column("against", "against"),
    Column("what", "what"),
    Column("n_ours", "n ours", "int"),
    Column("n_theirs", "n theirs", "int"),
    Column("ours", "ours", "ratio"),
    Column("theirs", "theirs", "ratio"),
    Column("theirs_low", "theirs low", "ratio"),
    Column("theirs_high", "theirs high", "ratio"),
    Column("difference", "difference", "signed"),
    Column("low", "low", "signed"),
    Column("high", "high", "signed"),
    Column("p", "p", "ratio"),
    Column("q", "q", "ratio"),
    Column("verdict", "verdict"),
    Column("why", "why"),
)

_FOR_MACHINES = (
    Column("task", "task"),
    Column("baseline", "baseline"),
    Column("flags", "flags"),
    Column("metric", "metric"),
    Column("class_name", "class"),
)

_SAID_ONCE = ("stage", "regime", "backbone", "method", "setting", "seeds", "against", "why")


def _place(row: Comparison) -> tuple[Any, ...]:
    return (row.stage, row.regime, row.backbone, row.method, row.setting, row.seeds, row.against)


def _by_size(row: Comparison) -> tuple[Any, ...]:
    """Order whole-stage metrics first, as they are, then classes by size."""
    if row.class_name is None:
        return (False,)
    return (True, -row.size, row.class_name, row.metric)


def _by_difference(row: Comparison) -> tuple[Any, ...]:
    """Order by how far the sides are apart; what has no difference comes last."""
    return (row.difference is None, -abs(row.difference or 0.0), row.class_name or "", row.metric)


def _by_p(row: Comparison) -> tuple[Any, ...]:
    """Order by p, the smallest first; what has none comes last."""
    return (row.p is None, row.p or 0.0, row.class_name or "", row.metric)


def _by_name(row: Comparison) -> tuple[Any, ...]:
    """Order whole-stage metrics first, as they are, then classes by name."""
    return (False,) if row.class_name is None else (True, row.class_name, row.metric)


SORTS: Mapping[str, Callable[[Comparison], tuple[Any, ...]]] = {
    "size": _by_size,
    "difference": _by_difference,
    "p": _by_p,
    "name": _by_name,
}
"""How the rows of one setting can be ordered."""


def _cells(row: Comparison, flags: Iterable[Flag]) -> dict[str, Any]:
    cells = {**vars(row), "what": row.what, "seeds": ", ".join(map(str, row.seeds))}
    cells["flags"] = ", ".join(dict.fromkeys(flag.name for flag in flags))
    return {key: None if value == "" else value for key, value in cells.items()}


def _without_repeats(
    columns: Sequence[Column], rows: Sequence[dict[str, Any]]
) -> tuple[list[Column], list[str]]:
    """Return the columns worth their room, and a note of what the others say in every row."""
    kept, once = [], []
    for column in columns:
        values = {row[column.key] for row in rows}
        if values <= {None}:
            continue
        if column.key in _SAID_ONCE and len(values) == 1:
            once.append(f"{column.title}: {next(iter(values))}")
        else:
            kept.append(column)
    return kept, ["; ".join(once)] if once else []


def _flags(baseline: Baseline, stages: Collection[str]) -> list[Flag]:
    """Return the flags of the baseline, and of its results and numbers for these stages."""
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
    counts = Counter(row.verdict or NO_VERDICT for row in rows)
    return (
        ", ".join(f"{counts[name]} {name}" for name in (*VERDICTS, NO_VERDICT) if counts[name])
        or "nothing to compare"
    )
