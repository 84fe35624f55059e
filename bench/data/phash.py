"""Perceptual hashes of images, mirrored and cropped ones too, and an index of similar hashes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from bench.data.alignment import sampling

SIDE = 32
"""Side of hashed images in pixels."""

LOW = 8
"""Cosine frequencies along a side in a hash."""

CROPS = (1.0, 0.96, 0.92, 0.88)
"""Shares of each side after cropping; copies cropped by up to 6% at each end are near one of these."""

STEP = 0.02
"""Step of the central differences by scale and shift, in halves of a side."""

MAX_DISTANCE = 14
"""Maximum Hamming distance, of 64 bits, between the hashes of similar images."""

_BANDS = 4
_BITS = LOW * LOW // _BANDS
_ENOUGH = 1 << 20

MIRROR = np.where(np.arange(LOW * LOW) % LOW % 2, np.float32(-1), np.float32(1))
"""Factors from an image's cosine frequencies to those of its mirror image."""


@cache
def _cosines() -> np.ndarray:
    """Return the (LOW, SIDE) matrix of the orthonormal discrete cosine transform."""
    from scipy.fft import dct

    return np.asarray(dct(np.eye(SIDE), axis=0, norm="ortho")[:LOW], np.float32)


def tangents(grey: np.ndarray, share: float) -> np.ndarray:
    """Return the low frequencies of centre crops of images, and their derivatives by scale and shift.

    grey: (m, SIDE, SIDE). Returns (m, 5, LOW * LOW) float32: the frequencies of the central `share` of each
    side, and their differences over 2 STEP by scale and shift along x, by scale and shift along y.
    """
    scales = np.array([share, share + STEP, share - STEP, share, share])
    shifts = np.array([0, 0, 0, STEP, -STEP])
    middle, wider, closer, later, earlier = _cosines() @ sampling(scales, shifts, SIDE)[0]
    scaled, shifted = wider - closer, later - earlier
    images = grey.astype(np.float32)
    across = images @ middle.T
    maps = (
        middle @ across,
        middle @ (images @ scaled.T),
        middle @ (images @ shifted.T),
        scaled @ across,
        shifted @ across,
    )
    return np.stack(maps, axis=1).reshape(len(grey), 5, LOW * LOW)


def perceptual_hashes(frequencies: np.ndarray) -> np.ndarray:
    """Return the pHash of images, (m, 64) bool, as `imagehash.phash` computes it.

    frequencies: (m, LOW * LOW), orthonormal. A bit is set if its frequency is above the median (Zauner 2010,
    Implementation and benchmarking of perceptual image hash functions).
    """
    # pHash uses a transform that is not orthonormal: constant terms are larger by the square root of two.
    weight = np.where(np.arange(LOW) == 0, np.sqrt(2), 1)
    values = frequencies * np.outer(weight, weight).ravel().astype(np.float32)
    hashes: np.ndarray = values > np.median(values, axis=1, keepdims=True)
    return hashes


class HashIndex:
    """Index of hashes for fast search in Hamming space.

    Every hash is divided into four bands. Hashes with one band that differs in at most one bit are compared
    whole (multi-index hashing: Norouzi, Punjani and Fleet 2012, Fast search in Hamming space).
    """

    def __init__(self, hashes: np.ndarray) -> None:
        """hashes: (m, 64) bool."""
        self.whole = _packed(hashes)
        keys = _keys(hashes)
        self._orders = [np.argsort(band, kind="stable") for band in keys]
        self._starts = [
            np.searchsorted(band[order], np.arange(2**_BITS + 1))
            for band, order in zip(keys, self._orders, strict=True)
        ]

    def near(
        self, hashes: np.ndarray, max_distance: int = MAX_DISTANCE
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield index pairs (given hash, indexed hash) that differ in at most `max_distance` bits.

        hashes: (q, 64) bool. Only pairs with a band that differs in at most one bit are found, each once.
        """
        whole = _packed(hashes)
        bands = zip(_keys(hashes), self._orders, self._starts, strict=True)
        for number, (keys, order, starts) in enumerate(bands):
            for flip in (0, *(1 << bit for bit in range(_BITS))):
                probe = keys ^ flip
                first = starts[probe]
                counts = starts[probe + 1] - first
                # In blocks, however many images share a band.
                parts = np.searchsorted(np.cumsum(counts), np.arange(_ENOUGH, counts.sum(), _ENOUGH))
                for places in np.split(np.arange(len(keys)), parts):
                    own = counts[places]
                    asked = np.repeat(places, own)
                    skipped = np.cumsum(own) - own
                    found = order[np.arange(len(asked)) - np.repeat(skipped - first[places], own)]
                    differs = whole[asked] ^ self.whole[found]
                    close = np.flatnonzero(np.bitwise_count(differs) <= max_distance)
                    # Those that an earlier band has in common came with it.
                    parts_of = differs[close].view(np.uint16).reshape(-1, _BANDS)[:, :number]
                    close = close[(np.bitwise_count(parts_of) > 1).all(axis=1)]
                    yield asked[close], found[close]


def _packed(hashes: np.ndarray) -> np.ndarray:
    """Return (m, 64) bool as (m,) uint64."""
    return np.packbits(hashes, axis=1).view(np.uint64).ravel()


def _keys(hashes: np.ndarray) -> np.ndarray:
    """Return the bands of hashes as numbers, (_BANDS, m) int64."""
    bands = hashes.reshape(len(hashes), _BANDS, _BITS)
    keys: np.ndarray = (bands @ (1 << np.arange(_BITS, dtype=np.int64))).T
    return keys
