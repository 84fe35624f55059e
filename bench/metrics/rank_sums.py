"""Placement values: ROC areas as means over items, so that a bootstrap is one matrix product."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


class Placements(NamedTuple):
    """Values of n items whose means are ROC areas.

    own: (n,) share of the other classes' items that score lower than this one for its class, ties counting
    half; 0 where the class has no area. macro, weighted: (n,), their means are the one-vs-rest areas averaged
    over classes, unweighted and weighted by items.
    """

    own: np.ndarray
    macro: np.ndarray
    weighted: np.ndarray


def placements(scores: np.ndarray, truth: np.ndarray) -> Placements | None:
    """Return each item's contribution to the ROC areas, None if no class has an area.

    scores: (n, k); truth: (n,) index into the k classes. An area is a mean over positive-negative pairs. Its
    value on a resample is, to first order, the weighted mean of these contributions (DeLong et al. 1988,
    Biometrics 44:837; the infinitesimal jackknife). The error is of the order of one over the number of items
    of the smaller side.
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
        added, areas[c], own[mine] = _one_area(scores[:, c], np.flatnonzero(mine), np.flatnonzero(~mine))
        macro += added / defined.sum()
        weighted += added * (m / scored)
    mean_weighted = float((areas[defined] * support[defined]).sum() / scored)
    # The classes' weights vary over resamples, too.
    weighted += np.where(defined, areas - mean_weighted, 0.0)[truth] / scored
    return Placements(own, areas[defined].mean() + n * macro, mean_weighted + n * weighted)


def attribute_areas(
    scores: np.ndarray, truth: np.ndarray, among: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Return, by name, (n,) values whose mean is the mean ROC area over a subset of k attributes.

    scores: (n, k). truth: (n, k), 1, 0, or -1 where unknown. among: name -> (k,) bool, the subset.
    Attributes without both a yes and a no are left out, and so are names without any attribute.
    """
    areas, parts = attribute_parts(scores, truth)
    counted = {name: inside & ~np.isnan(areas) for name, inside in among.items()}
    return {
        name: areas[inside].mean() + len(truth) * parts[inside].mean(axis=0)
        for name, inside in counted.items()
        if inside.any()
    }


def attribute_parts(scores: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ROC area of each attribute, (k,), NaN without both a yes and a no, and items' contributions.

    scores, truth: (n, k), see `attribute_areas`. Contributions are (k, n) with rows that sum to 0; the sum of
    squares of a row is the variance of its area.
    """
    n, k = scores.shape
    areas, parts = np.full(k, np.nan), np.zeros((k, n))
    for c in range(k):
        yes, no = np.flatnonzero(truth[:, c] == 1), np.flatnonzero(truth[:, c] == 0)
        if len(yes) and len(no):
            parts[c], areas[c], _ = _one_area(scores[:, c], yes, no)
    return areas, parts


def _one_area(scores: np.ndarray, mine: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, float, np.ndarray]:
    """Return the contributions of n items to an area, (n,), the area, and the placements of m positives.

    mine, rest: indices of positives and negatives among the n items.
    """
    column = np.ascontiguousarray(scores)
    order = np.argsort(column[mine], kind="stable")
    sorted_mine, m = column[mine][order], len(mine)
    others = column[rest]
    lower = np.searchsorted(sorted_mine, others, "left")
    # Few scores are tied: search again only for those.
    tied = np.flatnonzero(sorted_mine[np.minimum(lower, m - 1)] == others)
    up_to = lower.copy()
    up_to[tied] = np.searchsorted(sorted_mine, others[tied], "right")
    # Negatives below the r-th positive have at most r positives at or below them.
    below = np.cumsum(np.bincount(up_to, minlength=m + 1))[:m]
    at_most = np.cumsum(np.bincount(lower, minlength=m + 1))[:m]
    own = np.empty(m)
    own[order] = (below + at_most) / (2 * len(rest))
    area = float(own.mean())
    part = np.zeros(len(scores))
    part[mine] = (own - area) / m
    part[rest] = (1 - (lower + up_to) / (2 * m) - area) / len(rest)
    return part, area, own
