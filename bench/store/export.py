"""Export of stored cells as one tidy table, CSV or Parquet: one row per number."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.core.atomic_files import replacing
from bench.core.cell import canonical_json
from bench.core.errors import BenchError, StoreError, nearest
from bench.core.protocol import KEYS
from bench.core.safe_text import csv_cell, spreadsheet
from bench.store.write import Stored

VALUE_COLUMNS = ("split", "class", "group", "metric", "value")
"""Columns that differ between the rows of one cell; all others describe the cell."""

PROTOCOL_PREFIX = "p_"
"""Prefix of the columns that hold protocol values."""

TEST = "test"


@dataclass(frozen=True)
class ExportRow:
    """One number of a cell.

    split: `test`, `val`, `imputed` or the name of a trivial answer. name: a class or attribute, "" for all
    of them. A cell that was not measured has a single row with an empty metric and no value.
    """

    split: str
    name: str
    group: str
    metric: str
    value: float | int | None


def numbers(stored: Stored) -> Iterator[ExportRow]:
    """Yield every stored number of a cell, those over all classes first. Numbers of classes are on test."""
    if not stored.ok:
        yield ExportRow("", "", "", "", None)
        return
    for split, values in stored.record["metrics"].items():
        for metric, value in values.items():
            yield ExportRow(split, "", "", metric, value)
    for row in stored.per_class:
        name, group = str(row["class"]), str(row.get("group") or "")
        for metric, value in row.items():
            if not isinstance(value, str):
                yield ExportRow(TEST, name, group, metric, value)


def cell_columns(cells: Sequence[Stored]) -> dict[str, list[Any]]:
    """Return the columns that describe a row's cell: name -> one value per cell.

    A cell stored before a protocol key existed gets the key's default, which is how it was run.
    """
    records = [stored.record for stored in cells]
    names = ("task", "task_version", "kind", "stage", "regime", "backbone", "weights")
    columns: dict[str, list[Any]] = {name: [record["cell"][name] for record in records] for name in names}
    columns["method"] = [record["cell"]["method_text"] for record in records]
    columns["seed"] = [record["cell"]["seed"] for record in records]
    for key in ("source", "fingerprint"):
        columns[key] = [record["cell"]["data"][key] for record in records]
    columns["id"] = [record["id"] for record in records]
    columns["status"] = [record["status"] for record in records]
    columns["reason"] = [record.get("reason") for record in records]
    protocols = [record["cell"]["protocol"] for record in records]
    for key in sorted({key for protocol in protocols for key in protocol}):
        default = KEYS[key].default if key in KEYS else None
        values = [_scalar(protocol.get(key, default)) for protocol in protocols]
        # A column has one type, even where a key takes numbers and words.
        mixed = key in KEYS and KEYS[key].words
        columns[f"{PROTOCOL_PREFIX}{key}"] = [str(value) for value in values] if mixed else values
    return columns


def _scalar(value: Any) -> Any:
    """Return a protocol value; a list or object, which an edited file may hold, becomes JSON text."""
    return value if value is None or isinstance(value, str | int | float) else canonical_json(value)


def format_of(path: Path, asked: str | None) -> str:
    """Return the requested format, or the one of the file's ending. Raises BenchError for another ending."""
    ending = path.suffix.lower().lstrip(".")
    fmt = asked or ending
    if fmt not in WRITERS:
        guess = nearest(ending, WRITERS)
        raise BenchError(f"--out {str(path)!r} must end in .csv or .parquet{guess}, or give --format")
    return fmt


def write_table(cells: Sequence[Stored], path: Path, fmt: str) -> int:
    """Write the numbers of all cells to a file, whole or not at all; return the number of rows.

    fmt: `csv` (empty where undefined; text that a spreadsheet would run gets an apostrophe) or `parquet`
    (null where undefined). Raises StoreError if the file cannot be written, FileFault if a cell's
    per_class.csv cannot be read.
    """
    if path.is_dir():
        raise StoreError(f"--out {str(path)!r} is a folder: name a file in it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as work:
            return WRITERS[fmt](cells, work)
    except OSError as error:
        raise StoreError(f"--out {str(path)!r} cannot be written: {error.strerror or error}") from None


def _write_csv(cells: Sequence[Stored], path: Path) -> int:
    columns = cell_columns(cells)
    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([spreadsheet(name) for name in (*columns, *VALUE_COLUMNS)])
        for index, stored in enumerate(cells):
            own = [csv_cell(column[index]) for column in columns.values()]
            for number in numbers(stored):
                writer.writerow([*own, *(csv_cell(value) for value in vars(number).values())])
                rows += 1
    return rows


def _write_parquet(cells: Sequence[Stored], path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    places: list[int] = []
    found: dict[str, list[Any]] = {name: [] for name in VALUE_COLUMNS}
    for index, stored in enumerate(cells):
        for number in numbers(stored):
            places.append(index)
            for column, value in zip(found.values(), vars(number).values(), strict=True):
                column.append(value)
    own = {
        name: _typed(values).take(pa.array(places, pa.int64()))
        for name, values in cell_columns(cells).items()
    }
    texts = {
        name: pa.array([_utf8(text) for text in found[name]], pa.string()) for name in VALUE_COLUMNS[:-1]
    }
    # Counts are doubles too: one column has one type, and a double holds every count exactly.
    value = pa.array([None if item is None else float(item) for item in found["value"]], pa.float64())
    pq.write_table(pa.table({**own, **texts, "value": value}), path, compression="zstd")
    return len(places)


def _typed(values: Sequence[Any]) -> Any:
    """Return an arrow array of the values' common type, of text if they have several."""
    import pyarrow as pa

    types = {type(value) for value in values if value is not None}
    if types <= {int, float} and types:
        types = (
            {int}
            if types == {int} and all(abs(value) < 2**63 for value in values if value is not None)
            else {float}
        )
    if len(types) == 1 and str not in types:
        (kind,) = types
        arrow = {bool: pa.bool_(), int: pa.int64(), float: pa.float64()}[kind]
        return pa.array([None if value is None else kind(value) for value in values], arrow)
    texts = [
        None if value is None else _utf8(value if isinstance(value, str) else canonical_json(value))
        for value in values
    ]
    return pa.array(texts, pa.string())


def _utf8(text: str) -> str:
    """Return text that UTF-8 can hold: lone surrogates are escaped."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


WRITERS: Mapping[str, Callable[[Sequence[Stored], Path], int]] = {
    "csv": _write_csv,
    "parquet": _write_parquet,
}
