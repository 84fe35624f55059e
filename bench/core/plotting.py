"""Themes of plots, light and dark, with colours for colour-blind readers; figures as files."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bench.core.safe_text import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILLION, PURPLE = "#0072B2", "#D55E00", "#CC79A7"
"""Okabe and Ito 2008, Color Universal Design."""


@dataclass(frozen=True)
class Theme:
    """Colours of a theme. ours, theirs: the two runs of a comparison. quiet: less important marks.

    heat: a colour map of monotonic lightness, so that it also works in grey. width: of the widest figure, in
    inches.
    """

    name: str
    paper: str
    ink: str
    quiet: str
    grid: str
    ours: str
    theirs: str
    heat: tuple[str, ...]
    width: float = math.inf

    @property
    def narrow(self) -> Theme:
        """The same colours for a phone."""
        return replace(self, name=f"{self.name}-narrow", width=3.6)

    @property
    def is_narrow(self) -> bool:
        """Whether panels are stacked, with names above their rows."""
        return self.width < 5


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
        # Names come from data: no math markup.
        "text.parse_math": False,
        # The reader's fonts cover more scripts than matplotlib's.
        "svg.fonttype": "none",
        "svg.hashsalt": "messybench",
    }


def rendered(draw: Callable[[Theme], Figure], theme: Theme, formats: tuple[str, ...]) -> dict[str, bytes]:
    """Return a figure in each format (`svg`, `png`); equal figures give equal bytes."""
    import logging
    import warnings

    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    out = {}
    with matplotlib.rc_context(_settings(theme)), warnings.catch_warnings():
        # A glyph that the font lacks becomes a box in the PNG; the SVG shows it in another font.
        warnings.filterwarnings("ignore", message=r"Glyph \d+")
        logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
        figure = draw(theme)
        FigureCanvasAgg(figure)
        for fmt in formats:
            file = io.BytesIO()
            metadata: dict[str, Any] = {"Date": None} if fmt == "svg" else {"Software": None}
            figure.savefig(file, format=fmt, dpi=144, metadata=metadata)
            out[fmt] = file.getvalue()
            # The layout is as slow as drawing: compute it once.
            figure.set_layout_engine("none")
    return out


def recoloured(svg: bytes, theme: Theme, other: Theme) -> bytes:
    """Return an SVG in the colours of another theme, much faster than drawing it again.

    Other colours and raster images are unchanged.
    """
    colors = {
        getattr(theme, name).lower().encode(): getattr(other, name).lower().encode()
        for name in ("paper", "ink", "quiet", "grid", "ours", "theirs")
    }
    return re.sub(rb"(?<=: )#[0-9a-f]{6}(?=[;\"])", lambda found: colors.get(found[0], found[0]), svg)


Draw = Callable[[Theme], "Figure"]


MAX_NAME = 44
"""Maximum length of a name on an axis."""


ROW = 0.24
"""Height of a row of dots or bars in inches."""


def short(name: str, longest: int = MAX_NAME) -> str:
    """Return a name shortened for an axis, safe for SVG."""
    text = visible(name)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def canvas(theme: Theme, width: float, height: float) -> Figure:
    """Return an empty figure, no wider than the theme's. width, height: in inches."""
    from matplotlib.figure import Figure as Canvas

    return Canvas(figsize=(min(width, theme.width), height), layout="constrained")


def two_panels(theme: Theme, height: float) -> tuple[Figure, Axes, Axes]:
    """Return a figure with two panels, stacked on a narrow theme. height: of one, in inches."""
    figure = canvas(theme, 7.2, height * (2 if theme.is_narrow else 1))
    first, second = figure.subplots(2, 1) if theme.is_narrow else figure.subplots(1, 2)
    return figure, first, second


def bar_names(theme: Theme, axes: Axes, names: Sequence[str]) -> None:
    """Label the rows of a bar plot, first at the top."""
    longest = MAX_NAME // 2 if theme.is_narrow else MAX_NAME
    axes.set_yticks(range(len(names)), [short(name, longest) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
