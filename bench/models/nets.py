"""Whole nets trained from random weights on pixels, one after the other in one process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from bench.models.augment import Change, Recipe, load_change
from bench.models.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from bench.models.judging import SCORES, score_name
from bench.models.lanes import Lane, Trained, TrainSetting, unit_rows
from bench.models.mixing import Mix, epoch_mix, guest_odds
from bench.models.net import Net
from bench.models.objective import objective_of
from bench.models.schedule import Watch, epoch_order
from bench.progress import Progress

Read = Callable[[np.ndarray], np.ndarray]
Made = TypeVar("Made")

BLOCK = 64 * 2**20
"""Bytes of inputs in memory at a time, at most (one batch at least); of changed ones two such blocks."""


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
    lanes before nor their number matter. Lanes with auxiliary targets all have the same ones.
    """
    if not lanes:
        return
    inputs = pixels.dtype if isinstance(pixels, np.ndarray) else np.uint8
    attributes = y.ndim > 1
    aside = next((lane.auxiliary.sizes for lane in lanes if lane.auxiliary is not None), ())
    net = Net(build, preprocess, classes, setting, inputs, attributes, aside)
    changes: dict[Recipe | None, Change | None] = {None: None}
    watches = [Watch(lane, setting, attributes) for lane in lanes]
    for lane, watch, path in zip(lanes, watches, checkpoints or [None] * len(lanes), strict=True):
        if lane.recipe is not None and lane.recipe not in changes:
            changes[lane.recipe] = load_change(lane.recipe, tuple(net.model.input_shape[1:3]))
        run = _Run(net, pixels, y, lane, changes[lane.recipe])
        best = run.resume(watch, path)
        if best is None:
            if progress and path is not None and path.exists():
                what = (
                    f"checkpoint {path.name[:8]} is damaged, or of other classes or settings: from the start"
                )
                progress(0, watch.epochs, what)
            best = net.state()
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

    def __init__(
        self, net: Net, pixels: Images | np.ndarray, y: np.ndarray, lane: Lane, change: Change | None
    ) -> None:
        self.net, self.y, self.lane, self.change = net, y, lane, change
        self.read: Read = pixels.__getitem__ if isinstance(pixels, np.ndarray) else pixels.read
        self.objective = objective_of(lane, y.ndim > 1)
        self.score = SCORES[score_name(lane.stop_by, y.ndim > 1)]
        net.restart(lane, self.objective)
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
        if found is None or not found.fits(self.net.state(), self.net.motion(), self.lane.epochs):
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
        self.net.learned.begin(number)
        order = epoch_order(np.arange(len(lane.rows)), lane.seed, number)
        blocks = self._training(order, number)
        for places, images, mix in blocks if self.change is None else _ahead(blocks):
            others = None if mix is None else self._labels(mix.others)
            steps = self.net.train(images, self._labels(places), places, lr, mix, others)
            sums += steps.sum(axis=0, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            loss = float(sums[0] / sums[1])
        return loss, *(self._validate() if len(lane.val_rows) else (float("nan"), float("nan")))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return (m, d) float32 features of the inputs at these positions, as the lane's head takes them."""
        if self.turn != self.net.turn:
            raise RuntimeError("these features belong to a lane whose turn on the net is over")
        rows = np.asarray(rows)
        parts = [self.net.features(images) for _, images in self._blocks(np.arange(len(rows)), rows)]
        features = np.concatenate([np.empty((0, self.net.width), np.float32), *parts])
        return unit_rows(features) if self.net.scale else features

    def variables(self) -> tuple[np.ndarray, ...]:
        """Return a copy of every variable of the model below the head, in the model's order."""
        if self.turn != self.net.turn:
            raise RuntimeError("these variables belong to a lane whose turn on the net is over")
        return tuple(held.value.numpy().copy() for held in self.net.model.variables)

    def _labels(self, places: np.ndarray) -> np.ndarray:
        """Return what the lane's training rows at these positions are trained as."""
        return self.objective.labels(places, self.y[self.lane.rows[places]])

    def _training(
        self, order: np.ndarray, number: int
    ) -> Iterator[tuple[np.ndarray, np.ndarray, Mix | None]]:
        """Yield the places of an epoch's training rows, their images as trained on, and their mix."""
        mix, done = self._mix(order, number), 0
        for places, images in self._blocks(order, self.lane.rows):
            own = None if mix is None else mix.part(done, done + len(places))
            images = self._changed(images, places, number)
            if own is not None and own.boxes is not None:
                images = own.paste(images, self._others(own, images, number))
            yield places, images, own
            done += len(places)

    def _mix(self, order: np.ndarray, number: int) -> Mix | None:
        """Return how an epoch is mixed, or None for not at all."""
        lane, mixing = self.lane, self.lane.mixing
        if mixing is None:
            return None
        image = tuple(self.net.model.input_shape[1:3])
        odds = guest_odds(self.y[lane.rows], mixing.power) if mixing.way == "cmo" else None
        return epoch_mix(
            mixing, order, self.net.setting.batch_size, lane.seed, number, lane.mixed, image, odds
        )

    def _changed(self, images: np.ndarray, places: np.ndarray, number: int) -> np.ndarray:
        """Return training images as the lane's recipe has them in an epoch."""
        if self.change is None:
            return images
        which = np.ones(len(places), bool) if self.lane.changed is None else self.lane.changed[places]
        if which.any():
            images[which] = self.change(images[which], places[which], number, self.lane.seed)
        return images

    def _others(self, mix: Mix, images: np.ndarray, number: int) -> np.ndarray:
        """Return (n, h, w, c) images to paste from, of which those without a box are of no account."""
        if mix.partners is not None:
            batch = self.net.setting.batch_size
            others: np.ndarray = images[np.arange(len(images)) // batch * batch + mix.partners]
            return others
        assert mix.boxes is not None
        used = np.flatnonzero(mix.shares < 1)
        others = np.zeros_like(images)
        guests = mix.others[used]
        others[used] = self._changed(self.read(self.lane.rows[guests]), guests, number)
        return others

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


def _ahead(made: Iterator[Made]) -> Iterator[Made]:
    """Yield what another thread makes, which is one ahead: images are got ready while the net trains."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, made, None)
        while (one := coming.result()) is not None:
            coming = pool.submit(next, made, None)
            yield one
