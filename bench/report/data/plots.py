"""Plots of a data set: counts, image sizes, prices. See `bench.report.plots`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.core.plotting import ROW, Draw, bar_names, canvas, short

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from bench.core.plotting import Theme

BARS = 60
"""Maximum number of classes in a plot; the table has all."""

_BOX = (5, 25, 50, 75, 95)
"""Percentiles of a box plot's whiskers, box and median."""


def bars(names: Sequence[str], counts: Mapping[str, Sequence[int]], what: str) -> Draw:
    """Draw a stacked bar for each name.

    counts: numbers of all names for each layer; at most three layers. what: the axis label.
    """

    def draw(theme: Theme) -> Figure:
        figure = canvas(theme, 7.2, 1.0 + ROW * len(names))
        axes = figure.subplots()
        left = [0] * len(names)
        # Hatched as well as coloured: layers stay distinct in grey.
        looks = ((theme.ours, ""), (theme.theirs, "////"), (theme.grid, ""))
        for (layer, numbers), (color, hatch) in zip(counts.items(), looks, strict=False):
            places = range(len(names))
            axes.barh(places, numbers, 0.8, left=left, color=color, label=short(layer, 60))
            if hatch:
                axes.barh(
                    places,
                    numbers,
                    0.8,
                    left=left,
                    fill=False,
                    hatch=hatch,
                    edgecolor=theme.paper,
                    linewidth=0,
                )
            left = [before + own for before, own in zip(left, numbers, strict=True)]
        bar_names(theme, axes, names)
        axes.set_xlabel(what)
        axes.grid(True, axis="x")
        figure.legend(loc="outside upper center", ncols=len(counts))
        return figure

    return draw


def sizes(found: Mapping[tuple[int, int], int]) -> Draw:
    """Draw a dot for each (height, width); its area is the number of images."""

    def draw(theme: Theme) -> Figure:
        figure = canvas(theme, 5.4, 4.6)
        axes = figure.subplots()
        largest = max(found.values())
        # Largest first, so that no dot hides another.
        ordered = sorted(found.items(), key=lambda item: -item[1])
        axes.scatter(
            [width for (_, width), _ in ordered],
            [height for (height, _), _ in ordered],
            s=[8 + 250 * number / largest for _, number in ordered],
            color=theme.ours,
            edgecolors=theme.paper,
            linewidths=0.6,
            alpha=0.75,
        )
        side = max(max(size) for size in found) * 1.08
        axes.plot([0, side], [0, side], linestyle=":", color=theme.quiet)
        axes.set_xlim(0, side)
        axes.set_ylim(0, side)
        axes.set_aspect("equal")
        axes.set_xlabel("width in pixels")
        axes.set_ylabel("height in pixels")
        axes.grid(True)
        return figure

    return draw


@dataclass(frozen=True)
class Prices:
    """Prices of the items of one class, (m,) each. odd: the outliers."""

    name: str
    near: np.ndarray
    odd: np.ndarray


def _box(axes: Axes, place: int, ends: Sequence[float], theme: Theme) -> None:
    low, left, middle, right, high = ends
    axes.plot([low, high], [place, place], color=theme.ours, linewidth=1.2)
    axes.barh([place], [right - left], 0.6, left=[left], color=theme.ours, alpha=0.85)
    axes.plot([middle, middle], [place - 0.3, place + 0.3], color=theme.ink, linewidth=2)


def boxes(classes: Sequence[Prices]) -> Draw:
    """Draw a box plot of each class's prices: quartiles, median, whiskers from 5% to 95%, outliers."""

    def draw(theme: Theme) -> Figure:
        import numpy as np

        figure = canvas(theme, 7.2, 1.0 + 1.2 * ROW * len(classes))
        axes = figure.subplots()
        for index, prices in enumerate(classes):
            if len(prices.near):
                _box(axes, index, np.percentile(prices.near, _BOX).tolist(), theme)
            axes.plot(prices.odd, [index] * len(prices.odd), "x", color=theme.theirs, markersize=5)
        bar_names(theme, axes, [prices.name for prices in classes])
        _logarithmic(axes, classes)
        axes.set_xlabel("price")
        axes.grid(True, axis="x")
        return figure

    return draw


def _logarithmic(axes: Axes, classes: Sequence[Prices]) -> None:
    """Give the axis of prices a logarithmic scale."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, SymmetricalLogLocator

    ends = [
        float(end) for own in classes for v in (own.near, own.odd) if len(v) for end in (v.min(), v.max())
    ]
    lowest, highest = min(ends), max(ends)
    # More labels would overlap.
    steps = (1, 2, 5) if highest <= 1000 * (lowest or 1.0) else (1,)
    if lowest > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=steps))
    else:
        # A price may be 0, which has no logarithm.
        axes.set_xscale("symlog", linthresh=1.0)
        axes.set_xlim(left=-0.2)
        axes.xaxis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=1.0, subs=steps))
    axes.xaxis.set_minor_locator(NullLocator())
    # The default labels are math text, which the theme turns off.
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.10g}"))
