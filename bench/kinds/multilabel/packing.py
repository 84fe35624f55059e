"""Predictions of many attributes for each image as columns of predictions.parquet, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from bench.core.predictions import Predictions
from bench.store.columns import check_truth, common, fixed, thresholds_of

IMPUTED = "imputed"
"""The part with a method's estimates of unknown training cells."""


def columns(parts: Sequence[Predictions]) -> dict[str, Any]:
    """Return the truth of all parts, one after the other: a list of cells in each row."""
    truth = np.concatenate([part.truth for part in parts]).astype(np.int32)
    return {"truth": pa.FixedSizeListArray.from_arrays(pa.array(truth.ravel()), truth.shape[1])}


def predictions(table: Any, record: Mapping[str, Any], split: str, names: bool = True) -> Predictions:
    """See `bench.core.facets.Packing`."""
    fields = common(table, record, names)
    truth = fixed(table["truth"], np.int32, names).reshape(len(table), len(fields["classes"]))
    check_truth(truth, -1, 1)
    # Thresholds belong to the head's scores, not to a labels step's estimates.
    cuts = None if split == IMPUTED else thresholds_of(record, split)
    return Predictions(truth=truth, cuts=cuts, **fields)
