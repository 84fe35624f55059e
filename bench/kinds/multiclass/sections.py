"""Sections of a report about one class per image: classes, confusions, calibration, curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.compare.baselines.types import PublishedResult
from bench.compare.effects import NONE
from bench.compare.verdict import INCOMPARABLE
from bench.kinds.multiclass import findings
from bench.kinds.multiclass.set_tables import sets_by_setting
from bench.metrics import intervals
from bench.report import bars, plots
from bench.report.bars import Mark
from bench.report.cell_tables import class_table, mean_over_seeds
from bench.report.comparison_tables import compare_table
from bench.report.page import Block, Figure, Section
from bench.report.stage import StageReport
from bench.report.stage_parts import HARDEST, calibration_section, hardest_items, number
from bench.report.stage_parts import scored_items as scored

__all__ = ["hardest", "scored", "sections"]


def sections(stage: StageReport) -> list[Section]:
    """See `bench.core.shown_facets.Sections`."""
    return [_classes(stage), _sets(stage), _confusions(stage), _calibration(stage), _curves(stage)]


def hardest(stage: StageReport) -> Section:
    """See `bench.core.shown_facets.Sections`."""
    return hardest_items(stage, findings.hardest(stage.answers, HARDEST))


def _classes(stage: StageReport) -> Section:
    rows = [stage.cells[record["id"]].per_class for record in stage.best.records]
    scored = [row for row in rows[0] if row.get("test_support")]
    if not scored:
        return Section("Classes")
    ours, name = _class_marks(rows, scored), stage.named(stage.best)
    tables: list[Block] = [
        class_table(mean_over_seeds([stage.cells[r["id"]].result for r in stage.best.records]))
    ]
    label, detail, theirs = "", "", []
    result = _published(stage, [row["class"] for row in scored])
    if result is not None and stage.baseline is not None:
        label, theirs = stage.baseline.name, [_published_mark(result, row["class"]) for row in scored]
        tables.insert(0, compare_table(stage.compared, stage.baseline))
        why = next((row.verdict.why for row in stage.compared if row.verdict.name == INCOMPARABLE), "")
        detail = f" Hatched: published{f'; not comparable, {why}' if why else ''}."
    elif stage.plain is not None:
        plain = [stage.cells[record["id"]].per_class for record in stage.plain.records]
        label, theirs = stage.named(stage.plain), _class_marks(plain, scored)
        detail = f" Hatched: without the method ({NONE})."
    low, high = (pick(ours, key=lambda mark: mark.value or 0.0) for pick in (min, max))
    alt = (
        f"Bar chart of top-1 of {len(ours)} classes with 95% intervals for {name}"
        + (f" beside {label}" if label else "")
        + f". Lowest: {low.name} {number(low.value)}; highest: {high.name} {number(high.value)}."
    )
    caption = "Most training images on top. Lines: Wilson's 95% interval, hits averaged over seeds." + detail
    figure = Figure(stage.stem("classes"), alt, caption, bars.classes(ours, theirs, (name, label)))
    return Section("Classes", (figure, *tables))


def _sets(stage: StageReport) -> Section:
    settings = [(stage.named(row.setting), row.setting) for row in stage.board.rows]
    table = sets_by_setting(settings, stage.cells)
    return Section("Prediction sets", () if table is None else (table,))


def _published(stage: StageReport, names: Sequence[str]) -> PublishedResult | None:
    """Return the first published result of this stage that has one of these classes."""
    published = stage.baseline.published if stage.baseline else ()
    found = (result for result in published if result.stage == stage.board.cell["stage"])
    return next((result for result in found if not result.support.keys().isdisjoint(names)), None)


def _class_marks(
    seeds: Sequence[Sequence[Mapping[str, Any]]], scored: Sequence[Mapping[str, Any]]
) -> list[Mark]:
    by_name = [{row["class"]: row for row in rows} for rows in seeds]
    marks = []
    for row in scored:
        hits = [own[row["class"]]["top1_hits"] for own in by_name if row["class"] in own]
        mean, n = sum(hits) / len(hits) if hits else None, row["test_support"]
        if mean is None or mean > n:
            marks.append(Mark(row["class"], None))
            continue
        interval = intervals.wilson(mean, n)
        marks.append(Mark(row["class"], mean / n, interval.low, interval.high))
    return marks


def _published_mark(result: PublishedResult, name: str) -> Mark:
    number, n = result.classes.get(name, {}).get("top1"), result.support.get(name)
    if number is None or not n:
        return Mark(name, None)
    low, high = intervals.wilson(number.low * n, n).low, intervals.wilson(number.high * n, n).high
    return Mark(name, number.value, low, high)


def _confusions(stage: StageReport) -> Section:
    pred, table = stage.answers, findings.confusion_table(stage.answers)
    worst = table.rows[0] if table.rows else None
    name, detail = stage.named(stage.best, seed=True), "Every item is answered right."
    if worst is not None:
        detail = f"Most frequent: {worst['items']} of {worst['true']} mistaken for {worst['answered']}."
    alt = f"Heat map of the confusion matrix of {name}: rows true, columns answered. {detail}"
    caption = f"{name}. Each row sums to 100%. An empty row has no test image."
    draw = plots.heat(findings.confusion_shares(pred), pred.classes)
    table = replace(table, title=f"{table.title} of {name}")
    return Section("Confusions", (Figure(stage.stem("confusion"), alt, caption, draw, vector=False), table))


def _calibration(stage: StageReport) -> Section:
    bins = findings.calibration(stage.answers)
    count = sum(item.n for item in bins) or 1
    right = sum(item.accuracy * item.n for item in bins) / count
    sure = sum(item.confidence * item.n for item in bins) / count
    detail = f": on average {sure:.3f} sure, {right:.3f} right"
    return calibration_section(stage, bins, detail, ("accuracy", "confidence (highest score)"))


def _curves(stage: StageReport) -> Section:
    settings = [setting for setting in (stage.best, stage.plain) if setting is not None]
    lines = [findings.pooled_curves(stage.named(s, seed=True), stage.predictions(s)) for s in settings]
    names = " and ".join(roc.name for roc, _ in lines)
    alt = f"ROC and precision-recall curves of {names}, classes pooled."
    caption = f"{names}. Every item decides once for each class; all these decisions are pooled."
    draw = plots.curves([roc for roc, _ in lines], [precision for _, precision in lines])
    return Section("ROC and precision-recall", (Figure(stage.stem("curves"), alt, caption, draw),))
