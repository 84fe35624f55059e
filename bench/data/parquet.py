"""Parquet tables of untrusted folders: cells as text, images as bytes, a few rows at a time."""

from __future__ import annotations

import hashlib
import json
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

from bench.core.errors import DataError
from bench.core.regular_files import Refused
from bench.data.examples import ImageError
from bench.data.files import DataFolder
from bench.data.tables import printable

if TYPE_CHECKING:
    import numpy as np

ENDINGS = (".parquet", ".pq")

_MOST_BYTES = 2**46
_BATCH = 64
_KEPT_BYTES = 128 * 2**20
"""Encoded images that a reader keeps in memory; more than the decoding threads work on at a time."""

BYTES = "bytes"
PATH = "path"


@dataclass(frozen=True)
class ParquetShard:
    """One file, without its images.

    columns: the cells of columns that are text, numbers, truth values or dates. images: the columns of bytes.
    paths: for columns of structs, the names of their images. skipped: other columns.
    """

    name: str
    rows: int
    columns: dict[str, tuple[str, ...]]
    images: tuple[str, ...]
    paths: dict[str, tuple[str, ...]] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()


def read_shard(root: DataFolder, name: str) -> ParquetShard:
    """Read a Parquet file without its images. Raises DataError for an incomplete file."""
    with _Opened(root, name) as file:
        schema = file.schema_arrow
        sorts = {column: _sort(schema.field(column).type) for column in schema.names}
        classes = _class_names(schema.metadata or {})
        columns, paths = {}, {}
        for column in dict.fromkeys(schema.names):
            if not column or sorts[column] not in ("cells", "struct"):
                continue
            wanted = column if sorts[column] == "cells" else f"{column}.{PATH}"
            values = file.values(wanted)
            if sorts[column] == "cells":
                columns[printable(column)] = tuple(_cell(value, classes.get(column)) for value in values)
            else:
                paths[column] = tuple(_cell((value or {}).get(PATH), None) for value in values)
        images = tuple(column for column, sort in sorts.items() if sort in (BYTES, "struct"))
        skipped = tuple(column for column, sort in sorts.items() if sort == "")
        return ParquetShard(name, file.rows, columns, images, paths, skipped)


def _sort(kind: Any) -> str:
    """Return the content of a column: cells, bytes, a struct of bytes and path, or "" for anything else."""
    import pyarrow.types as types

    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_binary(kind) or types.is_large_binary(kind):
        return BYTES
    if types.is_struct(kind):
        names = {kind.field(place).name: kind.field(place).type for place in range(kind.num_fields)}
        whole = BYTES in names and PATH in names and _sort(names[BYTES]) == BYTES
        return "struct" if whole else ""
    return "" if types.is_nested(kind) or types.is_fixed_size_binary(kind) else "cells"


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """Return the class names that Hugging Face stores for columns of integers."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {
            column: [str(name) for name in feature["names"]]
            for column, feature in features.items()
            if isinstance(feature, dict) and feature.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return {}


def _cell(value: Any, names: Sequence[str] | None) -> str:
    """Return a value as text, as in a CSV file; a number without a class name is no class."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if names is not None and isinstance(value, int):
        return printable(names[value].strip()) if 0 <= value < len(names) else ""
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        value = int(value) if value.is_integer() and abs(value) < 2**53 else value
    return printable(str(value).strip())


