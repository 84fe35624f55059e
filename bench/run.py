"""One job, told top to bottom: pixels, features, splits, training, what is stored."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.cards import Stage
from bench.context import Context
from bench.data.pixels import Pixels
from bench.data.splits import StageSplit, attribute_split, stage_split
from bench.errors import BenchError, StoreError
from bench.methods.apply import shape_of
from bench.models.auxiliary import Targets, read_targets
from bench.models.backbones import JOIN, get_backbone, parts_of, weights_of
from bench.models.inputs import Inputs, frozen_inputs, pixel_inputs, pixels_for
from bench.models.orders import Trainer
from bench.models.trainers import HeadTrainer, NetTrainer
from bench.plan import Job
from bench.records import commit, fail, forget_checkpoints
from bench.spec import Cell
from bench.stage_checks import check_stage
from bench.staged import of_stage
from bench.text.inputs import beside_titles, word_inputs
from bench.text.titles import StageTitles, stage_titles
from bench.training import train_cells
from bench.verification.run import run_pairs

Nets = dict[tuple[str, str, int], tuple[np.ndarray, ...]]
"""The variables of trained nets below their heads, by stage, method and seed."""


def run_job(context: Context, job: Job) -> None:
    """Run every cell of a job and commit each; a cell that fails is stored as failed, the others go on.

    Raises StoreError when results or cache cannot be written: nothing could go on then.
    """
    began = time.monotonic()
    try:
        pixels = _pixels(context, job)
        inputs = _inputs(context, job)
        if inputs is not None:
            _ = inputs.features
    except StoreError:
        raise
    except BenchError as error:
        fail(context, job.cells, str(error))
        return
    shared = {"inputs": time.monotonic() - began}
    nets: Nets = {}
    for stage in context.card.stages:
        cells = [cell for cell in job.cells if cell.stage == stage.name]
        if cells and context.card.kind == "verification":
            run_pairs(context, job, cells, pixels, inputs, shared)
            continue
        for together in _sharing(cells):
            _run_stage(context, job, stage, together, pixels, inputs, shared, nets)


def _sharing(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Part cells of one stage into those that learn from the same images: all do, but in a rehearsal."""
    parts: dict[int | None, list[Cell]] = {}
    for cell in cells:
        parts.setdefault(cell.seed if cell.setting["rehearse"] else None, []).append(cell)
    return list(parts.values())


def _pixels(context: Context, job: Job) -> Pixels:
    """Return the images as the backbone takes them, or the first part of a joined one."""
    first, setting = parts_of(job.backbone)[0], job.cells[0].setting
    return pixels_for(first, setting, context.examples, context.cache, context.progress)


def _inputs(context: Context, job: Job) -> Inputs | None:
    """Return what frozen backbones make of the images; None where none looks at any, or nothing is frozen."""
    parts, setting = parts_of(job.backbone), job.cells[0].setting
    told = zip(parts, weights_of(parts, job.weights), strict=True)
    looking = [(info, own) for info, own in told if info.reads == "pixels"]
    if job.regime != "frozen" or not looking:
        return None
    own = JOIN.join(weights for _, weights in looking)
    given = [info for info, _ in looking], own, setting, context.examples, context.cache, context.progress
    return frozen_inputs(*given)


def _run_stage(
    context: Context,
    job: Job,
    stage: Stage,
    cells: Sequence[Cell],
    pixels: Pixels,
    inputs: Inputs | None,
    shared: Mapping[str, float],
    nets: Nets,
) -> None:
    """Train the cells of one stage together and commit each as it is ready.

    nets: what staged cells of the stages before have become, and those of this one from now on.
    """
    staged = job.regime == "finetune" and bool(cells[0].setting["staged"])
    try:
        # A stage that cannot be split says so before the one that it goes on from is trained.
        splits, trainer, titles = _prepared(context, job, stage, cells, pixels, inputs)
        if staged:
            _train_before(context, job, stage, cells, pixels, nets)
    except BenchError as error:
        fail(context, cells, str(error))
        return
    checks = check_stage(context, trainer, splits[cells[0].seed], cells[0], titles)
    began, together = time.monotonic(), job.regime == "frozen"
    keep = pixels.size if context.keep or staged else None
    left = {cell.id: cell for cell in cells}
    try:
        starts, targets = _starts(context, stage, cells, nets), _targets(context, splits, cells)
        for cell, outcome in train_cells(trainer, cells, splits, keep, starts, targets):
            spent = (time.monotonic() - began) / (len(cells) if together else 1)
            if outcome.model is not None:
                nets[stage.name, cell.method.text, cell.seed] = outcome.model.net
            outcome = replace(outcome, checks=checks, model=outcome.model if context.keep else None)
            commit(context, cell, splits[cell.seed], outcome, pixels, {**shared, "training": spent})
            if not together:
                began = time.monotonic()
            del left[cell.id]
    except StoreError:
        raise
    except BenchError as error:
        fail(context, list(left.values()), str(error))


