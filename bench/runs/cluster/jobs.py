"""Jobs of a run on a cluster: this process coordinates and stores; nodes compute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace

import numpy as np

from bench.backbones.external import split_names
from bench.backbones.inputs import image_format
from bench.backbones.registry import weights_of
from bench.core import plugins
from bench.core.cell import Cell
from bench.core.errors import BenchError, StoreError
from bench.data.near_duplicate_cache import near_duplicates_file
from bench.runs.cluster.blocks import Blocks
from bench.runs.cluster.node import MISSING, NetTask, RemoteImages, Setup, remote_pixels, train
from bench.runs.cluster.pool import Pool, Ref, TaskLost
from bench.runs.cluster.setup import Weights, required_files, versions
from bench.runs.commit import fail
from bench.runs.context import Context
from bench.runs.plan import Job, Request
from bench.runs.run_job import prepare_inputs, prepare_pixels, run_job

BLOCK_BYTES = 2**26
"""Bytes of images per block sent to a node that trains nets."""


def run_jobs(context: Context, request: Request, jobs: Sequence[Job], pool: Pool) -> None:
    """Run every cell of the jobs and commit each, as `bench.runs.run_job.run_job` does on one machine.

    Nodes extract frozen features into this machine's cache; heads train here, while the nodes extract the
    features of the next backbone. Whole nets train on the nodes. Raises the errors of `run_job`, and
    BenchError for a failure of the cluster.
    """
    blocks = Blocks(pool, _setup(context, request, jobs))
    here = replace(context, remote=blocks, node=pool.name)
    frozen = [job for job in jobs if job.regime == "frozen"]
    nets = [job for job in jobs if job.regime != "frozen"]
    with ThreadPoolExecutor(1) as ahead:
        try:
            ready = [ahead.submit(_compute, here, job) for job in frozen]
            trained = [ahead.submit(_train_nets, here, request, nets, pool, blocks)] if nets else []
            for job, done in zip(frozen, ready, strict=True):
                _end(done)
                run_job(here, job)
            for done in trained:
                done.result()
        except BaseException:
            ahead.shutdown(wait=False, cancel_futures=True)
            raise


def _end(done: Future[None]) -> None:
    """Wait for features; the job itself raises, and stores, their errors."""
    wait([done])


def _compute(context: Context, job: Job) -> None:
    prepare_pixels(context, job)
    inputs = prepare_inputs(context, job)
    if inputs is not None:
        _ = inputs.features


def _setup(context: Context, request: Request, jobs: Sequence[Job]) -> Setup:
    named = [
        name for text in request.backbones for one in split_names(text, ",") for name in split_names(one, "+")
    ]
    weights: list[Weights] = []
    for job in jobs:
        for info, text in zip(job.parts, weights_of(job.parts, job.weights), strict=True):
            if info.is_net:
                weights.append((info, text, image_format(info, job.cells[0].setting).size))
    places = tuple(dict.fromkeys((*request.plugins, *plugins.registered_here())))
    return Setup(versions(), required_files(places, named, weights), context.cache)


def _train_nets(context: Context, request: Request, jobs: Sequence[Job], pool: Pool, blocks: Blocks) -> None:
    """Train whole nets on the nodes and store their cells on arrival."""
    cells = {cell.id: cell for job in jobs for cell in job.cells}
    waiting: dict[Ref, tuple[_Net, list[str]]] = {}
    for job in jobs:
        try:
            net = _Net(context, request, job, pool, blocks)
        except StoreError:
            raise
        except BenchError as error:
            fail(context, job.cells, str(error))
            continue
        for ids in _units(job):
            waiting[net.submit(ids)] = net, ids
    while waiting:
        ref = pool.first(list(waiting))
        net, ids = waiting.pop(ref)
        try:
            found = pool.result(ref)
        except TaskLost as why:
            fail(context, [cells[cell_id] for cell_id in ids], str(why))
            continue
        if found == MISSING:
            waiting[net.send(ids)] = net, ids
            continue
        for event, files in found:
            context.store.take(cells[event["id"]], files, event["status"] == "ok")
            context.emit("cell", **{key: value for key, value in event.items() if key != "event"})


class _Net:
    """Tasks for nets of one backbone."""

    def __init__(self, context: Context, request: Request, job: Job, pool: Pool, blocks: Blocks) -> None:
        self.pool, self.blocks = pool, blocks
        self.pixels = prepare_pixels(context, job)
        _ = context.near
        examples = replace(context.examples, images=RemoteImages(context.examples.images.content_hashes()))
        place = near_duplicates_file(context.examples, context.cache)
        near = (str(place.relative_to(context.cache)), place.read_bytes()) if place.exists() else None
        sent = remote_pixels(self.pixels)
        self.work = pool.put(
            NetTask(blocks.setup, request, context.card, examples, sent, near, context.command, context.keep)
        )
        self.images: list[Ref] | None = None

    def submit(self, ids: Sequence[str]) -> Ref:
        """Submit cells to a node that reads the images by path, unless some node could not."""
        return self.send(ids) if self.blocks.sending else self.pool.submit(train, self.work, ids, None)

    def send(self, ids: Sequence[str]) -> Ref:
        """Submit cells with the images, which all tasks share."""
        self.blocks.sending = True
        if self.images is None:
            step = max(1, BLOCK_BYTES // max(1, self.pixels.rows.file.layout.step))
            every = np.arange(len(self.pixels))
            self.images = [
                self.pool.put(self.pixels.read(every[start : start + step]))
                for start in range(0, len(every), step)
            ]
        return self.pool.submit(train, self.work, ids, self.images)


def _units(job: Job) -> Iterator[list[str]]:
    """Yield the ids of cells that stay together: the stages of one method and seed."""
    units: dict[tuple[str, int], list[Cell]] = {}
    for cell in job.cells:
        units.setdefault((cell.method.text, cell.seed), []).append(cell)
    for cells in units.values():
        yield [cell.id for cell in cells]
