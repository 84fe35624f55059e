"""Compares stored results with a baseline: stored cells in, verdicts out; reads nothing, trains nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from bench.baselines import Baseline
from bench.comparison import (
    BETTER,
    INCOMPARABLE,
    MISSING,
    SAME,
    VERDICTS,
    WORSE,
    Comparison,
    Setting,
    settings_of,
)
from bench.pin import StoredCell
from bench.report.table import Column, Table

DRAWS = 2000
"""Bootstrap resamples: the 2.5% quantile then rests on 50 of them."""

__all__ = [
    "BETTER", "DRAWS", "INCOMPARABLE", "MISSING", "SAME", "VERDICTS", "WORSE",
    "Comparison", "compare", "compare_table", "judgements", "regressions",
]  # fmt: skip


def compare(
    cells: Iterable[StoredCell],
    baseline: Baseline,
    draws: int = DRAWS,
    seed: int = 0,
    problems: list[str] | None = None,
) -> list[Comparison]:
    """Compare every measured cell of the baseline's task with the baseline.

    Seeds of one setting are taken together. Against a published baseline each of our settings stands
    beside every published result of its stage; against a pinned one, beside the pinned result of the same
    stage, regime, backbone, weights and method. What one side alone has is `missing`.
    draws, seed: of the bootstrap (pinned only); equal arguments give equal rows.
    problems: is given a line for each cell whose predictions cannot be read, which is then left out. Without
    it such a cell raises StoreError.
    """
    settings = settings_of(cells, baseline.task)
    if baseline.pinned is None:
        return _with_published(settings, baseline)
    return _with_pinned(settings, baseline, draws, seed, problems)


def _with_published(settings: Sequence[Setting], baseline: Baseline) -> list[Comparison]:
    from bench.compare_published import compare_published

    rows: list[Comparison] = []
    for setting in settings:
        results = [result for result in baseline.published if result.stage == setting.stage]
        for result in results:
            rows += compare_published(setting, baseline, result)
        if not results:
            rows.append(_missing(_headline(setting, baseline), "stage not in the baseline"))
    for stage in dict.fromkeys(result.stage for result in baseline.published):
        if stage not in {setting.stage for setting in settings}:
            blank = Comparison(baseline.task, baseline.name, stage, "top1_micro", "", "", MISSING)
            rows.append(_missing(blank, "no measured cell of this stage is stored"))
    return rows


def _with_pinned(
    settings: Sequence[Setting], baseline: Baseline, draws: int, seed: int, problems: list[str] | None
) -> list[Comparison]:
    from bench.compare_pinned import compare_pinned

    assert baseline.pinned is not None
    rows: list[Comparison] = []
    pinned = {_key(result): result for result in baseline.pinned.results}
    for setting in settings:
        if (result := pinned.get(_key(setting))) is not None:
            rows += compare_pinned(setting, baseline, result, draws, seed, problems)
        else:
            rows.append(_missing(_headline(setting, baseline), "setting not in the baseline"))
    ours = {_key(setting) for setting in settings}
    for key, result in pinned.items():
        if key not in ours:
            values = [run.metrics.get("top1_micro") for run in result.runs.values()]
            known = [value for value in values if value is not None]
            row = Comparison(
                task=baseline.task,
                baseline=baseline.name,
                stage=result.stage,
                metric="top1_micro",
                backbone=result.backbone,
                method=result.method,
                regime=result.regime,
                seeds=tuple(sorted(result.runs)),
                theirs=sum(known) / len(known) if known else None,
                n_theirs=baseline.pinned.stages[result.stage].n,
                verdict=MISSING,
            )
            rows.append(_missing(row, "no measured cell of this setting is stored"))
    return rows


def _key(setting: Any) -> tuple[str, ...]:
    return (setting.stage, setting.regime, setting.backbone, setting.weights, setting.method)


def _headline(setting: Setting, baseline: Baseline) -> Comparison:
    return replace(setting.row(baseline.name), ours=setting.mean("top1_micro"))


def _missing(row: Comparison, why: str) -> Comparison:
    return replace(row, verdict=MISSING, why=why)


def regressions(
    comparisons: Iterable[Comparison], metrics: Collection[str] | None = None
) -> list[Comparison]:
    """Return the rows that are worse beyond their interval: of all metrics of whole stages, or of these.

    Classes on their own do not count, unless `top1` or `top5` (of a class) is among the metrics named.
    """
    return [
        row
        for row in comparisons
        if row.verdict == WORSE and (row.class_name is None if metrics is None else row.metric in metrics)
    ]


def judgements(comparisons: Iterable[Comparison]) -> int:
    """Return how many rows have a verdict of better, worse or same: 0 means that nothing was checked."""
    return sum(row.verdict in (BETTER, WORSE, SAME) for row in comparisons)


def compare_table(
    comparisons: Sequence[Comparison], baseline: Baseline, classes: bool = True, every_column: bool = False
) -> Table:
    """Return the comparison as a table: settings in order, whole-stage metrics first, large classes first.

    classes: whether to show a row per class. every_column: for machines; without it an empty column is left
    out, and one that says the same in every row is said once in a note.
    """
    places = {key: i for i, key in enumerate(dict.fromkeys(map(_place, comparisons)))}
    shown = [row for row in comparisons if classes or row.class_name is None]
    shown.sort(key=lambda row: (places[_place(row)], row.class_name is not None, *_by_size(row)))
    rows = [_cells(row, baseline) for row in shown]
    columns, notes = ([*_FOR_MACHINES, *_COLUMNS], []) if every_column else _without_repeats(_COLUMNS, rows)
    notes.append(_tally(shown))
    notes += _flag_notes(baseline, {row.stage for row in shown})
    if any(row.low is not None or row.theirs_low is not None for row in shown):
        notes.append(_PINNED_NOTE if baseline.pinned else _PUBLISHED_NOTE)
    title = f"{baseline.task} against {baseline.name} ({baseline.type}): {baseline.summary}"
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
    """Order classes by size; whole-stage metrics stay in the order they have."""
    return (-row.size, row.class_name, row.metric) if row.class_name is not None else ()


def _cells(row: Comparison, baseline: Baseline) -> dict[str, Any]:
    cells = {**vars(row), "what": row.what, "seeds": ", ".join(map(str, row.seeds))}
    cells["flags"] = ", ".join(flag.name for flag in baseline.flags)
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


def _flag_notes(baseline: Baseline, stages: Collection[str]) -> list[str]:
    """Return what each flag of the baseline, and of its results and numbers for these stages, says."""
    flags = list(baseline.flags)
    for result in baseline.published:
        if result.stage in stages:
            flags += result.flags
            flags += [flag for number in result.metrics.values() for flag in number.flags]
            flags += [
                flag for row in result.classes.values() for number in row.values() for flag in number.flags
            ]
    return list(dict.fromkeys(f"{flag.name}: {flag.why}" for flag in flags))


def _tally(rows: Sequence[Comparison]) -> str:
    counts = Counter("no verdict" if row.verdict is None else row.verdict for row in rows)
    return (
        ", ".join(f"{counts[name]} {name}" for name in (*VERDICTS, "no verdict") if counts[name])
        or "nothing to compare"
    )
