"""Comparisons that `bench compare` prints and `bench.run` returns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import BenchError, unknown
from bench.store.write import Stored

if TYPE_CHECKING:
    from bench.compare.baselines.types import Baseline
    from bench.compare.resolve import Stock
    from bench.compare.verdict import Comparison
    from bench.core.table import Table
    from bench.runs.cell_data import ColumnValues


@dataclass(frozen=True)
class Compared:
    """A comparison.

    baselines: the baselines compared with. title: "" for runs against one baseline. name: of the second side.
    problems: a message for each file that could not be read. notes: on what was left out.
    """

    rows: Sequence[Comparison]
    baselines: Sequence[Baseline]
    title: str
    name: str
    problems: Sequence[str]
    notes: Sequence[str] = ()


def compared(
    stock: Stock,
    sides: Sequence[str],
    against: Baseline | None,
    everything: bool = False,
    asked: Collection[str] = (),
) -> Compared:
    """Compare two sides, one with the baseline, or all measured cells with it.

    against: the baseline; None only for two sides. everything: all settings, not only each stage's best on
    validation. asked: metrics beyond the kind's own. Raises BenchError for a side that nothing matches.
    """
    unread: list[str] = []
    if not sides:
        from bench.compare.against_baseline import compare

        assert against is not None
        measured = list(stock.cells)
        if against.pinned is None and not everything:
            measured = best_of_each_stage(measured)
        rows = compare(measured, against, problems=unread, declared=stock.declared, metrics=asked)
        return Compared(rows, (against,), "", against.name, unread)
    from bench.compare.resolve import find_candidates
    from bench.compare.two_runs import compare_candidates, left_out

    first, second = (*sides, against.name) if against is not None else sides
    ours, theirs = find_candidates(stock, first, second)
    rows = compare_candidates(ours, theirs, problems=unread, metrics=asked)
    used = {id(run.baseline): run.baseline for run in (*ours, *theirs) if run.baseline is not None}
    title = f"{stock.task}: {first} against {second}"
    return Compared(rows, list(used.values()), title, second, unread, left_out(ours, theirs))


def compared_by(
    stock: Stock,
    sides: Sequence[str],
    values: ColumnValues,
    asked: Collection[str] = (),
    full: bool = False,
    verdicts: Collection[str] = (),
    min_support: int = 0,
) -> list[Table]:
    """Return the tables of two sides on subgroups: the differences, and the gaps of either side.

    asked: only these metrics. Raises BenchError for a side that nothing matches, or without test items.
    """
    from bench.compare.resolve import find_candidates
    from bench.compare.subgroup_differences import subgroup_differences
    from bench.compare.two_runs import paired_candidates
    from bench.metrics.registry import metrics_of
    from bench.report.comparison_tables import narrowed
    from bench.report.subgroup_tables import compared_metrics, difference_table, gap_table

    rows: list[Comparison] = []
    gaps = []
    for ours, theirs in paired_candidates(*find_candidates(stock, *sides)):
        if ours.setting is None or theirs.setting is None:
            name = (theirs if theirs.setting is None else ours).name
            raise BenchError(f"--by: {name} is published without its test items; name a run")
        cell = next(iter(ours.setting.cells.values())).result.get("cell")
        if cell is None:
            raise BenchError(f"--by: {ours.name} is not a stored run: name it second")
        kind = ours.setting.kind
        metrics = [name for name in metrics_of(kind) if name in asked] or compared_metrics(kind, full)
        own, found, both = subgroup_differences(
            ours.setting, theirs.setting, theirs.name, values.column, values.of(cell), metrics
        )
        rows += own
        for side, cells in zip((ours, theirs), both, strict=True):
            title = f"Gaps between the worst and the best {values.column}: {side.name}, {side.stage}"
            gaps.append(gap_table(found, cells, title))
    title = f"{stock.task}: {sides[0]} against {sides[1]}, by {values.column}"
    shown = narrowed(rows, (), (), verdicts, min_support)
    return [difference_table(shown, values.column, title, full), *gaps]


def metrics_of(texts: Sequence[str]) -> set[str]:
    """Return the metrics named in texts, separated by commas. Raises BenchError for an unknown one."""
    from bench.compare.baselines.types import CLASS_METRICS
    from bench.metrics.registry import METRICS, is_metric

    names = {name.strip() for text in texts for name in text.split(",") if name.strip()}
    for name in sorted(names):
        if name not in CLASS_METRICS and not is_metric(name):
            raise unknown("metric", name, (*METRICS, *CLASS_METRICS))
    return names


def baseline_of(task: str, name: str | None, folders: Sequence[Path], faulty: list[str]) -> Baseline:
    """Return the named baseline, or the task's published one. Raises BenchError if there is none.

    faulty: a message for each file that cannot be read is appended.
    """
    from bench.compare.baselines.find import load_baseline, none_published, published_for

    against = load_baseline(task, name, folders) if name else published_for(task, folders, faulty)
    if against is None:
        raise none_published(task, folders)
    return against


def comparison_of(found: Compared, every_column: bool = False, sort: str = "size") -> Table:
    """Return the table of a comparison."""
    from bench.report.comparison_tables import compare_table, comparison_table

    if found.title:
        table = comparison_table(found.rows, found.title, found.baselines, every_column, sort)
        return replace(table, notes=(*table.notes, *found.notes))
    return compare_table(found.rows, found.baselines[0], every_column=every_column, sort=sort)


def best_of_each_stage(measured: list[Stored]) -> list[Stored]:
    """Return all seeds of the best setting on validation, for each data source and stage."""
    from bench.report.result_tables import best_setting
    from bench.store.settings import settings_of

    chosen: list[Stored] = []
    stages: dict[tuple[str, str], list[Stored]] = {}
    for stored in measured:
        cell = stored.record["cell"]
        stages.setdefault((cell["data"]["fingerprint"], cell["stage"]), []).append(stored)
    for cells in stages.values():
        records = [stored.record for stored in cells]
        best = best_setting(records)
        members = [{record["id"] for record in setting.records} for setting in settings_of(records)]
        (ids,) = [ids for ids in members if best in ids]
        chosen += [stored for stored in cells if stored.id in ids]
    return chosen
