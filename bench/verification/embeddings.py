"""Linear embeddings of features on the unit sphere, trained by pairs, triplets or margins between people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bench.data.pairs import PairArrays
from bench.methods.registry import LinearHead, LossSpec
from bench.models.descent import DESCENTS
from bench.models.judging import auc
from bench.models.lanes import Lane, Trained, TrainSetting
from bench.models.schedule import Watch, epoch_order, initial_kernel
from bench.models.together import train_together
from bench.progress import Progress
from bench.spec import Step
from bench.verification.embedding_losses import arcface, batch_hard, contrastive, cosface, semi_hard
from bench.verification.pair_heads import of_views
from bench.verification.spaces import unit

SHOTS = 4
"""Photos of a person in a batch of triplets, at most (Hermans, Beyer and Leibe 2017 take K = 4)."""

JUDGED_AT = 1.0
"""The margin of the contrastive loss of validation pairs, where a method has no loss for pairs."""

_BATCHES, _VIEWS = 13, 14
"""Streams of random numbers beside those of `bench.models.schedule`."""


@dataclass(frozen=True, eq=False)
class EmbeddingLane:
    """One embedding to train.

    photos: (n, d) float32 rows in their space, or several such arrays: the photos as they are, and changed
    views. pairs: what `contrastive` trains on, positions in photos. rows, people: (r,) the photos that the
    others train on, and whose they are, below the number of people. val: validation pairs. together: whether
    one change befalls both photos of a pair, or all of a batch.
    """

    step: Step
    photos: Sequence[np.ndarray]
    pairs: PairArrays
    rows: np.ndarray
    people: np.ndarray
    val: PairArrays
    seed: int
    epochs: int
    stop_by: str
    rates: tuple[float, ...] = ()
    together: bool = True


def train_embeddings(
    lanes: Sequence[EmbeddingLane], setting: TrainSetting, progress: Progress | None = None
) -> list[Trained]:
    """Train every lane; return the outcomes in the same order, each with its kernel (d, k) as a head.

    Each runs on one thread, several side by side: what a lane's numbers are depends neither on the machine
    nor on the other lanes. The best epoch is the one with the highest ROC area of the validation pairs'
    cosines (stop_by `auc`) or the lowest loss of these pairs.
    """
    watches = [Watch(_as_lane(lane), setting, attributes=True) for lane in lanes]
    kernels: dict[int, np.ndarray] = {}

    def train(place: int) -> Iterator[None]:
        training, watch = Embedding(lanes[place], setting), watches[place]
        while not watch.stopped:
            if watch.record(*training.epoch(len(watch.history) + 1, watch.rate)):
                kernels[place] = training.kernel[0].copy()
            yield

    train_together(range(len(lanes)), train, watches, progress, f"training {len(lanes)} embeddings")
    outcomes = [watch.trained(_head(kernels.get(place))) for place, watch in enumerate(watches)]
    return [replace(outcome, score="auc") for outcome in outcomes]


def _as_lane(lane: EmbeddingLane) -> Lane:
    """Return what a watch goes by."""
    rows = lane.pairs.first if lane.step.name == "contrastive" else lane.rows
    return Lane(
        rows,
        lane.val.first,
        LossSpec(family="bce", link="sigmoid"),
        None,
        lane.seed,
        lane.epochs,
        stop_by=lane.stop_by,
        rates=lane.rates,
    )


def _head(kernel: np.ndarray | None) -> LinearHead | None:
    return None if kernel is None else LinearHead(kernel, np.zeros(kernel.shape[1], np.float32))


class Embedding:
    """One embedding in training: its kernel, that of people's directions, and what moves both."""

    def __init__(self, lane: EmbeddingLane, setting: TrainSetting) -> None:
        self.lane, self.setting, self.steps = lane, setting, 0
        args = dict(lane.step.args)
        self.margin, d = float(str(args["margin"])), lane.photos[0].shape[1]
        self.kernel = initial_kernel(lane.seed, d, int(str(args["dims"])))[None]
        descent = DESCENTS[setting.optimizer]
        self.descent = descent(self.kernel.shape, setting)
        self.scale = float(str(args.get("scale", 1.0)))
        self.centres = np.empty((1, 0, 0), np.float32)
        if lane.step.name in _MARGINS:
            self.centres = self._mean_directions()[None]
            self.centre_descent = descent(self.centres.shape, setting)

    def epoch(self, number: int, rate: float) -> tuple[float, float, float]:
        """Train for one epoch, counted from 1; return mean loss, validation loss and validation ROC area."""
        lost, seen = 0.0, 0
        for batch in self._batches(number):
            lost, seen = lost + self._step(batch, rate) * len(batch), seen + len(batch)
        return lost / max(seen, 1), *self._validate()

    def _mean_directions(self) -> np.ndarray:
        """Return (k, c), where each person's training photos lie at first, as the mean of their rows."""
        lane = self.lane
        sums = np.zeros((int(lane.people.max(initial=-1)) + 1, self.kernel.shape[2]), np.float32)
        np.add.at(sums, lane.people, unit(lane.photos[0][lane.rows] @ self.kernel[0]))
        return np.ascontiguousarray(unit(sums).T)

    def _batches(self, number: int) -> Iterator[np.ndarray]:
        """Yield which pairs (contrastive) or which of the rows are trained on together."""
        lane, size = self.lane, max(1, self.setting.batch_size)
        if lane.step.name == "triplet":
            yield from person_batches(lane.people, size, np.random.default_rng([_BATCHES, lane.seed, number]))
            return
        count = len(lane.pairs) if lane.step.name == "contrastive" else len(lane.rows)
        order = epoch_order(np.arange(count), lane.seed, number)
        yield from (order[start : start + size] for start in range(0, count, size))

    def _step(self, batch: np.ndarray, rate: float) -> float:
        """Move by one batch; return its mean loss."""
        lane, self.steps = self.lane, self.steps + 1
        if lane.step.name == "contrastive":
            photos = np.concatenate([lane.pairs.first[batch], lane.pairs.second[batch]])
        else:
            photos = lane.rows[batch]
        inputs = self._pick(photos, len(batch))
        outputs = inputs @ self.kernel[0]
        lengths = np.maximum(np.linalg.norm(outputs, axis=1, keepdims=True), np.float32(1e-12))
        rows = outputs / lengths
        loss, slope = self._measure(rows, batch, rate)
        slope = slope.astype(np.float32)
        slope -= rows * np.einsum("ij,ij->i", slope, rows)[:, None]
        gradient = (inputs.T @ (slope / lengths))[None]
        if self.setting.l2:
            gradient += np.float32(self.setting.l2) * self.kernel
        self.descent.move(self.kernel, gradient, self.steps, np.array([rate]))
        return loss

    def _measure(self, rows: np.ndarray, batch: np.ndarray, rate: float) -> tuple[float, np.ndarray]:
        """Return the loss of a batch on the sphere and its slope by the rows."""
        lane = self.lane
        if lane.step.name == "contrastive":
            half = len(batch)
            loss, one, other = contrastive(rows[:half], rows[half:], lane.pairs.same[batch], self.margin)
            return loss, np.concatenate([one, other])
        people = lane.people[batch]
        if lane.step.name == "triplet":
            triplets = semi_hard if lane.step["mining"] == "semi_hard" else batch_hard
            return triplets(rows, people, self.margin)
        centres = self.centres[0]
        lengths = np.maximum(np.linalg.norm(centres, axis=0), np.float32(1e-12))
        directions = centres / lengths
        loss, slope = _MARGINS[lane.step.name](rows @ directions, people, self.margin, self.scale)
        slope = slope.astype(np.float32)
        turn = rows.T @ slope
        turn -= directions * np.einsum("ij,ij->j", turn, directions)
        answer: np.ndarray = slope @ directions.T
        self.centre_descent.move(self.centres, (turn / lengths)[None], self.steps, np.array([rate]))
        return loss, answer

    def _pick(self, photos: np.ndarray, batch: int) -> np.ndarray:
        """Return the inputs of photos, of a view that is drawn where there are some."""
        tables = self.lane.photos
        if len(tables) == 1:
            return of_views(tables, 0, photos)
        draw = np.random.default_rng([_VIEWS, self.lane.seed, self.steps])
        views = draw.integers(0, len(tables), len(photos))
        if self.lane.together:
            paired = self.lane.step.name == "contrastive"
            views = np.tile(views[:batch], 2) if paired else np.full(len(photos), views[0])
        return of_views(tables, views, photos)

    def _validate(self) -> tuple[float, float]:
        """Return loss and ROC area of the validation pairs, NaN where there are none."""
        val, table = self.lane.val, self.lane.photos[0]
        if not len(val):
            return float("nan"), float("nan")
        places, at = np.unique(np.concatenate([val.first, val.second]), return_inverse=True)
        rows = unit(table[places] @ self.kernel[0])[at.reshape(-1)]
        one, other = rows[: len(val)], rows[len(val) :]
        margin = self.margin if self.lane.step.name == "contrastive" else JUDGED_AT
        loss = contrastive(one, other, val.same, margin)[0]
        cosines = np.einsum("ij,ij->i", one, other)
        return loss, auc(cosines[:, None], val.same.astype(np.float32)[:, None])


_MARGINS: dict[str, Callable[[np.ndarray, np.ndarray, float, float], tuple[float, np.ndarray]]] = {
    "arcface": arcface,
    "cosface": cosface,
}


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
