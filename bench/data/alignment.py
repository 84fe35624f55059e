"""Alignment of two pictures by scale and shift, and measures of their agreement."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

MAX_CORRECTION = 0.08
"""Largest correction of an initial scale or shift, in halves of a side."""

_DARK, _LIGHT = 5, 250
"""Grey levels beyond which a change of brightness may have clipped a pixel."""

_VARIANCE = 400.0
"""Strength of the shrinkage of contrast towards 1, as a variance in squared grey levels."""


@dataclass(frozen=True)
class Aligned:
    """Aligned pairs of pictures.

    one, two: (p, c, side, side) float32, the moved pictures and their targets. inside: (p, 1, side, side)
    bool, where the moved picture has pixels. moved: (p, 4) scale and shift along x, scale and shift along y.
    """

    one: np.ndarray
    two: np.ndarray
    inside: np.ndarray
    moved: np.ndarray


def sampling(scale: np.ndarray, shift: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return matrices that resample a line of pixels at scale * u + shift, u from -1 to 1, linearly.

    scale, shift: (m,), for a line of length 2. Returns (m, side, side) float32 and (m, side) bool, whether a
    sample is inside the line; samples outside get the nearest pixel.
    """
    places = (np.multiply.outer(scale, _centres(side)) + np.asarray(shift)[:, None] + 1) * side / 2 - 0.5
    inside = (places > -0.5) & (places < side - 0.5)
    places = np.clip(places, 0, side - 1).astype(np.float32)
    weights = np.maximum(1 - np.abs(places[:, :, None] - np.arange(side, dtype=np.float32)), 0)
    return weights, inside


def _centres(side: int) -> np.ndarray:
    return (np.arange(side) + 0.5) * 2 / side - 1


def align(one: np.ndarray, two: np.ndarray, guess: np.ndarray, steps: int) -> Aligned:
    """Align pictures with others by least squares.

    one, two: (p, c, side, side) float32. guess: (p, 4) as `Aligned.moved`. steps: Gauss-Newton steps on the
    means over channels (Lucas and Kanade 1981, An iterative image registration technique), with free
    brightness and contrast.
    """
    moved, grey, target = guess, one.mean(axis=1, keepdims=True), two.mean(axis=1)
    for _ in range(steps):
        moved = _step(_moved(grey, moved), target, moved)
    aligned, inside = _moved(one, moved)
    return Aligned(aligned, two, inside, moved)


