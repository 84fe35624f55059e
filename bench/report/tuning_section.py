"""Section of a report on tuning: test score by number of trials, expected best of n, and the choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.compare.tuning import Tuned, budget_of, orderings, tuned_settings
from bench.core.kind import get_kind
from bench.core.plotting import Draw, Theme, canvas, short
from bench.metrics.registry import get_metric
from bench.report.page import Figure, Section
from bench.report.stage import StageReport
from bench.report.tuning_tables import orderings_table, tuning_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

MOST = 12
"""Maximum number of methods in a plot of budgets."""


@dataclass(frozen=True)
class Point:
    """One value at a number of trials, with its interval if it has one."""

    trials: int
    value: float
    low: float | None = None
    high: float | None = None


def tuning_section(stage: StageReport) -> Section:
    """Return the section of the tuned cells on one board; it is empty without any."""
    board = stage.board
    metric = get_kind(board.bootstrap.kind).selection
    stored = [stage.cells[record["id"]] for record in board.records]
    tuned, _ = tuned_settings(stored, [board.bootstrap], metric)
    if not tuned:
        return Section("Tuning")
    title = get_metric(board.metric).title
    budgets, curves = budget_points(stage), curve_points(tuned)
    caption = "One line per method, with 95% intervals of means over seeds."
    figures = [
        Figure(
            stage.stem("budget"),
            f"{title} on test of {len(budgets)} methods by number of trials: {_ends(budgets)}.",
            caption,
            by_trials(budgets, f"{title} on test"),
        ),
    ]
    if curves:
        figures.append(
            Figure(
                stage.stem("trials"),
                f"Expected best {get_metric(metric).title} on validation of n trials: {_ends(curves)}.",
                "The expected best of n trials (Dodge et al. 2019); flat where more trials buy nothing.",
                by_trials(curves, f"expected best {get_metric(metric).title} on validation"),
            )
        )
    tables = [tuning_table(tuned)]
    if len({budget_of(record["cell"]) for record in board.records}) > 1:
        tables.append(orderings_table(orderings(board.records, board.bootstrap, board.metric), board.metric))
    return Section("Tuning", (*figures, *tables))


def budget_points(stage: StageReport) -> dict[str, list[Point]]:
    """Return the test scores of each method by number of trials, on the backbone best on validation."""
    backbone = stage.best.cell["backbone"]
    points: dict[str, list[Point]] = {}
    for row in stage.board.rows:
        cell = row.setting.cell
        if cell["backbone"] == backbone and row.value is not None:
            trials, tuner = budget_of(cell)
            name = f"{cell['method_text']}, {tuner}" if tuner else cell["method_text"]
            points.setdefault(name, []).append(Point(trials, row.value, row.low, row.high))
    several = {name: sorted(own, key=lambda one: one.trials) for name, own in points.items() if len(own) > 1}
    return dict([*(several or points).items()][:MOST])


def curve_points(tuned: Sequence[Tuned]) -> dict[str, list[Point]]:
    """Return the expected best of n trials of each method, from the settings with the most random trials."""
    drawn = [one for one in tuned if one.curve]
    most = max((one.budget.trials for one in drawn), default=0)
    return {
        one.cell["method_text"]: [Point(n, value) for n, value in one.curve.items()]
        for one in [one for one in drawn if one.budget.trials == most][:MOST]
    }


def by_trials(lines: Mapping[str, Sequence[Point]], label: str) -> Draw:
    """Draw one line per method over the number of trials, on a logarithmic axis."""

    def draw(theme: Theme) -> Drawing:
        figure = canvas(theme, 7.2, 3.6)
        axes = figure.subplots()
        counts = sorted({point.trials for points in lines.values() for point in points})
        for index, (name, points) in enumerate(lines.items()):
            # Lines beside each other, so that intervals at one number of trials do not overlap.
            shift = 1.0 + 0.035 * (index - (len(lines) - 1) / 2)
            at = [point.trials * shift for point in points]
            color, values = f"C{index % 10}", [point.value for point in points]
            axes.plot(at, values, "o-", color=color, linewidth=1.3, markersize=4, label=short(name, 30))
            for x, point in zip(at, points, strict=True):
                if point.low is not None and point.high is not None:
                    axes.plot([x, x], [point.low, point.high], color=color, linewidth=1.3, alpha=0.7)
        axes.set_xscale("log", base=2)
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.set_xlabel("trials")
        axes.set_ylabel(label)
        axes.grid(True)
        figure.legend(loc="outside upper left" if theme.is_narrow else "outside right upper", fontsize=8)
        return figure

    return draw


def _ends(lines: Mapping[str, Sequence[Point]]) -> str:
    """Return the first and last value of each line, in words."""
    return "; ".join(f"{name} {own[0].value:.3f} to {own[-1].value:.3f}" for name, own in lines.items())
