"""Pictures that are nearly the same: rescaled, recompressed or lightly edited copies."""

from __future__ import annotations

import warnings

import numpy as np

from bench.data.pixels import Pixels

SIDE = 32
"""The size that images are compared at: what the perceptual hash works on."""

MOST = 4
"""Bits of 64 in which two pictures may differ and still count as nearly the same."""

ALIKE = 0.98
"""What the pixels of two such pictures at least correlate: products on white share hashes by the dozen."""

_BLOCK = 2048


def near_twins(pixels: Pixels, rows: np.ndarray) -> np.ndarray:
    """Return the pairs of images that look nearly the same: (p, 2) places in `rows`, the first one lower.

    pixels: at SIDE x SIDE. rows: (m,) positions. Their hashes differ in at most MOST bits, and their colours
    (all SIDE * SIDE * 3 values) correlate by at least ALIKE, which brightness and contrast leave alone.
    """
    pairs = near_pairs(perceptual_hashes(pixels, rows))
    close = [np.empty(0, bool)]
    for start in range(0, len(pairs), _BLOCK):
        one, two = (_normalised(pixels.read(rows[side])) for side in pairs[start : start + _BLOCK].T)
        close.append((one * two).sum(axis=1) >= ALIKE)
    found: np.ndarray = pairs[np.concatenate(close)]
    return found


def _normalised(images: np.ndarray) -> np.ndarray:
    """Return images as (m, values) float32 rows of mean 0 and length 1."""
    flat = images.reshape(len(images), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), np.float32(1e-6))
    return flat


def perceptual_hashes(pixels: Pixels, rows: np.ndarray) -> np.ndarray:
    """Return the pHash of images as (m, 64) bool (`imagehash.phash`: signs of low cosine frequencies).

    pixels: at SIDE x SIDE. rows: (m,) positions.
    """
    import imagehash
    from PIL import Image

    hashes = np.zeros((len(rows), 64), bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for start in range(0, len(rows), _BLOCK):
            for place, image in enumerate(pixels.read(rows[start : start + _BLOCK]), start):
                hashes[place] = imagehash.phash(Image.fromarray(image)).hash.ravel()
    return hashes


def near_pairs(hashes: np.ndarray, most: int = MOST) -> np.ndarray:
    """Return the pairs of hashes that differ in at most so many bits: (p, 2) places, the first one lower.

    hashes: (m, 64) bool. Hashes with next to no pattern (a blank picture) are nobody's neighbour: all of
    them would be each other's.
    """
    signs = np.where(hashes, np.float32(1), np.float32(-1))
    blank = np.minimum(hashes.sum(axis=1), (~hashes).sum(axis=1)) <= most
    pairs = []
    for start in range(0, len(signs), _BLOCK):
        # The product of two sign vectors is 64 less twice the bits in which they differ.
        alike = signs[start : start + _BLOCK] @ signs.T >= 64 - 2 * most
        alike &= ~blank[None, :] & ~blank[start : start + _BLOCK, None]
        first, second = np.nonzero(np.triu(alike, start + 1))
        pairs.append(np.stack([first + start, second], axis=1))
    return np.concatenate(pairs) if pairs else np.empty((0, 2), np.int64)
