"""Near-duplicate detection: rescaled, recompressed, mirrored, slightly cropped copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np

from bench.core.progress import Progress, no_progress
from bench.data.alignment import (
    MAX_CORRECTION,
    Aligned,
    align,
    detail_correlation,
    disagreement,
    local_correlation,
    match_brightness,
)
from bench.data.phash import CROPS, LOW, MIRROR, STEP, HashIndex, perceptual_hashes, tangents
from bench.data.phash import SIDE as HASHED
from bench.data.pixels import Pixels

SIDE = 64
"""Pixels along a side of the compared images; hashes use half as many."""

BLANK = 3.0
"""Standard deviation of grey levels below which a picture is blank and has no duplicates."""

COARSE = 0.9965
"""Smallest cosine, in low frequencies, between an image and small shifts and scalings of another one."""

FINE = 0.8
"""Smallest `detail_correlation` of aligned pictures, at the size of hashes."""

DIFFERENT, WORST = 3.0, 0.02
"""Largest `disagreement` in grey levels, and the share of pixels that may exceed it."""

LOCAL, PLAIN = 0.8, 0.05
"""Smallest `local_correlation`, and the share of positions that may fall below it."""

_BLOCK = 1024
_BATCH = 16
_PAIRS = 1 << 18


@dataclass(frozen=True)
class _Found:
    """Candidate pairs: the second image looks like a part of the first, or of its mirror image.

    pairs: (p, 2) indices. mirrored: (p,) bool. cosine: (p,) similarity in low frequencies. moved: (p, 4)
    scale and shift along x, scale and shift along y, which align the first with the second.
    """

    pairs: np.ndarray
    mirrored: np.ndarray
    cosine: np.ndarray
    moved: np.ndarray

    def take(self, chosen: np.ndarray) -> _Found:
        return _Found(self.pairs[chosen], self.mirrored[chosen], self.cosine[chosen], self.moved[chosen])


def near_duplicate_pairs(pixels: Pixels, rows: np.ndarray, progress: Progress = no_progress) -> np.ndarray:
    """Return the near duplicates among images: (p, 2) rising indices into `rows`.

    pixels: at SIDE x SIDE, squashed. rows: (m,) positions. Finds copies of any size, quality, brightness and
    contrast (except clipped highlights), mirrored or not, cropped by up to about 6% at each end of each side.
    Perceptual hashes of every image, also cropped and mirrored, propose pairs; a pair is accepted if one
    picture, aligned by least squares, matches the other in detail and colour. Blank pictures have none.
    """
    rows = np.asarray(rows)
    grey = _grey(pixels, rows, progress)
    shown = np.flatnonzero(grey.std(axis=(1, 2), dtype=np.float32) >= BLANK)
    if len(shown) < 2:
        return np.empty((0, 2), np.int64)
    found = _proposed(grey[shown], progress)

    def hashed(places: np.ndarray) -> np.ndarray:
        return grey[shown[places], :, :, None]

    def whole(places: np.ndarray) -> np.ndarray:
        return pixels.read(rows[shown[places]])

    def whole_grey(places: np.ndarray) -> np.ndarray:
        return _bright(whole(places))[..., None]

    # Cheap tests first: a folder of studio photos proposes nearly all pairs.
    found = _fitting(found, hashed, 1, lambda pair: detail_correlation(pair) >= FINE, progress)
    found = _fitting(found, whole_grey, 1, lambda pair: local_correlation(pair, PLAIN) >= LOCAL, progress)
    found = _fitting(
        found, whole, 0, lambda pair: disagreement(match_brightness(pair), WORST) <= DIFFERENT, progress
    )
    return np.unique(np.sort(shown[found.pairs], axis=1), axis=0)


def _fitting(
    found: _Found,
    read: Callable[[np.ndarray], np.ndarray],
    steps: int,
    fits: Callable[[Aligned], np.ndarray],
    progress: Progress,
) -> _Found:
    """Return the pairs that match after alignment, with its `moved`.

    read: (p,) indices -> (p, side, side, c) uint8. fits: the test of aligned pairs.
    """
    kept = [found.take(np.empty(0, np.int64))]
    for start in range(0, len(found.pairs), _BATCH):
        progress(start, len(found.pairs), "comparing similar images")
        some = found.take(np.arange(start, min(start + _BATCH, len(found.pairs))))
        one, two = (np.moveaxis(read(side), 3, 1).astype(np.float32) for side in some.pairs.T)
        one = np.where(some.mirrored[:, None, None, None], one[..., ::-1], one)
        aligned = align(one, two, some.moved, steps)
        near = np.abs(aligned.moved - some.moved).max(axis=1) <= MAX_CORRECTION
        kept.append(replace(some, moved=aligned.moved).take(np.flatnonzero(near & fits(aligned))))
    return _joined(kept)


def _joined(parts: Sequence[_Found]) -> _Found:
    return _Found(*(np.concatenate([getattr(part, own.name) for part in parts]) for own in fields(_Found)))


def _bright(images: np.ndarray) -> np.ndarray:
    """Return (m, side, side) float32, the luma of ITU-R BT.601, of (m, side, side, 3) RGB."""
    luma: np.ndarray = images.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return luma


def _grey(pixels: Pixels, rows: np.ndarray, progress: Progress) -> np.ndarray:
    """Return images as (m, HASHED, HASHED) uint8, for hashes."""
    grey = np.empty((len(rows), HASHED, HASHED), np.uint8)
    ratio = SIDE // HASHED
    for start in range(0, len(rows), _BLOCK):
        progress(start, len(rows), "hashing images")
        bright = _bright(pixels.read(rows[start : start + _BLOCK]))
        small = bright.reshape(-1, HASHED, ratio, HASHED, ratio).mean(axis=(2, 4))
        grey[start : start + _BLOCK] = np.rint(small)
    return grey


def _proposed(grey: np.ndarray, progress: Progress) -> _Found:
    """Return the pairs that are similar in low frequencies, each once, with its best alignment."""
    whole = _by_blocks(grey, 1.0)[:, 0]
    index = HashIndex(perceptual_hashes(whole))
    whole[:, 0] = 0
    units = whole / np.maximum(np.linalg.norm(whole, axis=1, keepdims=True), np.float32(1e-6))
    parts = []
    for number, share in enumerate(CROPS):
        spans = _by_blocks(grey, share)
        hashed = spans[:, 0].copy()
        spans[:, :, 0] = 0
        bases = np.ascontiguousarray(np.linalg.qr(spans.transpose(0, 2, 1))[0].transpose(0, 2, 1))
        for mirrored in (False, True):
            progress(2 * number + mirrored, 2 * len(CROPS), "searching for similar images")
            sign = MIRROR if mirrored else np.ones(LOW * LOW, np.float32)
            turned = units * sign
            for one, two in _sorted(index.near(perceptual_hashes(hashed * sign))):
                # Pairs of uncropped images are found in both orders.
                fresh = one < two if share == 1.0 else one != two
                a, b = one[fresh], two[fresh]
                cosine = _reached(bases, turned, a, b)
                close = np.flatnonzero(cosine >= COARSE)
                a, b, cosine = a[close], b[close], cosine[close]
                moved = _moved(spans[a], turned[b], share)
                near = (np.abs(moved - np.array([share, 0, share, 0])) <= MAX_CORRECTION).all(axis=1)
                pairs = np.stack([a, b], axis=1)
                parts.append(_Found(pairs, np.full(len(a), mirrored), cosine, moved).take(near))
    every = _joined(parts)
    lower, higher = np.sort(every.pairs, axis=1).T
    order = np.lexsort((-every.cosine, every.mirrored, higher, lower))
    keys = np.stack([lower, higher, every.mirrored], axis=1)[order]
    fresh = np.ones(len(keys), bool)
    fresh[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    return every.take(order[fresh])


def _sorted(found: Iterator[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pairs of indices, grouped by the first one, at least `_PAIRS` at a time."""
    while True:
        waiting, count = [], 0
        while count < _PAIRS and (pairs := next(found, None)) is not None:
            waiting.append(pairs)
            count += len(pairs[0])
        if not waiting:
            return
        one, two = (np.concatenate(side) for side in zip(*waiting, strict=True))
        order = np.argsort(one, kind="stable")
        yield one[order], two[order]


