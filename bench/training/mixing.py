"""Minibatches whose images and losses are mixed in pairs: blended (mixup), or pasted (CutMix, CMO)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.training.fits import Mixing

_MIXES = 3
"""Random stream, next to those of `bench.training.schedule`."""


@dataclass(frozen=True)
class Mix:
    """Mixing of n rows of an epoch, in the epoch's order.

    shares: (n,) float32, of the row itself. others: (n,) int64, the rows mixed in, as positions among the
    fit's training rows. partners: (n,) int64, the same as positions in the row's minibatch, or None where
    they come from elsewhere. boxes: (n, 4) int64, the part of the image (top, bottom, left, right; ends
    excluded) that is the other's, or None where inputs are blended whole.
    """

    shares: np.ndarray
    others: np.ndarray
    partners: np.ndarray | None = None
    boxes: np.ndarray | None = None

    def part(self, start: int, stop: int) -> Mix:
        """Return the mix of some of the rows."""
        partners, boxes = (
            None if array is None else array[start:stop] for array in (self.partners, self.boxes)
        )
        return Mix(self.shares[start:stop], self.others[start:stop], partners, boxes)

    def paste(self, images: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return (n, h, w, c) images, each with its box filled from the same place of (n, h, w, c) others."""
        assert self.boxes is not None
        pasted = images.copy()
        for image, other, (top, bottom, left, right) in zip(pasted, others, self.boxes.tolist(), strict=True):
            image[top:bottom, left:right] = other[top:bottom, left:right]
        return pasted


def epoch_mix(
    mixing: Mixing,
    order: np.ndarray,
    size: int,
    seed: int,
    epoch: int,
    mixed: np.ndarray | None = None,
    image: tuple[int, int] = (0, 0),
    odds: np.ndarray | None = None,
) -> Mix:
    """Return the mix of the rows of an epoch (counted from 1).

    order: (n,) the fit's n training rows, as positions, in the order of the epoch. size: of minibatches.
    mixed: (n,) bool by position, rows that may be mixed, or None for all. image: (height, width) for pasting.
    odds: (n,) by position, the probability of each row to be pasted, for `cmo`.
    """
    random, rows = np.random.default_rng([_MIXES, seed, epoch]), len(order)
    shares = random.beta(mixing.alpha, mixing.alpha, rows).astype(np.float32)
    counts = [min(size, rows - start) for start in range(0, rows, size)]
    permuted = [random.permutation(count) for count in counts]
    partners = np.concatenate([np.empty(0, np.int64), *permuted])
    others = order[np.arange(rows) // size * size + partners]
    may = np.ones(rows, bool) if mixed is None else mixed[order]
    if mixing.way == "mixup":
        return Mix(np.where(may, shares, np.float32(1)), others, partners)
    hit = may & (random.random(rows) < mixing.share)
    centres = np.stack([random.integers(0, side, rows) for side in image], axis=1)
    boxes = np.where(hit[:, None], patch_boxes(shares, centres, image), 0)
    left = left_shares(boxes, image)
    if mixing.way == "cutmix":
        return Mix(left, others, partners, boxes)
    assert odds is not None
    return Mix(left, random.choice(rows, rows, p=odds), None, boxes)


def blended(inputs: Any, rows: Mapping[str, Any]) -> Any:
    """Return (n, ...) inputs of a minibatch, each mixed with its partner: kept * own + (1 - kept) * other."""
    import tensorflow as tf

    kept = tf.reshape(rows["kept"], [-1, *[1] * (len(inputs.shape) - 1)])
    return kept * inputs + (1.0 - kept) * tf.gather(inputs, rows["partners"])


def patch_boxes(shares: np.ndarray, centres: np.ndarray, image: tuple[int, int]) -> np.ndarray:
    """Return the (n, 4) int64 boxes of patches, see `Mix`, whose sides are sqrt(1 - share) of the image's.

    centres: (n, 2) int64, row and column. The part outside is cut off, as in keras_cv's CutMix.
    """
    ratio = np.sqrt(np.float32(1) - shares.astype(np.float32))
    edges = []
    for side, centre in zip(image, centres.T, strict=True):
        cut = (ratio * np.float32(side)).astype(np.int64)
        start = centre - cut // 2
        edges += [np.clip(start, 0, side), np.clip(start + cut, 0, side)]
    return np.stack(edges, axis=1)


def left_shares(boxes: np.ndarray, image: tuple[int, int]) -> np.ndarray:
    """Return the (n,) float32 share of each image's area that lies outside its box.

    It counts the visible part of a patch, as the papers' programs do; keras_cv's CutMix counts the part
    outside the image too.
    """
    height, width = image
    area = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])
    left: np.ndarray = (1.0 - area / (height * width)).astype(np.float32)
    return left


def guest_odds(labels: np.ndarray, power: float) -> np.ndarray:
    """Return the (n,) float64 probability of each of n rows to be the source of a patch.

    count ** -power of the row's class, normalised: 0 makes rows equally likely, 1 classes, and more favours
    small classes. The program of Park et al. 2022 has 1.
    """
    counts = np.bincount(labels)[labels].astype(np.float64)
    odds: np.ndarray = counts**-power
    odds /= odds.sum()
    return odds
