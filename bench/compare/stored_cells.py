"""Reader of stored test predictions, fast enough for a leaderboard of a thousand cells."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.compare.paired_bootstrap import DRAWS, PairedBootstrap, numbers_of
from bench.compare.pairing import Items, pairing_of
from bench.core.kind import get_kind
from bench.core.predictions import Predictions
from bench.store.columns import fixed
from bench.store.read import PREDICTIONS, FileFault

if TYPE_CHECKING:
    from bench.store.write import Stored

COLUMNS = ("split", "item", "group", "truth", "scores")

_AT_ONCE, _IN_A_ROW = 128, 8
"""Number of cells whose scores are in memory at the same time, and of those that one thread reads in a
row."""


@dataclass(frozen=True, eq=False)
class CellPart:
    """The test predictions of one cell, items in the order of its file.

    key: digest of stage, classes, items, groups and truth; equal keys mean equal items in equal order.
    table: the columns as they were read. predictions: without the names of the items. values: see
    `PairedBootstrap.values`, here in the file's order.
    """

    stored: Stored
    key: bytes
    table: Any
    predictions: Predictions
    values: Mapping[str, np.ndarray]


def read_bootstraps(
    cells: Sequence[Stored], metrics: Iterable[str], draws: int = DRAWS, seed: int = 0
) -> tuple[list[PairedBootstrap], list[str]]:
    """Return bootstraps of cells that answered the same items, and a line per unreadable cell.

    metrics: those to estimate; ones without a bootstrap are left out. Equal arguments give equal draws.
    Raises BenchError for a kind this version does not know.
    """
    asked = tuple(dict.fromkeys(metrics))
    found: dict[bytes, _Place] = {}
    by_items: dict[bytes, PairedBootstrap] = {}
    problems = []
    for part in _parts([stored for stored in cells if stored.ok], asked):
        if isinstance(part, str):
            problems.append(part)
            continue
        if part.key not in found:
            try:
                found[part.key] = _place(part, by_items, draws, seed)
            except ValueError as error:
                problems.append(_fault(part.stored, error))
                continue
        place, pred = found[part.key], part.predictions
        values = {name: numbers[place.rows] for name, numbers in part.values.items()}
        place.bootstrap.add(part.stored.id, values, pred.train_support[place.columns])
        place.bootstrap.draw(part.stored.id, partial(_ordered, pred, place), asked)
    return list(by_items.values()), problems


def readable_answers(
    cells: Sequence[Stored], metrics: Iterable[str]
) -> tuple[list[Stored], list[PairedBootstrap], list[str]]:
    """Return the cells whose predictions can be read, and the results of `read_bootstraps`."""
    found, problems = read_bootstraps(cells, metrics)
    readable = {cell for bootstrap in found for cell in bootstrap.cells}
    return [stored for stored in cells if not stored.ok or stored.id in readable], found, problems


def _parts(cells: Sequence[Stored], metrics: Sequence[str]) -> Iterator[CellPart | str]:
    wanted = {kind: numbers_of(kind, metrics) for kind in {stored.record["cell"]["kind"] for stored in cells}}

    def read(first: int) -> list[CellPart | str]:
        return [
            _read(stored, wanted[stored.record["cell"]["kind"]])
            for stored in cells[first : first + _IN_A_ROW]
        ]

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for first in range(0, len(cells), _AT_ONCE):
            starts = range(first, min(first + _AT_ONCE, len(cells)), _IN_A_ROW)
            yield from chain.from_iterable(pool.map(read, starts))


def _read(stored: Stored, numbers: Set[str]) -> CellPart | str:
    kind = get_kind(stored.record["cell"]["kind"])
    pairing = pairing_of(kind.name)
    try:
        content = pa.BufferReader(stored.read(PREDICTIONS))
        # No `use_threads`: the pool reads several files at once. A filter would import pandas.
        whole = pq.ParquetFile(content, read_dictionary=["split"]).read(
            [*COLUMNS, *pairing.COLUMNS], use_threads=False
        )
        table = _test_rows(whole)
        pred = kind.packing.predictions(table, stored.record, "test", names=False)
        key = _key(stored.record, table, pairing.KEYS)
        return CellPart(stored, key, table, pred, pairing.item_values(pred, numbers))
    except FileFault as error:
        return str(error)
    except (OSError, ValueError, KeyError, IndexError, AttributeError, pa.ArrowException) as error:
        return _fault(stored, error)


def _fault(stored: Stored, error: Exception) -> str:
    why = " ".join(str(error).split())[:200]
    return f"{stored.folder / PREDICTIONS}: cannot be read ({why}); run the cell again with --rerun"


def _test_rows(whole: Any) -> Any:
    split = whole["split"].combine_chunks()
    test = split.dictionary.to_pylist().index("test")
    rows = np.flatnonzero(fixed(split.indices, np.int32, copy=False) == test)
    if not len(rows) or rows[-1] - rows[0] + 1 != len(rows):
        raise ValueError("its test rows are not one block")
    return whole.slice(int(rows[0]), len(rows))


def _key(record: Mapping[str, Any], table: Any, more: Sequence[str]) -> bytes:
    text = repr([_stage_key(record), record["classes"]])
    digest = hashlib.blake2b(text.encode("utf-8", "backslashreplace"))
    for name in ("item", "group", "truth", *more):
        array = table[name].combine_chunks()
        if pa.types.is_string(array.type):
            _digest_texts(digest, array)
        else:
            digest.update(fixed(array, np.int32, copy=False).data)
    return digest.digest()


def _digest_texts(digest: Any, array: Any) -> None:
    """Add an arrow array of strings to a digest without converting them to Python strings."""
    if array.null_count:
        digest.update(repr(array.is_null().to_pylist()).encode() if array.null_count < len(array) else b"-")
        if array.null_count == len(array):
            return
    _, offsets, data = array.buffers()
    ends = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
    digest.update(np.diff(ends).data)
    digest.update(memoryview(data)[int(ends[0]) : int(ends[-1])])


def _stage_key(record: Mapping[str, Any]) -> list[Any]:
    cell = record["cell"]
    data = [cell["data"][key] for key in ("source", "fingerprint")]
    return [*(cell[key] for key in ("kind", "task", "task_version", "stage")), *data]


@dataclass(frozen=True, eq=False)
class _Place:
    """Assignment of a part: its bootstrap, and the rows and columns that sort its scores into that order."""

    bootstrap: PairedBootstrap
    rows: np.ndarray
    columns: np.ndarray


def _place(part: CellPart, by_items: dict[bytes, PairedBootstrap], draws: int, seed: int) -> _Place:
    """Find or make the bootstrap of the part's items, whose classes may be in another order.

    Raises ValueError for data that is not of the kind.
    """
    record = part.stored.record
    kind = get_kind(record["cell"]["kind"])
    pairing, pred = pairing_of(kind.name), kind.packing.predictions(part.table, record, "test")
    by_name = np.array(sorted(range(len(pred.classes)), key=pred.classes.__getitem__), np.int64)
    groups = pred.groups or (None,) * len(pred.items)
    facts = zip(pred.items, groups, pairing.facts(pred, by_name), strict=True)
    answers = sorted(facts, key=lambda row: row[0])
    text = repr([_stage_key(record), sorted(pred.classes), answers])
    key = hashlib.blake2b(text.encode("utf-8", "backslashreplace")).digest()
    names = by_items[key].items.classes if key in by_items else pred.classes
    columns = np.array([pred.classes.index(name) for name in names], np.int64)
    items, rows = Items.of(pairing, pairing.reordered(pred, columns))
    if key not in by_items:
        by_items[key] = PairedBootstrap(kind.name, items, draws, seed)
    return _Place(by_items[key], rows, columns)


def _ordered(pred: Predictions, place: _Place) -> Predictions:
    """Return predictions with items and classes in the order of their bootstrap, and with their names."""
    pairing, items = place.bootstrap.pairing, place.bootstrap.items
    return pairing.named(pairing.reordered(pred.take(place.rows), place.columns), items)
