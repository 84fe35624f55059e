"""Draws the plots of a report. Each function returns what makes a matplotlib figure in a theme's colours.

Numbers come in decided: nothing here computes more than where a mark goes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.report.text import visible
from bench.report.theme import Theme

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Draw = Callable[[Theme], "Figure"]

LONGEST = 44
"""Characters of a name on an axis."""

ROW = 0.24
"""Inches that a row of dots or bars takes."""


@dataclass(frozen=True)
class Mark:
    """One value with its interval on an axis of names. loud: whether it stands in the front."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    loud: bool = True


def short(name: str, longest: int = LONGEST) -> str:
    """Return a name that fits on an axis, safe to put into an SVG."""
    text = visible(name)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure as Canvas

    return Canvas(figsize=(width, height), layout="constrained")


def ranking(marks: Sequence[Mark], label: str, trivial: float | None) -> Draw:
    """Dots with intervals, best on top; the loud ones cannot be told from the best."""

    def draw(theme: Theme) -> Figure:
        figure = _figure(7.2, 0.9 + ROW * len(marks))
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


def classes(ours: Sequence[Mark], theirs: Sequence[Mark], labels: tuple[str, str]) -> Draw:
    """Draw a bar with its interval for each class, beside the baseline's where it has one."""

    def draw(theme: Theme) -> Figure:
        figure = _figure(7.2, 1.0 + (1.6 if theirs else 1) * ROW * len(ours))
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
        axes.set_xlabel("top-1")
        axes.grid(True, axis="x")
        if theirs:
            figure.legend(loc="outside upper center", ncols=2)
        return figure

    return draw


def heat(shares: np.ndarray, names: Sequence[str]) -> Draw:
    """Draw a confusion matrix, (k, k) shares of each true class's items, NaN where it has none."""

    def draw(theme: Theme) -> Figure:
        from matplotlib.colors import LinearSegmentedColormap

        k = len(names)
        side = min(12.0, max(4.6, 2.4 + 0.22 * k))
        figure = _figure(side + 0.6, side)
        axes = figure.subplots()
        colors = LinearSegmentedColormap.from_list(theme.name, theme.heat)
        image = axes.imshow(shares, cmap=colors, vmin=0, vmax=1, aspect="equal")
        size = 8 if k <= 40 else 6
        axes.set_xticks(range(k), [short(name) for name in names], rotation=90, fontsize=size)
        axes.set_yticks(range(k), [short(name) for name in names], fontsize=size)
        axes.set_xlabel("answered")
        axes.set_ylabel("true")
        axes.spines[:].set_visible(False)
        if k <= 25:
            _write_shares(axes, shares, image)
        figure.colorbar(image, ax=axes, shrink=0.6, label="share of the true class")
        return figure

    return draw


def _write_shares(axes: Axes, shares: np.ndarray, image: Any) -> None:
    for row, values in enumerate(shares):
        for column, value in enumerate(values):
            if value >= 0.005:
                red, green, blue, _ = image.cmap(image.norm(value))
                ink = "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 0.5 else "#ffffff"
                text = f"{100 * value:.0f}"
                axes.text(column, row, text, color=ink, ha="center", va="center", fontsize=6)


@dataclass(frozen=True)
class Curve:
    """Losses of one setting by epoch, (seeds, epochs) each, NaN after a seed has stopped."""

    name: str
    train: np.ndarray
    val: np.ndarray


def losses(curves: Sequence[Curve]) -> Draw:
    """Small panels, one a setting: training loss solid, validation loss dashed, a line for each seed."""

    def draw(theme: Theme) -> Figure:
        columns = min(3, len(curves))
        rows = math.ceil(len(curves) / columns)
        figure = _figure(0.6 + 2.4 * columns, 0.5 + 1.8 * rows)
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True)
        for axes, curve in zip(panels.flat, curves, strict=False):
            for label, values, color, style in (
                ("training", curve.train, theme.ours, "-"),
                ("validation", curve.val, theme.theirs, "--"),
            ):
                for seed, line in enumerate(values):
                    said = label if seed == 0 else None
                    axes.plot(range(1, len(line) + 1), line, style, color=color, linewidth=1.1, label=said)
            axes.set_title(short(curve.name), fontsize=8)
            axes.set_ylim(bottom=0)
            axes.grid(True)
        for axes in panels.flat[len(curves) :]:
            axes.set_visible(False)
        figure.supxlabel("epoch", fontsize=9)
        figure.supylabel("loss", fontsize=9)
        handles, labels = panels.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2)
        return figure

    return draw


@dataclass(frozen=True)
class Bin:
    """Items whose highest score is in low..high: how many, its mean, the share that is right (interval)."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float


def reliability(bins: Sequence[Bin]) -> Draw:
    """Accuracy against confidence, and below how many items have which confidence."""

    def draw(theme: Theme) -> Figure:
        figure = _figure(4.8, 5.4)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], linestyle=":", color=theme.quiet, label="perfectly calibrated")
        for index, item in enumerate(bins):
            ends = [item.accuracy_low, item.accuracy_high]
            upper.plot([item.confidence] * 2, ends, color=theme.ours, linewidth=1.4)
            said = "share that is right" if index == 0 else None
            upper.plot([item.confidence], [item.accuracy], "o", color=theme.ours, markersize=5, label=said)
        upper.set_ylim(0, 1)
        upper.set_ylabel("accuracy")
        upper.grid(True)
        upper.legend(loc="upper left")
        for item in bins:
            lower.bar(item.low, item.n, item.high - item.low, align="edge", color=theme.ours, alpha=0.7)
        lower.set_xlim(0, 1)
        lower.set_xlabel("confidence (highest score)")
        lower.set_ylabel("items")
        return figure

    return draw


def effects(panels: Mapping[str, Sequence[Mark]]) -> Draw:
    """A panel for each metric: how far each method moves it from where `none` leaves it."""

    def draw(theme: Theme) -> Figure:
        methods = max(len(marks) for marks in panels.values())
        figure = _figure(1.9 + 1.75 * len(panels), 1.2 + ROW * methods)
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
        figure.supxlabel("difference to none", fontsize=9)
        return figure

    return draw


@dataclass(frozen=True)
class Line:
    """One curve: where it goes, and what the legend says."""

    name: str
    x: np.ndarray
    y: np.ndarray


def curves(left: Sequence[Line], right: Sequence[Line]) -> Draw:
    """ROC curves and precision-recall curves side by side."""

    def draw(theme: Theme) -> Figure:
        figure = _figure(7.2, 3.7)
        roc, precision = figure.subplots(1, 2)
        roc.plot([0, 1], [0, 1], linestyle=":", color=theme.quiet)
        for axes, lines in ((roc, left), (precision, right)):
            for line, color, style in zip(lines, (theme.ours, theme.theirs), ("-", "--"), strict=False):
                axes.plot(line.x, line.y, style, color=color, linewidth=1.4, label=short(line.name, 60))
            axes.set_xlim(0, 1)
            axes.set_ylim(0, 1.02)
            axes.set_aspect("equal")
            axes.grid(True)
        roc.set_xlabel("false positive rate")
        roc.set_ylabel("true positive rate")
        precision.set_xlabel("recall")
        precision.set_ylabel("precision")
        handles, labels = roc.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2)
        return figure

    return draw
