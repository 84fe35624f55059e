"""Predictions of pairs of photos as columns of predictions.parquet, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from bench.core.predictions import PairFacts, Predictions
from bench.store.columns import check_truth, common, fixed


def columns(parts: Sequence[Predictions]) -> dict[str, Any]:
    """Return the truth of all parts, one after the other, and what is known of their pairs beside it."""
    pairs = [part.pairs for part in parts if part.pairs is not None]
    texts = {
        "partner": [name for part in pairs for name in part.partners],
        "photo_a": [photos[0] for part in pairs for photos in part.photos],
        "photo_b": [photos[1] for part in pairs for photos in part.photos],
    }
    return {
        "truth": pa.array(np.concatenate([part.truth for part in parts]).astype(np.int32)),
        **{name: pa.array(values, pa.string()) for name, values in texts.items()},
        "fold": pa.array(np.concatenate([part.folds for part in pairs]).astype(np.int32)),
        "cut": pa.array(np.concatenate([part.cuts for part in pairs]).astype(np.float32)),
    }


def predictions(table: Any, record: Mapping[str, Any], split: str, names: bool = True) -> Predictions:
    """See `bench.core.facets.Packing`."""
    fields = common(table, record, names)
    truth = fixed(table["truth"], np.int32, names)
    check_truth(truth, 0, 1)
    return Predictions(truth=truth, pairs=_pairs(table, truth, names), **fields)


def _pairs(table: Any, truth: np.ndarray, names: bool) -> PairFacts:
    columns = ("group", "partner", "photo_a", "photo_b")
    if any(table[name].null_count for name in columns):
        raise ValueError("a pair names no people or no photos")
    folds, cuts = fixed(table["fold"], np.int32, names), fixed(table["cut"], np.float32, names)
    if len(folds) and (folds.min() < 0 or np.isnan(cuts).any()):
        raise ValueError("a fold below 0, or a cut that is not a number")
    if not names:
        return PairFacts((("", ""),) * len(table), ("",) * len(table), folds, cuts)
    groups, partners, *photos = (table[name].to_pylist() for name in columns)
    if any(type(text) is not str for column in (groups, partners, *photos) for text in column):
        raise ValueError("a pair names no people or no photos")
    if [a == b for a, b in zip(groups, partners, strict=True)] != truth.astype(bool).tolist():
        raise ValueError("a pair's people are not what its truth says")
    return PairFacts(tuple(zip(*photos, strict=True)), tuple(partners), folds, cuts)
