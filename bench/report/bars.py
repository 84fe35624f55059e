"""Plots of named values with intervals: leaderboards, classes, effects.

Each function returns a function that draws the figure in a theme, as in `bench.report.plots`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.core.plotting import ROW, Draw, Theme, bar_names, canvas, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STRONG, WORSE, QUIET = "strong", "worse", "quiet"
"""Tones of marks: a filled dot, a filled triangle that points down, a hollow dot."""

PANELS = 3
"""Maximum number of panels in a row."""


@dataclass(frozen=True)
class Mark:
    """One named value with its interval. chosen: whether it is a diamond with its name in bold."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    tone: str = STRONG
    chosen: bool = False


@dataclass(frozen=True)
class Panel:
    """Dots of one metric. line: position of a vertical line, if it is near the dots. line_name: its label."""

    title: str
    marks: Sequence[Mark]
    line: float | None = None
    line_name: str = ""


def dots(panels: Sequence[Panel]) -> Draw:
    """Draw panels of dots with intervals, first on top; all panels have the same names in the same order."""

    def draw(theme: Theme) -> Figure:
        columns = 1 if theme.is_narrow else min(PANELS, len(panels))
        rows, count = math.ceil(len(panels) / columns), len(panels[0].marks)
        height = ROW * (1.8 if theme.is_narrow else 1.0) * count
        figure = canvas(theme, 7.2, 0.2 + rows * (0.62 + height))
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        for index, (axes, panel) in enumerate(zip(grid.flat, panels, strict=False)):
            _panel(theme, axes, panel, named=index % columns == 0)
        return figure

    return draw


def _panel(theme: Theme, axes: Axes, panel: Panel, named: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    for row, mark in enumerate(panel.marks):
        _dot(theme, axes, row, mark)
    bar_names(theme, axes, [mark.name if named else "" for mark in panel.marks])
    if theme.is_narrow:
        _names_above(axes, panel.marks)
    else:
        for label, mark in zip(axes.get_yticklabels(), panel.marks, strict=True):
            label.set_fontweight("bold" if mark.chosen else "normal")
    axes.set_title(panel.title, fontsize=9)
    axes.grid(True, axis="x")
    # More labels would run into each other.
    axes.xaxis.set_major_locator(MaxNLocator(4 if named and not theme.is_narrow else 3, min_n_ticks=2))
    axes.tick_params(axis="x", labelsize=8)
    if panel.line is None or not _near(panel.line, panel.marks):
        return
    axes.axvline(
        panel.line, color=theme.quiet, linewidth=1, linestyle=":" if panel.line_name else "-", zorder=0
    )
    if panel.line_name:
        across = axes.get_xaxis_transform()
        text = axes.text(panel.line, 0.01, f" {panel.line_name}", transform=across, rotation=90, fontsize=7)
        text.set(ha="left", va="bottom", color=theme.quiet)


def _names_above(axes: Axes, marks: Sequence[Mark]) -> None:
    """Write each name above its dot, so that the whole width is left for the intervals."""
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(marks) - 0.6, -0.75)
    for row, mark in enumerate(marks):
        across = axes.get_yaxis_transform()
        text = axes.text(0, row - 0.16, short(mark.name), transform=across, fontsize=8, va="bottom")
        text.set_fontweight("bold" if mark.chosen else "normal")


def _near(value: float, marks: Sequence[Mark]) -> bool:
    """Return whether a line at the value leaves enough room for the marks."""
    known = [mark.value for mark in marks if mark.value is not None]
    return bool(known) and abs(value - min(known)) < 3 * max(max(known) - min(known), 0.02)


def _dot(theme: Theme, axes: Axes, row: float, mark: Mark) -> None:
    if mark.value is None:
        return
    color = {STRONG: theme.ours, WORSE: theme.theirs}.get(mark.tone, theme.quiet)
    color, shape, size = (theme.theirs, "D", 7.0) if mark.chosen else (color, "o", 5.5)
    if mark.tone == WORSE:
        shape = "v"
    if mark.low is not None and mark.high is not None:
        axes.plot([mark.low, mark.high], [row, row], color=color, linewidth=1.6, solid_capstyle="butt")
    face = axes.get_facecolor() if mark.tone == QUIET else color
    axes.plot([mark.value], [row], shape, color=color, markerfacecolor=face, markersize=size)


def classes(
    ours: Sequence[Mark],
    theirs: Sequence[Mark],
    labels: tuple[str, str],
    what: str = "top-1",
    chance: float | None = None,
) -> Draw:
    """Draw a bar with an interval for each class, beside the baseline's if there is one.

    what: the axis label. chance: position of a line at chance level.
    """

    def draw(theme: Theme) -> Figure:
        figure = canvas(theme, 7.2, 1.0 + (1.6 if theirs else 1) * ROW * len(ours))
        axes = figure.subplots()
        sides = [(ours, theme.ours, labels[0], "")]
        if theirs:
            sides.append((theirs, theme.theirs, labels[1], "////"))
        thick = 0.8 / len(sides)
        for index, (marks, color, label, hatch) in enumerate(sides):
            rows = [row + (index - (len(sides) - 1) / 2) * thick for row in range(len(marks))]
            widths = [mark.value or 0.0 for mark in marks]
            axes.barh(rows, widths, thick, color=color, label=short(label, 60), alpha=0.85)
            if hatch:
                axes.barh(rows, widths, thick, fill=False, hatch=hatch, edgecolor=theme.paper, linewidth=0)
            for row, mark in zip(rows, marks, strict=True):
                if mark.low is not None and mark.high is not None:
                    axes.plot([mark.low, mark.high], [row, row], color=theme.ink, linewidth=1)
        bar_names(theme, axes, [mark.name for mark in ours])
        axes.set_xlim(0, 1)
        axes.set_xlabel(what)
        axes.grid(True, axis="x")
        if chance is not None:
            axes.axvline(chance, color=theme.ink, linestyle=":", linewidth=1)
        if theirs:
            figure.legend(loc="outside upper center", ncols=1 if theme.is_narrow else 2)
        return figure

    return draw