def _reached(bases: np.ndarray, targets: np.ndarray, one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Return (p,) lengths of the projections of the second images onto the first ones' subspaces.

    bases: (m, 5, k) orthonormal. targets: (m, k) of length 1. one: (p,) rising places. two: (p,) places.
    """
    starts = np.flatnonzero(np.diff(one, prepend=-1))
    parts = np.empty((len(one), bases.shape[1]), np.float32)
    # One product for all pairs of an image: most of the time goes into fetching the factors.
    for start, end in pairwise([*starts.tolist(), len(one)]):
        np.matmul(targets[two[start:end]], bases[one[start]].T, out=parts[start:end])
    reached: np.ndarray = np.linalg.norm(parts, axis=1)
    return reached


def _by_blocks(grey: np.ndarray, share: float) -> np.ndarray:
    starts = range(0, len(grey), _BLOCK)
    return np.concatenate([tangents(grey[start : start + _BLOCK], share) for start in starts])


def _moved(spans: np.ndarray, targets: np.ndarray, share: float) -> np.ndarray:
    """Return the (p, 4) scales and shifts that align images with their targets, by least squares.

    spans: (p, 5, k) of `tangents`. targets: (p, k).
    """
    square = spans @ spans.transpose(0, 2, 1)
    square += 1e-6 * np.trace(square, axis1=1, axis2=2)[:, None, None] * np.eye(5)
    answer = np.linalg.solve(square, spans @ targets[:, :, None])[:, :, 0]
    gain = np.maximum(answer[:, :1], 1e-9)
    moved: np.ndarray = np.array([share, 0, share, 0]) + 2 * STEP * answer[:, 1:] / gain
    return moved
