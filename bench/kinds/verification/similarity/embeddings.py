"""Linear embeddings of features on the unit sphere, trained by pairs, triplets or margins between people."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bench.backbones.determinism import make_deterministic
from bench.core.cell import Step
from bench.core.progress import Progress
from bench.kinds.verification.arrays import PairArrays
from bench.kinds.verification.similarity.embedding_losses import (
    arcface,
    batch_hard,
    contrastive,
    cosface,
    semi_hard,
    unit_length,
)
from bench.kinds.verification.similarity.transforms import unit
from bench.training.fits import Fit, Trained, TrainSetting
from bench.training.linear_head import LinearHead
from bench.training.loop import Line, Run, epochs_of, train_together
from bench.training.optimizers import Optimizer
from bench.training.schedule import Watch, epoch_order, initial_kernel
from bench.training.validation_scores import auc

Tensor = Any

SHOTS = 4
"""Photos of a person in a batch of triplets, at most (Hermans, Beyer and Leibe 2017 take K = 4)."""

JUDGED_AT = 1.0
"""The margin of the contrastive loss of validation pairs, where a method has no loss for pairs."""

_BATCHES, _VIEWS = 13, 14
"""Streams of random numbers beside those of `bench.training.schedule`."""


@dataclass(frozen=True, eq=False)
class EmbeddingFit:
    """One embedding to train.

    photos: (n, d) float32 rows in their space, or several such arrays: the photos as they are, and changed
    views. pairs: what `contrastive` trains on, positions in photos. rows, people: (r,) the photos that the
    others train on, and whose they are, below the number of people. val: validation pairs.
    together: whether both photos of a pair, or all of a batch, are changed alike.
    """

    step: Step
    photos: Sequence[np.ndarray]
    pairs: PairArrays
    rows: np.ndarray
    people: np.ndarray
    val: PairArrays
    fit: Fit
    together: bool = True


def train_embeddings(
    specs: Sequence[EmbeddingFit], setting: TrainSetting, progress: Progress | None = None
) -> list[Trained]:
    """Train every embedding; return the outcomes in the same order, each with its kernel (d, k) as a head.

    An embedding's numbers do not depend on the others trained with it. The best epoch is the one
    with the highest ROC area of the validation pairs' cosines (stop_by `auc`) or the lowest loss of these
    pairs. Embeddings of one structure share a compiled epoch, and train one after the other.
    """
    if specs:
        make_deterministic()
    watches = [Watch(spec.fit, setting, attributes=True) for spec in specs]
    kernels: dict[int, np.ndarray] = {}
    alike: dict[Structure, list[int]] = {}
    for place, spec in enumerate(specs):
        alike.setdefault(structure_of(spec), []).append(place)

    def train(structure: Structure) -> Iterator[None]:
        embedding = Embedding(structure, setting)
        for place in alike[structure]:
            embedding.start(specs[place], {place: watches[place]})
            yield from epochs_of(embedding)
        kernels.update(embedding.best)

    train_together(list(alike), train, watches, progress, f"training {len(specs)} embeddings")
    outcomes = [watch.trained(_head(kernels.get(place))) for place, watch in enumerate(watches)]
    return [replace(outcome, score="auc") for outcome in outcomes]


def _head(kernel: np.ndarray | None) -> LinearHead | None:
    return None if kernel is None else LinearHead(kernel, np.zeros(kernel.shape[1], np.float32))


@dataclass(frozen=True)
class Structure:
    """Structure that embeddings of one compiled epoch share.

    name: of the match; mining: of triplets, else empty. features, dims: shape of the kernel. people: how many
    directions are learned beside it, 0 for none.
    """

    name: str
    mining: str
    features: int
    dims: int
    people: int


def structure_of(spec: EmbeddingFit) -> Structure:
    """Return the structure of an embedding."""
    args, name = dict(spec.step.args), spec.step.name
    people = int(spec.people.max(initial=-1)) + 1 if name in _MARGINS else 0
    mining = str(args["mining"]) if name == "triplet" else ""
    return Structure(name, mining, spec.photos[0].shape[1], int(str(args["dims"])), people)


class Embedding(Run):
    """Embeddings in training, one after the other: kernel, people's directions, optimizer and compiled epoch.

    best: the kernel of every embedding's best epoch so far.
    """

    def __init__(self, structure: Structure, setting: TrainSetting) -> None:
        import keras
        import tensorflow as tf

        self.structure, self.setting = structure, setting
        self.kernel = keras.Variable(np.zeros((structure.features, structure.dims), np.float32))
        self.centres = keras.Variable(np.zeros((structure.dims, structure.people), np.float32))
        self.variables = [self.kernel, self.centres] if structure.people else [self.kernel]
        self.optimizer = Optimizer(setting, self.variables)
        self.best: dict[int, np.ndarray] = {}
        table, number = tf.TensorSpec((None, structure.features)), tf.TensorSpec(())
        sizes, at, targets = (tf.TensorSpec((None,) * rank, tf.int32) for rank in (1, 3, 2))
        self.train = tf.function(self._train, (table, sizes, at, targets, number, number, number))
        pairs = tf.TensorSpec((2, None), tf.int64), tf.TensorSpec((None,), tf.bool)
        self.judge = tf.function(self._judge, (table, tf.TensorSpec((None,), tf.int64), *pairs, number))

    def start(self, spec: EmbeddingFit, watches: Mapping[int, Watch]) -> None:
        """Start an embedding: initial variables and optimizer slots. watches: its own."""
        import tensorflow as tf

        self.spec, self.watches, args = spec, watches, dict(spec.step.args)
        self.margin, self.scale = (
            tf.constant(float(str(args.get(name, 1.0)))) for name in ("margin", "scale")
        )
        self.table = tf.concat([tf.constant(table) for table in spec.photos], axis=0)
        kernel = initial_kernel(spec.fit.seed, self.structure.features, self.structure.dims)
        self.kernel.assign(kernel)
        if self.structure.people:
            self.centres.assign(_mean_directions(spec, kernel, self.structure.people))
        self.optimizer.reset()
        self.steps, val = 0, spec.val
        places, at = np.unique(np.concatenate([val.first, val.second]), return_inverse=True)
        self.val = tuple(map(tf.constant, (places, at.reshape(2, -1), val.same)))

    def epoch(self, number: int, going: Mapping[int, Watch]) -> dict[int, Line]:
        """Train for one epoch, counted from 1; its mean loss, validation loss and validation ROC area."""
        import tensorflow as tf

        [(place, watch)] = going.items()
        self.optimizer.rate.assign(watch.rate)
        batches = list(self._batches(number))
        loss = 0.0
        if batches:
            numbers = self.margin, self.scale, tf.constant(watch.decay, tf.float32)
            loss = float(self.train(self.table, *self._laid_out(batches), *numbers))
        if not len(self.spec.val):
            return {place: (loss, float("nan"), float("nan"))}
        margin = self.margin if self.structure.name == "contrastive" else tf.constant(JUDGED_AT)
        val_loss, cosines = self.judge(self.table, *self.val, margin)
        same = self.spec.val.same.astype(np.float32)
        return {place: (loss, float(val_loss), auc(cosines.numpy()[:, None], same[:, None]))}

    def keep(self, best: Collection[int]) -> None:
        """Keep a copy of the kernel."""
        self.best |= dict.fromkeys(best, self.kernel.numpy().copy())

    def _batches(self, number: int) -> Iterator[np.ndarray]:
        """Yield which pairs (contrastive) or which of the rows are trained on together."""
        spec, size = self.spec, max(1, self.setting.batch_size)
        if spec.step.name == "triplet":
            yield from person_batches(
                spec.people, size, np.random.default_rng([_BATCHES, spec.fit.seed, number])
            )
            return
        count = len(spec.pairs) if spec.step.name == "contrastive" else len(spec.rows)
        order = epoch_order(np.arange(count), spec.fit.seed, number)
        yield from (order[start : start + size] for start in range(0, count, size))

    def _laid_out(self, batches: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return batches as arrays: sizes (steps,), places in the table (steps, s, w) and labels (steps, w).

        s: 2 for pairs, else 1. w: the largest size; places beyond a batch's own size are ignored.
        labels: whether a pair is of one person, or who is on a photo.
        """
        spec, n = self.spec, len(self.spec.photos[0])
        paired = spec.step.name == "contrastive"
        sides = (spec.pairs.first, spec.pairs.second) if paired else (spec.rows,)
        labels = spec.pairs.same if paired else spec.people
        sizes = np.array([len(batch) for batch in batches], np.int32)
        at = np.zeros((len(batches), len(sides), sizes.max()), np.int32)
        targets = np.zeros((len(batches), sizes.max()), np.int32)
        for step, batch in enumerate(batches):
            self.steps += 1
            photos = np.stack([side[batch] for side in sides])
            at[step, :, : len(batch)] = photos + n * self._views(photos.shape)
            targets[step, : len(batch)] = labels[batch]
        return sizes, at, targets

    def _views(self, shape: tuple[int, ...]) -> np.ndarray:
        """Return the view of each photo of a batch, or one view for all."""
        views = len(self.spec.photos)
        if views == 1:
            return np.zeros((1, 1), np.int64)
        draw = np.random.default_rng([_VIEWS, self.spec.fit.seed, self.steps])
        drawn = draw.integers(0, views, math.prod(shape)).reshape(shape)
        if self.spec.together:
            return drawn[:1] if shape[0] > 1 else drawn[:, :1]
        return drawn

    def _train(
        self,
        table: Tensor,
        sizes: Tensor,
        at: Tensor,
        targets: Tensor,
        margin: Tensor,
        scale: Tensor,
        l2: Tensor,
    ) -> Tensor:
        """Take the steps of an epoch, inside a graph; return the mean loss of its photos or pairs."""
        import tensorflow as tf

        lost = tf.constant(0.0)
        for step in tf.range(tf.shape(sizes)[0]):
            size = sizes[step]
            photos, labels = tf.reshape(at[step, :, :size], [-1]), targets[step, :size]
            with tf.GradientTape() as tape:
                loss = self._loss(tf.gather(table, photos), labels, margin, scale)
            kernel, *others = tape.gradient(loss, [one.value for one in self.variables])
            self.optimizer.apply([kernel + l2 * self.kernel, *others])
            lost += loss * tf.cast(size, tf.float32)
        return lost / tf.cast(tf.reduce_sum(sizes), tf.float32)

    def _loss(self, inputs: Tensor, labels: Tensor, margin: Tensor, scale: Tensor) -> Tensor:
        """Return the mean loss of a batch, zero where it holds nothing to learn from."""
        from keras import ops

        rows, name = unit_length(ops.matmul(inputs, self.kernel), axis=1), self.structure.name
        if name == "contrastive":
            first, second = ops.split(rows, 2)
            losses = contrastive(first, second, ops.cast(labels, "bool"), margin)
        elif name == "triplet":
            losses = _MINING[self.structure.mining](rows, labels, margin)
        else:
            cosines = ops.matmul(rows, unit_length(self.centres, axis=0))
            losses = _MARGINS[name](cosines, labels, margin, scale)
        return ops.sum(losses) / ops.cast(ops.maximum(ops.size(losses), 1), "float32")

    def _judge(
        self, table: Tensor, places: Tensor, at: Tensor, same: Tensor, margin: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the mean contrastive loss of pairs, and their (m,) cosines.

        places: of photos in the table. at: (2, m) where among these the pairs' photos are.
        """
        from keras import ops

        rows = unit_length(ops.matmul(ops.take(table, places, axis=0), self.kernel), axis=1)
        one, other = (ops.take(rows, side, axis=0) for side in (at[0], at[1]))
        return ops.mean(contrastive(one, other, same, margin)), ops.sum(one * other, axis=1)


_MINING: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "batch_hard": batch_hard,
    "semi_hard": semi_hard,
}
_MARGINS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]] = {
    "arcface": arcface,
    "cosface": cosface,
}


def _mean_directions(spec: EmbeddingFit, kernel: np.ndarray, people: int) -> np.ndarray:
    """Return (k, c), where each person's training photos lie at first, as the mean of their rows."""
    sums = np.zeros((people, kernel.shape[1]), np.float32)
    np.add.at(sums, spec.people, unit(spec.photos[0][spec.rows] @ kernel))
    return np.ascontiguousarray(unit(sums).T)


def person_batches(people: np.ndarray, size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield positions in batches of about `size`: of several people, up to SHOTS photos of each.

    people: (n,) integers. Everybody with two photos is in one batch, and a batch has two people or more; who
    has one photo is in none.
    """
    _, who, counts = np.unique(people, return_inverse=True, return_counts=True)
    able = rng.permutation(np.flatnonzero(counts > 1))
    order = np.argsort(who.reshape(-1), kind="stable")
    starts = np.cumsum(counts) - counts
    if len(able) < 2:
        return
    number = max(1, min(len(able) // 2, round(len(able) * SHOTS / max(size, 1))))
    for part in np.array_split(able, number):
        yield np.concatenate(
            [order[starts[person] + rng.permutation(counts[person])[:SHOTS]] for person in part.tolist()]
        )