class _Opened:
    """An open Parquet file whose errors name it."""

    def __init__(self, root: DataFolder, name: str) -> None:
        import pyarrow
        import pyarrow.parquet

        self.where = f"{root.root}/{name}"
        self.faults = (pyarrow.ArrowException, OSError, ValueError)
        try:
            self.raw = root.open(name, _MOST_BYTES)
        except Refused as why:
            raise DataError(f"{printable(self.where)}: {why}") from None
        self.size = self.raw.seek(0, 2)
        try:
            # With a buffer pyarrow reads pages, not whole row groups: one may hold all images.
            self.file = pyarrow.parquet.ParquetFile(self.raw, buffer_size=2**20, pre_buffer=False)
        except self.faults as error:
            self.raw.close()
            raise self.fault(error) from None

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        self.raw.close()

    def fault(self, error: BaseException) -> DataError:
        """Return the error for a file that cannot be read."""
        why = printable(" ".join(str(error).split()))[:80]
        return DataError(
            f"{printable(self.where)}: cannot be read as Parquet; are its {self.size:,} bytes the whole "
            f"file? Copy or download it again ({why})"
        )

    @property
    def schema_arrow(self) -> Any:
        """Its schema. Raises DataError."""
        try:
            return self.file.schema_arrow
        except self.faults as error:
            raise self.fault(error) from None

    @property
    def rows(self) -> int:
        """Its number of rows."""
        return int(self.file.metadata.num_rows)

    def group_of(self, row: int) -> tuple[int, int]:
        """Return the row group of a row, and its first row."""
        start = 0
        for group in range(self.file.num_row_groups):
            size = self.file.metadata.row_group(group).num_rows
            if row < start + size:
                return group, start
            start += size
        raise IndexError(row)

    def batches(self, column: str, group: int = 0) -> Iterator[list[Any]]:
        """Yield the values of a column, starting at this row group, a few rows at a time.

        Raises DataError.
        """
        groups = list(range(group, self.file.num_row_groups))
        try:
            for batch in self.file.iter_batches(_BATCH, row_groups=groups, columns=[column]):
                yield batch.column(0).to_pylist()
        except self.faults as error:
            raise self.fault(error) from None

    def values(self, column: str) -> Iterator[Any]:
        """Yield all values of a column. Raises DataError."""
        for batch in self.batches(column):
            yield from batch


def image_bytes(root: DataFolder, name: str, column: str) -> Iterator[bytes | None]:
    """Yield the bytes of every image of a shard, None for a row without one. Raises DataError."""
    with _Opened(root, name) as file:
        for value in file.values(column):
            yield _bytes(value)


def _bytes(value: Any) -> bytes | None:
    found = value.get(BYTES) if isinstance(value, dict) else value
    return found if isinstance(found, bytes) and found else None


class _Window:
    """The images of a shard near the row that was read last."""

    def __init__(self, root: DataFolder, name: str, column: str) -> None:
        self.file, self.column = _Opened(root, name), column
        self.batches: Iterator[list[Any]] = iter(())
        self.kept: deque[tuple[int, list[bytes | None]]] = deque()
        self.next, self.size = 0, 0

    def read(self, row: int) -> bytes | None:
        """Return the bytes of a row: from memory, or by reading on, or from the start of its row group."""
        for start, values in self.kept:
            if start <= row < start + len(values):
                return values[row - start]
        group, first = self.file.group_of(row)
        if row < self.next or first > self.next or not self.kept:
            self.kept.clear()
            self.size, self.next = 0, first
            self.batches = self.file.batches(self.column, group)
        while True:
            values = [_bytes(value) for value in next(self.batches)]
            self.kept.append((self.next, values))
            self.next += len(values)
            self.size += sum(len(value or b"") for value in values)
            while self.size > _KEPT_BYTES and len(self.kept) > 1:
                self.size -= sum(len(value or b"") for value in self.kept.popleft()[1])
            if row < self.next:
                return values[row - self.next + len(values)]

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class ParquetImages:
    """An `ImageReader` of bytes in shards.

    places: shard and row of each image. column: of the images. hashes: their sha256 when they were listed.
    """

    def __init__(
        self, root: DataFolder, places: Sequence[tuple[str, int]], column: str, hashes: tuple[str, ...]
    ) -> None:
        self.root, self.places, self.column, self.hashes = root, tuple(places), column, hashes
        self._lock = Lock()
        self._open: tuple[str, _Window] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ParquetImages) and (self.places, self.hashes) == (other.places, other.hashes)

    def __hash__(self) -> int:
        return hash(self.hashes)

    def stored_order(self) -> list[int]:
        """Return all positions in the order of the files, in which reading is fast."""
        return sorted(range(len(self.places)), key=self.places.__getitem__)

    def read(self, index: int) -> np.ndarray:
        """Return (height, width, 3) uint8 RGB.

        Raises ImageError, and DataError if a shard has changed since it was listed.
        """
        from bench.data.images import decode

        shard, row = self.places[index]
        with self._lock:
            if self._open is None or self._open[0] != shard:
                if self._open is not None:
                    self._open[1].close()
                self._open = shard, _Window(self.root, shard, self.column)
            try:
                data = self._open[1].read(row)
            except (StopIteration, IndexError):
                data = None
        if data is None:
            raise ImageError("empty file")
        if hashlib.sha256(data).hexdigest() != self.hashes[index]:
            raise DataError(f"{self.root.root}/{shard} changed while it was in use: run the command again")
        return decode(data)

    def content_hashes(self) -> tuple[str, ...]:
        """Return the sha256 of every image's bytes."""
        return self.hashes
