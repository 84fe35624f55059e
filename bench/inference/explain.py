"""Explanations of predictions: LIME's superpixels and occlusion maps."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.core.errors import BenchError
from bench.core.plotting import BLUE, LIGHT, VERMILLION, Theme, canvas, rendered, short

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Score = Callable[[np.ndarray], np.ndarray]
"""(n, h, w, 3) uint8 -> (n, k) float32."""

NO_LIME = "bench explain needs packages that are not installed: pip install 'messybench[explain]'"

SEGMENTS = 60
"""Requested superpixels; the number found depends on the image."""

STRENGTH = 10.0
"""SLIC's compactness: the weight of shape against colour."""

GRID = 7
"""Grid fields per side for an image with hardly any superpixels, and occlusion patches per side."""


@dataclass(frozen=True, eq=False)
class Target:
    """An image and the classes to explain.

    number: of the image among those given. pixels: (h, w, 3) uint8. places: indices of the classes.
    """

    path: Path
    number: int
    pixels: np.ndarray
    score: Score
    classes: tuple[str, ...]
    places: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Superpixels:
    """LIME's explanation of one class of one image.

    segments: (h, w) int, from 0. weights: (segments,) float64, the gain in probability of the superpixel over
    its mean colour. fit: weighted R² of LIME's linear model; near 0 the weights mean little.
    """

    segments: np.ndarray
    weights: np.ndarray
    fit: float


def segments_of(image: np.ndarray) -> np.ndarray:
    """Return the superpixels of an (h, w, 3) uint8 image: (h, w) ints from 0 (SLIC, Achanta et al. 2012).

    For an image with hardly any, such as one of a single colour, returns the fields of a grid.
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
    """Explain the classes at these indices by LIME (Ribeiro et al. 2016, arXiv:1602.04938).

    samples: images with hidden superpixels to fit the linear model. seed: of the hidden ones. Raises
    BenchError if the library is not installed.
    """
    # LIME has no option for its progress bar; this variable is read on import.
    os.environ.setdefault("TQDM_DISABLE", "1")
    try:
        from lime.lime_image import LimeImageExplainer
    except ImportError:
        raise BenchError(NO_LIME) from None
    segments = segments_of(image)
    scored = _once(score)
    found = {}
    # One class at a time: for several, LIME returns only the fit of the last one.
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
    """Return a memoised score function: every class scores the same batches."""
    known: dict[bytes, np.ndarray] = {}

    def scored(images: np.ndarray) -> np.ndarray:
        batch = np.asarray(images, np.uint8)
        key = hashlib.sha256(batch.tobytes()).digest()
        if key not in known:
            known[key] = score(batch).astype(np.float64)
        return known[key]

    return scored


def occlusion(image: np.ndarray, score: Score) -> np.ndarray:
    """Return the fall of each class's score when a region is hidden: (h, w, k) float32.

    A patch of the image's mean colour, a GRID-th of each side, moves over the image in steps of half its
    side; a pixel's value is the mean fall over the patches that cover it (Zeiler and Fergus 2014,
    arXiv:1311.2901). Positive: the region supports the class.
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
        batch = corners[start : start + 64]
        images = np.repeat(image[None], len(batch), axis=0)
        for hidden, (top, left) in zip(images, batch, strict=True):
            hidden[top : top + tall, left : left + wide] = grey
        for (top, left), scores in zip(batch, score(images), strict=True):
            fall[top : top + tall, left : left + wide] += whole.astype(np.float64) - scores
            covered[top : top + tall, left : left + wide] += 1
    out: np.ndarray = (fall / covered).astype(np.float32)
    return out


def _starts(length: int, patch: int) -> list[int]:
    """Return the starts of patches that cover the whole length, the last one ending with it."""
    last = length - patch
    return [*range(0, last, max(1, patch // 2)), last]


def overlay(image: np.ndarray, found: Superpixels, title: str) -> bytes:
    """Return a PNG of the image, and of the image with its superpixels' weights."""
    values = found.weights[found.segments]
    return _picture(
        image, values, title, f"weight of the superpixel (fit R² {found.fit:.2f})", found.segments
    )


def heat_map(image: np.ndarray, fall: np.ndarray, title: str) -> bytes:
    """Return a PNG of the image, and of the image with its occlusion map. fall: (h, w)."""
    return _picture(image, fall, title, "fall of the score if hidden", None)


def _picture(
    image: np.ndarray, values: np.ndarray, title: str, label: str, segments: np.ndarray | None
) -> bytes:
    def draw(theme: Theme) -> Figure:
        from matplotlib.collections import LineCollection
        from matplotlib.colors import LinearSegmentedColormap

        high, wide = image.shape[:2]
        figure = canvas(theme, 7.6, 0.9 + 3.2 * min(2.0, high / wide))
        plain, over = figure.subplots(1, 2)
        for axes in (plain, over):
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_visible(False)
        plain.imshow(image, interpolation="nearest")
        grey = np.repeat(image.mean(axis=2, keepdims=True) / 255.0, 3, axis=2)
        over.imshow(0.3 + 0.6 * grey, interpolation="nearest")
        largest = max(float(np.abs(values).max()), 1e-9)
        # Blue supports the class, vermillion opposes it; colour-blind readers can distinguish them.
        colors = LinearSegmentedColormap.from_list("for_and_against", [VERMILLION, "#ffffff", BLUE])
        shown = over.imshow(
            values, cmap=colors, vmin=-largest, vmax=largest, alpha=0.65, interpolation="nearest"
        )
        if segments is not None:
            over.add_collection(
                LineCollection(list(_borders(segments)), colors=theme.ink, linewidths=0.4, alpha=0.5)
            )
        figure.suptitle(short(title, 90), fontsize=9)
        figure.colorbar(shown, ax=over, shrink=0.8, label=label)
        return figure

    return rendered(draw, LIGHT, ("png",))["png"]


def _borders(segments: np.ndarray) -> np.ndarray:
    """Return the borders of superpixels as (lines, 2, 2) ends in (x, y); pixel centres are whole numbers."""
    below, right = (np.argwhere(np.diff(segments, axis=axis) != 0).astype(np.float64) for axis in (0, 1))
    lines = []
    # A pixel (row, column) and the one below it meet at row + 0.5, from column - 0.5 to column + 0.5.
    for places, ends in ((below, ((0.5, -0.5), (0.5, 0.5))), (right, ((-0.5, 0.5), (0.5, 0.5)))):
        lines.append(np.stack([(places + end)[:, ::-1] for end in ends], axis=1))
    return np.concatenate(lines)
