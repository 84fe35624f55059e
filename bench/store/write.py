"""Results folder: cells are written whole or not at all.

results/<task>/<backbone>/<method>/s<seed>-<id8>/
    result.json          identity, status, metrics, counts, timings, environment, digests
    per_class.csv        one row per class
    history.csv          one row per epoch
    curves.csv           points of ROC and PR curves, of tasks with many labels
    trials.csv           one row per trial, of a tuned cell
    model.npz            the trained model, and loss_curve.png: with --keep-model
    predictions.parquet  every score of validation and test
results/<task>/<backbone>/<method>/s<seed>-<id8>.2/
    a further answer, from another machine; see `bench merge`
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.atomic_folders import make_folders, new_folder, replace_folder, sync_all
from bench.core.cell import Cell
from bench.core.errors import StoreError
from bench.core.locks import take_lock
from bench.core.predictions import CellResult, Predictions
from bench.store.cell_files import write_cell
from bench.store.places import answer_number, cell_path, slug
from bench.store.read import NEWER_FORMAT, PREDICTIONS, RESULT, Stored
from bench.store.read import read_cell as _load

if TYPE_CHECKING:
    from bench.store.model_file import SavableModel

LOCKS = ".locks"
SCRATCH = ".tmp-"

__all__ = ["LOCKS", "RESULT", "SCRATCH", "Store", "Stored", "cell_dir", "failed", "slug"]


def cell_dir(root: Path, cell: Cell) -> Path:
    """Return the folder of a cell in a results folder."""
    return root.joinpath(*cell_path(cell.task, cell.backbone, cell.method.text, cell.seed, cell.id))


class Store:
    """A results folder. Creating one touches nothing; writing makes the folder.

    option: the command-line option for the folder, for messages.
    """

    def __init__(self, root: Path, option: str = "--results") -> None:
        self.root, self.option = root, option

    def find(self, cell: Cell) -> Stored | None:
        """Return the stored cell, whatever its status, or None.

        Raises StoreError for a cell of a newer messybench, which this version must not replace.
        """
        stored = _load(cell_dir(self.root, cell))
        if isinstance(stored, str) and NEWER_FORMAT in stored:
            raise StoreError(f"{stored}, or choose another folder with {self.option} DIR")
        return stored if isinstance(stored, Stored) and stored.id == cell.id else None

    def faults(self, cells: Iterable[Cell], model: bool = False) -> list[str]:
        """Return a message for each of these cells that is stored but cannot be used.

        model: report a damaged model, too.
        """
        found = (_load(cell_dir(self.root, cell)) for cell in cells)
        faults = (stored.damage(model) if isinstance(stored, Stored) else stored for stored in found)
        return [fault for fault in faults if fault]

    def load(self, task: str | None = None) -> tuple[list[Stored], list[str]]:
        """Return the stored cells of a task (None: all), by path, and a message for each unreadable one.

        Only the first answer of each cell; `further` has the others.
        """
        return self._load(folder for folder in self.folders(task) if answer_number(folder) == 1)

    def further(self, task: str | None = None) -> tuple[list[Stored], list[str]]:
        """Return the further answers of cells, in the form of `load`."""
        return self._load(self.further_folders(task))

    def further_folders(self, task: str | None = None) -> list[Path]:
        """Return the folders of further answers, readable or not."""
        return [folder for folder in self.folders(task, "s*-*.*") if answer_number(folder) > 1]

    def folders(self, task: str | None = None, names: str = "s*-*") -> list[Path]:
        """Return the sorted folders of cells of a task (None: all), readable or not."""
        return sorted(self.root.glob(f"{slug(task) if task else '*'}/*/*/{names}/"))

    def _load(self, folders: Iterable[Path]) -> tuple[list[Stored], list[str]]:
        cells, problems = [], []
        for folder in folders:
            stored = _load(folder)
            if isinstance(stored, Stored):
                cells.append(stored)
            else:
                problems.append(stored or f"{folder / RESULT}: missing; run the cell again")
        return cells, problems

    def commit(
        self,
        result: CellResult,
        parts: Mapping[str, Predictions],
        model: SavableModel | None = None,
    ) -> Path:
        """Write a cell's folder whole, replacing an older one.

        parts: predictions by split: `val`, `test`, `imputed`. model: stored, too, with a plot of the history
        if matplotlib is installed.

        A failed cell never replaces a measured one, even a damaged one. Raises StoreError (one line: no
        space, not writable); the older folder then stays.
        """

        def fill(work: Path) -> None:
            write_cell(work, result, parts, model)

        return self._put(result.cell, result.status == "ok", fill)

    def take(self, cell: Cell, files: Mapping[str, bytes], ok: bool) -> Path:
        """Store a cell that another machine has committed, as `commit` does.

        files: those of its folder, by name. ok: whether it is measured.
        """

        def fill(work: Path) -> None:
            for name, content in files.items():
                (work / name).write_bytes(content)

        return self._put(cell, ok, fill)

    def _put(self, cell: Cell, ok: bool, fill: Callable[[Path], object]) -> Path:
        target = cell_dir(self.root, cell)
        before = self.find(cell)
        # A damaged cell with predictions was measured; someone may still rescue them.
        measured = before.ok if before is not None else (target / PREDICTIONS).exists()
        if ok or not measured:
            self.write(target, fill)
        return target

    def write(self, target: Path, fill: Callable[[Path], object]) -> None:
        """Let `fill` write files into an empty folder, which then replaces `target` whole.

        Raises StoreError if that fails; `target` is then unchanged.
        """
        with _storing(self.root, self.option):
            make_folders(target.parent)
            work = new_folder(target.parent, SCRATCH)
            try:
                fill(work)
                sync_all(work)
                replace_folder(work, target)
            finally:
                shutil.rmtree(work, ignore_errors=True)

    @contextmanager
    def lock(self, name: str, waiting: Callable[[], object] = tuple) -> Iterator[None]:
        """Hold a lock shared by all runs into this folder; `waiting()` is called once if it must wait."""
        with _storing(self.root, self.option):
            lock = take_lock(self.root / LOCKS / f"{slug(name)}.lock", waiting)
        try:
            yield
        finally:
            lock.release()

    def sweep(self, task: str) -> None:
        """Remove leftovers of killed runs, and restore a cell whose replacement was cut short.

        Call it only while holding the task's lock.
        """
        for leftover in self._leftovers(task):
            for replaced in leftover.glob("s*-*"):
                if not (leftover.parent / replaced.name).exists():
                    os.rename(replaced, leftover.parent / replaced.name)
            shutil.rmtree(leftover, ignore_errors=True)

    def sweep_if_free(self, task: str) -> None:
        """Call `sweep`, unless another run is writing or the folder is not writable."""

        def leave() -> None:
            raise StoreError("another run is writing")

        if any(self._leftovers(task)):
            with suppress(StoreError), self.lock(task, leave):
                self.sweep(task)

    def _leftovers(self, task: str) -> Iterator[Path]:
        return (self.root / slug(task)).glob(f"*/*/{SCRATCH}*")


@contextmanager
def _storing(root: Path, option: str) -> Iterator[None]:
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
        raise StoreError(f"results folder {str(root)!r}: {why}; choose another with {option} DIR") from None


def failed(result: CellResult, reason: str, status: str = "failed") -> CellResult:
    """Return the result with the status of a failure and its reason on one line."""
    return replace(result, status=status, reason=" ".join(reason.split())[:500])
