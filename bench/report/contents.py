"""What a report says about each stage: from boards, effects and stored cells to sections of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench import stats
from bench.baselines import PublishedResult
from bench.compare import compare
from bench.compare_table import compare_table
from bench.comparison import INCOMPARABLE, SAME, counted
from bench.effects import NONE, effect_metrics, effects
from bench.kinds.base import PAIRS, get_kind
from bench.leaderboard import BEHIND, Board
from bench.metrics.registry import get_metric
from bench.report import attribute_findings, bars, findings, plots
from bench.report.attributes import attribute_sections
from bench.report.bars import Mark
from bench.report.boards import effects_table, leaderboard_table
from bench.report.cells import class_table
from bench.report.page import Block, Figure, Gallery, Picture, Section, Words
from bench.report.photo_pairs import hardest_pairs, pair_sections
from bench.report.settings import rehearses, trivial_values
from bench.report.stage import Stage

RANKED = 30
"""Settings that the plot of a leaderboard shows; its table has all."""

PANELS = 12
HARDEST = 24


def stage_section(stage: Stage) -> Section:
    """Return everything about one board."""
    sections = [_ranking(stage), _effects(stage)]
    if stage.board.contest.kind == "multiclass":
        sections += [_classes(stage), _confusions(stage), _calibration(stage), _curves(stage)]
    elif stage.board.contest.kind == "multilabel":
        sections += attribute_sections(stage)
    elif stage.board.contest.kind == PAIRS:
        sections += pair_sections(stage)
    of_pairs = stage.board.contest.kind == PAIRS
    sections += [_training(stage), hardest_pairs(stage) if of_pairs else _hardest(stage)]
    said = (
        f"{len(stage.board.records)} cells of {len(stage.board.rows)} settings, scored on {_scored(stage)}. "
        f"Best on validation: {stage.named(stage.best)}; the sections about one cell show its first seed."
    )
    return Section(stage.title, (Words(said),), tuple(section for section in sections if section.blocks))


def _scored(stage: Stage) -> str:
    """Return what was scored: how many items, of how many classes or people."""
    items = stage.board.contest.items
    if items.partners is not None:
        return f"{len(items.ids):,} test pairs of {len({*(items.groups or ()), *items.partners}):,} people"
    noun = get_kind(stage.board.contest.kind).class_columns[0].title
    part = "training items, held back," if rehearses(stage.board.cell) else "test items"
    return f"{len(items.ids):,} {part} of {counted(len(items.classes), noun)}"


def _ranking(stage: Stage) -> Section:
    board, title = stage.board, get_metric(stage.board.metric).title
    shown = board.rows[:RANKED]
    marks = [Mark(stage.named(r.setting), r.value, r.low, r.high, r.standing != BEHIND) for r in shown]
    trivial = _best_trivial(board)
    front = sum(row.standing != BEHIND for row in board.rows)
    best = board.rows[0]
    alt = (
        f"Dot plot of {title} on test with 95% intervals for {len(shown)} of {len(board.rows)} settings. "
        f"Best: {stage.named(best.setting)} with {_number(best.value)}; {front} cannot be told from the best."
    )
    caption = "Filled: the best and what cannot be told from it. Hollow: behind."
    draw = bars.ranking(marks, f"{title} on test", trivial)
    figure = Figure(stage.stem("leaderboard"), alt, caption, draw)
    return Section("Leaderboard", (figure, leaderboard_table([board])))


def _best_trivial(board: Board) -> float | None:
    """Return the best that answers which look at no image have of the board's metric."""
    best, better = None, get_metric(board.metric).better
    for values in trivial_values(board.rows[0].setting, [board.metric]).values():
        best = values[board.metric] if better(values[board.metric], best) else best
    return best


def _number(value: float | None) -> str:
    return "no value" if value is None else f"{value:.3f}"


def _effects(stage: Stage) -> Section:
    board = stage.board
    metrics = effect_metrics(board.contest.kind, board.metric)
    found = effects(board.records, board.contest, metrics)
    if not found:
        return Section("Methods")
    methods = list(dict.fromkeys(effect.method for effect in found))
    panels: dict[str, list[Mark]] = {}
    for metric in dict.fromkeys(effect.metric for effect in found):
        rows = {effect.method: effect for effect in found if effect.metric == metric}
        marks = []
        for method in methods:
            row = rows.get(method)
            loud = row is not None and row.verdict not in (SAME, None)
            marks.append(Mark(method, row.value, row.low, row.high, loud) if row else Mark(method, None))
        panels[get_metric(metric).title] = marks
    called = [
        f"{effect.method} {get_metric(effect.metric).title} {effect.value:+.3f}"
        for effect in found
        if effect.verdict not in (SAME, None)
    ]
    base = found[0].base
    alt = (
        f"How far each of {len(methods)} methods moves {', '.join(panels)} from where {base} leaves it. "
        + (f"Beyond chance: {'; '.join(called)}." if called else "None of it is beyond chance.")
    )
    caption = "Filled: better or worse beyond its interval and q. Hollow: the same. Line: 95%."
    figure = Figure(stage.stem("effects"), alt, caption, bars.effects(panels, base))
    return Section("What each method adds", (figure, effects_table(found)))


