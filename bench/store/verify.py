"""Verification of stored cells: their numbers recomputed from their predictions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.store.read import CURVES, TRIALS, FileFault, Stored, read_cell

if TYPE_CHECKING:
    from bench.core.kind import Kind
    from bench.core.predictions import Predictions

TOLERANCE = 1e-9
"""Allowed error: other processors and versions of NumPy sum in another order."""

MIN_PARALLEL = 100
"""Fewest cells for which several processes are faster than one."""


@dataclass(frozen=True)
class Finding:
    """One number of a cell that does not follow from its predictions.

    cell: its name. what: "test top1_micro", "Shirts auc", "curves.csv". None stands for undefined.
    """

    cell: str
    what: str
    stored: float | int | str | None
    computed: float | int | str | None


@dataclass(frozen=True)
class Verified:
    """Result of checking one folder. problem: a message if it holds no usable cell, else empty."""

    folder: Path
    findings: tuple[Finding, ...] = ()
    problem: str = ""


def verify_all(folders: Sequence[Path], processes: int) -> list[Verified]:
    """Check cells, in several processes if there are many. Results are in the order of `folders`."""
    if processes < 2 or len(folders) < MIN_PARALLEL:
        return [verify(folder) for folder in folders]
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(verify, folders, chunksize=max(1, min(50, len(folders) // (4 * processes)))))


def verify(folder: Path) -> Verified:
    """Check the cell in a folder: every file against its digest, every number against its predictions."""
    stored = read_cell(folder)
    if stored is None:
        return Verified(folder, problem=f"{folder}: no cell is stored here")
    if isinstance(stored, str):
        return Verified(folder, problem=stored)
    try:
        for name in stored.record["files"]:
            stored.read(name)
        return Verified(folder, tuple(_findings(stored)) if stored.ok else ())
    except FileFault as error:
        return Verified(folder, problem=str(error))


def _findings(stored: Stored) -> Iterator[Finding]:
    """Yield the numbers of a measured cell that differ. Raises FileFault for a file that cannot be read."""
    from bench.core.kind import get_kind

    kind, record = get_kind(stored.record["cell"]["kind"]), stored.record
    splits, calibration = stored.splits(), stored.calibration()
    counted = {name: len(pred.items) for name, pred in splits.items()}
    counted["calibration"] = sum(len(pred.items) for pred in calibration.values())
    for name in ("val", "calibration", "test"):
        count = counted.get(name, 0)
        yield from _number(stored.name, f"{name} count", record.get("counts", {}).get(name, count), count)
    answers = {**splits, **kind.metrics.trivials(splits["test"])}
    for split, values in record["metrics"].items():
        found = kind.metrics.summary(answers[split]) if split in answers else {}
        for name, value in values.items():
            yield from _number(stored.name, f"{split} {name}", value, found.get(name))
    yield from _rows(stored, kind, splits["test"])
    yield from _sets(stored, calibration)
    if stored.has(TRIALS):
        yield from _trials(stored, kind)
    if stored.has(CURVES):
        yield from _table(stored.name, CURVES, stored.curves, kind.metrics.curves(splits["test"]))


def _rows(stored: Stored, kind: Kind, test: Predictions) -> Iterator[Finding]:
    found = kind.metrics.per_class(test)
    if [row["class"] for row in stored.per_class] != [row["class"] for row in found]:
        yield Finding(stored.name, "classes", f"{len(stored.per_class)} rows", f"{len(found)} rows")
        return
    for row, computed in zip(stored.per_class, found, strict=True):
        for key, value in row.items():
            yield from _number(stored.name, f"{row['class']} {key}", value, computed.get(key))


def _sets(stored: Stored, calibration: Mapping[str, Predictions]) -> Iterator[Finding]:
    """Yield the thresholds of prediction sets that do not follow from the stored calibration scores."""
    from bench.methods.conformal import alpha_of, set_thresholds

    found, alpha = calibration.get("conformal"), alpha_of(stored.record["cell"])
    if found is None or found.cuts is None or alpha is None:
        return
    computed = set_thresholds(found.scores, found.truth, alpha)
    for name, cut, other in zip(found.classes, found.cuts.tolist(), computed.tolist(), strict=True):
        yield from _number(stored.name, f"{name} cut", cut, other)


def _trials(stored: Stored, kind: Kind) -> Iterator[Finding]:
    """Yield the faults in a tuned cell's choice among its trials."""
    from bench.metrics.registry import get_metric

    rows, found = stored.trials, stored.record.get("choices", {}).get("tuning", {})
    scores = [row.get(f"val_{kind.selection}") for row in rows]
    best = get_metric(kind.selection).best_place(scores)
    marked = sum(row["trial"] for row in rows if row["chosen"])
    yield from _number(stored.name, "trials", found.get("trials"), len(rows))
    yield from _number(stored.name, "chosen trial", found.get("chosen"), None if best is None else best + 1)
    yield from _number(stored.name, "trial marked as chosen", marked, found.get("chosen"))
    if best is not None:
        yield from _number(stored.name, "validation of the chosen trial", found.get("val"), scores[best])
    if found.get("splits") == 1:
        own = stored.record["metrics"].get("val", {}).get(kind.selection)
        yield from _number(stored.name, "validation of the tested trial", found.get("val"), own)


def _table(
    cell: str, name: str, stored: Sequence[Mapping[str, Any]], computed: Sequence[Mapping[str, Any]]
) -> Iterator[Finding]:
    """Yield the first difference of two long tables."""
    if len(stored) != len(computed):
        yield Finding(cell, name, f"{len(stored)} rows", f"{len(computed)} rows")
        return
    for number, (row, other) in enumerate(zip(stored, computed, strict=True), 1):
        for key, value in row.items():
            for finding in _number(cell, f"{name} row {number} {key}", value, other.get(key)):
                yield finding
                return


def _number(cell: str, what: str, stored: Any, computed: Any) -> list[Finding]:
    """Return a finding if two numbers or words differ. Undefined is None, NaN or empty."""
    if stored == computed:
        return []
    if isinstance(computed, float) and not math.isfinite(computed):
        computed = None
    stored, computed = (None if value == "" else value for value in (stored, computed))
    numbers = all(isinstance(value, int | float) for value in (stored, computed))
    same = (
        math.isclose(stored, computed, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
        if numbers
        else stored == computed
    )
    return [] if same else [Finding(cell, what, stored, computed)]
