"""Execution of one job: pixels, features, splits, training, storage."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from bench.backbones.info import JOIN
from bench.backbones.inputs import Inputs, frozen_inputs, image_format, pixels_for
from bench.backbones.registry import weights_of
from bench.core.cell import Cell
from bench.core.errors import BenchError, StoreError, in_one_line
from bench.core.kind import get_kind
from bench.core.memory_limits import out_of_memory
from bench.data.near_duplicate_cache import missing_formats
from bench.data.pixels import Pixels
from bench.runs.commit import commit, fail
from bench.runs.context import Context
from bench.runs.plan import Job
from bench.runs.stage_run import StageRun
from bench.runs.tuning import tuned_answers


def run_job(context: Context, job: Job) -> None:
    """Run every cell of a job and commit each, measured or failed.

    Raises StoreError when results or cache cannot be written, and the errors of exhausted memory.
    """
    began = time.monotonic()
    try:
        pixels = prepare_pixels(context, job)
        context.start_duplicate_search()
        inputs = prepare_inputs(context, job)
        if inputs is not None:
            _ = inputs.features
    except StoreError:
        raise
    except BenchError as error:
        fail(context, job.cells, str(error))
        return
    shared = {"inputs": time.monotonic() - began}
    prepare = partial(get_kind(context.card.kind).runner.prepare, context, pixels, inputs, {})
    for stage in context.card.stages:
        cells = [cell for cell in job.cells if cell.stage == stage.name]
        for together in _by_training_set(cells):
            _run_stage(context, replace(job, cells=tuple(together)), prepare, shared)


def _by_training_set(cells: Sequence[Cell]) -> list[list[Cell]]:
    """Group the cells of one stage by training set: all share one, except in a rehearsal."""
    parts: dict[int | None, list[Cell]] = {}
    for cell in cells:
        parts.setdefault(cell.seed if cell.setting["rehearse"] else None, []).append(cell)
    return list(parts.values())


def prepare_pixels(context: Context, job: Job) -> Pixels:
    """Return the images in the format of the backbone, or of the first part of a joined one.

    Images are decoded once for all parts and the near-duplicate search.
    """
    parts, setting = job.parts, job.cells[0].setting
    also = [image_format(info, setting) for info in parts[1:] if info.reads == "pixels"]
    also += missing_formats(context.examples, context.cache)
    return pixels_for(parts[0], setting, context.examples, context.cache, context.progress, also)


def prepare_inputs(context: Context, job: Job) -> Inputs | None:
    """Return the outputs of frozen backbones; None if all read titles or none is frozen."""
    parts, setting = job.parts, job.cells[0].setting
    pairs = zip(parts, weights_of(parts, job.weights), strict=True)
    images = [(info, weights) for info, weights in pairs if info.reads != "titles"]
    if job.regime != "frozen" or not images:
        return None
    return frozen_inputs(
        [info for info, _ in images],
        JOIN.join(weights for _, weights in images),
        setting,
        context.examples,
        context.cache,
        context.progress,
        context.remote,
    )


Prepare = Callable[[Job], StageRun]
"""Splits the data of a stage's cells and prepares their training. Raises BenchError."""


def _run_stage(context: Context, job: Job, prepare: Prepare, shared: Mapping[str, float]) -> None:
    """Train the cells of one stage together and commit each when it is ready."""
    left = {cell.id: cell for cell in job.cells}
    try:
        run = prepare(job)
    except StoreError:
        raise
    except BenchError as error:
        fail(context, job.cells, str(error))
        return
    together = job.regime == "frozen"
    try:
        for group in run.groups():
            began = time.monotonic()
            for answer in tuned_answers(run, group):
                spent = (time.monotonic() - began) / (len(group) if together else 1)
                commit(context, answer, {**shared, "training": spent})
                if not together:
                    began = time.monotonic()
                del left[answer[0].cell.id]
    except Exception as error:
        _retry_separately(context, replace(job, cells=tuple(left.values())), error, prepare, shared)


def _retry_separately(
    context: Context, job: Job, error: Exception, prepare: Prepare, shared: Mapping[str, float]
) -> None:
    """After an error in a group of cells, run each separately and store those that fail.

    Results do not depend on the group. Raises the error itself if no cell caused it: results or cache cannot
    be written, or memory is exhausted.
    """
    if isinstance(error, StoreError) or out_of_memory(error):
        raise error
    if not isinstance(error, BenchError):
        traceback.print_exception(error)
    if len(job.cells) == 1:
        fail(context, job.cells, in_one_line(error))
        return
    for cell in job.cells:
        _run_stage(context, replace(job, cells=(cell,)), prepare, shared)
