"""Reads one stored cell and checks it: what comes from disk may have been edited, cut off or swapped."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from bench.errors import StoreError
from bench.kinds.base import KINDS
from bench.spec import FORMAT_VERSION, PairFacts, Predictions, canonical_json

RESULT = "result.json"
PER_CLASS = "per_class.csv"
HISTORY = "history.csv"
CURVES = "curves.csv"
PREDICTIONS = "predictions.parquet"
MODEL = "model.npz"

TEXTS = ("class", "group", "confused_with")
"""Columns of a table of classes that hold no numbers."""

NEWER = "of a newer messybench"
"""What the line about a cell says that this version must not touch."""

_CELL = {
    **dict.fromkeys(("task", "kind", "stage", "regime", "backbone", "weights", "method_text"), str),
    **dict.fromkeys(("task_version", "seed"), int),
    **dict.fromkeys(("protocol", "data"), dict),
}
_DATA = {"source": str, "fingerprint": str}
_OPTIONAL = {
    "checks": dict,
    "counts": dict,
    "choices": dict,
    "timings": dict,
    "environment": dict,
    "command": str,
}
_TYPES = {str: "text", int: "a whole number", dict: "an object", list: "a list"}


class FileFault(StoreError, ValueError):
    """A file beside result.json is missing, or does not hold what messybench writes."""


@dataclass(frozen=True)
class Stored:
    """A stored cell: its record now, its rows and predictions when asked for."""

    folder: Path
    record: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The cell's full id."""
        return str(self.record["id"])

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
        """The rows of per_class.csv with numbers as numbers and empty cells as None; none without a file.

        Raises FileFault for a file that cannot be read.
        """
        rows = _read_csv(self.folder / PER_CLASS, ("class", "test_support"), text=TEXTS)
        for number, row in enumerate(rows, 1):
            if not row["class"] or type(row["test_support"]) is not int or row["test_support"] < 0:
                _fail(self.folder / PER_CLASS, f"row {number} has no class or no count of test items")
        return rows

    @cached_property
    def history(self) -> list[dict[str, Any]]:
        """The rows of history.csv; none without a file. Raises FileFault for one that cannot be read."""
        return _read_csv(self.folder / HISTORY, ("epoch", "loss"), text=())

    @property
    def missing_rows(self) -> str:
        """A line that says that a measured cell has no per_class.csv, or nothing."""
        path = self.folder / PER_CLASS
        return f"{path}: is missing; run the cell again with --rerun" if self.ok and not path.exists() else ""

    def predictions(self, split: str = "test") -> Predictions:
        """Read the predictions of `val` or `test`. Raises FileFault if the file cannot be read."""
        import pyarrow as pa

        path = self.folder / PREDICTIONS
        try:
            return _predictions(path, split, self.record)
        except (OSError, ValueError, LookupError, TypeError, AttributeError, pa.ArrowException) as error:
            _fail(path, " ".join(str(error).split())[:200])


def sound(cells: Iterable[Stored], epochs: bool = False) -> tuple[list[Stored], list[str]]:
    """Return the cells whose rows of classes can be read, and a line per measured one whose cannot.

    epochs: look at the rows of epochs too.
    """
    kept, problems = [], []
    for stored in cells:
        try:
            problem = stored.missing_rows
            _ = stored.per_class, epochs and stored.history
        except FileFault as error:
            problem = str(error)
        if problem:
            problems.append(problem)
        else:
            kept.append(stored)
    return kept, problems


def read_cell(folder: Path) -> Stored | str | None:
    """Return the stored cell, a line saying why it cannot be used, or None where nothing is."""
    path = folder / RESULT
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        version = record["format_version"]
        if version > FORMAT_VERSION:
            return f"{path}: {NEWER} (format {version}); upgrade to read it"
        fault = _fault(record)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return f"{path}: cannot be read ({why}); move it away and run again"
    if fault:
        return f"{path}: not a result of messybench ({fault}); move it away and run again"
    return Stored(folder, record)


def _fault(record: dict[str, Any]) -> str:
    """Say what a record lacks of what every command reads, or nothing."""
    try:
        _typed(record, {"id": str, "cell": dict, "status": str, "metrics": dict}, "")
        _typed(record, {key: kind for key, kind in _OPTIONAL.items() if key in record}, "")
        _typed(record["cell"], _CELL, "cell.")
        _typed(record["cell"]["data"], _DATA, "cell.data.")
        if not re.fullmatch("[0-9a-f]{64}", record["id"]):
            raise ValueError("id: must be 64 hex digits")
        if record["cell"]["kind"] not in KINDS:
            raise ValueError(f"cell.kind: {record['cell']['kind'][:40]!r} is not known to this version")
        if not isinstance(record.get("reason"), str | None):
            raise ValueError("reason: must be text or null")
        canonical_json(record["cell"])
        for split, values in record["metrics"].items():
            _numbers(values, f"metrics.{split}")
        for part in ("counts", "timings"):
            _numbers(record.get(part, {}), part)
        best = record.get("choices", {}).get("best_epoch")
        _numbers({"best_epoch": best}, "choices")
        if record["status"] == "ok":
            _classes(record)
    except (ValueError, OverflowError) as error:
        return " ".join(str(error).split())[:200]
    return ""


def _typed(table: Mapping[str, Any], kinds: Mapping[str, type], where: str) -> None:
    for key, kind in kinds.items():
        if key not in table:
            raise ValueError(f"no {where}{key}")
        if type(table[key]) is not kind:
            raise ValueError(f"{where}{key}: must be {_TYPES[kind]}")


