"""Execution of one job: pixels, features, splits, training, storage."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace

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
from bench.runs.stage_work import Nets, StageRun, StageWork
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
    nets: Nets = {}
    for stage in context.card.stages:
        cells = [cell for cell in job.cells if cell.stage == stage.name]
        for together in _by_training_set(cells):
            _run_stage(StageWork(context, job, stage, together, pixels, inputs), shared, nets)


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


def _run_stage(work: StageWork, shared: Mapping[str, float], nets: Nets) -> None:
    """Train the cells of one stage together and commit each when it is ready.

    nets: of staged cells, of this stage and those before it; extended here.
    """
    context, left = work.context, {cell.id: cell for cell in work.cells}
    try:
        run: StageRun = get_kind(context.card.kind).runner.prepare(work, nets)
    except StoreError:
        raise
    except BenchError as error:
        fail(context, work.cells, str(error))
        return
    together = work.job.regime == "frozen"
    try:
        for group in run.groups():
            began = time.monotonic()
            for cell, answer in tuned_answers(run, group):
                spent = (time.monotonic() - began) / (len(group) if together else 1)
                if isinstance(answer, str):
                    fail(context, [cell], answer)
                else:
                    commit(context, cell, answer, {**shared, "training": spent})
                if not together:
                    began = time.monotonic()
                del left[cell.id]
    except Exception as error:
        _retry_separately(replace(work, cells=list(left.values())), error, shared, nets)


def _retry_separately(work: StageWork, error: Exception, shared: Mapping[str, float], nets: Nets) -> None:
    """After an error in a group of cells, run each separately and store those that fail.

    Results do not depend on the group. Raises the error itself if no cell caused it: results or cache cannot
    be written, or memory is exhausted.
    """
    if isinstance(error, StoreError) or out_of_memory(error):
        raise error
    if not isinstance(error, BenchError):
        traceback.print_exception(error)
    if len(work.cells) == 1:
        fail(work.context, work.cells, in_one_line(error))
        return
    for cell in work.cells:
        _run_stage(replace(work, cells=[cell]), shared, nets)
