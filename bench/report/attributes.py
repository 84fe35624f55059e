"""What a report says about a stage whose items have many attributes: bars, calibration, curves."""

from __future__ import annotations

from bench.compare import compare
from bench.compare_table import compare_table
from bench.comparison import INCOMPARABLE
from bench.kinds.base import get_kind
from bench.report import attribute_findings, bars, plots
from bench.report.bars import Mark
from bench.report.cells import class_table
from bench.report.page import Block, Figure, Section, Words
from bench.report.settings import Setting
from bench.report.stage import Stage
from bench.spec import Predictions

CURVES = 6
"""Attributes whose curves are drawn: more could not be told apart."""


def attribute_sections(stage: Stage) -> list[Section]:
    """Return the sections about the attributes of a board's best cell."""
    return [_attributes(stage), _calibration(stage), _curves(stage)]


def _attributes(stage: Stage) -> Section:
    ours, name = attribute_findings.area_marks(_seeds(stage, stage.best)), stage.named(stage.best)
    theirs = attribute_findings.area_marks(_seeds(stage, stage.plain)) if stage.plain else []
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
    blocks: list[Block] = [Figure(stage.stem("attributes"), alt, caption, draw), _decisions(stage)]
    if stage.baseline is not None:
        stored = [stage.cells[record["id"]] for record in stage.best.records]
        compared = [row for row in compare(stored, stage.baseline) if row.backbone]
        if any(row.verdict == INCOMPARABLE for row in compared):
            blocks.append(Words("The published numbers are shown beside ours; they cannot be compared."))
        blocks.append(compare_table(compared, stage.baseline))
    blocks.append(class_table(stage.cells[stage.first(stage.best)["id"]].result))
    return Section("Attributes", blocks)


def _seeds(stage: Stage, setting: Setting) -> list[Predictions]:
    return [stage.cells[record["id"]].predictions("test") for record in setting.records]


def _decisions(stage: Stage) -> Figure:
    """Return the figure of each attribute's F1 beside the best that no look at the image gives."""
    kind, pred, name = get_kind(stage.board.contest.kind), stage.answers, stage.named(stage.best, seed=True)
    rows = kind.per_class(pred)
    trivials = {trivial: kind.per_class(made) for trivial, made in kind.trivials(pred).items()}
    best = [max((own[i]["f1"] or 0.0) for own in trivials.values()) for i in range(len(rows))]
    ours = [Mark(row["class"], row["f1"]) for row in rows]
    theirs = [Mark(row["class"], value) for row, value in zip(rows, best, strict=True)]
    ahead = sum((mark.value or 0.0) > value for mark, value in zip(ours, best, strict=True))
    label = "best answer that looks at no image"
    alt = (
        f"Bar chart of F1 of {len(ours)} attributes for {name} beside the {label}. "
        f"It is ahead in {ahead} of {len(ours)}."
    )
    caption = f"Hatched: {label} ({', '.join(kind.trivial_names)}). F1 is high where yes is frequent."
    return Figure(stage.stem("f1"), alt, caption, bars.classes(ours, theirs, (name, label), "F1"))


def _calibration(stage: Stage) -> Section:
    bins = attribute_findings.calibration(stage.answers)
    error = stage.first(stage.best)["metrics"].get("test", {}).get("ece")
    if not bins or error is None:
        return Section("Calibration", (Words("The scores of the best cell are no probabilities."),))
    name = stage.named(stage.best, seed=True)
    alt = f"Reliability diagram of {name}, all attributes pooled. Expected calibration error {error:.3f}."
    caption = f"Expected calibration error (15 bins): {error:.3f}. Lines: Wilson's 95% interval."
    draw = plots.reliability(bins, ("share of yes", "score"))
    return Section("Calibration", (Figure(stage.stem("calibration"), alt, caption, draw),))


def _curves(stage: Stage) -> Section:
    lines = attribute_findings.curves(stage.answers, CURVES)
    if not lines:
        return Section("ROC and precision-recall")
    names = ", ".join(roc.name for roc, _ in lines)
    alt = f"ROC and precision-recall curves of {stage.named(stage.best, seed=True)}: {names}."
    caption = f"The {len(lines)} attributes with most yes in test; observed cells alone. Dotted: chance."
    draw = plots.curves([roc for roc, _ in lines], [precision for _, precision in lines])
    return Section("ROC and precision-recall", (Figure(stage.stem("curves"), alt, caption, draw),))