def _classes(stage: Stage) -> Section:
    rows = [stage.cells[record["id"]].per_class for record in stage.best.records]
    scored = [row for row in rows[0] if row.get("test_support")]
    if not scored:
        return Section("Classes")
    ours, name = _class_marks(rows, scored), stage.named(stage.best)
    tables: list[Block] = [class_table(stage.cells[stage.first(stage.best)["id"]].result)]
    label, said, theirs = "", "", []
    result = _published(stage, [row["class"] for row in scored])
    if result is not None and stage.baseline is not None:
        label, theirs = stage.baseline.name, [_published_mark(result, row["class"]) for row in scored]
        stored = [stage.cells[record["id"]] for record in stage.best.records]
        compared = [row for row in compare(stored, stage.baseline) if row.backbone]
        tables.insert(0, compare_table(compared, stage.baseline))
        why = next((row.why for row in compared if row.verdict == INCOMPARABLE), "")
        said = f" Hatched: published{f'; not comparable, {why}' if why else ''}."
    elif stage.plain is not None:
        plain = [stage.cells[record["id"]].per_class for record in stage.plain.records]
        label, theirs = stage.named(stage.plain), _class_marks(plain, scored)
        said = f" Hatched: without the method ({NONE})."
    low, high = (pick(ours, key=lambda mark: mark.value or 0.0) for pick in (min, max))
    alt = (
        f"Bar chart of top-1 of {len(ours)} classes with 95% intervals for {name}"
        + (f" beside {label}" if label else "")
        + f". Lowest: {low.name} {_number(low.value)}; highest: {high.name} {_number(high.value)}."
    )
    caption = "Most training images on top. Lines: Wilson's 95% interval, hits averaged over seeds." + said
    figure = Figure(stage.stem("classes"), alt, caption, bars.classes(ours, theirs, (name, label)))
    return Section("Classes", (figure, *tables))


def _published(stage: Stage, names: Sequence[str]) -> PublishedResult | None:
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
        interval = stats.wilson(mean, n)
        marks.append(Mark(row["class"], mean / n, interval.low, interval.high))
    return marks


def _published_mark(result: PublishedResult, name: str) -> Mark:
    number, n = result.classes.get(name, {}).get("top1"), result.support.get(name)
    if number is None or not n:
        return Mark(name, None)
    low, high = stats.wilson(number.low * n, n).low, stats.wilson(number.high * n, n).high
    return Mark(name, number.value, low, high)


def _confusions(stage: Stage) -> Section:
    pred, table = stage.answers, findings.confusion_table(stage.answers)
    worst = table.rows[0] if table.rows else None
    name, said = stage.named(stage.best, seed=True), "Every item is answered right."
    if worst is not None:
        said = f"Most frequent: {worst['items']} of {worst['true']} taken for {worst['answered']}."
    alt = f"Heat map of the confusion matrix of {name}: rows true, columns answered. {said}"
    caption = "Each row sums to 100%. An empty row has no test image."
    draw = plots.heat(findings.confusion_shares(pred), pred.classes)
    return Section("Confusions", (Figure(stage.stem("confusion"), alt, caption, draw), table))


def _calibration(stage: Stage) -> Section:
    bins = findings.calibration(stage.answers)
    error = stage.first(stage.best)["metrics"].get("test", {}).get("ece")
    if not bins or error is None:
        return Section("Calibration", (Words("The scores of the best cell are no probabilities."),))
    right = sum(item.accuracy * item.n for item in bins) / sum(item.n for item in bins)
    sure = sum(item.confidence * item.n for item in bins) / sum(item.n for item in bins)
    name = stage.named(stage.best, seed=True)
    alt = f"Reliability diagram of {name}: on average {sure:.3f} sure, {right:.3f} right. "
    alt += f"Expected calibration error {error:.3f}."
    caption = f"Expected calibration error (15 bins): {error:.3f}. Lines: Wilson's 95% interval."
    figure = Figure(stage.stem("calibration"), alt, caption, plots.reliability(bins))
    return Section("Calibration", (figure,))


def _curves(stage: Stage) -> Section:
    settings = [setting for setting in (stage.best, stage.plain) if setting is not None]
    lines = [findings.pooled_curves(stage.named(s, seed=True), stage.predictions(s)) for s in settings]
    alt = f"ROC and precision-recall curves of {' and '.join(roc.name for roc, _ in lines)}, classes pooled."
    caption = "Every item decides once for each class; all these decisions are pooled."
    draw = plots.curves([roc for roc, _ in lines], [precision for _, precision in lines])
    return Section("ROC and precision-recall", (Figure(stage.stem("curves"), alt, caption, draw),))


def _training(stage: Stage) -> Section:
    found = []
    for setting in stage.alike[:PANELS]:
        histories = [stage.cells[record["id"]].history for record in setting.records]
        if (curve := findings.loss_curve(setting.cell["method_text"], histories)) is not None:
            found.append(curve)
    if not found:
        return Section("Training")
    alt = (
        f"Training and validation loss by epoch, a panel for each of {len(found)} methods on "
        f"{stage.best.cell['backbone']}: {', '.join(curve.name for curve in found)}."
    )
    caption = "One line a seed. Each method's own loss: heights of different methods do not compare."
    return Section("Training", (Figure(stage.stem("loss"), alt, caption, plots.losses(found)),))


def _hardest(stage: Stage) -> Section:
    if stage.answers.truth.ndim > 1:
        found = attribute_findings.hardest(stage.answers, stage.answers.cuts, HARDEST)
    else:
        found = findings.hardest(stage.answers, HARDEST)
    if not found:
        return Section("Hardest items")
    contest, cell = stage.board.contest, stage.cells[stage.first(stage.best)["id"]]
    places = {item: row for row, item in enumerate(contest.items.ids)}
    hits = contest.values.get("top1", {})
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
    said = (
        f"The wrong answers of {stage.named(stage.best, seed=True)} with the lowest scores of what is true "
        "(in brackets): where to look for wrong labels first."
    )
    if not any(picture.image for picture in pictures):
        said += " No pictures: --data DIR names the folder with the data."
    label = f"Hardest items of {stage.title}"
    return Section("Hardest items", (Words(said), Gallery(label, tuple(pictures))))
