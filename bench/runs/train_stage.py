"""Training of a stage's cells: every choice on validation, then test, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bench.core.cell import Cell
from bench.core.errors import BenchError
from bench.data.splits import StageSplit
from bench.methods.apply import TrainRows, apply_posthoc, fit_posthoc
from bench.methods.fallback import TwoHeads
from bench.methods.shape import shape_of, step_with
from bench.runs.commit import Answer
from bench.runs.orders import Fitted, Order, Trainer
from bench.store.head_file import SavedHead, saved_head
from bench.training.auxiliary import Targets
from bench.training.linear_head import LinearHead, link


def train_cells(
    trainer: Trainer,
    cells: Sequence[Cell],
    splits: Mapping[int, StageSplit],
    keep: tuple[int, int] | None = None,
    starts: Mapping[str, tuple[np.ndarray, ...]] | None = None,
    targets: Targets | None = None,
) -> Iterator[tuple[Cell, Answer]]:
    """Train all cells of a stage; yield each with its answer: scores, without predictions.

    Every choice (best epoch, posthoc parameters) is made on validation. With `refit`, a second head
    then learns from training and validation rows together, for as many epochs as the first one's best
    and with the choices made; the validation scores stay the first one's. Steps with a calibration part are
    fitted on it for each of the two heads, as neither has seen it. Test is scored once, last.
    keep: the (height, width) of the pixels, where the models are to be kept. starts: by cell id, what a net
    begins as instead of its weights. targets: auxiliary ones, for methods that train on them.
    """

    def answered(cell: Cell, fitted: Fitted, head: LinearHead, answer: Answer) -> Answer:
        split = splits[cell.seed]
        assert fitted.made is not None
        inputs = fitted.embed(split.test)
        test = link(fitted.made.loss.link, head.logits(inputs))
        model = None if keep is None else _model(cell, split, fitted, head, keep)
        choices = answer.choices
        rows = _calibration(trainer, split, fitted)
        parts = {step: link(head.link, head.logits(own()[0])) for step, own in rows.items()}
        if isinstance(head, TwoHeads):
            fell = {"fell_back_test": float(head.falls_back(inputs).mean())}
            step = _two_heads_step(cell)
            choices = {**choices, step: {**choices[step], **fell}}
        return replace(answer, test=test, cuts=head.cuts, calibration=parts, model=model, choices=choices)

    orders = [_order(cell, splits[cell.seed], starts, targets) for cell in cells]
    pending: list[tuple[Cell, Order, Answer]] = []
    for cell, order, fitted in zip(cells, orders, trainer.fit(orders), strict=True):
        head, answer = _validated(trainer, cell, splits[cell.seed], order, fitted)
        if head is None:
            yield cell, answer
        elif cell.setting["refit"]:
            pending.append((cell, order.refit(fitted.trained, fitted.parts), answer))
        else:
            yield cell, answered(cell, fitted, head, answer)
    for (cell, order, answer), fitted in zip(
        pending, trainer.fit([order for _, order, _ in pending]), strict=True
    ):
        if fitted.head is None or fitted.made is None:
            yield cell, replace(answer, reason=f"refit: {fitted.trained.failed}")
            continue
        train = _trained_on(trainer, order, fitted)
        calibration = _calibration(trainer, splits[cell.seed], fitted)
        own = replace(fitted.head, link=fitted.made.loss.link)
        head, choices = apply_posthoc(cell.method, own, answer.choices, fitted.made.seen, train, calibration)
        yield cell, answered(cell, fitted, head, replace(answer, choices=choices))


def validate_cells(
    trainer: Trainer, work: Sequence[tuple[Cell, StageSplit]], targets: Targets | None = None
) -> Iterator[Answer]:
    """Train a cell on each split and yield its scores on validation, in this order; test is not touched.

    The splits part the same training rows. targets: see `train_cells`.
    """
    orders = [_order(cell, split, None, targets) for cell, split in work]
    for (cell, split), order, fitted in zip(work, orders, trainer.fit(orders), strict=True):
        yield _validated(trainer, cell, split, order, fitted)[1]


def _order(
    cell: Cell,
    split: StageSplit,
    starts: Mapping[str, tuple[np.ndarray, ...]] | None,
    targets: Targets | None,
) -> Order:
    return Order(
        cell.method,
        cell.seed,
        split.train,
        split.val,
        start=(starts or {}).get(cell.id),
        name=cell.id,
        targets=targets,
        setting=cell.setting,
    )


def _validated(
    trainer: Trainer, cell: Cell, split: StageSplit, order: Order, fitted: Fitted
) -> tuple[LinearHead | None, Answer]:
    """Return a cell's head, posthoc steps and all, and its scores on validation; no head if it failed."""
    if fitted.head is None or fitted.made is None:
        return None, Answer(fitted.trained, reason=fitted.trained.failed)
    inputs, made = fitted.embed(order.val_rows), fitted.made
    try:
        truth, train = trainer.truth[order.val_rows], _trained_on(trainer, order, fitted)
        calibration = _calibration(trainer, split, fitted)
        own = replace(fitted.head, link=made.loss.link)
        head, choices = fit_posthoc(cell.method, own, inputs, truth, made.seen, train, calibration)
    except BenchError as error:
        return None, Answer(fitted.trained, reason=str(error))
    val, found = link(made.loss.link, head.logits(inputs)), {**made.found, **choices}
    if fitted.trained.l2 is not None:
        found["weight_decay"] = fitted.trained.l2
    if fitted.parts:
        each: dict[str, Any] = {"best_epochs": [part.best_epoch for part in fitted.parts]}
        if fitted.trained.l2 is not None:
            each["weight_decay"] = [part.l2 for part in fitted.parts]
        step = _two_heads_step(cell)
        found[step] = {**found.get(step, {}), **each}
    return head, Answer(fitted.trained, val=val, val_cuts=head.cuts, fills=made.fills, choices=found)


def _calibration(trainer: Trainer, split: StageSplit, fitted: Fitted) -> dict[str, TrainRows]:
    """Return by step the function that gives the rows of its calibration part."""

    def rows_of(rows: np.ndarray) -> TrainRows:
        return lambda: (fitted.embed(rows), trainer.truth[rows])

    return {step: rows_of(rows) for step, rows in split.calibration.items()}


def _two_heads_step(cell: Cell) -> str:
    """Return the step with two heads; the record describes their use under its name."""
    step = step_with(cell.method, ("two_heads",))
    assert step is not None
    return step


def _trained_on(trainer: Trainer, order: Order, fitted: Fitted) -> TrainRows:
    """Return the function that gives an order's rows in the loss, without synthetic and relabelled ones."""
    assert fitted.made is not None
    seen = fitted.made.resampled.rows
    rows = order.rows[np.unique(seen[seen < len(order.rows)])]
    return lambda: (fitted.embed(rows), trainer.truth[rows])


def _model(
    cell: Cell, split: StageSplit, fitted: Fitted, head: LinearHead, size: tuple[int, int]
) -> SavedHead:
    """Return the model that scores images for a cell."""
    assert fitted.made is not None
    return saved_head(
        cell,
        split.classes,
        size,
        fitted.made.loss.link,
        head,
        fitted.trained.hidden,
        fitted.mean,
        fitted.scale,
        shape_of(cell.method).filters,
        fitted.net(),
        fitted.trained.unit,
    )
