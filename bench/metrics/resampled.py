"""Areas of yes-or-no scores on thousands of resamples at once: what a bootstrap spends its time on.

`bench.metrics.curves` works out the same areas, in double precision, for a few weightings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from bench.metrics.means import ratio

FLUSH = 128
"""Steps whose terms are added up in single precision before they go into a sum of double precision."""

_NOT_ZERO = np.float32(1e-30)
"""Beside any weight this is nothing, and nothing can be divided by it."""


class Step(NamedTuple):
    """Cells of one attribute that score the same, one of them yes at least.

    yes, no: their items. between: items of no that score between these and the step before.
    """

    between: list[int]
    yes: list[int]
    no: list[int]


def resampled_areas(
    scores: np.ndarray, truth: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return ROC areas and average precisions, (draws, k) float64 each, as `bench.metrics.curves.areas` does.

    scores, truth: (n, k). weights: (draws, n), not negative. Terms are worked out in single precision: an
    area is right to six digits. One item of all draws is one row of memory, and items are gone through in
    the order of their scores: a draw costs an addition for each no, and a division for each yes.
    """
    by_item = np.ascontiguousarray(weights.T, dtype=np.float32)
    auc, ap = np.empty((2, len(weights), scores.shape[1]))
    for c in range(scores.shape[1]):
        auc[:, c], ap[:, c] = _areas(*steps(scores[:, c], truth[:, c]), by_item)
    return auc, ap


def steps(scores: np.ndarray, truth: np.ndarray) -> tuple[list[Step], list[int]]:
    """Return the steps of one attribute, highest scores first, and the items of no below the last.

    scores, truth: (n,); a cell whose truth is -1 is not there.
    """
    seen = np.flatnonzero(truth >= 0)
    order = seen[np.argsort(-scores[seen], kind="stable")]
    # Of lists: a step is a cell or two, for which an array would take longer to make than to use.
    items, own, is_yes = order.tolist(), scores[order].tolist(), (truth[order] == 1).tolist()
    out: list[Step] = []
    between: list[int] = []
    first = 0
    while first < len(items):
        end = first + 1
        while end < len(items) and own[end] == own[first]:
            end += 1
        yes = [items[i] for i in range(first, end) if is_yes[i]]
        no = [items[i] for i in range(first, end) if not is_yes[i]]
        if yes:
            out.append(Step(between, yes, no))
            between = []
        else:
            between += no
        first = end
    return out, between


def _areas(found: Sequence[Step], below: Sequence[int], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ROC area and average precision, (draws,) each. weights: (n, draws) float32."""
    draws = weights.shape[1]
    no, yes = np.full(draws, _NOT_ZERO), np.zeros(draws, np.float32)
    # Pairs lost: of each yes, the no that score higher, and half of those that score the same.
    lost, precision, term, both = np.zeros((4, draws), np.float32)
    all_lost, all_precision = np.zeros((2, draws))
    for place, step in enumerate(found, 1):
        for item in step.between:
            np.add(no, weights[item], out=no)
        own = weights[step.yes[0]] if len(step.yes) == 1 else weights[step.yes].sum(axis=0)
        np.add(yes, own, out=yes)
        if step.no:
            tied = weights[step.no].sum(axis=0)
            lost += own * (no + tied / 2)
            no += tied
        else:
            np.multiply(own, no, out=term)
            np.add(lost, term, out=lost)
        np.add(yes, no, out=both)
        np.divide(yes, both, out=term)
        np.multiply(term, own, out=term)
        np.add(precision, term, out=precision)
        if place % FLUSH == 0 or place == len(found):
            all_lost += lost
            all_precision += precision
            lost[:] = precision[:] = 0
    for item in below:
        np.add(no, weights[item], out=no)
    yes, no = yes.astype(np.float64), np.where(no == _NOT_ZERO, 0, no).astype(np.float64)
    pairs = yes * no
    auc = ratio(pairs - all_lost, pairs)
    return auc, np.where(np.isnan(auc), np.nan, ratio(all_precision, yes))
