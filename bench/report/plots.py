"""Plots of one cell's answers: confusion matrix, calibration, ROC and precision-recall curves.

Each function takes final numbers and returns a function that draws the figure in a theme.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.core.plotting import Draw, Theme, canvas, short, two_panels

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def heat(shares: np.ndarray, names: Sequence[str]) -> Draw:
    """Draw a confusion matrix. shares: (k, k) of each true class's items, NaN for a class without any."""

    def draw(theme: Theme) -> Figure:
        from matplotlib.colors import LinearSegmentedColormap

        k = len(names)
        side = min(12.0, max(4.6, 2.4 + 0.22 * k))
        figure = canvas(theme, side + 0.6, side)
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
class Bin:
    """Items whose highest score is in low..high: number, mean score, accuracy with its interval."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float


def reliability(bins: Sequence[Bin], labels: tuple[str, str]) -> Draw:
    """Draw accuracy against confidence, above a histogram of confidence."""

    def draw(theme: Theme) -> Figure:
        figure = canvas(theme, 4.8, 5.4)
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], linestyle=":", color=theme.quiet, label="perfectly calibrated")
        for index, item in enumerate(bins):
            ends = [item.accuracy_low, item.accuracy_high]
            upper.plot([item.confidence] * 2, ends, color=theme.ours, linewidth=1.4)
            named = labels[0] if index == 0 else None
            upper.plot([item.confidence], [item.accuracy], "o", color=theme.ours, markersize=5, label=named)
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
    """One curve and its name in the legend."""

    name: str
    x: np.ndarray
    y: np.ndarray


def curves(left: Sequence[Line], right: Sequence[Line]) -> Draw:
    """Draw ROC curves and precision-recall curves side by side."""

    def draw(theme: Theme) -> Figure:
        figure, roc, precision = two_panels(theme, 3.7)
        roc.plot([0, 1], [0, 1], linestyle=":", color=theme.quiet)
        colors, styles = (theme.ours, theme.theirs, theme.quiet), ("-", "--", "-.")
        for axes, lines in ((roc, left), (precision, right)):
            for index, line in enumerate(lines):
                # Lines differ in colour and in style, for readers who cannot use one of them.
                color, style = colors[index % 3], styles[(index + index // 3) % 3]
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
        figure.legend(handles, labels, loc="outside upper center", ncols=_columns(theme, len(left)))
        return figure

    return draw


def _columns(theme: Theme, lines: int) -> int:
    return 1 if theme.is_narrow else 2 if lines < 3 else 3