def _moved(images: np.ndarray, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    side = images.shape[-1]
    across, inside_x = sampling(moved[:, 0], moved[:, 1], side)
    down, inside_y = sampling(moved[:, 2], moved[:, 3], side)
    aligned = down[:, None] @ images @ across.transpose(0, 2, 1)[:, None]
    return aligned, (inside_y[:, :, None] & inside_x[:, None, :])[:, None]


def _step(now: tuple[np.ndarray, np.ndarray], target: np.ndarray, moved: np.ndarray) -> np.ndarray:
    aligned, inside = now[0][:, 0], now[1]
    count, side = len(aligned), aligned.shape[-1]
    slope_y, slope_x = np.gradient(aligned, 2 / side, axis=(1, 2))
    slope_x /= moved[:, 0, None, None].astype(np.float32)
    slope_y /= moved[:, 2, None, None].astype(np.float32)
    place = _centres(side).astype(np.float32)
    columns = (slope_x * place, slope_x, slope_y * place[:, None], slope_y, aligned, np.ones_like(aligned))
    design = np.stack(columns, axis=1).reshape(count, 6, -1) * inside.reshape(count, 1, -1)
    square = (design @ design.transpose(0, 2, 1)).astype(np.float64)
    square += 1e-6 * np.trace(square, axis1=1, axis2=2)[:, None, None] * np.eye(6)
    answer = np.linalg.solve(square, design @ target.reshape(count, -1, 1))[:, :, 0]
    gain = np.maximum(answer[:, 4:5], 0.1)
    nearer: np.ndarray = moved + np.clip(answer[:, :4] / gain, -MAX_CORRECTION, MAX_CORRECTION)
    return nearer


def detail_correlation(aligned: Aligned) -> np.ndarray:
    """Return (p,) correlations of high-pass filtered pictures: less their means over 5 x 5 pixels."""
    weights = (
        np.broadcast_to(aligned.inside, aligned.one.shape).reshape(len(aligned.one), -1).astype(np.float32)
    )
    count = np.maximum(weights.sum(axis=1, keepdims=True), 1)
    one, two = (
        (flat - (flat * weights).sum(axis=1, keepdims=True) / count) * weights
        for flat in ((side - _means(side, 5)).reshape(len(side), -1) for side in (aligned.one, aligned.two))
    )
    lengths = np.sqrt((one * one).sum(axis=1) * (two * two).sum(axis=1))
    answer: np.ndarray = (one * two).sum(axis=1) / np.maximum(lengths, np.float32(1e-6))
    return answer


def disagreement(aligned: Aligned, share: float) -> np.ndarray:
    """Return (p,) the 1 - `share` quantile over pixels of the dissimilarity, in grey levels.

    The dissimilarity is insensitive to sampling at edges (Birchfield and Tomasi 1998, A pixel dissimilarity
    measure that is insensitive to image sampling), averaged over 3 x 3 pixels; the worst channel counts.
    """
    differs = np.minimum(_outside(aligned.one, aligned.two), _outside(aligned.two, aligned.one))
    worst = _means(differs * aligned.inside, 3).max(axis=1).reshape(len(differs), -1)
    answer: np.ndarray = np.quantile(worst, 1 - share, axis=1)
    return answer


def local_correlation(aligned: Aligned, share: float, noise: float = 36.0) -> np.ndarray:
    """Return (p,) the `share` quantile over positions of the correlation in 9 x 9 windows.

    noise: the variance of noise, in squared grey levels.
    """
    one, two = aligned.one, aligned.two
    mean_one, mean_two = _means(one, 9), _means(two, 9)
    spreads = [
        np.maximum(_means(own * own, 9) - mean * mean, 0) for own, mean in ((one, mean_one), (two, mean_two))
    ]
    common = _means(one * two, 9) - mean_one * mean_two
    alike = (common + noise) / (np.sqrt(spreads[0] * spreads[1]) + noise)
    answer: np.ndarray = np.quantile(np.where(aligned.inside, alike, 1).reshape(len(one), -1), share, axis=1)
    return answer


def match_brightness(aligned: Aligned) -> Aligned:
    """Match brightness and contrast of the moved pictures to their targets.

    Takes the better of two fits: over all pixels, and over those that a change of brightness has not clipped
    (white backgrounds often are). The result is clipped, too.
    """
    one, two = aligned.one, aligned.two
    clear = aligned.inside & (np.minimum(one, two) > _DARK) & (np.maximum(one, two) < _LIGHT)
    fits = [_matched(one, two, weights) for weights in (aligned.inside, clear)]
    left = [(np.abs(fit - two) * aligned.inside).sum(axis=(1, 2, 3), keepdims=True) for fit in fits]
    return replace(aligned, one=np.where(left[0] <= left[1], *fits))


def _matched(one: np.ndarray, two: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Apply the least-squares gain and offset to pictures, the gain shrunk towards 1."""
    weights = np.broadcast_to(weights, one.shape).astype(np.float32)
    count = np.maximum(weights.sum(axis=(1, 2, 3), keepdims=True), 1)
    means = [(side * weights).sum(axis=(1, 2, 3), keepdims=True) / count for side in (one, two)]
    from_one, from_two = ((side - mean) * weights for side, mean in zip((one, two), means, strict=True))
    common, spread = (
        (from_one * side).sum(axis=(1, 2, 3), keepdims=True) / count + _VARIANCE
        for side in (from_two, from_one)
    )
    answer: np.ndarray = np.clip((one - means[0]) * np.clip(common / spread, 0.5, 2) + means[1], 0, 255)
    return answer


def _outside(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Return the distance of the first pictures' pixels to the interpolated range of the second ones'."""
    highest = (two + _extreme(two, np.maximum)) / 2
    lowest = (two + _extreme(two, np.minimum)) / 2
    answer: np.ndarray = np.maximum(np.maximum(one - highest, lowest - one), 0)
    return answer


def _extreme(images: np.ndarray, which: np.ufunc) -> np.ndarray:
    """Return (p, c, side, side) extremes over three by three pixels, several times as fast as SciPy's."""
    rows = images.copy()
    which(rows[:, :, 1:], images[:, :, :-1], out=rows[:, :, 1:])
    which(rows[:, :, :-1], images[:, :, 1:], out=rows[:, :, :-1])
    answer = rows.copy()
    which(answer[..., 1:], rows[..., :-1], out=answer[..., 1:])
    which(answer[..., :-1], rows[..., 1:], out=answer[..., :-1])
    return answer


def _means(images: np.ndarray, width: int) -> np.ndarray:
    """Return (p, c, side, side) means over `width` x `width` pixels."""
    from scipy.ndimage import uniform_filter

    answer: np.ndarray = uniform_filter(images, size=(1, 1, width, width), mode="nearest")
    return answer