def _prepared(
    context: Context,
    job: Job,
    stage: Stage,
    cells: Sequence[Cell],
    pixels: Pixels,
    inputs: Inputs | None,
) -> tuple[dict[int, StageSplit], Trainer, StageTitles | None]:
    """Return the split of every seed, what trains the cells, and the titles that they read, if they do."""
    splits = {seed: _split(context, stage, cells[0], pixels, seed) for seed in {cell.seed for cell in cells}}
    split, titles = splits[cells[0].seed], None
    if any(info.reads == "titles" for info in parts_of(job.backbone)):
        column = context.card.titles
        told = context.examples.columns[column]
        titles = stage_titles(column, told, split, cells[0].setting, stage.name)
    return splits, _trainer(context, job, cells[0], inputs, pixels, split, titles), titles


def _train_before(
    context: Context, job: Job, stage: Stage, cells: Sequence[Cell], pixels: Pixels, nets: Nets
) -> None:
    """Add to `nets` what the cells go on from and is not there: nets of the stage before, trained again.

    A cell is a function of its identity, so that what comes out is what was stored then. Raises BenchError
    where one of them fails.
    """
    before = _stage_before(context, stage)
    if before is None:
        return
    missing = [
        _at(context, cell, before) for cell in cells if (before.name, cell.method.text, cell.seed) not in nets
    ]
    if not missing:
        return
    _train_before(context, job, before, missing, pixels, nets)
    splits, trainer, _ = _prepared(context, job, before, missing, pixels, None)
    starts = _starts(context, before, missing, nets)
    targets = _targets(context, splits, missing)
    for cell, outcome in train_cells(trainer, missing, splits, pixels.size, starts, targets):
        forget_checkpoints(context, cell)
        if outcome.model is None:
            raise BenchError(f"stage {before.name}, which {stage.name} goes on from: {outcome.reason}")
        nets[before.name, cell.method.text, cell.seed] = outcome.model.net


def _at(context: Context, cell: Cell, stage: Stage) -> Cell:
    """Return the cell of an earlier stage that this one goes on from."""
    earlier = [one.name for one in context.card.stages[: context.card.stages.index(stage)]][::-1]
    return replace(
        cell, stage=stage.name, protocol=tuple(sorted(of_stage(cell.setting, stage.name, earlier).items()))
    )


def _stage_before(context: Context, stage: Stage) -> Stage | None:
    place = context.card.stages.index(stage)
    return context.card.stages[place - 1] if place else None


def _starts(
    context: Context, stage: Stage, cells: Sequence[Cell], nets: Nets
) -> dict[str, tuple[np.ndarray, ...]]:
    """Return by cell id what its net begins as; nothing where it begins with its weights."""
    before = _stage_before(context, stage)
    if before is None:
        return {}
    keys = {cell.id: (before.name, cell.method.text, cell.seed) for cell in cells}
    return {cell: nets[key] for cell, key in keys.items() if key in nets}


def _targets(context: Context, splits: Mapping[int, StageSplit], cells: Sequence[Cell]) -> Targets | None:
    """Return the auxiliary columns of the stage's training part, where a method asks for them."""
    if all(shape_of(cell.method).shared is None for cell in cells):
        return None
    split, columns = splits[cells[0].seed], context.examples.columns
    rows = np.concatenate([split.train, split.val])
    return read_targets({name: columns[name] for name in context.card.auxiliary}, rows)


def _split(context: Context, stage: Stage, cell: Cell, pixels: Pixels, seed: int) -> StageSplit:
    setting, parts = cell.setting, context.parts(cell)
    how: dict[str, Any] = {
        "val_fraction": float(setting["val_fraction"] or 0.0),
        "seed": seed,
        "groups": parts.units,
        "hashes": context.examples.images.content_hashes(),
        "drop_leaked": setting["duplicates"] == "drop",
    }
    if context.card.label:
        how["rehearsal"] = context.rehearsal(cell)
        return stage_split(parts.labels, parts.train, pixels.ok, stage, **how)
    known = parts.table, parts.hidden, parts.attributes
    return attribute_split(*known, parts.train, pixels.ok, stage, **how)


def _trainer(
    context: Context,
    job: Job,
    cell: Cell,
    inputs: Inputs | None,
    pixels: Pixels,
    split: StageSplit,
    titles: StageTitles | None,
) -> Trainer:
    prices, setting, width = context.examples.columns.get("price"), cell.setting, 0
    if titles is not None:
        if job.regime != "frozen":
            return NetTrainer(word_inputs(titles), split, setting, context.progress, prices)
        inputs, width = beside_titles(inputs, titles)
    if inputs is not None:
        groups = context.parts(cell).groups
        return HeadTrainer(inputs, split, setting, context.progress, groups, prices, width)
    read = pixel_inputs(pixels, get_backbone(job.backbone), job.weights, setting)
    return NetTrainer(read, split, setting, context.progress, prices, context.checkpoints(job.regime))
