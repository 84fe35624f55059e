"""Sections of a stage that kinds of task share: number of scored items, hardest items."""

from __future__ import annotations

from collections.abc import Sequence

from bench.compare.verdict import INCOMPARABLE
from bench.core.kind import get_kind
from bench.core.plural import counted
from bench.report import plots
from bench.report.comparison_tables import compare_table
from bench.report.findings import Hard
from bench.report.page import Block, Figure, Gallery, Picture, Section, Words
from bench.report.plots import Bin
from bench.report.stage import StageReport
from bench.store.settings import rehearses

HARDEST = 24
"""Maximum number of items in the gallery."""


def number(value: float | None) -> str:
    """Return a number with three decimals, or "no value"."""
    return "no value" if value is None else f"{value:.3f}"


def scored_items(stage: StageReport) -> str:
    """Return the numbers of scored items and of classes or attributes."""
    items = stage.board.bootstrap.items
    noun = get_kind(stage.board.bootstrap.kind).columns.classes[0].title
    scored = "held-out training items" if rehearses(stage.board.cell) else "test items"
    return f"{len(items.ids):,} {scored} of {counted(len(items.classes), noun)}"


def published_blocks(stage: StageReport) -> list[Block]:
    """Return the comparison with the published baseline, with a note if they cannot be compared."""
    if stage.baseline is None:
        return []
    table = compare_table(stage.compared, stage.baseline)
    if any(row.verdict.name == INCOMPARABLE for row in stage.compared):
        return [Words("The published numbers are shown beside ours; they cannot be compared."), table]
    return [table]


def calibration_section(
    stage: StageReport, bins: Sequence[Bin], summary: str, axes: tuple[str, str]
) -> Section:
    """Return the section of a reliability diagram. summary: what it shows. axes: their titles."""
    error = stage.first(stage.best)["metrics"].get("test", {}).get("ece")
    if not bins or error is None:
        return Section("Calibration", (Words("The scores of the best cell are not probabilities."),))
    name = stage.named(stage.best, seed=True)
    alt = f"Reliability diagram of {name}{summary}. Expected calibration error {error:.3f}."
    caption = f"{name}. Expected calibration error (15 bins): {error:.3f}. Lines: Wilson's 95% interval."
    draw = plots.reliability(bins, axes)
    return Section("Calibration", (Figure(stage.stem("calibration"), alt, caption, draw),))


def hardest_items(stage: StageReport, found: Sequence[Hard]) -> Section:
    """Return the section of the best cell's worst errors, HARDEST at most."""
    if not found:
        return Section("Hardest items")
    bootstrap, cell = stage.board.bootstrap, stage.cells[stage.first(stage.best)["id"]]
    places = {item: row for row, item in enumerate(bootstrap.items.ids)}
    hits = bootstrap.values.get("top1", {})
    pictures = []
    for hard in found:
        lines = [
            f"true: {hard.truth} ({hard.score:.2g})",
            f"answered: {hard.answer} ({hard.answer_score:.2g})",
        ]
        if hits:
            wrong = sum(values[places[hard.item]] == 0 for values in hits.values())
            lines.append(f"wrong in {wrong} of {len(hits)} cells")
        pictures.append(Picture(f"item {hard.item}", lines, stage.thumbnail(cell, hard.item)))
    lead = (
        f"The wrong answers of {stage.named(stage.best, seed=True)} with the lowest scores of the truth (in "
        "brackets): the first place to look for wrong labels."
    )
    if not any(picture.image for picture in pictures):
        lead += " No pictures: --data DIR names the folder with the data."
    label = f"Hardest items of {stage.title}"
    return Section("Hardest items", (Words(lead), Gallery(label, tuple(pictures))))
