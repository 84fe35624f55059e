"""Results on disk: a cell's folder is there whole or not at all.

results/<task>/<backbone>/<method>/s<seed>-<id8>/
    result.json          identity, status, metrics, counts, timings, environment
    per_class.csv        one row per class
    history.csv          one row per epoch
    curves.csv           points of ROC and PR curves, of tasks with many labels
    model.npz            what makes scores of images, and loss_curve.png: with --keep-model
    predictions.parquet  every score of validation and test
"""

from __future__ import annotations

import csv
import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import StoreError
from bench.locks import take_lock
from bench.models.lanes import Epoch, Trained
from bench.spec import FORMAT_VERSION, Cell, CellResult, PairFacts, Predictions, finite
from bench.stored import CURVES, HISTORY, NEWER, PER_CLASS, PREDICTIONS, RESULT, Stored
from bench.stored import read_cell as _load

if TYPE_CHECKING:
    from bench.keep import Kept

LOCKS = ".locks"
SCRATCH = ".tmp-"

__all__ = ["LOCKS", "RESULT", "SCRATCH", "Store", "Stored", "cell_dir", "failed", "slug"]


def slug(text: str) -> str:
    """Return the text as a portable folder name: no colon, blank, slash or parenthesis.

    >>> slug("focal(gamma=2)+oversample")
    'focal_gamma=2_+oversample'
    """
    return re.sub(r"[^A-Za-z0-9_.+=-]", "_", text)[:80]


def cell_dir(root: Path, cell: Cell) -> Path:
    """Return the folder of a cell in a results folder."""
    return root / slug(cell.task) / slug(cell.backbone) / slug(cell.method.text) / f"s{cell.seed}-{cell.id8}"


