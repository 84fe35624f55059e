"""Everything stored as one tidy table: a row for every number, as CSV or as Parquet."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import BenchError, StoreError, nearest
from bench.protocol import KEYS
from bench.report.text import spreadsheet
from bench.spec import canonical_json
from bench.store import Stored
from bench.stored import TEXTS

NUMBERS = ("split", "class", "group", "metric", "value")
"""What differs between the rows of one cell; all other columns are the cell's."""

SETTING = "p_"
"""What the column of a protocol value begins with."""

TEST = "test"


@dataclass(frozen=True)
class Number:
    """One number of a cell: of a class (attribute), or of all of them where `name` is "".

    split: `test`, `val`, another part that is scored, or the trivial answer's name. A cell that was not
    measured has one of these with an empty metric and no value.
    """

    split: str
    name: str
    group: str
    metric: str
    value: float | int | None


def numbers(stored: Stored) -> Iterator[Number]:
    """Yield every stored number of a cell, those over all classes first. Rows of classes are of test."""
    if not stored.ok:
        yield Number("", "", "", "", None)
        return
    for split, values in stored.record["metrics"].items():
        for metric, value in values.items():
            yield Number(split, "", "", metric, value)
    for row in stored.per_class:
        name, group = str(row["class"]), str(row.get("group") or "")
        for metric, value in row.items():
            if metric not in TEXTS:
                yield Number(TEST, name, group, metric, value)


def cell_columns(cells: Sequence[Stored]) -> dict[str, list[Any]]:
    """Return the columns that say which cell a row is of: name -> one value per cell.

    A protocol value that a cell from before it existed lacks is what was done then, its default.
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
        columns[f"{SETTING}{key}"] = [_of_one_kind(protocol.get(key, default)) for protocol in protocols]
    return columns


def _of_one_kind(value: Any) -> Any:
    """Return a protocol value; what an edited file may hold instead of one is text."""
    return value if value is None or isinstance(value, str | int | float) else canonical_json(value)


def format_of(path: Path, asked: str | None) -> str:
    """Return `csv` or `parquet`: as asked, or by the file's ending. Raises BenchError for another ending."""
    ending = path.suffix.lower().lstrip(".")
    fmt = asked or ending
    if fmt not in WRITERS:
        guess = nearest(ending, WRITERS)
        raise BenchError(f"--out {str(path)!r} ends neither in .csv nor in .parquet{guess}: give --format")
    return fmt


def write_table(cells: Sequence[Stored], path: Path, fmt: str) -> int:
    """Write the numbers of all cells to a file that is there whole or not at all; return how many rows.

    fmt: `csv` (empty where undefined; text that a spreadsheet would run gets an apostrophe) or `parquet`
    (null where undefined). Raises StoreError where the file cannot be written, FileFault for a cell whose
    rows of classes cannot be read.
    """
    if path.is_dir():
        raise StoreError(f"--out {str(path)!r} is a folder: name a file in it")
    work = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name[:80]}-", dir=path.parent)
        os.close(handle)
        work = Path(name)
        rows = WRITERS[fmt](cells, work)
        work.chmod(0o644)
        os.replace(work, path)
        work = None
    except OSError as error:
        raise StoreError(f"--out {str(path)!r} cannot be written: {error.strerror or error}") from None
    finally:
        if work is not None:
            work.unlink(missing_ok=True)
    return rows


def _write_csv(cells: Sequence[Stored], path: Path) -> int:
    columns = cell_columns(cells)
    rows = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([spreadsheet(name) for name in (*columns, *NUMBERS)])
        for place, stored in enumerate(cells):
            own = [_csv_cell(column[place]) for column in columns.values()]
            for number in numbers(stored):
                writer.writerow([*own, *(_csv_cell(value) for value in vars(number).values())])
                rows += 1
    return rows


def _csv_cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, int | float) else spreadsheet(value)


def _write_parquet(cells: Sequence[Stored], path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    places: list[int] = []
    found: dict[str, list[Any]] = {name: [] for name in NUMBERS}
    for place, stored in enumerate(cells):
        for number in numbers(stored):
            places.append(place)
            for column, value in zip(found.values(), vars(number).values(), strict=True):
                column.append(value)
    own = {
        name: _typed(values).take(pa.array(places, pa.int64()))
        for name, values in cell_columns(cells).items()
    }
    texts = {name: pa.array([_utf8(text) for text in found[name]], pa.string()) for name in NUMBERS[:-1]}
    # Counts are doubles too: one column has one type, and a double holds every count exactly.
    value = pa.array([None if item is None else float(item) for item in found["value"]], pa.float64())
    pq.write_table(pa.table({**own, **texts, "value": value}), path, compression="zstd")
    return len(places)


def _typed(values: Sequence[Any]) -> Any:
    """Return an arrow array of the one type that all values have, of text where they have several."""
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
    """Return text that can be written as UTF-8; a lone surrogate becomes its escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


WRITERS: Mapping[str, Callable[[Sequence[Stored], Path], int]] = {
    "csv": _write_csv,
    "parquet": _write_parquet,
}
