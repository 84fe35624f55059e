"""Cells to train, of no task in particular."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

from bench.core.cell import Cell, DataId, Value
from bench.core.protocol import defaults
from bench.data.splits import StageSplit
from bench.methods.grammar import parse_method


def cell_of(method: str = "none", seed: int = 0, setting: Mapping[str, Value] | None = None) -> Cell:
    """Return a cell with a method, a seed and protocol values."""
    protocol = tuple(sorted({**defaults(), **(setting or {})}.items()))
    own = "none", 1, "multiclass", "all", "frozen", "hog", "none", parse_method(method), seed, protocol
    return Cell(*own, DataId("drawn-tiny", "f" * 64))


def trained_as_run(
    trainer: Any, work: Sequence[tuple[Cell, StageSplit]], size: tuple[int, int] = (32, 32)
) -> Iterator[tuple[Cell, Any]]:
    """Train cells as `bench run` does; yield each with its scores, choices and model, or why it failed."""
    from bench.runs.choices import choose, final_scores, model_of
    from bench.runs.train_stage import train_cells

    def score(cell: Cell, split: StageSplit, trained: Any, made: Any, choice: Any, refit: bool) -> Any:
        head, test, parts, choices = final_scores(trainer, cell, split, trained, made, choice, refit)
        model = model_of(cell, split, trained, made, head, size, trainer.scaling(cell))
        scores = {"val": choice.val, "test": test, "calibration": parts}
        return SimpleNamespace(**scores, head=head, choice=choice, choices=choices, model=model)

    for cell, trained, found in train_cells(trainer, work, partial(choose, trainer), score):
        yield cell, found if isinstance(found, str) else SimpleNamespace(**vars(found), trained=trained)
