"""Context that all jobs of a run share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from bench.core import environment
from bench.core.cell import Cell, Value
from bench.core.locks import InUse
from bench.data.examples import Examples
from bench.data.labels import KEYS as PARTS_KEYS
from bench.data.labels import Parts
from bench.data.task_card import TaskCard
from bench.store.write import Store

if TYPE_CHECKING:
    import numpy as np

    from bench.backbones.feature_cache import RemoteExtractor
    from bench.data.rehearsal import Rehearsal

Emit = Callable[..., None]

CHECKPOINTS = "checkpoints"
"""Folder of checkpoints in the cache."""


@dataclass(frozen=True)
class Context:
    """Task, data, folders, and the receiver of events.

    emit(kind, **fields) reports an event. keep: whether to save models. remote: runs frozen backbones
    elsewhere; None: this process does. node: this machine's name in a cluster, "" without one.
    """

    card: TaskCard
    examples: Examples
    cache: Path
    results: Path
    command: str
    emit: Emit
    keep: bool = False
    remote: RemoteExtractor | None = None
    node: str = ""

    @cached_property
    def store(self) -> Store:
        """The results folder."""
        return Store(self.results)

    def environment_of(self, cell: Cell) -> dict[str, Any]:
        """Return the environment record of a cell."""
        found = {**self._environment, "precision": str(cell.setting["precision"])}
        return {**found, "node": self.node} if self.node else found

    @cached_property
    def _environment(self) -> dict[str, Any]:
        return environment.record()

    @cached_property
    def parts(self) -> Callable[[Cell], Parts]:
        """Labels and base split of a cell, cached across cells that share them."""
        known: dict[tuple[Value, ...], Parts] = {}

        def parts(cell: Cell) -> Parts:
            key = tuple(cell.setting[name] for name in PARTS_KEYS)
            return known.setdefault(key, Parts(self.card, self.examples, cell.setting))

        return parts

    def start_duplicate_search(self) -> None:
        """Start the near-duplicate search in another thread; `near` waits for it."""
        _ = self._near_duplicates

    @property
    def near(self) -> np.ndarray:
        """(p, 2) positions of near duplicates, without identical files."""
        search = self._near_duplicates
        if not search.done():
            self.progress(0, 1, "searching for near duplicates")
        return search.result()

    @cached_property
    def _near_duplicates(self) -> Future[np.ndarray]:
        # Imported here: concurrent imports of interdependent packages can deadlock.
        import scipy.fft
        import scipy.ndimage  # noqa: F401

        from bench.data.near_duplicate_cache import ensure_near_duplicates

        found: Future[np.ndarray] = Future()

        def search() -> None:
            try:
                found.set_result(ensure_near_duplicates(self.examples, self.cache))
            except BaseException as error:
                found.set_exception(error)

        # Daemon: a run that fails early does not wait for it.
        Thread(target=search, daemon=True).start()
        return found

    def rehearsal(self, cell: Cell) -> Rehearsal | None:
        """Return the rehearsal of a cell, or None."""
        from bench.data.rehearsal import Rehearsal

        name, column = cell.setting["rehearse"], str(cell.setting["rehearse_by"])
        if not name:
            return None
        [stage] = [stage for stage in self.card.stages if stage.name == name]
        marks: Sequence[str] | None = self.examples.columns[column] if column else None
        if marks is not None and column == self.card.titles:
            marks = [(title.lower().split() or [""])[0] for title in marks]
        return Rehearsal(stage, marks, int(cell.setting["rehearse_seed"] or 0))

    def checkpoints(self, regime: str) -> Path | None:
        """Return the checkpoint folder of a regime; None except for finetune."""
        if regime != "finetune":
            return None
        _ = self._marked
        return self.cache / CHECKPOINTS

    @cached_property
    def _marked(self) -> InUse:
        """Protects checkpoints from `bench cache prune`."""
        return InUse(self.cache / CHECKPOINTS)

    def progress(self, done: int, total: int, what: str) -> None:
        """Report the progress of a long step."""
        self.emit("progress", done=done, total=total, what=what)