class Store:
    """A results folder. Creating one touches nothing; writing makes the folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def find(self, cell: Cell) -> Stored | None:
        """Return the stored cell, whatever its status, or None.

        Raises StoreError for one that a newer messybench stored: it is not this version's to replace.
        """
        stored = _load(cell_dir(self.root, cell))
        if isinstance(stored, str) and NEWER in stored:
            raise StoreError(f"{stored}, or choose another folder with --results DIR")
        return stored if isinstance(stored, Stored) and stored.id == cell.id else None

    def load(self, task: str | None = None) -> tuple[list[Stored], list[str]]:
        """Return the stored cells of a task (None: of all), in path order, and a line per unreadable one."""
        cells, problems = [], []
        pattern = f"{slug(task) if task else '*'}/*/*/s*-*/{RESULT}"
        for path in sorted(self.root.glob(pattern)):
            stored = _load(path.parent)
            if isinstance(stored, Stored):
                cells.append(stored)
            elif stored:
                problems.append(stored)
        return cells, problems

    def commit(
        self,
        result: CellResult,
        parts: Mapping[str, Predictions],
        trained: Trained | None = None,
        model: Kept | None = None,
    ) -> Path:
        """Write a cell's folder whole, replacing an older one.

        parts: `val`, `test` and `imputed` predictions. trained: its history is kept. model: kept too, with a
        picture of the history where plots can be drawn.

        A measured cell is never replaced by a failed one: what went wrong now says nothing about what was
        measured then. Raises StoreError (one line: no space, not writable); then the older folder is still
        there.
        """
        target = cell_dir(self.root, result.cell)
        before = self.find(result.cell)
        if before is not None and before.ok and result.status != "ok":
            return target
        with _storing(self.root):
            target.parent.mkdir(parents=True, exist_ok=True)
            work = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=target.parent))
            try:
                _write_cell(work, result, parts, trained)
                if model is not None and trained is not None:
                    _keep(work, model, trained)
                _swap(work, target)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        return target

    @contextmanager
    def lock(self, name: str, waiting: Callable[[], object] = tuple) -> Iterator[None]:
        """Hold a lock shared by all runs into this folder; `waiting()` is called once if it is taken."""
        with _storing(self.root):
            lock = take_lock(self.root / LOCKS / f"{slug(name)}.lock", waiting)
        try:
            yield
        finally:
            lock.release()

    def sweep(self, task: str) -> None:
        """Remove what killed runs left behind. Call it only while holding the task's lock.

        A cell that was being replaced when its run was killed is put back.
        """
        for leftover in (self.root / slug(task)).glob(f"*/*/{SCRATCH}*"):
            for replaced in leftover.glob("s*-*"):
                if not (leftover.parent / replaced.name).exists():
                    os.rename(replaced, leftover.parent / replaced.name)
            shutil.rmtree(leftover, ignore_errors=True)


@contextmanager
def _storing(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = {
            errno.ENOSPC: "no space is left",
            errno.EDQUOT: "the disk quota is used up",
            errno.EACCES: "it is not writable",
            errno.EPERM: "it is not writable",
            errno.EROFS: "the disk is read-only",
            errno.ENOTDIR: "a part of its path is a file",
            errno.EEXIST: "a file is in its place",
        }.get(error.errno or 0, error.strerror or str(error))
        raise StoreError(f"results folder {str(root)!r}: {why}; choose another with --results DIR") from None


def _write_cell(
    work: Path, result: CellResult, parts: Mapping[str, Predictions], trained: Trained | None
) -> None:
    some = next(iter(parts.values()), None)
    record = {
        "format_version": FORMAT_VERSION,
        "id": result.cell.id,
        "cell": {**result.cell.identity(), "method_text": result.cell.method.text},
        "status": result.status,
        "reason": result.reason,
        "classes": list(some.classes) if some else [],
        "train_support": [int(n) for n in some.train_support] if some else [],
        **_of_attributes(some),
        "metrics": result.metrics,
        "counts": result.counts,
        **({"checks": result.checks} if result.checks else {}),
        "choices": result.choices,
        "timings": result.timings,
        "environment": result.environment,
        "command": result.command,
    }
    if parts:
        _write_predictions(work / PREDICTIONS, parts)
    _write_csv(work / PER_CLASS, result.per_class)
    _write_csv(work / CURVES, result.curves)
    if trained is not None:
        _write_csv(work / HISTORY, [_named(epoch, trained.score) for epoch in trained.history])
    text = json.dumps(finite(record), ensure_ascii=False, allow_nan=False, indent=1)
    # A path that is not UTF-8 holds lone surrogates, of which backslashes make JSON's own escapes.
    with (work / RESULT).open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())


def _keep(work: Path, model: Kept, trained: Trained) -> None:
    from bench.keep import save_loss_curve

    model.save(work)
    if find_spec("matplotlib") is not None and trained.history:
        save_loss_curve(work, [vars(epoch) for epoch in trained.history])


def _of_attributes(some: Predictions | None) -> dict[str, Any]:
    """Return what a record holds of a task with many labels alone."""
    if some is None or some.known is None:
        return {}
    cuts = None if some.cuts is None else [float(cut) for cut in some.cuts]
    return {"known": [int(n) for n in some.known], "cuts": cuts}


def _named(epoch: Epoch, score: str) -> dict[str, Any]:
    """Return a row of history.csv, whose column says what the validation score is."""
    names = {"val_score": f"val_{score}"}
    return {names.get(name, name): value for name, value in vars(epoch).items()}


def _write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(
            {key: "" if value is None else value for key, value in finite(row).items()} for row in rows
        )


def _write_predictions(path: Path, parts: Mapping[str, Predictions]) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns: dict[str, Any] = {"split": [], "item": [], "group": []}
    for split, part in parts.items():
        columns["split"] += [split] * len(part.items)
        columns["item"] += part.items
        columns["group"] += part.groups or (None,) * len(part.items)
    truth = np.concatenate([part.truth for part in parts.values()]).astype(np.int32)
    many = truth.ndim > 1
    scores = np.concatenate([part.scores for part in parts.values()]).astype(np.float32)
    pairs = [part.pairs for part in parts.values() if part.pairs is not None]
    table = pa.table(
        {
            "split": pa.array(columns["split"], pa.string()),
            "item": pa.array(columns["item"], pa.string()),
            "group": pa.array(columns["group"], pa.string()),
            "truth": pa.FixedSizeListArray.from_arrays(pa.array(truth.ravel()), truth.shape[1])
            if many
            else pa.array(truth),
            "scores": pa.FixedSizeListArray.from_arrays(pa.array(scores.ravel()), scores.shape[1]),
            **(_pair_columns(pairs) if pairs else {}),
        }
    )
    pq.write_table(table, path, compression="zstd")


def _pair_columns(pairs: Sequence[PairFacts]) -> dict[str, Any]:
    """Return what is stored of pairs of photos beside what every prediction has."""
    import numpy as np
    import pyarrow as pa

    texts = {
        "partner": [name for part in pairs for name in part.partners],
        "photo_a": [photos[0] for part in pairs for photos in part.photos],
        "photo_b": [photos[1] for part in pairs for photos in part.photos],
    }
    return {
        **{name: pa.array(values, pa.string()) for name, values in texts.items()},
        "fold": pa.array(np.concatenate([part.folds for part in pairs]).astype(np.int32)),
        "cut": pa.array(np.concatenate([part.cuts for part in pairs]).astype(np.float32)),
    }


def _swap(work: Path, target: Path) -> None:
    """Put `work` in the place of `target`; what it replaces stays beside it, under its name, until then."""
    if target.exists():
        old = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=target.parent))
        os.rename(target, old / target.name)
        os.rename(work, target)
        shutil.rmtree(old, ignore_errors=True)
    else:
        os.rename(work, target)


def failed(result: CellResult, reason: str, status: str = "failed") -> CellResult:
    """Return the result with a failure's status and its reason on one line."""
    return replace(result, status=status, reason=" ".join(reason.split())[:500])
