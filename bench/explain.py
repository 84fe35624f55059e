"""Which parts of an image an answer rests on: LIME's superpixels, and what hiding each place costs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.errors import BenchError
from bench.report.plots import short
from bench.report.theme import BLUE, LIGHT, VERMILLION, Theme, drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Score = Callable[[np.ndarray], np.ndarray]
"""(n, h, w, 3) uint8 -> (n, k) float32."""

NO_LIME = "bench explain needs packages that are not installed: pip install 'messybench[explain]'"

SEGMENTS = 60
"""Superpixels asked for; how many there are depends on the image."""

STRENGTH = 10.0
"""What a superpixel's shape weighs against its colour (SLIC's compactness)."""

GRID = 7
"""Fields along each side where an image has no superpixels to speak of, and hidden patches along it."""


@dataclass(frozen=True, eq=False)
class Superpixels:
    """What LIME says about one class of one image.

    segments: (h, w) int, from 0. weights: (segments,) float64, how much more likely the class is with the
    superpixel than with its mean colour. fit: R² of the linear model that says so, weighted as it was fitted;
    near 0 the weights mean little.
    """

    segments: np.ndarray
    weights: np.ndarray
    fit: float


def segments_of(image: np.ndarray) -> np.ndarray:
    """Return the superpixels of an (h, w, 3) uint8 image: (h, w) ints from 0 (SLIC, Achanta et al. 2012).

    Where there are hardly any, as in an image of one colour, these are the fields of a grid.
    """
    from skimage.segmentation import slic

    found: np.ndarray = slic(image, n_segments=SEGMENTS, compactness=STRENGTH, start_label=0)
    if found.max() >= GRID:
        return found
    height, width = image.shape[:2]
    rows, columns = np.arange(height) * GRID // height, np.arange(width) * GRID // width
    fields: np.ndarray = rows[:, None] * GRID + columns[None, :]
    return np.unique(fields, return_inverse=True)[1].reshape(height, width)


def lime(
    image: np.ndarray, score: Score, places: tuple[int, ...], samples: int, seed: int
) -> dict[int, Superpixels]:
    """Return what LIME says about classes at these places (Ribeiro et al. 2016, arXiv:1602.04938).

    samples: images with some superpixels hidden that the linear model is fitted to. seed: which are hidden.
    Raises BenchError where the library is not installed.
    """
    # Its progress bar has no switch of its own; this one is read when it is imported.
    os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        from lime.lime_image import LimeImageExplainer
    except ImportError:
        raise BenchError(NO_LIME) from None
    segments = segments_of(image)
    scored = _once(score)
    found = {}
    # One class at a time: of several, LIME keeps the fit of the last one alone.
    for place in places:
        answer = LimeImageExplainer(random_state=seed).explain_instance(
            image,
            scored,
            labels=(place,),
            top_labels=None,
            num_samples=samples,
            batch_size=64,
            segmentation_fn=lambda _: segments,
            random_seed=seed,
        )
        weights = np.zeros(int(segments.max()) + 1)
        for segment, weight in answer.local_exp[place]:
            weights[int(segment)] = float(weight)
        found[place] = Superpixels(segments, weights, float(answer.score))
    return found


def _once(score: Score) -> Score:
    """Return a function that scores a batch it has seen before from memory: each class asks the same."""
    known: dict[bytes, np.ndarray] = {}

    def scored(images: np.ndarray) -> np.ndarray:
        batch = np.asarray(images, np.uint8)
        key = hashlib.sha256(batch.tobytes()).digest()
        if key not in known:
            known[key] = score(batch).astype(np.float64)
        return known[key]

    return scored


def occlusion(image: np.ndarray, score: Score) -> np.ndarray:
    """Return how much each class's score falls where a place is hidden: (h, w, k) float32.

    A patch of the image's mean colour, a GRID-th of each side, is moved over the image in steps of half its
    side; a pixel's value is the mean fall over the patches that cover it (Zeiler and Fergus 2014,
    arXiv:1311.2901). Positive: the class needs what is there.
    """
    height, width = image.shape[:2]
    tall, wide = max(1, height // GRID), max(1, width // GRID)
    tops, lefts = _starts(height, tall), _starts(width, wide)
    corners = [(top, left) for top in tops for left in lefts]
    grey = np.rint(image.reshape(-1, 3).mean(axis=0)).astype(np.uint8)
    whole = score(image[None])[0]
    fall = np.zeros((height, width, len(whole)), np.float64)
    covered = np.zeros((height, width, 1))
    for start in range(0, len(corners), 64):
        part = corners[start : start + 64]
        images = np.repeat(image[None], len(part), axis=0)
        for hidden, (top, left) in zip(images, part, strict=True):
            hidden[top : top + tall, left : left + wide] = grey
        for (top, left), scores in zip(part, score(images), strict=True):
            fall[top : top + tall, left : left + wide] += whole.astype(np.float64) - scores
            covered[top : top + tall, left : left + wide] += 1
    out: np.ndarray = (fall / covered).astype(np.float32)
    return out


def _starts(length: int, patch: int) -> list[int]:
    """Return where patches begin so that every place is covered, the last one ending with the image."""
    last = length - patch
    return [*range(0, last, max(1, patch // 2)), last]


def overlay(image: np.ndarray, found: Superpixels, title: str) -> bytes:
    """Return a PNG: the image, and beside it the image under its superpixels' weights."""
    values = found.weights[found.segments]
    return _picture(
        image, values, title, f"weight of the superpixel (fit R² {found.fit:.2f})", found.segments
    )


