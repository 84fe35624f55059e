"""Whole nets trained from random weights on pixels, one after the other in one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bench.models.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from bench.models.judging import SCORES, score_name
from bench.models.lanes import Lane, Trained, TrainSetting
from bench.models.mixing import epoch_mix
from bench.models.net import Net
from bench.models.objective import objective_of
from bench.models.schedule import Watch, epoch_order

Progress = Callable[[int, int, str], None]
Read = Callable[[np.ndarray], np.ndarray]

BLOCK = 64 * 2**20
"""Bytes of inputs in memory at a time, at most (one batch at least)."""


class Embed(Protocol):
    """A trained net, until the next one's turn."""

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return (m, d) float32 features of the inputs at these positions."""
        ...

    def variables(self) -> tuple[np.ndarray, ...]:
        """Return a copy of every variable of the model below the head, in the model's order."""
        ...


class Images(Protocol):
    """Reads images by position."""

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the inputs at (m,) positions, in their order, repeats allowed: (m, h, w, c)."""
        ...


def train_nets(
    build: Callable[[int], Any],
    pixels: Images | np.ndarray,
    preprocess: Callable[[Any], Any],
    y: np.ndarray,
    classes: int,
    lanes: Sequence[Lane],
    setting: TrainSetting,
    progress: Progress | None = None,
    checkpoints: Sequence[Path | None] = (),
) -> Iterator[tuple[Trained, Embed]]:
    """Train one net per lane, end to end with its linear head; yield the outcomes in the lanes' order.

    build: seed -> a keras.Model from (n, h, w, c) float32 to (n, d) features, its weights drawn from
    the seed. pixels: (n, h, w, 3) uint8, or what reads them, or (n, h, w, c) float32 of whatever the net
    takes. preprocess: a batch of them, inside a graph -> what the model is fed. y: (n,) int32, classes in
    the rows that lanes use, or (n, k) float32 attributes, NaN where unknown. progress is told
    (epochs done, epochs at most, what).

    Each outcome comes with what turns positions into the (m, d) features of the best epoch; it can be used
    until the next outcome is asked for. Objective, early stopping and failure are those of
    `cohort.train_heads`. checkpoints: for each lane a file to write down how far it is, and to go on from.
    The net is built and compiled once and starts anew for each lane: neither the
    lanes before nor their number matter.
    """
    if not lanes:
        return
    inputs = pixels.dtype if isinstance(pixels, np.ndarray) else np.uint8
    attributes = y.ndim > 1
    net = Net(build, preprocess, classes, setting, inputs, attributes)
    watches = [Watch(lane, setting, attributes) for lane in lanes]
    for lane, watch, path in zip(lanes, watches, checkpoints or [None] * len(lanes), strict=True):
        run = _Run(net, pixels, y, lane)
        best = run.resume(watch, path) or net.state()
        while not watch.stopped:
            if watch.record(*run.epoch(len(watch.history) + 1, watch.rate)):
                best = net.state()
            if path is not None and watch.failed is None:
                write_checkpoint(path, run.checkpoint(watch, best))
            if progress:
                done = sum(other.done for other in watches)
                progress(done, sum(other.epochs for other in watches), f"training {len(lanes)} nets")
        net.restore(best)
        yield watch.trained(net.head()), run


class _Run:
    """One lane's turn on the net."""

    def __init__(self, net: Net, pixels: Images | np.ndarray, y: np.ndarray, lane: Lane) -> None:
        self.net, self.y, self.lane = net, y, lane
        self.read: Read = pixels.__getitem__ if isinstance(pixels, np.ndarray) else pixels.read
        self.objective = objective_of(lane, y.ndim > 1)
        self.score = SCORES[score_name(lane.stop_by, y.ndim > 1)]
        net.restart(lane.seed, self.objective, lane.loss.bias, lane.start)
        self.turn = net.turn

    def checkpoint(self, watch: Watch, best: list[np.ndarray]) -> Checkpoint:
        """Return all that going on from here takes. best: the variables of the best epoch."""
        return Checkpoint(
            self.net.state(),
            self.net.motion(),
            best,
            self.objective.memory,
            self.net.step,
            tuple(watch.history),
            watch.best_epoch,
            watch.best_cost,
        )

    def resume(self, watch: Watch, path: Path | None) -> list[np.ndarray] | None:
        """Go on from a checkpoint, where there is one, and return the variables of the best epoch so far."""
        found = None if path is None else read_checkpoint(path)
        if found is None or len(found.state) != len(self.net.variables):
            return None
        watch.history, watch.best_epoch, watch.best_cost = (
            list(found.history),
            found.best_epoch,
            found.best_cost,
        )
        self.net.resume(list(found.state), list(found.motion), found.step)
        self.objective.memory = found.memory
        return list(found.best)

    def epoch(self, number: int, lr: float) -> tuple[float, float, float]:
        """Train for one epoch (counted from 1): training loss, validation loss, validation score."""
        lane, sums = self.lane, np.zeros(2)
        self.objective.epoch = number
        order = epoch_order(np.arange(len(lane.rows)), lane.seed, number)
        mix, done = None, 0
        if lane.mixup:
            mix = epoch_mix(len(order), self.net.setting.batch_size, lane.mixup, lane.seed, number)
        for places, images in self._blocks(order, lane.rows):
            labels = self.objective.labels(places, self.y[lane.rows[places]])
            own = None if mix is None else mix.part(done, done + len(places))
            steps = self.net.train(images, labels, places, lr, own)
            sums += steps.sum(axis=0, dtype=np.float64)
            done += len(places)
        with np.errstate(divide="ignore", invalid="ignore"):
            loss = float(sums[0] / sums[1])
        return loss, *(self._validate() if len(lane.val_rows) else (float("nan"), float("nan")))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return (m, d) float32 features of the inputs at these positions."""
        if self.turn != self.net.turn:
            raise RuntimeError("these features belong to a lane whose turn on the net is over")
        rows = np.asarray(rows)
        parts = [self.net.features(images) for _, images in self._blocks(np.arange(len(rows)), rows)]
        return np.concatenate([np.empty((0, self.net.width), np.float32), *parts])

    def variables(self) -> tuple[np.ndarray, ...]:
        """Return a copy of every variable of the model below the head, in the model's order."""
        if self.turn != self.net.turn:
            raise RuntimeError("these variables belong to a lane whose turn on the net is over")
        return tuple(held.value.numpy().copy() for held in self.net.model.variables)

    def _validate(self) -> tuple[float, float]:
        """Return loss and score over the validation rows."""
        rows = self.lane.val_rows
        logits, labels = self.net.head().logits(self(rows)), self.y[rows]
        score = self.score(logits, labels)
        with np.errstate(all="ignore"):
            lost, seen, _ = self.objective(logits, labels)
            return float(np.float64(lost) / seen), score

    def _blocks(self, places: np.ndarray, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield places of rows and their images, as many whole batches at a time as memory is meant for."""
        batch = self.net.setting.batch_size
        each = int(np.prod(self.net.model.input_shape[1:])) * self.net.itemsize
        size = batch * max(1, BLOCK // (batch * each))
        for start in range(0, len(places), size):
            part = places[start : start + size]
            yield part, self.read(rows[part])
