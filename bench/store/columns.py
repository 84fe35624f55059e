"""Reader of the columns of predictions.parquet that all kinds of task share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def fixed(column: Any, dtype: Any, copy: bool = True) -> np.ndarray:
    """Return a column of numbers, or of fixed-length lists, as one array; Arrow's to_numpy imports pandas.

    dtype: np.int32 or np.float32. copy: without it, the array is a read-only view of Arrow's memory. Raises
    ValueError for another type, and for nulls.
    """
    import numpy as np
    import pyarrow as pa

    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    array = array.flatten() if pa.types.is_fixed_size_list(array.type) else array
    expected = {np.int32: "int32", np.float32: "float"}[dtype]
    if str(array.type) != expected or array.null_count:
        raise ValueError(f"a column is {array.type} or has nulls, expected {expected}")
    view = np.frombuffer(array.buffers()[-1], dtype)[array.offset : array.offset + len(array)]
    return view.copy() if copy else view


def common(table: Any, record: Mapping[str, Any], names: bool = True) -> dict[str, Any]:
    """Return the fields of `Predictions` that every kind has, except the truth.

    names: see `bench.core.facets.Packing`. Raises ValueError for an item without an id and for a NaN score.
    """
    import numpy as np

    classes = tuple(record["classes"])
    scores = fixed(table["scores"], np.float32, names).reshape(len(table), len(classes))
    items: Sequence[str] = ("",) * len(table)
    groups: Any = table["group"] if names else ()
    if names:
        items = table["item"].to_pylist()
    if any(type(item) is not str for item in items):
        raise ValueError("an item has no id")
    if np.isnan(scores).any():
        raise ValueError("a score is NaN")
    return {
        "items": tuple(items),
        "groups": tuple(groups.to_pylist()) if len(groups) and groups[0].is_valid else None,
        "scores": scores,
        "classes": classes,
        "train_support": np.asarray(record["train_support"], np.int64),
        "known": None if record.get("known") is None else np.asarray(record["known"], np.int64),
    }


def thresholds_of(record: Mapping[str, Any], split: str) -> np.ndarray | None:
    """Return the thresholds of a split, (k,) float32, None if the record has none."""
    import numpy as np

    cuts = record.get("val_cuts", record.get("cuts")) if split == "val" else record.get("cuts")
    return None if cuts is None else np.asarray(cuts, np.float32)


def check_truth(truth: np.ndarray, low: int, high: int) -> None:
    """Raise ValueError for a truth below `low` or above `high`."""
    if len(truth) and (truth.min() < low or truth.max() > high):
        raise ValueError("a class index is out of range")
