"""Choices of a trained cell on validation: posthoc steps, and the scores before and after them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from bench.core.cell import Cell
from bench.data.splits import StageSplit
from bench.methods.apply import Resolved, TrainRows, apply_posthoc, fit_posthoc
from bench.methods.fallback import TwoHeads
from bench.methods.shape import shape_of, step_with
from bench.runs.label_trainer import LabelTrainer
from bench.store.head_file import SavedHead, saved_head
from bench.training.fits import Trained
from bench.training.linear_head import LinearHead, link


class Choice(NamedTuple):
    """A cell's choices on validation.

    head: the head after posthoc steps. val: its scores on validation, (v, k) float32. found: for the record.
    fills: the method's estimates of unknown training labels, (train, k), or None.
    """

    head: LinearHead
    val: np.ndarray
    found: dict[str, Any]
    fills: np.ndarray | None


def choose(trainer: LabelTrainer, cell: Cell, split: StageSplit, trained: Trained, made: Resolved) -> Choice:
    """Fit posthoc steps and score validation. Raises BenchError."""
    inputs, truth = _rows(trainer, trained, split.val)()
    train, calibration = _train_rows(trainer, split, trained, made)
    head, choices = fit_posthoc(
        cell.method, _head(trained, made), inputs, truth, made.seen, train, calibration
    )
    found = {**made.found, **choices}
    if trained.l2 is not None:
        found["weight_decay"] = trained.l2
    if trained.parts:
        each: dict[str, Any] = {"best_epochs": [part.best_epoch for part in trained.parts]}
        if trained.l2 is not None:
            each["weight_decay"] = [part.l2 for part in trained.parts]
        step = _two_heads_step(cell)
        found[step] = {**found.get(step, {}), **each}
    return Choice(head, link(made.loss.link, head.logits(inputs)), found, made.fills)


def final_scores(
    trainer: LabelTrainer,
    cell: Cell,
    split: StageSplit,
    trained: Trained,
    made: Resolved,
    choice: Choice,
    refit: bool,
) -> tuple[LinearHead, np.ndarray, dict[str, np.ndarray], dict[str, Any]]:
    """Return a cell's final head, its scores on test, those on calibration parts, and what is recorded.

    refit: whether the training came after the choices. Steps with a calibration part are then fitted on it
    again, as neither head has seen it.
    """
    head, _, found, _ = choice
    if refit:
        rows = _train_rows(trainer, split, trained, made)
        head, found = apply_posthoc(cell.method, _head(trained, made), found, made.seen, *rows)
    inputs, _ = _rows(trainer, trained, split.test)()
    test = link(head.link, head.logits(inputs))
    parts = {
        step: link(head.link, head.logits(_rows(trainer, trained, rows)()[0]))
        for step, rows in split.calibration.items()
    }
    if isinstance(head, TwoHeads):
        step = _two_heads_step(cell)
        fell = {"fell_back_test": float(head.falls_back(inputs).mean())}
        found = {**found, step: {**found[step], **fell}}
    return head, test, parts, found


def model_of(
    cell: Cell,
    split: StageSplit,
    trained: Trained,
    made: Resolved,
    head: LinearHead,
    size: tuple[int, int],
    scaling: tuple[np.ndarray | None, np.ndarray | None],
) -> SavedHead:
    """Return the model that scores images of a size for a cell. scaling: see `LabelTrainer.scaling`."""
    return saved_head(
        cell,
        split.classes,
        size,
        made.loss.link,
        head,
        trained.hidden,
        *scaling,
        shape_of(cell.method).filters,
        trained.net(),
        trained.unit,
    )


def _head(trained: Trained, made: Resolved) -> LinearHead:
    """Return the trained head with its link."""
    assert trained.head is not None
    return replace(trained.head, link=made.loss.link)


def _rows(trainer: LabelTrainer, trained: Trained, rows: np.ndarray) -> TrainRows:
    """Return the function that gives the head's inputs for examples, and their truth."""
    embed = trained.embed
    assert embed is not None
    return lambda: (embed(rows), trainer.truth[rows])


def _train_rows(
    trainer: LabelTrainer, split: StageSplit, trained: Trained, made: Resolved
) -> tuple[TrainRows, dict[str, TrainRows]]:
    """Return the functions that give the rows in the loss, and by step those of its calibration part.

    The former without synthetic and relabelled rows.
    """
    seen = made.resampled.rows
    train = split.train[np.unique(seen[seen < len(split.train)])]
    calibration = {step: _rows(trainer, trained, rows) for step, rows in split.calibration.items()}
    return _rows(trainer, trained, train), calibration


def _two_heads_step(cell: Cell) -> str:
    """Return the step with two heads; the record describes their use under its name."""
    step = step_with(cell.method, ("two_heads",))
    assert step is not None
    return step
