"""Reader of stored cells. It checks every file: files on disk may be edited, truncated or swapped."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, NoReturn, Protocol

from bench.core.cell import FORMAT_VERSION
from bench.core.errors import StoreError
from bench.core.kind import get_kind
from bench.core.predictions import Predictions
from bench.core.regular_files import read_regular
from bench.core.safe_text import from_spreadsheet
from bench.core.sealed_json import is_sealed
from bench.store.digests import FILES, fits
from bench.store.places import answer_number, cell_path, first_answer_folder
from bench.store.record_checks import record_fault


class StoredCell(Protocol):
    """Interface of a stored cell for comparisons and pins."""

    @property
    def result(self) -> Mapping[str, Any]:
        """The record: id, cell, status, reason, metrics, per_class, environment, command."""
        ...

    def predictions(self, split: str = "test") -> Predictions:
        """Read the predictions of `val` or `test`."""
        ...


RESULT = "result.json"
PER_CLASS = "per_class.csv"
HISTORY = "history.csv"
CURVES = "curves.csv"
TRIALS = "trials.csv"
PREDICTIONS = "predictions.parquet"
MODEL = "model.npz"

SPLITS = ("val", "test", "imputed")
"""The splits with predictions; a cell need not have all of them. Calibration parts have their step's name."""

NEWER_FORMAT = "written by a newer messybench"
"""Part of the message on a cell of a newer version, which must not be replaced."""

_INTEGER = re.compile(r"-?\d+").fullmatch
OLDER_FORMAT = "written by an older messybench"
"""Part of the message on a cell of an unsupported older version."""

_AGAIN = "run the cell again"
"""What to do about a damaged file: a run trains its cell again, without --rerun."""

_MAX_SCORES = 2**27
"""Maximum number of scores in a file of predictions: half a gigabyte, 100 times the largest so far."""


class FileFault(StoreError, ValueError):
    """A file beside result.json is missing or invalid."""


