"""Whole nets trained from random weights on pixels, one after the other in one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from bench.models.lanes import Lane, Trained, TrainSetting
from bench.models.net import Net
from bench.models.objective import Objective
from bench.models.schedule import Watch, epoch_order

Progress = Callable[[int, int, str], None]
Embed = Callable[[np.ndarray], np.ndarray]
Read = Callable[[np.ndarray], np.ndarray]

BLOCK = 64 * 2**20
"""Bytes of pixels in memory at a time, at most (one batch at least)."""


class Images(Protocol):
    """Reads images by position."""

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the images at (m,) positions, in their order, repeats allowed: (m, h, w, 3) uint8."""
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
) -> Iterator[tuple[Trained, Embed]]:
    """Train one net per lane, end to end with its linear head; yield the outcomes in the lanes' order.

    build: seed -> a keras.Model from (n, h, w, 3) float32 to (n, d) features, its weights drawn from
    the seed. pixels: (n, h, w, 3) uint8, or what reads them. preprocess: a batch of pixels, inside a
    graph -> what the model is fed. y: (n,) int32, classes in the rows that lanes use. progress is told
    (epochs done, epochs at most, what).

    Each outcome comes with a function from positions to the (m, d) features of the best epoch; it can
    be called until the next outcome is asked for. Objective, early stopping and failure are those of
    `cohort.train_heads`. The net is built and compiled once and starts anew for each lane: neither the
    lanes before nor their number matter.
    """
    if not lanes:
        return
    net = Net(build, preprocess, classes, setting)
    watches = [Watch(lane, setting.patience) for lane in lanes]
    for lane, watch in zip(lanes, watches, strict=True):
        run = _Run(net, pixels, y, lane)
        best = net.state()
        while not watch.stopped:
            if watch.record(*run.epoch(len(watch.history) + 1)):
                best = net.state()
            if progress:
                done = sum(other.done for other in watches)
                progress(done, sum(other.epochs for other in watches), f"training {len(lanes)} nets")
        net.restore(best)
        yield watch.trained(net.head()), run.embed


class _Run:
    """One lane's turn on the net."""

    def __init__(self, net: Net, pixels: Images | np.ndarray, y: np.ndarray, lane: Lane) -> None:
        self.net, self.y, self.lane = net, y, lane
        self.read: Read = pixels.__getitem__ if isinstance(pixels, np.ndarray) else pixels.read
        self.objective = Objective(lane.loss, lane.weights)
        net.restart(lane.seed, self.objective, lane.loss.bias)
        self.turn = net.turn

    def epoch(self, number: int) -> tuple[float, float, float]:
        """Train for one epoch (counted from 1): training loss, validation loss, validation top-1."""
        lane, sums = self.lane, np.zeros(2)
        for rows, images in self._blocks(epoch_order(lane.rows, lane.seed, number)):
            steps = self.net.train(images, self.y[rows])
            sums += steps.sum(axis=0, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            loss = float(sums[0] / sums[1])
        return loss, *(self._validate() if len(lane.val_rows) else (float("nan"), float("nan")))

    def embed(self, rows: np.ndarray) -> np.ndarray:
        """Return (m, d) float32 features of the images at these positions."""
        if self.turn != self.net.turn:
            raise RuntimeError("these features belong to a lane whose turn on the net is over")
        parts = [self.net.features(images) for _, images in self._blocks(np.asarray(rows))]
        return np.concatenate([np.empty((0, self.net.width), np.float32), *parts])

    def _validate(self) -> tuple[float, float]:
        """Return loss and top-1 over the validation rows."""
        rows = self.lane.val_rows
        logits, labels = self.net.head().logits(self.embed(rows)), self.y[rows]
        top1 = float(np.mean(logits.argmax(axis=1) == labels))
        with np.errstate(all="ignore"):
            lost, seen, _ = self.objective(logits, labels)
            return float(np.float64(lost) / seen), top1

    def _blocks(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield rows and their images, as many whole batches at a time as memory is meant for."""
        batch = self.net.setting.batch_size
        size = batch * max(1, BLOCK // (batch * int(np.prod(self.net.model.input_shape[1:]))))
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            yield part, self.read(part)
