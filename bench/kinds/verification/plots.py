"""Plots of a cell's answers to pairs of photos: ROC curve on two scales, scores around the cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.core.plotting import Draw, Theme, canvas, short, two_panels
from bench.report.plots import Line

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from bench.kinds.verification.findings import Histogram


def roc(lines: Sequence[Line], least: float) -> Draw:
    """ROC curves with even rates of false accepts, and with logarithmic ones from `least` on."""

    def draw(theme: Theme) -> Figure:
        from matplotlib.ticker import FuncFormatter, NullFormatter

        figure, even, powers = two_panels(theme, 3.7)
        even.plot([0, 1], [0, 1], linestyle=":", color=theme.quiet)
        colors, styles = (theme.ours, theme.theirs, theme.quiet), ("-", "--", "-.")
        for axes in (even, powers):
            for place, line in enumerate(lines):
                color, style = colors[place % 3], styles[place % 3]
                (drawn,) = axes.plot(
                    line.x, line.y, style, color=color, linewidth=1.4, label=short(line.name, 60)
                )
                drawn.set_drawstyle("steps-post" if axes is powers else "default")
            axes.set_ylim(0, 1.02)
            axes.set_xlabel("false accepts (FAR)")
            axes.grid(True)
        even.set_xlim(0, 1)
        even.set_aspect("equal")
        even.set_ylabel("true accepts (TAR)")
        powers.set_xscale("log")
        # The scale's own labels are formulas, which text from data must not be.
        powers.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:g}"))
        powers.xaxis.set_minor_formatter(NullFormatter())
        powers.set_xlim(min(least, 0.1), 1)
        handles, labels = even.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=1 if theme.is_narrow else 2)
        return figure

    return draw


def scores(bars: Histogram) -> Draw:
    """Scores less their cuts, same and different pairs apart."""

    def draw(theme: Theme) -> Figure:
        figure = canvas(theme, 7.2, 3.2)
        axes = figure.subplots()
        widths = bars.edges[1:] - bars.edges[:-1]
        sides = ((bars.same, theme.ours, "same", ""), (bars.different, theme.theirs, "different", "////"))
        for shares, color, label, hatch in sides:
            left = bars.edges[:-1]
            axes.bar(left, shares, widths, align="edge", color=color, alpha=0.55, label=label)
            axes.step(bars.edges, [*shares, shares[-1]], where="post", color=color, linewidth=1.2)
            if hatch:
                axes.bar(
                    left, shares, widths, align="edge", fill=False, hatch=hatch, edgecolor=color, linewidth=0
                )
        axes.axvline(0, color=theme.ink, linestyle=":", linewidth=1.2)
        axes.set_xlabel("score less cut")
        axes.set_ylabel("share of the pairs")
        axes.grid(True, axis="y")
        figure.legend(loc="outside upper center", ncols=2)
        return figure

    return draw
