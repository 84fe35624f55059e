"""What the losses of attributes are built from: yes, no and unknown cells in NumPy arrays.

Arrays lie row by row in memory (C order). What comes back is new, and the caller may overwrite it.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Side = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""What an answer costs, and the slope of that, given the logit of the wrong one."""

_TINY = 1e-30
"""Stands for a probability of 0 where its logarithm is taken or something divided by it."""

_SLACK = 1e-9
"""Of a cell: what 0.1 * 3 * 10 may be above 3 without one cell more being chosen."""


def observed(targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the targets with 0 for unknown, and 1 for observed cells, 0 for the others, float32."""
    return np.fmax(targets, 0.0), (targets == targets).astype(np.float32)


def masked(
    loss: np.ndarray, slope: np.ndarray, share: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all three, loss and slope times the share, in place."""
    loss *= share
    slope *= share
    return loss, slope, share


def logistic(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sigmoid(logits), and log(1 + exp(-abs(logits))), which is its integral less max(logits, 0).

    log(1 + x), not log1p(x): three times as fast, and off by no more than one rounding of 1.
    """
    powers = np.abs(logits)
    np.negative(powers, out=powers)
    np.exp(powers, out=powers)
    total = 1.0 + powers
    share = np.maximum(powers, logits >= 0, out=powers)
    share /= total
    return share, np.log(total, out=total)


def entropy(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return cross entropy and its slope for targets from 0 to 1."""
    slope, rest = logistic(logits)
    loss = np.maximum(logits, 0.0)
    loss -= logits * targets
    loss += rest
    slope -= targets
    return loss, slope


def focused(against: np.ndarray, gamma: float) -> tuple[np.ndarray, np.ndarray]:
    """Return -w^gamma log(1 - w) and its slope, w the sigmoid of the wrong answer's logit."""
    wrong, rest = logistic(against)
    surprise = np.maximum(against, 0.0)
    surprise += rest
    if not gamma:
        return surprise, wrong
    focus = np.minimum(against, 0.0)
    focus -= rest
    focus *= gamma
    np.exp(focus, out=focus)
    slope = gamma * surprise
    slope *= 1.0 - wrong
    slope += wrong
    slope *= focus
    focus *= surprise
    return focus, slope


def clipped(logits: np.ndarray, gamma: float, clip: float) -> tuple[np.ndarray, np.ndarray]:
    """Return -s^gamma log(1 - s) and its slope, s = max(sigmoid(logits) - clip, 0), clip above 0."""
    p, _ = logistic(logits)
    s = p - clip
    live = s > 0
    np.maximum(s, _TINY, out=s)
    left = 1.0 - s
    surprise = -np.log(left)
    slope = p * (1.0 - p)
    slope *= live
    if not gamma:
        slope /= left
        return surprise, slope
    focus = np.exp(gamma * np.log(s))
    slope *= focus * (gamma * surprise / s + 1.0 / left)
    focus *= surprise
    return focus, slope


def mixed(
    logits: np.ndarray, targets: np.ndarray, no: Side, yes: Side, lowered: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return loss and slope of targets from 0 to 1: a yes's loss times the target, a no's times the rest.

    lowered: (n, k), taken off the logits of yes, or None.
    """
    if no is yes and bool((np.rint(targets) == targets).all()):
        return _either(logits, targets, no, lowered)
    # Every cell is measured as a no, and those with something of a yes besides: most often they are few.
    cells = (targets > 0).ravel().nonzero()[0]
    part = targets.ravel()[cells]
    against = -logits.ravel()[cells]
    if lowered is not None:
        against += lowered.ravel()[cells]
    loss, slope = no(logits)
    yes_loss, yes_slope = yes(against)
    yes_slope *= -part
    yes_loss *= part
    for whole, more in ((loss.ravel(), yes_loss), (slope.ravel(), yes_slope)):
        whole[cells] = more + (1.0 - part) * whole[cells]
    return loss, slope


def _either(
    logits: np.ndarray, targets: np.ndarray, side: Side, lowered: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Do the same for targets of 0 and 1 and answers that cost alike: by the sign of the logit."""
    sign = 1.0 - 2.0 * targets
    against = logits * sign
    if lowered is not None:
        against += lowered * targets
    loss, slope = side(against)
    slope *= sign
    return loss, slope


def how_many(rate: float, cells: int) -> int:
    """Return this share of the cells, rounded up, all at most."""
    return min(cells, math.ceil(rate * cells - _SLACK))


def highest(logits: np.ndarray, cells: np.ndarray, wanted: int) -> np.ndarray:
    """Return which of these places hold the highest logits, so many or all; of equal ones the first.

    As a no, the higher its logit the larger a cell's loss, so that losses are not needed.
    """
    if wanted <= 0 or not len(cells):
        return cells[:0]
    own = logits.ravel()[cells]
    first = max(len(cells) - wanted, 0)
    border = np.partition(own, first)[first]
    above, tied = cells[own > border], cells[own == border]
    return np.concatenate([above, tied[: wanted - len(above)]])
