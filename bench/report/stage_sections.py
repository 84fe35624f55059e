"""Sections of a report about one stage: answer, effects, ranking, training, and those of its kind."""

from __future__ import annotations

from collections.abc import Sequence

from bench.compare.conclusions import concluding_metrics, conclusions
from bench.compare.effects import Effect
from bench.compare.estimates import Contrast
from bench.compare.leaderboard import BEST, TIED, Row, best_trivial
from bench.compare.subgroups import Subgroups
from bench.compare.verdict import BETTER, WORSE
from bench.core.kind import get_kind
from bench.core.plural import counted
from bench.metrics.registry import get_metric
from bench.report import bars
from bench.report.bars import QUIET, STRONG, Mark, Panel
from bench.report.leaderboard_tables import effects_table, leaderboard_table
from bench.report.page import Block, Figure, Highlights, Section, Words
from bench.report.stage import StageReport
from bench.report.stage_parts import number
from bench.report.subgroup_tables import gap_table, shown_metrics, subgroup_table
from bench.report.tuning_section import tuning_section
from bench.report.tuning_tables import with_budgets
from bench.runs.cell_data import DataMismatch
from bench.store import loss_curve
from bench.store.settings import mean_of, rehearses

MAX_RANKED = 16
"""Maximum number of settings in the plot of the ranking; its table has all."""

PANELS = 12
"""Maximum number of methods in the plot of losses."""


def answer_blocks(stage: StageReport) -> list[Block]:
    """Return the conclusions about one board beside the plot of its ranking, and what was measured."""
    facet = get_kind(stage.board.bootstrap.kind).sections
    cells, settings = counted(len(stage.board.records), "cell"), counted(len(stage.board.rows), "setting")
    measured = f"{cells} of {settings}, scored on {facet.scored(stage)}."
    return [Highlights([*conclusions(stage.board, stage.effects), measured], _ranking_figure(stage))]


def stage_section(stage: StageReport) -> Section:
    """Return the section of one board."""
    facet = get_kind(stage.board.bootstrap.kind).sections
    ranking = Section("Ranking", (leaderboard_table([stage.board]),))
    sections = [_effects(stage), ranking, _subgroups(stage), tuning_section(stage)]
    sections += [*facet.sections(stage), _training(stage), facet.hardest(stage)]
    lead = f"Sections about one cell show the first seed of validation's choice, {stage.named(stage.best)}."
    return Section(stage.title, (Words(lead),), tuple(section for section in sections if section.blocks))


def _ranking_figure(stage: StageReport) -> Figure:
    board, title = stage.board, get_metric(stage.board.metric).title
    shown = list(board.rows[:MAX_RANKED])
    if board.choice is not None and board.choice not in shown:
        shown[-1] = board.choice
    where = "held-out training data" if rehearses(board.cell) else "test"
    panels = [_ranking_panel(stage, shown, metric) for metric in concluding_metrics(board.bootstrap.kind)]
    best, choice = board.rows[0], board.choice
    tied = sum(row.standing in (BEST, TIED) for row in board.rows)
    alt = (
        f"Dot plot of {title} on {where} with 95% intervals for {len(shown)} of {len(board.rows)} settings. "
        f"First: {stage.named(best.setting)} with {number(best.value)}; "
        + (f"{tied} are tied with the best." if tied else "no setting is above the trivial answer.")
        + (f" Validation chooses {stage.named(choice.setting)}." if choice else "")
    )
    caption = (
        f"Best {title} on {where} first, with 95% intervals. Diamond: validation's choice. "
        "Filled: the best and those tied with it. Hollow: behind, or not above the trivial answer."
    )
    return Figure(stage.stem("leaderboard"), alt, caption, bars.dots(panels))


def _ranking_panel(stage: StageReport, rows: Sequence[Row], metric: str) -> Panel:
    marks = []
    for row in rows:
        ids = [str(record["id"]) for record in row.setting.records]
        found = stage.board.bootstrap.estimate(metric, Contrast.mean(ids))
        low, high = (None, None) if found is None else (found.low, found.high)
        # Standings are those of the ranking metric alone.
        tone = STRONG if row.standing in (BEST, TIED, None) else QUIET
        value = mean_of(row.setting.values("test", metric))
        marks.append(Mark(stage.named(row.setting), value, low, high, tone, row.chosen))
    trivial = best_trivial(rows[0].setting, metric)
    return Panel(get_metric(metric).title, marks, None if trivial is None else trivial[1], "trivial")


def _effects(stage: StageReport) -> Section:
    found = stage.effects
    if not found:
        return Section("Effects of methods")
    named = with_budgets(found)
    methods = list(dict.fromkeys(effect.method for effect in named))
    panels = []
    for metric in dict.fromkeys(effect.metric for effect in found):
        rows = {effect.method: effect for effect in named if effect.metric == metric}
        marks = [_effect_mark(method, rows.get(method)) for method in methods]
        panels.append(Panel(get_metric(metric).title, marks, 0.0))
    significant = [
        f"{effect.method} {get_metric(effect.metric).title} {effect.value:+.3f}"
        for effect in named
        if effect.verdict in (BETTER, WORSE)
    ]
    base = found[0].base
    alt = (
        f"Effects of {counted(len(methods), 'method')} on {', '.join(panel.title for panel in panels)}, "
        f"relative to {base}. "
        + (f"Significant: {'; '.join(significant)}." if significant else "None is significant.")
    )
    caption = (
        f"Difference to {base}, with 95% intervals. Filled dot: better beyond chance. Triangle: worse beyond "
        "chance. Hollow: not beyond chance."
    )
    figure = Figure(stage.stem("effects"), alt, caption, bars.dots(panels))
    return Section("Effects of methods", (figure, effects_table(found)))


def _subgroups(stage: StageReport) -> Section:
    """Return the metrics of validation's choice, all seeds, on the subgroups by `stage.values`."""
    if stage.values is None:
        return Section("Subgroups")
    column, title = stage.values.column, stage.named(stage.best)
    try:
        of_example = stage.values.of(stage.board.cell)
    except DataMismatch as error:
        return Section("Subgroups", (Words(f"{error}."),))
    kind = stage.board.bootstrap.kind
    answers = {
        str(record["id"]): stage.cells[record["id"]].predictions("test") for record in stage.best.records
    }
    found = Subgroups.of(column, kind, answers, of_example, shown_metrics(kind, full=False))
    cells = [*answers]
    return Section(f"Subgroups by {column}", (subgroup_table(found, cells, title), gap_table(found, cells)))


def _effect_mark(method: str, row: Effect | None) -> Mark:
    if row is None:
        return Mark(method, None)
    tone = {BETTER: STRONG, WORSE: bars.WORSE}.get(row.verdict or "", QUIET)
    return Mark(method, row.value, row.low, row.high, tone)


def _training(stage: StageReport) -> Section:
    found = []
    for setting in stage.alike[:PANELS]:
        histories = [stage.cells[record["id"]].history for record in setting.records]
        if (curve := loss_curve.loss_lines(setting.cell["method_text"], histories)) is not None:
            found.append(curve)
    if not found:
        return Section("Training")
    alt = (
        f"Training and validation loss by epoch, a panel for each of {len(found)} methods on "
        f"{stage.best.cell['backbone']}: {', '.join(curve.name for curve in found)}."
    )
    caption = "One line per seed. Losses of different methods are not comparable."
    return Section("Training", (Figure(stage.stem("loss"), alt, caption, loss_curve.losses(found)),))
