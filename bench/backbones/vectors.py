"""Files of features: vectors by image id, in `.npz` or Parquet files."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from bench.backbones.info import BackboneInfo
from bench.core.array_files import UNREADABLE
from bench.core.errors import BenchError
from bench.core.regular_files import Refused, open_file

_CLAIM_FLOOR, _CLAIM_RATIO = 64 * 2**20, 100
"""Bytes that any file may unpack to, and how often its own size more."""

_BATCH = 512

LAYOUT = "ids (n names or numbers) and features (n x d numbers)"


def features_for(info: BackboneInfo, items: Sequence[str]) -> np.ndarray:
    """Return the (n, d) float32 features of these items. Raises what `rows_for` raises."""
    rows, features = rows_for(info, items)
    if np.array_equal(rows, np.arange(len(features))):
        return features
    own: np.ndarray = features[rows]
    return own


def rows_for(info: BackboneInfo, items: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of these items in a file of features, (n,), and all that it has, (m, d) float32.

    Raises BenchError for a faulty file, and for items that it lacks.
    """
    assert info.origin is not None
    ids, features = _read(info.origin.place, info.origin.digest)
    rows = [ids.get(item, -1) for item in items]
    missing = [item for item, row in zip(items, rows, strict=True) if row < 0]
    if missing:
        which = f"{len(missing)} of {len(items)} images" if len(missing) < len(items) else "any image"
        raise BenchError(
            f"{info.name} has no features of {which} (the first: {missing[0]!r:.80}; its own ids are like "
            f"{next(iter(ids), '')!r:.80})"
        )
    return np.asarray(rows), features


@lru_cache(maxsize=2)
def _read(place: str, digest: str) -> tuple[dict[str, int], np.ndarray]:
    """Return the row of every id, and (n, d) float32 features. digest: of the content, for the cache."""
    path = Path(place)
    try:
        names, features = (_parquet if path.suffix.lower() == ".parquet" else _npz)(path)
    except Refused as why:
        raise BenchError(f"{place!r}: {why}") from None
    except (*UNREADABLE, zlib.error) as error:
        text = " ".join(str(error).split())[:200]
        raise BenchError(f"{place!r} is not a readable file of {LAYOUT}: {text}") from None
    if features.ndim != 2 or features.shape[1] == 0 or features.dtype.kind not in "fiu":
        raise BenchError(f"{place!r}: features are {features.dtype} {features.shape}, not n x d numbers")
    if len(names) != len(features):
        raise BenchError(f"{place!r} has {len(names)} ids and {len(features)} rows of features")
    ids = {name: row for row, name in enumerate(names)}
    if len(ids) != len(names):
        twice = next(name for row, name in enumerate(names) if ids[name] != row)
        raise BenchError(f"{place!r}: the id {twice!r:.80} appears twice")
    with np.errstate(over="ignore"):
        features = np.ascontiguousarray(features, np.float32)
    finite = np.isfinite(features.sum(axis=1, dtype=np.float64))
    if not finite.all():
        bad = names[int(np.flatnonzero(~finite)[0])]
        raise BenchError(f"{place!r}: the features of {bad!r:.80} hold NaN, or numbers beyond float32")
    features.flags.writeable = False
    return ids, features


def _npz(path: Path) -> tuple[list[str], np.ndarray]:
    with open_file(path) as file:
        _check_claims(file, path.stat().st_size)
        with np.load(file, allow_pickle=False) as arrays:
            missing = [name for name in ("ids", "features") if name not in arrays]
            if missing:
                has = ", ".join(arrays.files)[:200]
                raise ValueError(f"no array {missing[0]!r} (it has: {has})")
            return _names(arrays["ids"]), arrays["features"]


def _most(size: int) -> int:
    """Return the bytes that a file of this size may unpack to."""
    return _CLAIM_FLOOR + _CLAIM_RATIO * size


def _check_claims(file: object, size: int) -> None:
    with zipfile.ZipFile(file) as archive:  # type: ignore[call-overload]
        claimed = sum(member.file_size for member in archive.infolist())
    if claimed > _most(size):
        raise ValueError(f"it claims {claimed / 2**20:,.0f} MiB")
    file.seek(0)  # type: ignore[attr-defined]


def _parquet(path: Path) -> tuple[list[str], np.ndarray]:
    import pyarrow
    import pyarrow.parquet

    left, batches = _most(path.stat().st_size), []
    try:
        with open_file(path) as file, pyarrow.parquet.ParquetFile(file, pre_buffer=False) as rows:
            # A few rows at a time: a page of equal values takes a few bytes, however many they are.
            for batch in rows.iter_batches(_BATCH, columns=["ids", "features"], use_threads=False):
                batches.append(batch)
                left -= batch.nbytes
                if left < 0:
                    raise ValueError(f"its {rows.metadata.num_rows:,} rows unpack to too much")
            table = pyarrow.Table.from_batches(batches, None if batches else rows.schema_arrow)
    except pyarrow.ArrowException as error:
        raise ValueError(str(error)) from None
    missing = [name for name in ("ids", "features") if name not in table.column_names]
    if missing:
        raise ValueError(f"no column {missing[0]!r}")
    ids, vectors = (table[name].combine_chunks() for name in ("ids", "features"))
    if ids.null_count or vectors.null_count:
        raise ValueError("it has empty cells")
    types = pyarrow.types
    if not any(
        is_list(vectors.type) for is_list in (types.is_list, types.is_large_list, types.is_fixed_size_list)
    ):
        raise ValueError(f"features are {vectors.type}, not lists of numbers")
    flat = vectors.flatten().to_numpy(zero_copy_only=False)
    widths = set(
        np.unique(pyarrow.compute.list_value_length(vectors).to_numpy(zero_copy_only=False)).tolist()
    )
    if len(widths) != 1:
        raise ValueError("features are of several lengths, or there are none")
    return [str(item) for item in ids.to_pylist()], flat.reshape(len(ids), -1)


def _names(ids: np.ndarray) -> list[str]:
    if ids.ndim != 1 or ids.dtype.kind not in "UiuS":
        raise ValueError(f"ids are {ids.dtype} {ids.shape}, not n names or whole numbers")
    if np.issubdtype(ids.dtype, np.bytes_):
        return [name.decode("utf-8") for name in ids.tolist()]
    return [str(name) for name in ids.tolist()]
