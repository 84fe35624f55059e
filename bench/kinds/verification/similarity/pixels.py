"""Comparison of photos by grey pixels alone: structural similarity, and distance of histograms."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from bench.core.errors import BenchError

BLOCK = 64
"""Number of pairs with pixels in memory at a time."""

WINDOW = 7
"""Pixels along a side of the window in which structures are compared, where photos are as large."""

Reader = Callable[[np.ndarray], np.ndarray]
"""Positions (m,) -> (m, height, width, 3) uint8 photos."""


def grey(photos: np.ndarray) -> np.ndarray:
    """Return (m, height, width) uint8 of (m, height, width, 3) uint8: ITU-R 601 luma, rounded."""
    weighted = photos.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    out: np.ndarray = np.rint(weighted).astype(np.uint8)
    return out


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean structural similarity of two (height, width) uint8 photos (Wang et al. 2004).

    Raises BenchError for photos of fewer than 3 pixels along a side.
    """
    from skimage.metrics import structural_similarity as similarity

    side = min(first.shape)
    if side < 3:
        raise BenchError(f"ssim compares windows of 3 pixels or more; photos are {side} along a side")
    window = min(WINDOW, side if side % 2 else side - 1)
    compare: Callable[..., float] = similarity
    return float(compare(first, second, win_size=window, data_range=255))


def emd(first: np.ndarray, second: np.ndarray) -> float:
    """Return minus the earth mover's distance between two photos' histograms, in grey levels of 0 to 255.

    On a line that distance is the area between both distribution functions (`scipy.stats`).
    """
    from scipy.stats import wasserstein_distance

    levels = np.arange(256)
    counts = (np.bincount(photo.ravel(), minlength=256) for photo in (first, second))
    return -float(wasserstein_distance(levels, levels, *counts))


PHOTO_RULES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {"ssim": ssim, "emd": emd}


class PhotoScores:
    """Scores of one rule over the photos of a job, each pair of them worked out once."""

    def __init__(self, rule: str, read: Reader) -> None:
        self.rule, self.read = PHOTO_RULES[rule], read
        self.known: dict[tuple[int, int], float] = {}

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return (m,) float32 for pairs of positions."""
        wanted = [(min(pair), max(pair)) for pair in zip(first.tolist(), second.tolist(), strict=True)]
        missing = [pair for pair in dict.fromkeys(wanted) if pair not in self.known]
        for pairs, scores in self._worked_out(missing):
            self.known.update(zip(pairs, scores, strict=True))
        return np.array([self.known[pair] for pair in wanted], np.float32)

    def _worked_out(
        self, missing: list[tuple[int, int]]
    ) -> Iterator[tuple[list[tuple[int, int]], list[float]]]:
        with ThreadPoolExecutor() as pool:
            for start in range(0, len(missing), BLOCK):
                part = missing[start : start + BLOCK]
                rows, places = np.unique(np.array(part), return_inverse=True)
                photos, places = grey(self.read(rows)), places.reshape(-1, 2)
                ones, others = photos[places[:, 0]], photos[places[:, 1]]
                yield part, list(pool.map(self.rule, ones, others))
