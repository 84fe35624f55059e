"""Sections of a report about pairs of photos: people, curve, scores, hardest pairs."""

from __future__ import annotations

from bench.core.plural import counted
from bench.kinds.verification import findings, plots
from bench.kinds.verification.findings import HardPair
from bench.kinds.verification.notes import fold_line, rates
from bench.report.cell_tables import class_table
from bench.report.page import Block, Figure, Gallery, Picture, Section, Words
from bench.report.stage import StageReport
from bench.report.stage_parts import published_blocks
from bench.report.thumbnails import side_by_side

HARDEST = 16


def scored(stage: StageReport) -> str:
    """See `bench.core.shown_facets.Sections`."""
    items = stage.board.bootstrap.items
    people = {*(items.groups or ()), *(items.partners or ())}
    return f"{len(items.ids):,} test pairs of {len(people):,} people"


def sections(stage: StageReport) -> list[Section]:
    """See `bench.core.shown_facets.Sections`."""
    return [_people(stage), _curve(stage), _scores(stage)]


def _people(stage: StageReport) -> Section:
    record = stage.first(stage.best)
    name, error = stage.named(stage.best, seed=True), record["metrics"]["test"].get("accuracy_fold_se")
    folds = findings.by_fold(stage.answers)
    blocks: list[Block] = []
    if len(folds) > 1:
        blocks.append(Words(f"{name}. {fold_line(folds, error)}"))
    blocks += published_blocks(stage)
    blocks.append(class_table(stage.cells[record["id"]].result))
    return Section("People", blocks)


def _curve(stage: StageReport) -> Section:
    settings = [setting for setting in (stage.best, stage.plain) if setting is not None]
    found = [findings.roc(stage.named(s, seed=True), stage.predictions(s)) for s in settings]
    lines = [line for line in found if line is not None]
    if not lines:
        return Section("ROC")
    test = stage.first(stage.best)["metrics"]["test"]
    numbers = {"area": test.get("auc"), "EER": test.get("eer")}
    text = ", ".join(f"{what} {value:.3f}" for what, value in numbers.items() if value is not None)
    names = " and ".join(line.name for line in lines)
    alt = f"ROC curves of {names}, with even and with logarithmic rates of false accepts. The first: {text}."
    negatives = int((stage.answers.truth == 0).sum())
    caption = f"{names}. Right: the same with few false accepts drawn wide. {rates(negatives)}"
    draw = plots.roc(lines, 1 / max(1, negatives))
    return Section("ROC", (Figure(stage.stem("roc"), alt, caption, draw),))


def _scores(stage: StageReport) -> Section:
    if not len(stage.answers.items):
        return Section("Scores")
    bars = findings.histogram(stage.answers)
    test = stage.first(stage.best)["metrics"]["test"]
    recall, precision = test.get("recall"), test.get("precision")
    text = f" {recall:.3f} of the same pairs lie above it." if recall is not None else ""
    text += f" Of the pairs above it {precision:.3f} are same." if precision is not None else ""
    name = stage.named(stage.best, seed=True)
    alt = f"Histogram of the scores of {name}, same and different pairs apart; the cut is at 0.{text}"
    caption = f"{name}. Scores less the cut of their fold, which training pairs chose."
    caption += " From 0 on the answer is same."
    return Section("Scores", (Figure(stage.stem("scores"), alt, caption, plots.scores(bars)),))


def hardest(stage: StageReport) -> Section:
    """Return the pairs that the best cell is most wrong about, both photos side by side."""
    found = findings.hardest(stage.answers, HARDEST)
    if not found:
        return Section("Hardest pairs")
    cell = stage.cells[stage.first(stage.best)["id"]]
    pictures = []
    for hard in found:
        photos = [stage.thumbnail(cell, photo) for photo in hard.photos]
        image = side_by_side(photos[0], photos[1]) if photos[0] and photos[1] else None
        pictures.append(Picture(f"{hard.photos[0]} and {hard.photos[1]}", _lines(stage, hard), image))
    name = stage.named(stage.best, seed=True)
    text = (
        f"The wrong answers of {name} that lie farthest from the cut, of one person and of two: where to "
        "look for wrong names first."
    )
    if not any(picture.image for picture in pictures):
        text += " No pictures: --data DIR names the folder with the data."
    label = f"Hardest pairs of {stage.title}"
    return Section("Hardest pairs", (Words(text), Gallery(label, tuple(pictures))))


def _lines(stage: StageReport, hard: HardPair) -> list[str]:
    a, b = hard.people
    lines = [
        f"true: both {a}" if hard.same else f"true: {a} and {b}",
        f"answered: {'different' if hard.same else 'same'} (score {hard.score:.3g}, cut {hard.cut:.3g})",
    ]
    bootstrap = stage.board.bootstrap
    decisions = bootstrap.values.get("decisions", {})
    if decisions:
        place = bootstrap.items.ids.index(stage.answers.items[hard.row])
        wrong = sum(bool(values[place]) != hard.same for values in decisions.values())
        lines.append(f"wrong in {wrong} of {counted(len(decisions), 'cell')}")
    return lines
