"""What all jobs of a run share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from bench import env
from bench.cards import TaskCard
from bench.data.examples import Examples
from bench.data.parts import KEYS as PARTS_KEYS
from bench.data.parts import Parts
from bench.spec import Cell, Value
from bench.store import Store

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

    def progress(self, done: int, total: int, what: str) -> None:
        """Report how far a long step has come."""
        self.emit("progress", done=done, total=total, what=what)
