"""Predictions of one class for each image as columns of predictions.parquet, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from bench.core.predictions import Predictions
from bench.store.columns import check_truth, common, fixed, thresholds_of


def columns(parts: Sequence[Predictions]) -> dict[str, Any]:
    """Return the truth of all parts, one after the other."""
    return {"truth": pa.array(np.concatenate([part.truth for part in parts]).astype(np.int32))}


def predictions(table: Any, record: Mapping[str, Any], split: str, names: bool = True) -> Predictions:
    """See `bench.core.facets.Packing`."""
    fields = common(table, record, names)
    truth = fixed(table["truth"], np.int32, names)
    check_truth(truth, 0, len(fields["classes"]) - 1)
    return Predictions(truth=truth, cuts=thresholds_of(record, split), **fields)
