"""ROC areas as means of a number each item has, so that a bootstrap draws them by one product of matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class Placements(NamedTuple):
    """Numbers of n items whose means are ROC areas; None where no class has one.

    own: (n,) share of the other classes' items that score lower for the item's class than the item itself,
    ties counting half; 0 where the class has no area. macro, weighted: (n,) whose means are the mean over
    classes of the one-vs-rest area, and the mean weighted by items.
    """

    own: np.ndarray
    macro: np.ndarray
    weighted: np.ndarray


def placements(scores: np.ndarray, truth: np.ndarray) -> Placements | None:
    """Return what each item adds to the ROC areas. scores: (n, k); truth: (n,) index into the k classes.

    An area is a mean over pairs of a positive and a negative item; weighted by how often a resample has an
    item, it is to first order the area plus the weighted mean of these numbers' distances from it (DeLong et
    al. 1988, Biometrics 44:837; the infinitesimal jackknife). What is left out is of the order of one over
    the items of the smaller side.
    """
    n, k = scores.shape
    own, macro, weighted = np.zeros(n), np.zeros(n), np.zeros(n)
    areas = np.full(k, np.nan)
    support = np.bincount(truth, minlength=k)
    defined = (support > 0) & (support < n)
    if not defined.any():
        return None
    scored = int(support[defined].sum())
    for c in np.flatnonzero(defined):
        mine, m = truth == c, int(support[c])
        part, areas[c], own[mine] = _one(scores[:, c], np.flatnonzero(mine), np.flatnonzero(~mine))
        macro += part / defined.sum()
        weighted += part * (m / scored)
    mean_weighted = float((areas[defined] * support[defined]).sum() / scored)
    # How much a class counts is drawn too.
    weighted += np.where(defined, areas - mean_weighted, 0.0)[truth] / scored
    return Placements(own, areas[defined].mean() + n * macro, mean_weighted + n * weighted)


def attribute_areas(
    scores: np.ndarray, truth: np.ndarray, among: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return, by name, (n,) numbers whose mean is the mean ROC area of some of k attributes.

    scores: (n, k). truth: (n, k), 1, 0, or -1 for a cell that is not scored. among: name -> (k,) bool, which
    attributes; of these, the ones with both a yes and a no count, and a name without any is left out.
    """
    areas, parts = attribute_parts(scores, truth)
    counted = {name: inside & ~np.isnan(areas) for name, inside in among.items()}
    return {
        name: areas[inside].mean() + len(truth) * parts[inside].mean(axis=0)
        for name, inside in counted.items()
        if inside.any()
    }


def attribute_parts(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ROC area of each attribute, (k,), NaN without both a yes and a no, and what each item adds.

    scores, truth: (n, k), see `attribute_areas`. The second array is (k, n), rows summing to 0: the squares
    of a row add up to the variance of its area.
    """
    n, k = scores.shape
    areas, parts = np.full(k, np.nan), np.zeros((k, n))
    for c in range(k):
        yes, no = np.flatnonzero(truth[:, c] == 1), np.flatnonzero(truth[:, c] == 0)
        if len(yes) and len(no):
            parts[c], areas[c], _ = _one(scores[:, c], yes, no)
    return areas, parts


def _one(scores: np.ndarray, mine: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Return what each of n items adds to an area, (n,), the area, and the placements of the m positives.

    mine, rest: places of positives and negatives among the n.
    """
    column = np.ascontiguousarray(scores)
    order = np.argsort(column[mine], kind="stable")
    sorted_mine, m = column[mine][order], len(mine)
    others = column[rest]
    lower = np.searchsorted(sorted_mine, others, "left")
    # Few scores are equal, and a second search takes as long as the first.
    tied = np.flatnonzero(sorted_mine[np.minimum(lower, m - 1)] == others)
    up_to = lower.copy()
    up_to[tied] = np.searchsorted(sorted_mine, others[tied], "right")
    # Of the rest, those below the r-th of ours have at most r of ours at or below them.
    below = np.cumsum(np.bincount(up_to, minlength=m + 1))[:m]
    at_most = np.cumsum(np.bincount(lower, minlength=m + 1))[:m]
    own = np.empty(m)
    own[order] = (below + at_most) / (2 * len(rest))
    area = float(own.mean())
    part = np.zeros(len(scores))
    part[mine] = (own - area) / m
    part[rest] = (1 - (lower + up_to) / (2 * m) - area) / len(rest)
    return part, area, own
