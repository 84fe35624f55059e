"""What all jobs of a run share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import env
from bench.cards import TaskCard
from bench.data.examples import Examples
from bench.data.parts import KEYS as PARTS_KEYS
from bench.data.parts import Parts
from bench.spec import Cell, Value
from bench.store import Store

if TYPE_CHECKING:
    from bench.data.rehearsal import Rehearsal

Emit = Callable[..., None]

CHECKPOINTS = "checkpoints"
"""The folder in the cache where nets in training are written down."""


@dataclass(frozen=True)
class Context:
    """Task, data, folders, and whom to tell.

    emit(kind, **fields) reports an event. keep: whether models are kept.
    """

    card: TaskCard
    examples: Examples
    cache: Path
    results: Path
    command: str
    emit: Emit
    keep: bool = False

    @cached_property
    def store(self) -> Store:
        """The results folder."""
        return Store(self.results)

    @cached_property
    def environment(self) -> dict[str, Any]:
        """The record stored with every cell."""
        return env.record()

    @cached_property
    def parts(self) -> Callable[[Cell], Parts]:
        """Labels and base split for a cell; computed once for all cells that share them."""
        known: dict[tuple[Value, ...], Parts] = {}

        def parts(cell: Cell) -> Parts:
            key = tuple(cell.setting[name] for name in PARTS_KEYS)
            return known.setdefault(key, Parts(self.card, self.examples, cell.setting))

        return parts

    def rehearsal(self, cell: Cell) -> Rehearsal | None:
        """Return how a cell rehearses another stage, or None where it does not."""
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
        """Return where nets of a regime are written down in training; small ones, from scratch, are not."""
        return self.cache / CHECKPOINTS if regime == "finetune" else None

    def progress(self, done: int, total: int, what: str) -> None:
        """Report how far a long step has come."""
        self.emit("progress", done=done, total=total, what=what)
