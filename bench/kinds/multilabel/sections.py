"""Sections of a report about items with many attributes: bars, calibration, curves."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from bench.core.kind import get_kind
from bench.core.predictions import Predictions
from bench.kinds.multilabel import findings
from bench.report import bars, plots
from bench.report.bars import Mark
from bench.report.cell_tables import class_table, mean_over_seeds
from bench.report.page import Block, Figure, Section
from bench.report.stage import StageReport
from bench.report.stage_parts import HARDEST, calibration_section, hardest_items, published_blocks
from bench.report.stage_parts import scored_items as scored
from bench.store.settings import Setting

__all__ = ["hardest", "scored", "sections"]

CURVES = 6
"""Largest number of attributes with curves: more would not be distinguishable."""


def sections(stage: StageReport) -> list[Section]:
    """See `bench.core.shown_facets.Sections`."""
    return [_attributes(stage), _calibration(stage), _curves(stage)]


def hardest(stage: StageReport) -> Section:
    """See `bench.core.shown_facets.Sections`."""
    return hardest_items(stage, findings.hardest(stage.answers, stage.answers.cuts, HARDEST))


def _attributes(stage: StageReport) -> Section:
    ours, name = findings.area_marks(_seeds(stage, stage.best)), stage.named(stage.best)
    theirs = findings.area_marks(_seeds(stage, stage.plain)) if stage.plain else []
    label = stage.named(stage.plain) if stage.plain else ""
    known = [mark for mark in ours if mark.value is not None]
    if not known:
        return Section("Attributes")
    low, high = (pick(known, key=lambda mark: mark.value or 0.0) for pick in (min, max))
    chance = sum((mark.low or 0.0) <= 0.5 <= (mark.high or 0.0) for mark in known)
    alt = (
        f"Bar chart of the ROC area of {len(known)} attributes with 95% intervals for {name}"
        + (f" beside {label}" if label else "")
        + f". Lowest: {low.name} {low.value:.3f}; highest: {high.name} {high.value:.3f}. "
        f"The interval of {chance} holds one half, which is chance."
    )
    caption = "Lines: 95% interval (DeLong), areas averaged over seeds. Dotted: chance."
    caption += f" Hatched: {label}." if label else ""
    draw = bars.classes(ours, theirs, (name, label), "ROC area", 0.5)
    mean = mean_over_seeds([stage.cells[r["id"]].result for r in stage.best.records])
    decisions = _decisions(stage, [Mark(row["class"], row["f1"]) for row in mean["per_class"]])
    blocks: list[Block] = [Figure(stage.stem("attributes"), alt, caption, draw), decisions]
    blocks += published_blocks(stage)
    blocks.append(class_table(mean))
    return Section("Attributes", blocks)


def _seeds(stage: StageReport, setting: Setting) -> list[Predictions]:
    return [stage.cells[record["id"]].predictions("test") for record in setting.records]


def _decisions(stage: StageReport, ours: Sequence[Mark]) -> Figure:
    """Return the figure of each attribute's F1 beside the best trivial answer's, both means over seeds."""
    kind, name = get_kind(stage.board.bootstrap.kind), stage.named(stage.best)
    trivials = [kind.metrics.trivials(pred) for pred in _seeds(stage, stage.best)]
    rows = {trivial: [kind.metrics.per_class(own[trivial]) for own in trivials] for trivial in trivials[0]}
    best = [
        max(fmean(seed[place]["f1"] or 0.0 for seed in seeds) for seeds in rows.values())
        for place in range(len(ours))
    ]
    theirs = [Mark(mark.name, value) for mark, value in zip(ours, best, strict=True)]
    ahead = sum((mark.value or 0.0) > value for mark, value in zip(ours, best, strict=True))
    label = "best trivial answer"
    alt = (
        f"Bar chart of F1 of {len(ours)} attributes for {name} beside the {label}. "
        f"It is ahead in {ahead} of {len(ours)}."
    )
    caption = f"Means over seeds. Hatched: {label} ({', '.join(kind.trivial_notes)})."
    caption += " F1 is high where yes is frequent."
    return Figure(stage.stem("f1"), alt, caption, bars.classes(ours, theirs, (name, label), "F1"))


def _calibration(stage: StageReport) -> Section:
    bins = findings.calibration(stage.answers)
    return calibration_section(stage, bins, ", all attributes pooled", ("share of yes", "score"))


def _curves(stage: StageReport) -> Section:
    lines = findings.curves(stage.answers, CURVES)
    if not lines:
        return Section("ROC and precision-recall")
    name, names = stage.named(stage.best, seed=True), ", ".join(roc.name for roc, _ in lines)
    alt = f"ROC and precision-recall curves of {name}: {names}."
    caption = (
        f"{name}: the {len(lines)} attributes with most yes in test; observed cells alone. Dotted: chance."
    )
    draw = plots.curves([roc for roc, _ in lines], [precision for _, precision in lines])
    return Section("ROC and precision-recall", (Figure(stage.stem("curves"), alt, caption, draw),))
