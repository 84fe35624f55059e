"""Nets of staged cells: each stage begins with the nets of the stage before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from bench.core.cell import Cell
from bench.core.stage_values import stage_values
from bench.data.task_card import Stage, TaskCard
from bench.runs.commit import Answer
from bench.runs.stage_run import Net, Nets
from bench.store.head_file import SavedHead


def net_of(answer: Answer) -> Net:
    """Return the net of a trained cell, or the reason of its failure."""
    result, _, model = answer
    return model.net if isinstance(model, SavedHead) else result.reason or "it has no net"


def key_of(cell: Cell) -> tuple[str, str, int]:
    """Return the key of a cell's net in `Nets`."""
    return cell.stage, cell.method.text, cell.seed


def stage_before(card: TaskCard, cell: Cell) -> Stage | None:
    """Return the stage before that of a cell, or None."""
    place = [stage.name for stage in card.stages].index(cell.stage)
    return card.stages[place - 1] if place else None


def starts_of(
    card: TaskCard, cells: Sequence[Cell], nets: Nets, train: Callable[[Sequence[Cell]], None]
) -> tuple[dict[str, tuple[np.ndarray, ...]], dict[str, str]]:
    """Return by cell id the initial variables of nets, and the reasons of cells without.

    Both are empty for cells of the first stage. train: adds the nets of an earlier stage's cells to `nets`:
    those that are not there are trained again.
    """
    before = stage_before(card, cells[0])
    if before is None:
        return {}, {}
    earlier = {cell.id: _at(card, cell, before) for cell in cells}
    missing = [cell for cell in earlier.values() if key_of(cell) not in nets]
    if missing:
        train(missing)
    starts: dict[str, tuple[np.ndarray, ...]] = {}
    lost: dict[str, str] = {}
    for own, cell in earlier.items():
        net = nets[key_of(cell)]
        if isinstance(net, str):
            lost[own] = f"stage {before.name}, which {cells[0].stage} starts from: {net}"
        else:
            starts[own] = net
    return starts, lost


def _at(card: TaskCard, cell: Cell, stage: Stage) -> Cell:
    """Return the cell of the earlier stage that this one starts from."""
    earlier = [one.name for one in card.stages[: card.stages.index(stage)]][::-1]
    return replace(
        cell,
        stage=stage.name,
        protocol=tuple(sorted(stage_values(cell.setting, stage.name, earlier).items())),
    )
