"""Hand-crafted image features: HOG, local binary patterns, a small grey image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.backbones.info import BackboneInfo

HANDCRAFTED_VERSION = 1
"""Bumped when the features of the same image change."""

CELLS, ORIENTATIONS = 12, 9
"""HOG: cells along each side of an image of any size, and orientations."""

LBP_GRID = 8
"""Local binary patterns: fields along each side."""

NEIGHBOURS, RADIUS, PATTERNS = 8, 2, 59
"""Local binary patterns: points on a circle, its radius in pixels, and the number of patterns: 58 uniform
ones, and one for all others."""

GREY_SIZE = 32
"""Side of the small grey image."""


def hog(image: np.ndarray) -> np.ndarray:
    """Return the (4356,) float32 histograms of oriented gradients of an (h, w, 3) uint8 image.

    Dalal and Triggs 2005, Histograms of oriented gradients for human detection: square roots of the grey
    values, 12x12 cells, 9 orientations, blocks of 2x2 cells each normalised by L2-Hys. The image is
    cropped at the centre to multiples of 12.
    """
    from skimage.feature import hog as histograms

    height, width = (side // CELLS for side in image.shape[:2])
    top, left = (image.shape[0] - CELLS * height) // 2, (image.shape[1] - CELLS * width) // 2
    found: np.ndarray = histograms(
        _grey(image)[top : top + CELLS * height, left : left + CELLS * width],
        orientations=ORIENTATIONS,
        pixels_per_cell=(height, width),
        cells_per_block=(2, 2),
        block_norm="L2-Hys",
        transform_sqrt=True,
    )
    return found.astype(np.float32)


def lbp(image: np.ndarray) -> np.ndarray:
    """Return the (3776,) float32 root histograms of local binary patterns of an (h, w, 3) uint8 image.

    Ahonen et al. 2006, Face description with local binary patterns: uniform patterns in each of
    8x8 fields, row-major; 59 relative frequencies per field. Their square roots (Euclidean distance is then
    Hellinger's) give rare patterns more weight.
    """
    from skimage.feature import local_binary_pattern

    grey = np.rint(_grey(image) * 255.0).astype(np.uint8)
    patterns: Any = local_binary_pattern
    codes = patterns(grey, NEIGHBOURS, RADIUS, "nri_uniform").astype(np.int64)
    field = _fields(codes.shape, LBP_GRID)
    counts = np.bincount((field * PATTERNS + codes).ravel(), minlength=LBP_GRID**2 * PATTERNS)
    shares = counts.reshape(-1, PATTERNS) / np.bincount(field.ravel())[:, None]
    return np.sqrt(shares).ravel().astype(np.float32)


def grey(image: np.ndarray) -> np.ndarray:
    """Return the (1024,) float32 means of 32x32 fields of an (h, w, 3) uint8 image's grey values, 0 to 1."""
    whole = _grey(image)
    field = _fields(whole.shape, GREY_SIZE).ravel()
    means: np.ndarray = np.bincount(field, weights=whole.ravel()) / np.bincount(field)
    return means.astype(np.float32)


def _fields(shape: tuple[int, ...], grid: int) -> np.ndarray:
    """Return the number of each pixel's field, row by row: (h, w) integers below grid * grid."""
    rows, columns = (np.arange(side) * grid // side for side in shape)
    numbers: np.ndarray = rows[:, None] * grid + columns[None, :]
    return numbers


def _grey(image: np.ndarray) -> np.ndarray:
    """Return (h, w) float64 luminance from 0 to 1 (ITU-R BT.709, by scikit-image)."""
    from skimage.color import rgb2gray

    luminance: np.ndarray = rgb2gray(image)
    return luminance


DESCRIPTORS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"hog": hog, "lbp": lbp, "grey": grey}
"""(h, w, 3) uint8 -> (d,) float32, by the `builder` of `BackboneInfo`."""


def load_handcrafted(info: BackboneInfo) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from (b, h, w, 3) uint8 images to (b, d) float32 features, one by one.

    An image's features do not depend on its batch. Safe to call from several threads.
    """
    function = DESCRIPTORS[info.builder]
    return lambda images: np.stack([function(image) for image in images])
