"""How plots look: a light and a dark set of colours that colour-blind readers can tell apart, and files."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
"""Okabe and Ito 2008, Color Universal Design."""


@dataclass(frozen=True)
class Theme:
    """Colours of one set. ours, theirs: the two sides of a comparison. quiet: what is not in the front.

    heat: colours from nothing to all, whose lightness falls or rises evenly, so that they also work in grey.
    """

    name: str
    paper: str
    ink: str
    quiet: str
    grid: str
    ours: str
    theirs: str
    heat: tuple[str, ...]


LIGHT = Theme(
    "light", "#ffffff", "#1b1f24", "#767d86", "#dfe3e8", BLUE, VERMILLION, ("#f4f6f8", SKY, BLUE, "#00233a")
)
DARK = Theme(
    "dark", "#171b21", "#e6e9ed", "#9aa3ad", "#343b45", SKY, ORANGE, ("#20262e", BLUE, SKY, "#f2f9fd")
)


def _settings(theme: Theme) -> Any:
    return {
        "font.family": ["DejaVu Sans", "sans-serif"],
        "font.size": 9,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": False,
        "axes.edgecolor": theme.quiet,
        "axes.labelcolor": theme.ink,
        "axes.facecolor": theme.paper,
        "figure.facecolor": theme.paper,
        "savefig.facecolor": theme.paper,
        "grid.color": theme.grid,
        "text.color": theme.ink,
        "xtick.color": theme.quiet,
        "ytick.color": theme.quiet,
        "xtick.labelcolor": theme.ink,
        "ytick.labelcolor": theme.ink,
        "legend.frameon": False,
        "hatch.linewidth": 0.6,
        # Names come from data: a dollar is a dollar.
        "text.parse_math": False,
        # Text stays text, in the reader's fonts, which know more scripts than the one shipped here.
        "svg.fonttype": "none",
        "svg.hashsalt": "messybench",
    }


def drawn(draw: Callable[[Theme], Figure], theme: Theme, formats: tuple[str, ...]) -> dict[str, bytes]:
    """Return the figure in each format (`svg`, `png`), drawn in a theme; equal figures give equal bytes."""
    import logging
    import warnings

    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    out = {}
    with matplotlib.rc_context(_settings(theme)), warnings.catch_warnings():
        # A letter that the font lacks becomes a box in the PNG; the page's SVG shows it in another font.
        warnings.filterwarnings("ignore", message=r"Glyph \d+")
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
        figure = draw(theme)
        FigureCanvasAgg(figure)
        for fmt in formats:
            file = io.BytesIO()
            metadata: dict[str, Any] = {"Date": None} if fmt == "svg" else {"Software": None}
            figure.savefig(file, format=fmt, dpi=144, metadata=metadata)
            out[fmt] = file.getvalue()
            # Finding room for the labels takes as long as drawing: once is enough.
            figure.set_layout_engine("none")
    return out
