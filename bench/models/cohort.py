"""Many heads on shared features, trained side by side."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Mapping, Sequence

import numpy as np

from bench.methods.losses import PAIRED
from bench.methods.registry import LinearHead
from bench.models.lanes import Hidden, Lane, Trained, TrainSetting
from bench.models.schedule import Watch
from bench.models.stack import Stack
from bench.models.together import core_count, train_together
from bench.progress import Progress

BUDGET = 64 * 2**20
"""Bytes of the heads that train at a time, optimizer slots and gradients included."""

TEAM = 4
"""Lanes in one stack at most: more share each gathered minibatch, fewer stay within the cores' caches."""


def train_heads(
    features: np.ndarray,
    y: np.ndarray,
    classes: int,
    lanes: Sequence[Lane],
    setting: TrainSetting,
    progress: Progress | None = None,
    budget: int = BUDGET,
) -> list[Trained]:
    """Train one head per lane, linear or with one hidden layer; return the outcomes in the lanes' order.

    features: (n, d) float32, may be a read-only memory map. y: (n,) int32, classes in the rows that
    lanes use, or (n, k) float32 attributes, NaN where unknown. progress is told (epochs done, epochs at
    most, what). budget: bytes for the state of the heads that train at a time; it changes the speed and
    nothing else.

    A batch's loss is sum(w * loss) / sum(w), w the weight of the row's class times its own, or of the cell.
    The validation loss that stops a lane and picks its best epoch (or a score does, see `Lane`) is this same
    objective, class weights and offset included, over all validation rows; the score of an epoch is of the
    plain answers, without offset. A lane whose loss is not finite is marked failed, and the others do not
    notice. Lanes that are equal are trained once.

    Every core trains a stack of its own, each of its products on one thread: what a lane's numbers are
    depends neither on the machine's other work nor on which lanes are trained beside it.
    """
    first = _first_equals(lanes)
    watches = {index: Watch(lanes[index], setting, y.ndim > 1) for index in first}
    going = {index: lanes[index] for index, watch in watches.items() if not watch.stopped}
    table = np.asarray(features, np.float32)
    truth = np.asarray(y, np.int32 if y.ndim == 1 else np.float32)
    heads: dict[int, tuple[LinearHead, Hidden | None]] = {}

    def train(team: Sequence[int]) -> Iterator[None]:
        stack = Stack(table, truth, classes, [lanes[index] for index in team], setting)
        return _train(stack, team, watches, heads)

    cores = core_count()
    # Kernel, gradient, the optimizer's slots and its spare room, of every lane on every core.
    aside = [sum(lane.auxiliary.sizes) for lane in lanes if lane.auxiliary is not None]
    widest = max([classes, *(lane.units for lane in lanes), *aside])
    twins = 1 + any(lane.loss.family in PAIRED for lane in lanes)
    most = budget // (4 * 5 * widest * (table.shape[1] + 1) * cores * twins)
    parts = teams(going, max(1, min(TEAM, most)), cores)
    train_together(parts, train, watches.values(), progress, f"training {len(lanes)} heads")
    outcomes = {index: watch.trained(*heads.get(index, (None, None))) for index, watch in watches.items()}
    return [outcomes[index] for index in first]


def _train(
    stack: Stack,
    team: Sequence[int],
    watches: Mapping[int, Watch],
    heads: dict[int, tuple[LinearHead, Hidden | None]],
) -> Iterator[None]:
    """Train a team epoch by epoch, yielding after each; put the head of each lane's best epoch in `heads`."""
    seated, number = list(team), 0
    while going := [index for index in seated if not watches[index].stopped]:
        if len(going) < len(seated):
            stack.keep([seated.index(index) for index in going])
            seated = going
        number += 1
        numbers = stack.epoch(number, np.array([watches[index].rate for index in seated]))
        for place, index in enumerate(seated):
            if watches[index].record(*numbers[:, place].tolist()):
                heads[index] = stack.head(place)
        yield


def teams(lanes: Mapping[int, Lane], most: int, cores: int) -> list[list[int]]:
    """Return which lanes train in one stack: lanes that share minibatches and shape, at most so many.

    The costliest come first, and they are small enough that every core has one.
    """
    sharing: dict[Hashable, list[int]] = {}
    for index, lane in lanes.items():
        sharing.setdefault(_minibatches(lane), []).append(index)
    most = max(1, min(most, -(-len(lanes) // cores)))
    parts = [
        group[start : start + most] for group in sharing.values() for start in range(0, len(group), most)
    ]
    return sorted(parts, key=lambda team: -sum(len(lanes[i].rows) * lanes[i].epochs for i in team))


def _first_equals(lanes: Sequence[Lane]) -> list[int]:
    """Return for each lane the position of the first lane that is equal in all that training sees."""
    first: dict[Hashable, int] = {}
    return [
        first.setdefault(
            (*_minibatches(lane), *_objective(lane), lane.epochs, lane.stop_by, lane.rates), index
        )
        for index, lane in enumerate(lanes)
    ]


def _minibatches(lane: Lane) -> tuple[Hashable, ...]:
    aside = lane.auxiliary
    arrays = lane.rows, lane.val_rows, lane.views, lane.mixed, None if aside is None else aside.labels
    shape = lane.seed, lane.units, lane.loss.scale > 0, None if aside is None else aside.sizes
    return *shape, lane.mixing, *map(_digest, arrays)


def _objective(lane: Lane) -> tuple[Hashable, ...]:
    loss, aside = lane.loss, lane.auxiliary
    numbers = tuple(sorted(loss.params.items()))
    own = loss.offset, loss.margins, lane.weights, lane.row_weights, lane.targets
    beside = None if aside is None else (aside.main, aside.weight)
    return loss.family, numbers, loss.bias, loss.scale, lane.deferred, beside, *map(_digest, own)


def _digest(array: np.ndarray | None) -> bytes:
    return b"" if array is None else hashlib.sha256(np.ascontiguousarray(array).tobytes()).digest()
