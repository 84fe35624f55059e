"""Writer of a stored cell's files; result.json comes last, because it holds the digests of the others."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.cell import FORMAT_VERSION, finite
from bench.core.kind import get_kind
from bench.core.predictions import CellResult, Predictions
from bench.core.safe_text import csv_cell
from bench.core.sealed_json import sealed
from bench.store.digests import FILES, file_facts
from bench.store.read import CURVES, HISTORY, PER_CLASS, PREDICTIONS, RESULT, TRIALS

if TYPE_CHECKING:
    from bench.store.model_file import SavableModel


def write_cell(
    folder: Path,
    result: CellResult,
    parts: Mapping[str, Predictions],
    model: SavableModel | None = None,
) -> None:
    """Write all files of a cell into an empty folder; see `bench.store.write.Store.commit`."""
    if parts:
        write_predictions(folder / PREDICTIONS, parts, result.cell.kind)
    _write_csv(folder / PER_CLASS, result.per_class)
    _write_csv(folder / CURVES, result.curves)
    _write_csv(folder / TRIALS, result.trials)
    _write_csv(folder / HISTORY, result.history)
    if model is not None:
        _save_model(folder, model, result.history)
    record = {**_record(result, parts), FILES: file_facts(folder.iterdir())}
    (folder / RESULT).write_bytes(sealed(finite(record)))


def _record(result: CellResult, parts: Mapping[str, Predictions]) -> dict[str, Any]:
    some = next(iter(parts.values()), None)
    return {
        "format_version": FORMAT_VERSION,
        "id": result.cell.id,
        "cell": {**result.cell.identity(), "method_text": result.cell.method.text},
        "status": result.status,
        "reason": result.reason,
        "classes": list(some.classes) if some else [],
        "train_support": [int(n) for n in some.train_support] if some else [],
        **_thresholds(parts),
        "metrics": result.metrics,
        "counts": result.counts,
        **({"checks": result.checks} if result.checks else {}),
        "choices": result.choices,
        "timings": result.timings,
        "environment": result.environment,
        "command": result.command,
    }


def _save_model(work: Path, model: SavableModel, history: Sequence[Mapping[str, Any]]) -> None:
    from bench.store.loss_curve import save_loss_curve

    model.save(work)
    if find_spec("matplotlib") is not None and history:
        save_loss_curve(work, history)


def _thresholds(parts: Mapping[str, Predictions]) -> dict[str, Any]:
    """Return the known labels and thresholds of a record, for the methods and kinds of task with any.

    val_cuts: of validation, if predicted by another head.
    """
    test, val = parts.get("test"), parts.get("val")
    if test is None or (test.known is None and test.cuts is None):
        return {}
    cuts, val_cuts = (
        None if one is None or one.cuts is None else [float(value) for value in one.cuts]
        for one in (test, val)
    )
    known = {} if test.known is None else {"known": [int(n) for n in test.known]}
    return {**known, "cuts": cuts, **({} if val is None or val_cuts == cuts else {"val_cuts": val_cuts})}


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows({key: csv_cell(value) for key, value in finite(row).items()} for row in rows)


def write_predictions(path: Path, parts: Mapping[str, Predictions], kind: str) -> None:
    """Write the predictions of all splits as one table; `bench.store.read.Stored.predictions` reads it."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {"split": [], "item": [], "group": []}
    for split, part in parts.items():
        columns["split"] += [split] * len(part.items)
        columns["item"] += part.items
        columns["group"] += part.groups or (None,) * len(part.items)
    scores = np.concatenate([part.scores for part in parts.values()]).astype(np.float32)
    of_kind = get_kind(kind).packing.columns(list(parts.values()))
    table = pa.table(
        {
            **{name: pa.array(cells, pa.string()) for name, cells in columns.items()},
            "truth": of_kind.pop("truth"),
            "scores": pa.FixedSizeListArray.from_arrays(pa.array(scores.ravel()), scores.shape[1]),
            **of_kind,
        }
    )
    pq.write_table(table, path, compression="zstd")
