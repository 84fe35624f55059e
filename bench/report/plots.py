"""Draws what a cell answered and how it learned: the confusion matrix, losses, calibration, curves.

Each function returns what makes a matplotlib figure in a theme's colours. Numbers come in decided: nothing
here computes more than where a mark goes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
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


def short(name: str, longest: int = LONGEST) -> str:
    """Return a name that fits on an axis, safe to put into an SVG."""
    text = visible(name)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def canvas(width: float, height: float) -> Figure:
    """Return an empty figure of so many inches."""
    from matplotlib.figure import Figure as Canvas

    return Canvas(figsize=(width, height), layout="constrained")


def heat(shares: np.ndarray, names: Sequence[str]) -> Draw:
    """Draw a confusion matrix, (k, k) shares of each true class's items, NaN where it has none."""

    def draw(theme: Theme) -> Figure:
        from matplotlib.colors import LinearSegmentedColormap

        k = len(names)
        side = min(12.0, max(4.6, 2.4 + 0.22 * k))
        figure = canvas(side + 0.6, side)
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
        figure = canvas(0.6 + 2.4 * columns, 0.5 + 1.8 * rows)
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


def reliability(
    bins: Sequence[Bin], labels: tuple[str, str] = ("accuracy", "confidence (highest score)")
) -> Draw:
    """Accuracy against confidence, and below how many items have which confidence."""

    def draw(theme: Theme) -> Figure:
        figure = canvas(4.8, 5.4)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], linestyle=":", color=theme.quiet, label="perfectly calibrated")
        for index, item in enumerate(bins):
            ends = [item.accuracy_low, item.accuracy_high]
            upper.plot([item.confidence] * 2, ends, color=theme.ours, linewidth=1.4)
            said = labels[0] if index == 0 else None
            upper.plot([item.confidence], [item.accuracy], "o", color=theme.ours, markersize=5, label=said)
        upper.set_ylim(0, 1)
        upper.set_ylabel(labels[0])
        upper.grid(True)
        upper.legend(loc="upper left")
        for item in bins:
            lower.bar(item.low, item.n, item.high - item.low, align="edge", color=theme.ours, alpha=0.7)
        lower.set_xlim(0, 1)
        lower.set_xlabel(labels[1])
        lower.set_ylabel("items")
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
        figure = canvas(7.2, 3.7)
        roc, precision = figure.subplots(1, 2)
        roc.plot([0, 1], [0, 1], linestyle=":", color=theme.quiet)
        colors, styles = (theme.ours, theme.theirs, theme.quiet), ("-", "--", "-.")
        for axes, lines in ((roc, left), (precision, right)):
            for place, line in enumerate(lines):
                # Both change from line to line, so that neither alone has to tell them apart.
                color, style = colors[place % 3], styles[(place + place // 3) % 3]
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
        figure.legend(handles, labels, loc="outside upper center", ncols=2 if len(left) < 3 else 3)
        return figure

    return draw
