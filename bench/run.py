"""One job, told top to bottom: pixels, features, splits, training, posthoc, predictions, commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench import env
from bench.cards import Stage, TaskCard
from bench.data.examples import Examples
from bench.data.parts import KEYS as PARTS_KEYS
from bench.data.parts import Parts
from bench.data.pixels import Pixels, ensure_pixels
from bench.data.splits import StageSplit, stage_split
from bench.errors import BenchError, StoreError
from bench.kinds.base import get_kind
from bench.methods.apply import apply_posthoc, fit_posthoc
from bench.models.backbones import get_backbone
from bench.models.features import ensure_features
from bench.models.lanes import Trained
from bench.models.trainers import HeadTrainer, NetTrainer, Order, Trainer, link
from bench.plan import Job
from bench.protocol import image_size
from bench.spec import Cell, CellResult, Predictions, Value
from bench.store import Store, failed

Emit = Callable[..., None]


@dataclass(frozen=True)
class Context:
    """What all jobs of a run share. `emit(kind, **fields)` reports an event."""

    card: TaskCard
    examples: Examples
    cache: Path
    results: Path
    command: str
    emit: Emit

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


@dataclass(frozen=True)
class Outcome:
    """A cell's answer: scores on validation and test, or why there are none."""

    trained: Trained
    val: np.ndarray | None = None
    test: np.ndarray | None = None
    choices: Mapping[str, Any] = field(default_factory=dict)
    reason: str | None = None


def run_job(context: Context, job: Job) -> None:
    """Run every cell of a job and commit each; a cell that fails is stored as failed, the others go on.

    Raises StoreError when results or cache cannot be written: nothing could go on then.
    """
    began = time.monotonic()
    try:
        pixels = _pixels(context, job)
        features = _features(context, job, pixels) if job.regime == "frozen" else None
    except StoreError:
        raise
    except BenchError as error:
        _fail(context, job.cells, str(error))
        return
    shared = {"inputs": time.monotonic() - began}
    for stage in context.card.stages:
        cells = [cell for cell in job.cells if cell.stage == stage.name]
        if cells:
            _run_stage(context, job, stage, cells, pixels, features, shared)


def _pixels(context: Context, job: Job) -> Pixels:
    setting = job.cells[0].setting
    size = image_size(setting["input_size"], get_backbone(job.backbone).input_size)
    return ensure_pixels(context.examples, size, str(setting["resize"]), context.cache, context.progress)


def _features(context: Context, job: Job, pixels: Pixels) -> np.ndarray:
    setting = job.cells[0].setting
    return ensure_features(
        pixels,
        get_backbone(job.backbone),
        weights=job.weights,
        preprocess=str(setting["preprocess"]),
        engine=str(setting["engine"]),
        cache=context.cache,
        progress=context.progress,
    )


def _run_stage(
    context: Context,
    job: Job,
    stage: Stage,
    cells: Sequence[Cell],
    pixels: Pixels,
    features: np.ndarray | None,
    shared: Mapping[str, float],
) -> None:
    """Train the cells of one stage together and commit each as it is ready."""
    try:
        splits = {
            seed: _split(context, stage, cells[0], pixels, seed) for seed in {cell.seed for cell in cells}
        }
        trainer = _trainer(context, job, cells[0], features, pixels, splits[cells[0].seed])
    except BenchError as error:
        _fail(context, cells, str(error))
        return
    began, together = time.monotonic(), job.regime == "frozen"
    for cell, outcome in train_cells(trainer, cells, splits):
        spent = (time.monotonic() - began) / (len(cells) if together else 1)
        _commit(context, cell, splits[cell.seed], outcome, pixels, {**shared, "training": spent})
        if not together:
            began = time.monotonic()


def _split(context: Context, stage: Stage, cell: Cell, pixels: Pixels, seed: int) -> StageSplit:
    setting, parts = cell.setting, context.parts(cell)
    return stage_split(
        parts.labels,
        parts.train,
        pixels.ok,
        stage,
        val_fraction=float(setting["val_fraction"] or 0.0),
        seed=seed,
        groups=parts.units,
        hashes=context.examples.images.content_hashes(),
        drop_leaked=setting["duplicates"] == "drop",
    )


def _trainer(
    context: Context, job: Job, cell: Cell, features: np.ndarray | None, pixels: Pixels, split: StageSplit
) -> Trainer:
    if features is not None:
        return HeadTrainer(features, split, cell.setting, context.progress, context.parts(cell).groups)
    return NetTrainer(pixels, get_backbone(job.backbone), split, cell.setting, context.progress)


