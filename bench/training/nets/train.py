"""Training of whole nets on images, one after the other in one process."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from bench.core.progress import Progress
from bench.data.augmentation import Change, Recipe, load_change
from bench.training.fits import Fit, Trained, TrainSetting, unit_rows
from bench.training.loop import Line, Run, epochs_of, report_epochs
from bench.training.mixing import Mix, epoch_mix, guest_odds
from bench.training.nets.checkpoints import Checkpoint, read_checkpoint, write_checkpoint
from bench.training.nets.net import Net
from bench.training.objective import Rows, rows_at
from bench.training.schedule import Watch, epoch_order
from bench.training.validation_scores import SCORES

log = logging.getLogger("bench.data.cache")

Read = Callable[[np.ndarray], np.ndarray]
Made = TypeVar("Made")

BLOCK = 64 * 2**20
"""Bytes of inputs in memory at a time, at most (one batch at least); of augmented ones two such blocks."""


class Embed(Protocol):
    """A trained net, usable until the next one is trained."""

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
    fits: Sequence[Fit],
    setting: TrainSetting,
    progress: Progress | None = None,
    checkpoints: Sequence[Path | None] = (),
) -> Iterator[tuple[Trained, Embed]]:
    """Train one net per fit, end to end with its linear head; yield the outcomes in the fits' order.

    build: seed -> a keras.Model from (n, h, w, c) float32 to (n, d) features, its weights drawn from
    the seed. pixels: (n, h, w, 3) uint8 images or their reader, or (n, h, w, c) float32 inputs of the net.
    preprocess: a batch of them, inside a graph -> the model's inputs. y: (n,) int32, classes in the rows
    that fits use, or (n, k) float32 attributes, NaN where unknown. progress receives (epochs done, epochs at
    most, what).

    Each outcome comes with a function from positions to the (m, d) features of the best epoch, usable until
    the next outcome is asked for. Objective, early stopping and failure are those of
    `bench.training.trainer.train_heads`. checkpoints: a file for each fit, written after every epoch, from
    which training continues. The net is built and compiled once for neighbours with one batch size and
    re-initialised for each fit: neither the fits before nor their number matter. Fits with auxiliary targets
    all have the same ones.
    """
    if not fits:
        return
    inputs = getattr(pixels, "dtype", np.uint8)
    attributes = y.ndim > 1
    truth = y.astype(np.float32 if attributes else np.int32, copy=False)
    aside = next((fit.auxiliary.sizes for fit in fits if fit.auxiliary is not None), ())
    decays = any(fit.own(setting).l2 > 0 or fit.path or fit.decays for fit in fits)
    watches = [Watch(fit, fit.own(setting), attributes) for fit in fits]
    work = zip(fits, watches, checkpoints or [None] * len(fits), strict=True)
    for size, alike in groupby(work, lambda one: one[0].own(setting).batch_size):
        own = replace(setting, batch_size=size)
        net = Net(build, preprocess, classes, own, inputs, attributes, aside, decays)
        changes: dict[Recipe | None, Change | None] = {None: None}
        for fit, watch, path in alike:
            if fit.recipe is not None and fit.recipe not in changes:
                changes[fit.recipe] = load_change(fit.recipe, tuple(net.model.input_shape[1:3]))
            run = _Run(net, pixels, truth, fit, watch, changes[fit.recipe], path)
            for _ in epochs_of(run):
                report_epochs(progress, watches, f"training {len(fits)} nets")
            net.restore(run.best)
            yield watch.trained(net.head()), run


class _Run(Run):
    """Training of one fit on the net, from its checkpoint where there is one.

    best: every variable of the best epoch so far. watches: that of the fit, as number 0.
    """

    def __init__(
        self,
        net: Net,
        pixels: Images | np.ndarray,
        truth: np.ndarray,
        fit: Fit,
        watch: Watch,
        change: Change | None,
        path: Path | None,
    ) -> None:
        self.net, self.truth, self.fit, self.change, self.path = net, truth, fit, change, path
        self.read: Read = pixels.__getitem__ if isinstance(pixels, np.ndarray) else pixels.read
        self.watches = {0: watch}
        net.restart(fit)
        self.turn, self.best = net.turn, net.state()
        found = None if path is None else read_checkpoint(path)
        if found is not None and found.fits(self.best, net.motion(), net.memory.numpy(), fit.epochs):
            watch.history = list(found.history)
            watch.best_epoch, watch.best_cost = found.best_epoch, found.best_cost
            net.resume(found.state, found.motion, found.memory)
            self.best = list(found.best)
        elif path is not None and path.exists():
            why = "damaged, or of another net"
            log.warning("checkpoint %s: %s; training begins from the start", path.stem[:8], why)

    def epoch(self, number: int, going: Mapping[int, Watch]) -> dict[int, Line]:
        """Train for one epoch."""
        fit, watch, sums = self.fit, going[0], np.zeros(2)
        self.net.begin(number, watch.rate, watch.decay)
        blocks = self._training(epoch_order(np.arange(len(fit.rows)), fit.seed, number), number)
        for rows in blocks if self.change is None else _ahead(blocks):
            sums += self.net.train(rows).sum(axis=0, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            loss = float(sums[0] / sums[1])
        return {0: (loss, *(self._validate() if len(fit.val_rows) else (float("nan"), float("nan"))))}

    def keep(self, best: Collection[int]) -> None:
        """Keep a copy of every variable."""
        self.best = self.net.state()

    def save(self) -> None:
        """Write a checkpoint, unless the fit has failed."""
        watch, net = self.watches[0], self.net
        if self.path is not None and watch.failed is None:
            now = net.state(), net.motion(), self.best, net.memory.numpy()
            history = tuple(watch.history)
            write_checkpoint(self.path, Checkpoint(*now, history, watch.best_epoch, watch.best_cost))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return (m, d) float32 features of the inputs at these positions, as the fit's head takes them."""
        if self.turn != self.net.turn:
            raise RuntimeError("these features belong to a fit that the net no longer holds")
        rows = np.asarray(rows)
        parts = [self.net.features(images) for _, images in self._blocks(np.arange(len(rows)), rows)]
        features = np.concatenate([np.empty((0, self.net.width), np.float32), *parts])
        return unit_rows(features) if self.net.scale else features

    def variables(self) -> tuple[np.ndarray, ...]:
        """Return a copy of every variable of the model below the head, in the model's order."""
        if self.turn != self.net.turn:
            raise RuntimeError("these variables belong to a fit that the net no longer holds")
        return tuple(held.value.numpy().copy() for held in self.net.model.variables)

    def _training(self, order: np.ndarray, number: int) -> Iterator[Rows]:
        """Yield an epoch's training rows, their images augmented and pasted."""
        mix, done = self._mix(order, number), 0
        for places, images in self._blocks(order, self.fit.rows):
            own = None if mix is None else mix.part(done, done + len(places))
            images = self._changed(images, places, number)
            if own is not None and own.boxes is not None:
                images = own.paste(images, self._others(own, images, number))
            yield {"inputs": images} | rows_at(self.fit, self.truth, places, own, aside=True)
            done += len(places)

    def _mix(self, order: np.ndarray, number: int) -> Mix | None:
        """Return the mix of an epoch, or None."""
        fit, mixing = self.fit, self.fit.mixing
        if mixing is None:
            return None
        image = tuple(self.net.model.input_shape[1:3])
        odds = guest_odds(self.truth[fit.rows], mixing.power) if mixing.way == "cmo" else None
        return epoch_mix(mixing, order, self.net.setting.batch_size, fit.seed, number, fit.mixed, image, odds)

    def _changed(self, images: np.ndarray, places: np.ndarray, number: int) -> np.ndarray:
        """Return training images of an epoch, augmented by the fit's recipe."""
        if self.change is None:
            return images
        which = np.ones(len(places), bool) if self.fit.changed is None else self.fit.changed[places]
        if which.any():
            images[which] = self.change(images[which], places[which], number, self.fit.seed)
        return images

    def _others(self, mix: Mix, images: np.ndarray, number: int) -> np.ndarray:
        """Return (n, h, w, c) images to paste from; those of rows without a box are arbitrary."""
        if mix.partners is not None:
            batch = self.net.setting.batch_size
            others: np.ndarray = images[np.arange(len(images)) // batch * batch + mix.partners]
            return others
        assert mix.boxes is not None
        used = np.flatnonzero(mix.shares < 1)
        others = np.zeros_like(images)
        guests = mix.others[used]
        others[used] = self._changed(self.read(self.fit.rows[guests]), guests, number)
        return others

    def _validate(self) -> tuple[float, float]:
        """Return loss and score over the validation rows."""
        rows = self.fit.val_rows
        logits, labels = self.net.head().logits(self(rows)), self.truth[rows]
        return self.net.validation_loss(logits, labels), SCORES[self.watches[0].score](logits, labels)

    def _blocks(self, places: np.ndarray, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield places of rows and their images, whole batches of at most `BLOCK` bytes at a time."""
        batch = self.net.setting.batch_size
        each = int(np.prod(self.net.model.input_shape[1:])) * self.net.itemsize
        size = batch * max(1, BLOCK // (batch * each))
        for start in range(0, len(places), size):
            part = places[start : start + size]
            yield part, self.read(rows[part])


def _ahead(made: Iterator[Made]) -> Iterator[Made]:
    """Yield the items of an iterator, the next one computed in a thread while the net trains on this one."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, made, None)
        while (one := coming.result()) is not None:
            coming = pool.submit(next, made, None)
            yield one
