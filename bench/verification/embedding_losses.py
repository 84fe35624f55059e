"""Losses of embeddings on the unit sphere as NumPy functions: the mean loss of a batch, and its slope.

Every one takes (b, k) rows of length one and gives a float and the (b, k) slope by these rows. They are
checked against automatic differentiation in the tests.
"""

from __future__ import annotations

import math

import numpy as np

APART = 1e-6
"""Distances below this have no direction; their slope is taken for zero."""


def contrastive(
    first: np.ndarray, second: np.ndarray, same: np.ndarray, margin: float
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the mean of y D^2 / 2 + (1 - y) max(0, margin - D)^2 / 2, D a pair's distance, and both slopes.

    first, second: (b, k). same: (b,) bool, y. (Hadsell, Chopra and LeCun 2006, equation 4.)
    """
    apart = first - second
    distance = np.linalg.norm(apart, axis=1)
    short = np.maximum(margin - distance, 0.0)
    losses = np.where(same, distance**2, short**2) / 2
    # What is at one place is not pushed: there is no direction to push it in.
    push = np.where(distance > APART, short / np.maximum(distance, APART), 0.0)
    slope: np.ndarray = apart * (np.where(same, 1.0, -push) / len(first))[:, None]
    return float(losses.mean()), slope, -slope


def batch_hard(rows: np.ndarray, people: np.ndarray, margin: float) -> tuple[float, np.ndarray]:
    """Return the mean over photos of max(0, margin + D(farthest own) - D(nearest other)).

    people: (b,) integers. A photo without another of its own person, or without one of others, is left out.
    (Hermans, Beyer and Leibe 2017, equation 5.)
    """
    distance = _distances(rows)
    own, other = _own_and_other(people)
    anchors = np.flatnonzero(own.any(axis=1) & other.any(axis=1))
    if not len(anchors):
        return 0.0, np.zeros_like(rows)
    far = np.where(own, distance, -np.inf)[anchors].argmax(axis=1)
    near = np.where(other, distance, np.inf)[anchors].argmin(axis=1)
    costs: np.ndarray = margin + distance[anchors, far] - distance[anchors, near]
    factor = (costs > 0) / len(anchors)
    slope = np.zeros_like(rows)
    for partner, sign in ((far, 1.0), (near, -1.0)):
        _pull(slope, rows, anchors, partner, sign * factor / np.maximum(distance[anchors, partner], APART))
    return float(np.maximum(costs, 0.0).mean()), slope


def semi_hard(rows: np.ndarray, people: np.ndarray, margin: float) -> tuple[float, np.ndarray]:
    """Return the mean over pairs of one person of max(0, margin + d(own) - d(other)), d squared distances.

    Every ordered pair has the nearest other photo that is farther from the anchor than the pair's second
    photo, or the farthest one where none is. people: (b,) integers. (Schroff, Kalenichenko and Philbin 2015,
    section 3.2.)
    """
    squared = np.square(_distances(rows))
    own, other = _own_and_other(people)
    able = np.asarray(other.any(axis=1))
    anchors, partners = np.nonzero(own & able[:, None])
    if not len(anchors):
        return 0.0, np.zeros_like(rows)
    to_own, to_others = squared[anchors, partners], squared[anchors]
    is_other = other[anchors]
    beyond = is_other & (to_others > to_own[:, None])
    nearest = np.where(beyond, to_others, np.inf).argmin(axis=1)
    farthest = np.where(is_other, to_others, -np.inf).argmax(axis=1)
    rivals = np.where(beyond.any(axis=1), nearest, farthest)
    costs = margin + to_own - squared[anchors, rivals]
    factor = 2.0 * (costs > 0) / len(anchors)
    slope = np.zeros_like(rows)
    for partner, sign in ((partners, 1.0), (rivals, -1.0)):
        _pull(slope, rows, anchors, partner, sign * factor)
    return float(np.maximum(costs, 0.0).mean()), slope


def arcface(cosines: np.ndarray, people: np.ndarray, margin: float, scale: float) -> tuple[float, np.ndarray]:
    """Return the mean cross entropy of softmax over scaled cosines, a margin added to the own person's angle.

    cosines: (b, c), of each photo with each person's direction; the slope is by these. people: (b,) below c.
    Where angle and margin exceed half a turn, the cosine less margin * sin(margin) takes the place of the
    cosine of the sum, which would rise again. (Deng et al. 2019, equation 3, and its published code.)
    """
    places = np.arange(len(people))
    own = np.clip(cosines[places, people], -1.0, 1.0)
    sine = np.sqrt(np.maximum(1.0 - own**2, 0.0))
    inside = own > math.cos(math.pi - margin)
    target = np.where(
        inside, own * math.cos(margin) - sine * math.sin(margin), own - margin * math.sin(margin)
    )
    bend = math.cos(margin) + own / np.maximum(sine, APART) * math.sin(margin)
    return _softmax(cosines, places, people, target, np.where(inside, bend, 1.0), scale)


def cosface(cosines: np.ndarray, people: np.ndarray, margin: float, scale: float) -> tuple[float, np.ndarray]:
    """Return the mean cross entropy of softmax over scaled cosines, a margin taken off the own person's.

    The rest is as in `arcface`. (Wang et al. 2018, equation 4.)
    """
    places = np.arange(len(people))
    own = cosines[places, people]
    return _softmax(cosines, places, people, own - margin, np.ones_like(own), scale)


def _softmax(
    cosines: np.ndarray,
    places: np.ndarray,
    people: np.ndarray,
    target: np.ndarray,
    bend: np.ndarray,
    scale: float,
) -> tuple[float, np.ndarray]:
    """Return mean loss and slope, given what stands for the own cosine and how it moves with it."""
    logits = cosines.copy()
    logits[places, people] = target
    logits *= scale
    logits -= logits.max(axis=1, keepdims=True)
    powers = np.exp(logits)
    sums = powers.sum(axis=1)
    loss = float((np.log(sums) - logits[places, people]).mean())
    slope = powers / sums[:, None]
    slope[places, people] -= 1.0
    slope *= scale / len(people)
    slope[places, people] *= bend
    return loss, slope


def _distances(rows: np.ndarray) -> np.ndarray:
    """Return (b, b) distances between rows."""
    lengths = np.einsum("ij,ij->i", rows, rows)
    squared = lengths[:, None] + lengths[None] - 2.0 * (rows @ rows.T)
    np.fill_diagonal(squared, 0.0)
    distance: np.ndarray = np.sqrt(np.maximum(squared, 0.0))
    return distance


def _own_and_other(people: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (b, b) bool, who is the same person on another photo, and who is another person."""
    same = people[:, None] == people[None]
    return same & ~np.eye(len(people), dtype=bool), ~same


def _pull(
    slope: np.ndarray, rows: np.ndarray, anchors: np.ndarray, partners: np.ndarray, factor: np.ndarray
) -> None:
    """Add factor * (anchor - partner) to the anchors' slope and take it off the partners'."""
    apart = (rows[anchors] - rows[partners]) * factor[:, None]
    np.add.at(slope, anchors, apart)
    np.add.at(slope, partners, -apart)