def heat_map(image: np.ndarray, fall: np.ndarray, title: str) -> bytes:
    """Return a PNG: the image, and beside it the image under what hiding each place costs, (h, w)."""
    return _picture(image, fall, title, "fall of the score where this is hidden", None)


def _picture(
    image: np.ndarray, values: np.ndarray, title: str, label: str, segments: np.ndarray | None
) -> bytes:
    def draw(theme: Theme) -> Figure:
        from matplotlib.collections import LineCollection
        from matplotlib.colors import LinearSegmentedColormap
        from matplotlib.figure import Figure as Canvas

        high, wide = image.shape[:2]
        figure = Canvas(figsize=(7.6, 0.9 + 3.2 * min(2.0, high / wide)), layout="constrained")
        plain, over = figure.subplots(1, 2)
        for axes in (plain, over):
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
        plain.imshow(image, interpolation="nearest")
        grey = np.repeat(image.mean(axis=2, keepdims=True) / 255.0, 3, axis=2)
        over.imshow(0.3 + 0.6 * grey, interpolation="nearest")
        most = max(float(np.abs(values).max()), 1e-9)
        # Blue speaks for the class and vermillion against it: told apart by colour-blind readers too.
        colors = LinearSegmentedColormap.from_list("for_and_against", [VERMILLION, "#ffffff", BLUE])
        shown = over.imshow(values, cmap=colors, vmin=-most, vmax=most, alpha=0.65, interpolation="nearest")
        if segments is not None:
            over.add_collection(
                LineCollection(list(_borders(segments)), colors=theme.ink, linewidths=0.4, alpha=0.5)
            )
        figure.suptitle(short(title, 90), fontsize=9)
        figure.colorbar(shown, ax=over, shrink=0.8, label=label)
        return figure

    return drawn(draw, LIGHT, ("png",))["png"]


def _borders(segments: np.ndarray) -> np.ndarray:
    """Return the lines between superpixels as (lines, 2, 2) ends in (x, y), a pixel's centre being whole."""
    below, right = (np.argwhere(np.diff(segments, axis=axis) != 0).astype(np.float64) for axis in (0, 1))
    lines = []
    # A pixel (row, column) and the one below it meet at row + 0.5, from column - 0.5 to column + 0.5.
    for places, ends in ((below, ((0.5, -0.5), (0.5, 0.5))), (right, ((-0.5, 0.5), (0.5, 0.5)))):
        lines.append(np.stack([(places + end)[:, ::-1] for end in ends], axis=1))
    return np.concatenate(lines)