@dataclass(frozen=True)
class Stored:
    """A stored cell: its record, and its other files when they are first used."""

    folder: Path
    record: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The cell's full id."""
        return str(self.record["id"])

    @property
    def answer(self) -> int:
        """The number of the cell's answer, from 1."""
        return answer_number(self.folder)

    @property
    def name(self) -> str:
        """The name for users: the first eight digits of the id, plus the number of a further answer."""
        return self.id[:8] if self.answer == 1 else f"{self.id[:8]}.{self.answer}"

    @property
    def ok(self) -> bool:
        """Whether the cell was measured."""
        return bool(self.record["status"] == "ok")

    @cached_property
    def result(self) -> dict[str, Any]:
        """The record with its `per_class` rows."""
        return {**self.record, "per_class": self.per_class}

    @cached_property
    def per_class(self) -> list[dict[str, Any]]:
        """The rows of per_class.csv, empty cells as None. Raises FileFault for a file that cannot be read."""
        shown = get_kind(self.record["cell"]["kind"]).columns.classes
        text = [column.key for column in shown if column.type == "text"]
        rows = self._table(PER_CLASS, ("class", "test_support"), text)
        for number, row in enumerate(rows, 1):
            if not row["class"] or type(row["test_support"]) is not int or row["test_support"] < 0:
                _fail(self.folder / PER_CLASS, f"row {number} has no class or no count of test items")
        return rows

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """The rows of history.csv. Raises FileFault for a file that cannot be read."""
        return self._table(HISTORY, ("epoch", "loss"), text=())

    def has(self, name: str) -> bool:
        """Return whether a file of this name was stored with the cell."""
        return name in self.record[FILES]

    def damage(self, model: bool = False) -> str:
        """Return a message on a file whose content cannot be read or has changed, "" if there is none.

        model: check the saved model, too, which may be large.
        """
        try:
            for name in self.record[FILES]:
                if model or name != MODEL:
                    self.read(name)
        except FileFault as error:
            return str(error)
        return ""

    def read(self, name: str) -> bytes:
        """Return the content of a file of the cell.

        Raises FileFault if it was not stored with the cell, is missing, or has changed since.
        """
        path = self.folder / name
        if not self.has(name):
            _fail(path, "it was not stored with the cell")
        try:
            content = read_regular(path)
        except (OSError, ValueError) as error:
            _fail(path, " ".join(str(error).split())[:200], _AGAIN)
        if not fits(content, self.record[FILES][name]):
            _fail(path, "it was changed after it was stored", _AGAIN)
        return content

    def predictions(self, split: str = "test") -> Predictions:
        """Read the predictions of `val` or `test`. Raises FileFault if the file cannot be read."""
        return self._predictions((split,))[split]

    def splits(self) -> dict[str, Predictions]:
        """Read the predictions of every split that has some. Raises FileFault as `predictions` does."""
        return {name: pred for name, pred in self._predictions(SPLITS).items() if pred.items}

    def calibration(self) -> dict[str, Predictions]:
        """Read the calibration parts, by the step that used each. Raises FileFault as `predictions` does."""
        return self._predictions(None)

    def _predictions(self, splits: Sequence[str] | None) -> dict[str, Predictions]:
        """Read the predictions of splits; None: of the calibration parts."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        content = self.read(PREDICTIONS)
        try:
            # No filter: it would import pandas, half a second.
            file = pq.ParquetFile(pa.BufferReader(content))
            _check_claims(file.metadata, len(self.record["classes"]))
            whole = file.read(use_threads=False)
            blocks = _blocks(whole)
            if splits is None:
                splits = [name for name in blocks if name not in SPLITS]
            return {split: _predictions(whole, blocks, split, self.record) for split in splits}
        except (OSError, ValueError, LookupError, TypeError, AttributeError, pa.ArrowException) as error:
            _fail(self.folder / PREDICTIONS, " ".join(str(error).split())[:200])

    @property
    def curves(self) -> list[dict[str, Any]]:
        """The rows of curves.csv. Raises FileFault for a file that cannot be read."""
        return self._table(CURVES, ("class", "curve", "x", "y"), text=("class", "curve"))

    @property
    def trials(self) -> list[dict[str, Any]]:
        """The rows of trials.csv, of a tuned cell. Raises FileFault for a file that cannot be read."""
        rows = self._table(TRIALS, ("trial", "method", "chosen"), text=("method", "l2", "reason"))
        for number, row in enumerate(rows, 1):
            if row["trial"] != number or row["chosen"] not in (0, 1):
                _fail(self.folder / TRIALS, f"row {number} is not of trial {number}, chosen or not")
        return rows

    def _table(self, name: str, required: Sequence[str], text: Sequence[str]) -> list[dict[str, Any]]:
        """Return the rows of a table, none if it was not stored. Raises FileFault if it cannot be read."""
        if not self.has(name):
            return []
        content = self.read(name)
        try:
            return _rows(content.decode("utf-8"), required, text)
        except (ValueError, csv.Error) as error:
            _fail(self.folder / name, " ".join(str(error).split())[:200])


def readable_cells(
    cells: Iterable[Stored], epochs: bool = False, answers: bool = False, trials: bool = False
) -> tuple[list[Stored], list[str]]:
    """Return the cells whose per_class.csv can be read, and a message for each other one.

    epochs, trials: check history.csv and trials.csv, too. answers: check the predictions of measured cells,
    too.
    """
    kept, problems = [], []
    for stored in cells:
        try:
            _ = stored.per_class, epochs and stored.history, trials and stored.trials
            if answers and stored.ok:
                stored.predictions()
        except FileFault as error:
            problems.append(str(error))
        else:
            kept.append(stored)
    return kept, problems


def read_cell(folder: Path) -> Stored | str | None:
    """Return the stored cell, a message that says why it cannot be used, or None if the folder has none.

    The record is checked whole. Of the other files only presence and size are checked here; their content is
    checked when it is read.
    """
    path = folder / RESULT
    try:
        content = read_regular(path)
        record = json.loads(content.decode("utf-8"))
        version = record["format_version"]
        if version > FORMAT_VERSION:
            return f"{path}: {NEWER_FORMAT} (format {version}); upgrade to read it"
        if version < FORMAT_VERSION:
            return f"{path}: {OLDER_FORMAT} (format {version}); run the cell again"
        if not is_sealed(content):
            return f"{path}: changed after it was stored; run the cell again"
        fault = record_fault(record)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return f"{path}: cannot be read ({why}); move it away and run again"
    if fault:
        return f"{path}: not a result of messybench ({fault}); move it away and run again"
    return _misplaced(folder, record) or _incomplete(folder, record) or Stored(folder, record)


def _misplaced(folder: Path, record: Mapping[str, Any]) -> str:
    """Return a message if a cell is in the folder of another one, else ""."""
    cell = record["cell"]
    own = cell_path(cell["task"], cell["backbone"], cell["method_text"], cell["seed"], record["id"])
    if first_answer_folder(folder).parts[-len(own) :] == own:
        return ""
    return f"{folder / RESULT}: belongs to another cell; move it to {'/'.join(own)}"


def _incomplete(folder: Path, record: Mapping[str, Any]) -> str:
    """Return a message if a file of a cell is missing or has another size, else ""."""
    if record["status"] == "ok" and not {PREDICTIONS, PER_CLASS} <= {*record[FILES]}:
        return f"{folder / RESULT}: lists no {PREDICTIONS} or no {PER_CLASS}; run the cell again"
    for name, facts in record[FILES].items():
        try:
            size = os.stat(f"{folder}/{name}").st_size
        except OSError as error:
            return f"{folder / name}: {_strerror(error)}; run the cell again"
        if size != facts["bytes"]:
            return f"{folder / name}: has {size} bytes, not the {facts['bytes']} stored; run the cell again"
    return ""


def _strerror(error: OSError) -> str:
    return "is missing" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"


def _rows(content: str, required: Sequence[str], text: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of a CSV table. Raises ValueError or csv.Error if it is invalid."""
    reader = csv.DictReader(io.StringIO(content, newline=""), strict=True)
    for key in required:
        if key not in (reader.fieldnames or ()):
            raise ValueError(f"no column {key!r}")
    return [_row(row, text) for row in reader]