def _numbers(values: Any, where: str) -> None:
    if type(values) is not dict:
        raise ValueError(f"{where}: must be an object")
    for key, value in values.items():
        if value is not None and (type(value) not in (int, float) or not math.isfinite(value)):
            raise ValueError(f"{where}.{key}: must be a number or null")


def _classes(record: Mapping[str, Any]) -> None:
    """Raise ValueError unless a measured record has test metrics and as many supports as classes."""
    if "test" not in record["metrics"]:
        raise ValueError("no metrics.test")
    _typed(record, {"classes": list, "train_support": list}, "")
    names = record["classes"]
    if any(type(name) is not str for name in names) or len(set(names)) != len(names):
        raise ValueError("classes: must be different names")
    for key in ("train_support", *(("known",) if record.get("known") is not None else ())):
        counts = record[key]
        wrong = type(counts) is not list or len(counts) != len(names)
        if wrong or any(type(n) is not int or not 0 <= n < 2**63 for n in counts):
            raise ValueError(f"{key}: must be a count for each class")
    cuts = record.get("cuts")
    if cuts is not None and (
        type(cuts) is not list
        or len(cuts) != len(names)
        or any(type(cut) not in (int, float) or not 0 <= cut <= 1 for cut in cuts)
    ):
        raise ValueError("cuts: must be a number from 0 to 1 for each attribute")


def _read_csv(path: Path, required: Sequence[str], text: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rows of a table, none where there is no file. Raises FileFault for any that is not ours."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            for key in required:
                if key not in (reader.fieldnames or ()):
                    raise ValueError(f"no column {key!r}")
            return [_row(row, text) for row in reader]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, csv.Error) as error:
        _fail(path, " ".join(str(error).split())[:200])


def _row(row: Mapping[Any, Any], text: Sequence[str]) -> dict[str, Any]:
    if None in row or None in row.values():
        raise ValueError("a row has more or fewer cells than columns")
    return {key: value if key in text else _number(value) for key, value in row.items()}


def _number(text: str) -> int | float | None:
    if text == "":
        return None
    value = int(text) if re.fullmatch(r"-?\d+", text) else float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is no number")
    return value


def _predictions(path: Path, split: str, record: Mapping[str, Any]) -> Predictions:
    import numpy as np
    import pyarrow.parquet as pq

    # Without a filter: that imports pandas, half a second.
    whole = pq.ParquetFile(path).read()
    splits = whole["split"].to_pylist()
    first, n = splits.index(split) if split in splits else 0, splits.count(split)
    if splits[first : first + n] != [split] * n or (split == "test" and not n):
        raise ValueError(f"its {split} rows are not one block")
    table = whole.slice(first, n)
    classes = tuple(record["classes"])
    # Of many attributes each row holds a list of as many cells.
    kind = record["cell"]["kind"]
    many = kind == "multilabel"
    told = table["truth"].combine_chunks()
    truth = _values(told.flatten() if many else told, np.int32)
    truth = truth.reshape(n, len(classes)) if many else truth
    scores = _values(table["scores"].combine_chunks().flatten(), np.float32).reshape(n, len(classes))
    items, groups = table["item"].to_pylist(), table["group"].to_pylist()
    if any(type(item) is not str for item in items):
        raise ValueError("an item has no id")
    low, high = (-1 if many else 0), (len(classes) - 1 if kind == "multiclass" else 1)
    if n and (truth.min() < low or truth.max() > high or np.isnan(scores).any()):
        raise ValueError("a class that is not there, or a score that is not a number")
    # Cuts are of the head's scores, not of what a labels step took unknown cells for.
    cut = record.get("cuts") is not None and split != "imputed"
    return Predictions(
        items=tuple(items),
        groups=None if not groups or groups[0] is None else tuple(groups),
        truth=truth,
        scores=scores,
        classes=classes,
        train_support=np.asarray(record["train_support"], np.int64),
        known=None if record.get("known") is None else np.asarray(record["known"], np.int64),
        cuts=np.asarray(record["cuts"], np.float32) if cut else None,
        pairs=_pairs(table, groups, truth) if kind == "verification" else None,
    )


def _pairs(table: Any, groups: Sequence[Any], truth: Any) -> PairFacts:
    """Return what is stored of pairs of photos alone. Raises ValueError for what cannot be."""
    import numpy as np

    texts = [table[name].to_pylist() for name in ("partner", "photo_a", "photo_b")]
    if any(type(text) is not str for column in (groups, *texts) for text in column):
        raise ValueError("a pair names no people or no photos")
    if [a == b for a, b in zip(groups, texts[0], strict=True)] != truth.astype(bool).tolist():
        raise ValueError("a pair's people are not what its truth says")
    folds, cuts = (
        _values(table[name].combine_chunks(), kind)
        for name, kind in (("fold", np.int32), ("cut", np.float32))
    )
    if len(folds) and (folds.min() < 0 or np.isnan(cuts).any()):
        raise ValueError("a fold below 0, or a cut that is not a number")
    return PairFacts(tuple(zip(texts[1], texts[2], strict=True)), tuple(texts[0]), folds, cuts)


def _values(array: Any, dtype: Any) -> Any:
    """Return a copy of an arrow array of fixed width without nulls; its own to_numpy imports pandas."""
    import numpy as np

    expected = {np.int32: "int32", np.float32: "float"}[dtype]
    if str(array.type) != expected or array.null_count:
        raise ValueError(f"a column is {array.type} or has gaps, where {expected} is written")
    return np.frombuffer(array.buffers()[-1], dtype)[array.offset : array.offset + len(array)].copy()


def _fail(path: Path, why: str) -> NoReturn:
    raise FileFault(f"{path}: cannot be read ({why}); run the cell again with --rerun")
