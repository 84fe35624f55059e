"""Minibatches whose images and losses are mixed in pairs: blended (mixup), or pasted (CutMix, CMO)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.models.objective import Objective

_MIXES = 3
"""The stream of random numbers, beside those of `bench.models.schedule`."""


WAYS = ("mixup", "cutmix", "cmo")
"""How inputs are mixed, see `Mixing`."""


@dataclass(frozen=True)
class Mixing:
    """How a method mixes what it trains on.

    way: `mixup` blends inputs (Zhang et al. 2018, arXiv:1710.09412), `cutmix` pastes a patch of another image
    of the minibatch (Yun et al. 2019, arXiv:1905.04899), `cmo` a patch of an image that is drawn by its class
    (Park et al. 2022, arXiv:2112.00412). alpha: shares are drawn from Beta(alpha, alpha). share: which share
    of the images a patch is pasted into. power: see `guest_odds`. minority: whether images of other classes
    are left as they are.
    """

    way: str
    alpha: float
    share: float = 1.0
    power: float = 1.0
    minority: bool = False


@dataclass(frozen=True)
class Mix:
    """How n rows of an epoch are mixed, in the epoch's order.

    shares: (n,) float32, what is left of each row. others: (n,) int64, whose input and label make up the
    rest, as positions among the lane's training rows. partners: (n,) int64, the same as positions in the
    row's own minibatch, or None where others come from elsewhere. boxes: (n, 4) int64, the part of the image
    (top, bottom, left, right; ends excluded) that is the other's, or None where inputs are blended whole.
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

    def inputs(self, inputs: np.ndarray) -> np.ndarray:
        """Return the (n, ...) blended inputs of one minibatch: share * own + (1 - share) * partner's."""
        shares = self.shares.reshape(-1, *(1,) * (inputs.ndim - 1))
        blended: np.ndarray = shares * inputs + (np.float32(1) - shares) * inputs[self.partners]
        return blended

    def paste(self, images: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Return (n, h, w, c) images in which each one's box shows what (n, h, w, c) others show there."""
        assert self.boxes is not None
        pasted = images.copy()
        for image, other, (top, bottom, left, right) in zip(pasted, others, self.boxes.tolist(), strict=True):
            image[top:bottom, left:right] = other[top:bottom, left:right]
        return pasted


def measure_mixed(
    objective: Objective,
    logits: np.ndarray,
    labels: np.ndarray,
    places: np.ndarray,
    shares: np.ndarray,
    other_labels: np.ndarray,
    other_places: np.ndarray,
) -> tuple[float, float, np.ndarray]:
    """Return sums and slope of the loss of a mixed minibatch against both labels of each row.

    share * loss against its own label + (1 - share) * loss against the other's, each with the weight of the
    row whose label it is. Of cross entropy that is the loss against mixed labels. The rest is as `Objective`
    tells.
    """
    own = objective(logits.copy(), labels, places, shares)
    other = objective(logits, other_labels, other_places, np.float32(1) - shares)
    seen = own[1] + other[1]
    slope = np.zeros_like(own[2])
    for _, weight, part in (own, other):
        slope += np.float32(weight / seen if seen else 0.0) * part
    return own[0] + other[0], seen, slope


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
    """Return how the rows of an epoch (counted from 1) are mixed.

    order: (n,) the lane's n training rows, as positions, in the order of the epoch; minibatches are `size` of
    them. mixed: (n,) bool by position, which rows may be mixed, or None for all. image: (height, width), for
    what pastes. odds: (n,) by position, the probability of each row to be pasted, for `cmo`.
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


def patch_boxes(shares: np.ndarray, centres: np.ndarray, image: tuple[int, int]) -> np.ndarray:
    """Return the (n, 4) int64 boxes of patches, see `Mix`, whose sides are sqrt(1 - share) of the image's.

    centres: (n, 2) int64, row and column. What would lie outside is cut off, as keras_cv's CutMix does.
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

    This is what of a patch was really pasted, as in the papers' programs; keras_cv's CutMix counts what lies
    outside the image too, so that its labels are mixed by more than can be seen.
    """
    height, width = image
    area = (boxes[:, 1] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 2])
    left: np.ndarray = (1.0 - area / (height * width)).astype(np.float32)
    return left


def guest_odds(labels: np.ndarray, power: float) -> np.ndarray:
    """Return the (n,) float64 probability of each of n rows to be the one a patch is taken from.

    count ** -power of the row's class, over their sum: with 0 every row is as likely, with 1 every class,
    with more the smallest classes are the likeliest. The program of Park et al. 2022 draws so, with 1.
    """
    counts = np.bincount(labels)[labels].astype(np.float64)
    odds: np.ndarray = counts**-power
    odds /= odds.sum()
    return odds