def _row(row: Mapping[Any, Any], text: Sequence[str]) -> dict[str, Any]:
    if None in row or None in row.values():
        raise ValueError("a row has more or fewer cells than columns")
    return {key: from_spreadsheet(value) if key in text else _number(value) for key, value in row.items()}


def _number(text: str) -> int | float | None:
    if text == "":
        return None
    value = int(text) if _INTEGER(text) else float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not a finite number")
    return value


def _blocks(whole: Any) -> dict[str, tuple[int, int]]:
    """Return first row and number of rows of each split. Raises ValueError if they are not one block."""
    blocks, first = {}, 0
    for split, rows in groupby(whole["split"].to_pylist()):
        if split in blocks:
            raise ValueError(f"its {split} rows are not one block")
        blocks[split] = first, sum(1 for _ in rows)
        first += blocks[split][1]
    return blocks


def _predictions(
    whole: Any, blocks: Mapping[str, tuple[int, int]], split: str, record: Mapping[str, Any]
) -> Predictions:
    first, n = blocks.get(split, (0, 0))
    if split == "test" and not n:
        raise ValueError("it has no test rows")
    found: Predictions = get_kind(record["cell"]["kind"]).packing.predictions(
        whole.slice(first, n), record, split
    )
    return found


def _check_claims(metadata: Any, width: int) -> None:
    """Raise ValueError for a file whose metadata claims more scores than are ever stored.

    The file's size is no bound: a page of equal values takes a few bytes, however many they are.
    """
    # Column metadata is not read: pyarrow aborts the process on some damaged files.
    rows = [metadata.row_group(place).num_rows for place in range(metadata.num_row_groups)]
    if sum(rows) != metadata.num_rows or min(rows, default=0) < 0:
        raise ValueError("its row groups do not add up")
    if sum(rows) * max(1, width) > _MAX_SCORES:
        raise ValueError(f"it claims {sum(rows):,} rows; at most {_MAX_SCORES:,} scores are read")


def _fail(path: Path, why: str, remedy: str = f"{_AGAIN} with --rerun") -> NoReturn:
    raise FileFault(f"{path}: cannot be read ({why}); {remedy}")
