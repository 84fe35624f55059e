"""From a stage's cells to their answers: every choice on validation, then test, once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bench.data.splits import StageSplit
from bench.errors import BenchError
from bench.keep import KeptHead, kept
from bench.methods.apply import TrainRows, apply_posthoc, fit_posthoc, shape_of
from bench.methods.fallback import TwoHeads
from bench.methods.links import link
from bench.methods.registry import LinearHead
from bench.models.auxiliary import Targets
from bench.models.lanes import Trained
from bench.models.orders import Fitted, Order, Trainer
from bench.spec import Cell


@dataclass(frozen=True)
class Outcome:
    """A cell's answer: scores on validation and test, or why there are none.

    cuts: of its attributes' scores, see `Predictions`. fills: what the method took unknown training cells
    for, (train, k), or None. model: what scores images, where it is to be kept.
    """

    trained: Trained
    val: np.ndarray | None = None
    test: np.ndarray | None = None
    cuts: np.ndarray | None = None
    fills: np.ndarray | None = None
    choices: Mapping[str, Any] = field(default_factory=dict)
    checks: Mapping[str, Any] = field(default_factory=dict)
    model: KeptHead | None = None
    reason: str | None = None


def train_cells(
    trainer: Trainer,
    cells: Sequence[Cell],
    splits: Mapping[int, StageSplit],
    keep: tuple[int, int] | None = None,
    starts: Mapping[str, tuple[np.ndarray, ...]] | None = None,
    targets: Targets | None = None,
) -> Iterator[tuple[Cell, Outcome]]:
    """Train all cells of a stage; yield each with its answer.

    Every choice (best epoch, posthoc parameters) is made on validation. With `refit`, a second head
    then learns from training and validation rows together, for as many epochs as the first one's best
    and with the choices made; the validation scores stay the first one's. Test is scored once, last.
    keep: the (height, width) of the pixels, where the models are to be kept. starts: by cell id, what a net
    begins as instead of its weights. targets: auxiliary ones, for methods that train on them.
    """

    def answered(cell: Cell, fitted: Fitted, head: LinearHead, outcome: Outcome) -> Outcome:
        split = splits[cell.seed]
        assert fitted.made is not None
        inputs = fitted.embed(split.test)
        test = link(fitted.made.loss.link, head.logits(inputs))
        model = None if keep is None else _model(cell, split, fitted, head, keep)
        choices = outcome.choices
        if isinstance(head, TwoHeads):
            fell = {"fell_back_test": float(head.falls_back(inputs).mean())}
            choices = {**choices, "fallback": {**choices["fallback"], **fell}}
        return replace(outcome, test=test, model=model, choices=choices)

    orders = [
        Order(
            cell.method,
            cell.seed,
            splits[cell.seed].train,
            splits[cell.seed].val,
            start=(starts or {}).get(cell.id),
            name=cell.id,
            targets=targets,
        )
        for cell in cells
    ]
    pending: list[tuple[Cell, Order, Outcome]] = []
    for cell, order, fitted in zip(cells, orders, trainer.fit(orders), strict=True):
        split = splits[cell.seed]
        if fitted.head is None or fitted.made is None:
            yield cell, Outcome(fitted.trained, reason=fitted.trained.failed)
            continue
        inputs = fitted.embed(split.val)
        made = fitted.made
        try:
            truth, train = trainer.truth[split.val], _trained_on(trainer, order, fitted)
            head, choices = fit_posthoc(cell.method, fitted.head, inputs, truth, made.seen, train)
        except BenchError as error:
            yield cell, Outcome(fitted.trained, reason=str(error))
            continue
        val, found = link(made.loss.link, head.logits(inputs)), {**made.found, **choices}
        if fitted.parts:
            epochs = {"best_epochs": [part.best_epoch for part in fitted.parts]}
            found["fallback"] = {**found.get("fallback", {}), **epochs}
        outcome = Outcome(fitted.trained, val=val, cuts=head.cuts, fills=made.fills, choices=found)
        if cell.setting["refit"]:
            pending.append((cell, order.refit(fitted.trained, fitted.parts), outcome))
        else:
            yield cell, answered(cell, fitted, head, outcome)
    for (cell, order, outcome), fitted in zip(
        pending, trainer.fit([order for _, order, _ in pending]), strict=True
    ):
        if fitted.head is None or fitted.made is None:
            yield cell, replace(outcome, reason=f"refit: {fitted.trained.failed}")
            continue
        train = _trained_on(trainer, order, fitted)
        head = apply_posthoc(cell.method, fitted.head, outcome.choices, fitted.made.seen, train)
        yield cell, answered(cell, fitted, head, outcome)


def _trained_on(trainer: Trainer, order: Order, fitted: Fitted) -> TrainRows:
    """Return what gives the rows that an order's loss saw, each once, but synthetic and relabelled ones."""
    assert fitted.made is not None
    seen = fitted.made.resampled.rows
    rows = order.rows[np.unique(seen[seen < len(order.rows)])]
    return lambda: (fitted.embed(rows), trainer.truth[rows])


def _model(
    cell: Cell, split: StageSplit, fitted: Fitted, head: LinearHead, size: tuple[int, int]
) -> KeptHead:
    """Return all that makes a cell's scores of an image."""
    assert fitted.made is not None
    return kept(
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
