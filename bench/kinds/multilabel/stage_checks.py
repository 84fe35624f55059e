"""Checks of a stage's data, made before training and stored with each cell."""

from __future__ import annotations

import numpy as np

from bench.kinds.multilabel.split import AttributeSplit
from bench.runs.context import Context


def count_duplicates(context: Context, split: AttributeSplit) -> dict[str, int]:
    """Count images that occur more than once, exactly or nearly.

    Count also those on both sides of the split, and those with contradicting labels.
    """
    from bench.data.duplicates import count_near_duplicates, find_duplicates

    hashes = context.examples.images.content_hashes()
    trains = np.zeros(len(hashes), bool)
    trains[np.concatenate([split.train, split.val])] = True
    rows = np.sort(np.concatenate([split.train, split.val, split.test]))
    truth = np.where(split.truth >= 0, split.truth, split.truth if split.hidden is None else split.hidden)
    same = find_duplicates(hashes, truth, trains, rows)
    near = count_near_duplicates(context.near, truth, trains, rows)
    return {
        "same": same.groups,
        "same_torn": same.disagreeing,
        "near": len(near.pairs),
        "near_across": near.straddling,
        "near_torn": near.disagreeing,
    }