def train_cells(
    trainer: Trainer, cells: Sequence[Cell], splits: Mapping[int, StageSplit]
) -> Iterator[tuple[Cell, Outcome]]:
    """Train all cells of a stage; yield each with its answer.

    Every choice (best epoch, posthoc parameters) is made on validation. With `refit`, a second head
    then learns from training and validation rows together, for as many epochs as the first one's best
    and with the choices made; the validation scores stay the first one's. Test is scored once, last.
    """
    orders = [Order(cell.method, cell.seed, splits[cell.seed].train, splits[cell.seed].val) for cell in cells]
    pending: list[tuple[Cell, Order, Outcome]] = []
    for cell, order, fitted in zip(cells, orders, trainer.fit(orders), strict=True):
        split = splits[cell.seed]
        if fitted.head is None:
            yield cell, Outcome(fitted.trained, reason=fitted.trained.failed)
            continue
        inputs = fitted.embed(split.val)
        head, choices = fit_posthoc(cell.method, fitted.head, inputs, split.truth[split.val], fitted.seen)
        val = link(fitted.link, head.logits(inputs))
        outcome = Outcome(fitted.trained, val=val, choices={**fitted.found, **choices})
        if cell.setting["refit"]:
            pending.append((cell, order.refit(fitted.trained.best_epoch), outcome))
        else:
            test = link(fitted.link, head.logits(fitted.embed(split.test)))
            yield cell, replace(outcome, test=test)
    for (cell, _, outcome), fitted in zip(
        pending, trainer.fit([order for _, order, _ in pending]), strict=True
    ):
        split = splits[cell.seed]
        if fitted.head is None:
            yield cell, replace(outcome, reason=f"refit: {fitted.trained.failed}")
            continue
        head = apply_posthoc(cell.method, fitted.head, outcome.choices, fitted.seen)
        yield cell, replace(outcome, test=link(fitted.link, head.logits(fitted.embed(split.test))))


def _commit(
    context: Context,
    cell: Cell,
    split: StageSplit,
    outcome: Outcome,
    pixels: Pixels,
    timings: Mapping[str, float],
) -> None:
    kind = get_kind(cell.kind)
    result = CellResult(
        cell,
        "ok",
        counts=_counts(context, split, pixels),
        timings={**timings, "seconds": sum(timings.values())},
        environment=context.environment,
        choices={"best_epoch": outcome.trained.best_epoch, **outcome.choices},
        command=context.command,
    )
    parts: dict[str, Predictions] = {}
    if outcome.reason is not None:
        result = failed(result, outcome.reason)
    else:
        assert outcome.val is not None and outcome.test is not None
        groups = context.parts(cell).groups
        parts["val"] = _predictions(context, groups, split, split.val, outcome.val)
        parts["test"] = _predictions(context, groups, split, split.test, outcome.test)
        trivial = kind.trivial(parts["test"])
        metrics = {name: kind.summary(part) for name, part in (*parts.items(), ("trivial", trivial))}
        result = replace(result, metrics=metrics, per_class=kind.per_class(parts["test"]))
    context.store.commit(result, parts, outcome.trained.history)
    context.emit("cell", id=cell.id, status=result.status, reason=result.reason)


def _predictions(
    context: Context, groups: Sequence[str] | None, split: StageSplit, rows: np.ndarray, scores: np.ndarray
) -> Predictions:
    return Predictions(
        items=tuple(context.examples.items[row] for row in rows),
        groups=None if groups is None else tuple(groups[row] for row in rows),
        truth=split.truth[rows],
        scores=scores.astype(np.float32),
        classes=split.classes,
        train_support=split.train_counts,
    )


def _counts(context: Context, split: StageSplit, pixels: Pixels) -> dict[str, int | None]:
    """Count what was used and what was left out."""
    fatal = sum(problem.fatal for problem in context.examples.problems)
    return {
        "train": len(split.train),
        "val": len(split.val),
        "test": len(split.test),
        "not_scored": split.unseen,
        "leaked": split.leaked,
        "quarantined": fatal + int((~pixels.ok).sum()),
    }


def _fail(context: Context, cells: Sequence[Cell], reason: str) -> None:
    """Store all these cells as failed for one reason."""
    for cell in cells:
        result = CellResult(cell, "failed", environment=context.environment, command=context.command)
        context.store.commit(failed(result, reason), {}, ())
        context.emit("cell", id=cell.id, status="failed", reason=reason)
