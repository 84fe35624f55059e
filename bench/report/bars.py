"""Draws values with their intervals beside names: boards, classes, effects.

As in `bench.report.plots`, each function returns what makes a figure in a theme's colours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.report.plots import ROW, Draw, canvas, short
from bench.report.theme import Theme

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Mark:
    """One value with its interval on an axis of names. loud: whether it stands in the front."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    loud: bool = True


def ranking(marks: Sequence[Mark], label: str, trivial: float | None) -> Draw:
    """Dots with intervals, best on top; the loud ones cannot be told from the best."""

    def draw(theme: Theme) -> Figure:
        figure = canvas(7.2, 0.9 + ROW * len(marks))
        axes = figure.subplots()
        for row, mark in enumerate(marks):
            _dot(axes, row, mark, theme.ours if mark.loud else theme.quiet, filled=mark.loud)
        _names(axes, [mark.name for mark in marks])
        axes.set_xlabel(label)
        axes.grid(True, axis="x")
        if trivial is not None and _near(trivial, marks):
            axes.axvline(trivial, color=theme.quiet, linestyle=":")
            axes.annotate("trivial", (trivial, 0), color=theme.quiet, fontsize=8, rotation=90, va="top")
        return figure

    return draw


def _near(value: float, marks: Sequence[Mark]) -> bool:
    """Say whether a line at the value would leave room for the marks."""
    known = [mark.value for mark in marks if mark.value is not None]
    return bool(known) and abs(value - min(known)) < 3 * max(max(known) - min(known), 0.02)


def _dot(axes: Axes, row: float, mark: Mark, color: str, filled: bool = True) -> None:
    if mark.value is None:
        return
    if mark.low is not None and mark.high is not None:
        axes.plot([mark.low, mark.high], [row, row], color=color, linewidth=1.6, solid_capstyle="butt")
    face = color if filled else axes.get_facecolor()
    axes.plot([mark.value], [row], "o", color=color, markerfacecolor=face, markersize=5.5)


def _names(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [short(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def classes(
    ours: Sequence[Mark],
    theirs: Sequence[Mark],
    labels: tuple[str, str],
    what: str = "top-1",
    chance: float | None = None,
) -> Draw:
    """Draw a bar with its interval for each class, beside the baseline's where it has one.

    what: is shown. chance: where a line stands that tells what no information gives.
    """

    def draw(theme: Theme) -> Figure:
        figure = canvas(7.2, 1.0 + (1.6 if theirs else 1) * ROW * len(ours))
        axes = figure.subplots()
        sides = [(ours, theme.ours, labels[0], "")]
        if theirs:
            sides.append((theirs, theme.theirs, labels[1], "////"))
        thick = 0.8 / len(sides)
        for place, (marks, color, label, hatch) in enumerate(sides):
            rows = [row + (place - (len(sides) - 1) / 2) * thick for row in range(len(marks))]
            widths = [mark.value or 0.0 for mark in marks]
            axes.barh(rows, widths, thick, color=color, label=short(label, 60), alpha=0.85)
            if hatch:
                axes.barh(rows, widths, thick, fill=False, hatch=hatch, edgecolor=theme.paper, linewidth=0)
            for row, mark in zip(rows, marks, strict=True):
                if mark.low is not None and mark.high is not None:
                    axes.plot([mark.low, mark.high], [row, row], color=theme.ink, linewidth=1)
        _names(axes, [mark.name for mark in ours])
        axes.set_xlim(0, 1)
        axes.set_xlabel(what)
        axes.grid(True, axis="x")
        if chance is not None:
            axes.axvline(chance, color=theme.ink, linestyle=":", linewidth=1)
        if theirs:
            figure.legend(loc="outside upper center", ncols=2)
        return figure

    return draw


def effects(panels: Mapping[str, Sequence[Mark]], base: str = "none") -> Draw:
    """A panel for each metric: how far each method moves it from where `base` leaves it."""

    def draw(theme: Theme) -> Figure:
        methods = max(len(marks) for marks in panels.values())
        figure = canvas(1.9 + 1.75 * len(panels), 1.2 + ROW * methods)
        row = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (title, marks) in zip(row, panels.items(), strict=True):
            axes.axvline(0, color=theme.quiet, linewidth=1)
            for place, mark in enumerate(marks):
                _dot(axes, place, mark, theme.ours if mark.loud else theme.quiet, filled=mark.loud)
            axes.set_title(title, fontsize=8)
            axes.grid(True, axis="x")
            axes.tick_params(axis="y", length=0)
            axes.locator_params(axis="x", nbins=4)
        _names(row[0], [mark.name for mark in next(iter(panels.values()))])
        figure.supxlabel(f"difference to {base}", fontsize=9)
        return figure

    return draw
