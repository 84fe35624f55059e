"""ROC areas and average precisions of binary scores on thousands of resamples at once.

`bench.metrics.curves` computes the same areas in double precision, for a few weightings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.metrics.means import ratio

FLUSH = 128
"""Number of groups summed in single precision between additions to a double-precision sum."""

_NOT_ZERO = np.float32(1e-30)
"""Negligible next to any weight; avoids division by zero."""


class TieGroup(NamedTuple):
    """Items of equal score, at least one of them positive.

    yes, no: its positive and negative items. between: negatives that score between this group and the one
    before.
    """

    between: list[int]
    yes: list[int]
    no: list[int]


def resampled_areas(
    scores: np.ndarray, truth: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return ROC areas and average precisions, (draws, k) float64 each, as `bench.metrics.curves.areas` does.

    scores, truth: (n, k). weights: (draws, n), not negative. Single precision: areas are right to six digits.
    The loop runs over items by score, vectorised over draws: an addition for each negative, a division for
    each positive.
    """
    by_item = np.ascontiguousarray(weights.T, dtype=np.float32)
    auc, ap = np.empty((2, len(weights), scores.shape[1]))
    for c in range(scores.shape[1]):
        auc[:, c], ap[:, c] = _areas(*tie_groups(scores[:, c], truth[:, c]), by_item)
    return auc, ap


def tie_groups(scores: np.ndarray, truth: np.ndarray) -> tuple[list[TieGroup], list[int]]:
    """Return the tie groups of one attribute, highest scores first, and the negatives below the last one.

    scores, truth: (n,); truth is -1 where unknown, and such items are left out.
    """
    seen = np.flatnonzero(truth >= 0)
    order = seen[np.argsort(-scores[seen], kind="stable")]
    # Lists, as most groups have an item or two: an array would take longer to make than to use.
    items, own, is_yes = order.tolist(), scores[order].tolist(), (truth[order] == 1).tolist()
    out: list[TieGroup] = []
    between: list[int] = []
    first = 0
    while first < len(items):
        end = first + 1
        while end < len(items) and own[end] == own[first]:
            end += 1
        yes = [items[i] for i in range(first, end) if is_yes[i]]
        no = [items[i] for i in range(first, end) if not is_yes[i]]
        if yes:
            out.append(TieGroup(between, yes, no))
            between = []
        else:
            between += no
        first = end
    return out, between


def _areas(
    found: Sequence[TieGroup], below: Sequence[int], weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return ROC area and average precision, (draws,) each. weights: (n, draws) float32."""
    draws = weights.shape[1]
    no, yes = np.full(draws, _NOT_ZERO), np.zeros(draws, np.float32)
    # Discordant pairs: for each positive, the negatives that score higher, and half of the tied ones.
    lost, precision, term, both = np.zeros((4, draws), np.float32)
    all_lost, all_precision = np.zeros((2, draws))
    for index, group in enumerate(found, 1):
        for item in group.between:
            np.add(no, weights[item], out=no)
        own = weights[group.yes[0]] if len(group.yes) == 1 else weights[group.yes].sum(axis=0)
        np.add(yes, own, out=yes)
        if group.no:
            tied = weights[group.no].sum(axis=0)
            lost += own * (no + tied / 2)
            no += tied
        else:
            np.multiply(own, no, out=term)
            np.add(lost, term, out=lost)
        np.add(yes, no, out=both)
        np.divide(yes, both, out=term)
        np.multiply(term, own, out=term)
        np.add(precision, term, out=precision)
        if index % FLUSH == 0 or index == len(found):
            all_lost += lost
            all_precision += precision
            lost[:] = precision[:] = 0
    for item in below:
        np.add(no, weights[item], out=no)
    yes, no = yes.astype(np.float64), np.where(no == _NOT_ZERO, 0, no).astype(np.float64)
    pairs = yes * no
    auc = ratio(pairs - all_lost, pairs)
    return auc, np.where(np.isnan(auc), np.nan, ratio(all_precision, yes))
