"""Plots of training and validation loss by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.core.errors import StoreError
from bench.core.plotting import Draw, Theme, canvas, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure


LOSS_CURVE = "loss_curve.png"


def loss_curve(history: Sequence[Mapping[str, Any]], title: str = "") -> bytes:
    """Return a PNG of training and validation loss by epoch.

    history: one row per epoch with `loss` and `val_loss` (None without validation). Raises ValueError if
    empty.
    """
    from bench.core.plotting import LIGHT, rendered

    curve = loss_lines(title, [history])
    if curve is None:
        raise ValueError("there is no epoch to draw")
    return rendered(losses([curve]), LIGHT, ("png",))["png"]


def save_loss_curve(folder: Path, history: Sequence[Mapping[str, Any]], title: str = "") -> Path:
    """Draw the loss curve into a cell's folder and return the file. Raises StoreError if it cannot write."""
    path = folder / LOSS_CURVE
    try:
        path.write_bytes(loss_curve(history, title))
    except OSError as error:
        raise StoreError(f"{path}: cannot be written ({error.strerror or error})") from None
    return path


def loss_lines(name: str, histories: Iterable[Sequence[Mapping[str, Any]]]) -> Curve | None:
    """Return the losses of one setting's seeds by epoch, None if no history is stored."""
    stored = [history for history in histories if history]
    if not stored:
        return None
    length = max(len(history) for history in stored)
    sides = []
    for key in ("loss", "val_loss"):
        lines = np.full((len(stored), length), np.nan)
        for line, history in zip(lines, stored, strict=True):
            line[: len(history)] = [np.nan if row.get(key) is None else row[key] for row in history]
        sides.append(lines)
    return Curve(name, *sides)


@dataclass(frozen=True)
class Curve:
    """Losses of one setting by epoch, (seeds, epochs) each, NaN after a seed has stopped."""

    name: str
    train: np.ndarray
    val: np.ndarray


def losses(curves: Sequence[Curve]) -> Draw:
    """Draw one panel per setting, one line per seed: training loss solid, validation loss dashed."""

    def draw(theme: Theme) -> Figure:
        columns = min(1 if theme.is_narrow else 3, len(curves))
        rows = math.ceil(len(curves) / columns)
        figure = canvas(theme, 0.6 + 2.4 * columns, 0.5 + 1.8 * rows)
        panels = figure.subplots(rows, columns, squeeze=False, sharex=True)
        for axes, curve in zip(panels.flat, curves, strict=False):
            for label, values, color, style in (
                ("training", curve.train, theme.ours, "-"),
                ("validation", curve.val, theme.theirs, "--"),
            ):
                for seed, line in enumerate(values):
                    named = label if seed == 0 else None
                    axes.plot(range(1, len(line) + 1), line, style, color=color, linewidth=1.1, label=named)
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
