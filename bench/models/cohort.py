"""Many linear heads on shared features, trained side by side in stacks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from bench.methods.registry import LinearHead
from bench.models.lanes import Lane, Trained, TrainSetting
from bench.models.schedule import Watch

if TYPE_CHECKING:
    from bench.models.stack import Stack

Progress = Callable[[int, int, str], None]

BUDGET = 64 * 2**20
"""Bytes of the heads that train at a time, optimizer slots, gradients and minibatches included."""

SHARING = 8
"""Lanes from which on those that share their minibatches train in a stack of their own.

Fewer are faster together with others of their length, each gathering its own: what a step costs beside
the products (dispatching its operations) is the same for two lanes as for ten.
"""


def train_heads(
    features: np.ndarray,
    y: np.ndarray,
    classes: int,
    lanes: Sequence[Lane],
    setting: TrainSetting,
    progress: Progress | None = None,
    budget: int = BUDGET,
) -> list[Trained]:
    """Train one linear head per lane; return the outcomes in the order of the lanes.

    features: (n, d) float32, may be a read-only memory map. y: (n,) int32, classes in the rows that
    lanes use. progress is told (epochs done, epochs at most, what). budget: bytes for the state of the
    heads that train at a time; it changes the speed and nothing else.

    A batch's loss is sum(w * loss) / sum(w), w the weight of the row's class. The validation loss that
    stops a lane and picks its best epoch is this same objective, weights and offset included, over all
    validation rows; val_top1 is the plain share of right answers, without offset. A lane whose loss is
    not finite is marked failed, and the others do not notice. Lanes that are equal are trained once.
    """
    import tensorflow as tf

    from bench.models.stack import Stack, padded

    first = _first_equals(lanes)
    watches = {index: Watch(lanes[index], setting.patience) for index in first}
    table = tf.convert_to_tensor(np.asarray(features, np.float32))
    truth = tf.convert_to_tensor(np.asarray(y, np.int32))
    going = {index: lanes[index] for index, watch in watches.items() if not watch.stopped}
    heads: dict[int, LinearHead] = {}
    # A kernel, two slots and a gradient, and the lane's minibatch.
    each = 4 * (4 * classes + min(setting.batch_size, len(truth))) * (table.shape[1] + 1)
    for tile, shared in tiles(going, budget // each, padded(1)):
        stack = Stack(table, truth, classes, [lanes[index] for index in tile], shared, setting)
        for _ in _train(stack, tile, watches, heads):
            if progress:
                done = sum(watch.done for watch in watches.values())
                progress(
                    done, sum(watch.epochs for watch in watches.values()), f"training {len(lanes)} heads"
                )
    outcomes = {index: watch.trained(heads.get(index)) for index, watch in watches.items()}
    return [outcomes[index] for index in first]


def _train(
    stack: Stack, tile: Sequence[int], watches: Mapping[int, Watch], heads: dict[int, LinearHead]
) -> Iterator[None]:
    """Train a tile epoch by epoch, yielding after each; put the head of each lane's best epoch in `heads`."""
    from bench.models.stack import padded

    seated, number = list(tile), 0
    while going := [index for index in seated if not watches[index].stopped]:
        if padded(len(going)) < len(stack):
            stack.keep([seated.index(index) for index in going])
            seated = going
        number += 1
        numbers = stack.epoch(number)
        for place, index in enumerate(seated):
            if not watches[index].stopped and watches[index].record(*numbers[:, place].tolist()):
                heads[index] = stack.head(place)
        yield


def tiles(lanes: Mapping[int, Lane], most: int, unit: int) -> Iterator[tuple[list[int], bool]]:
    """Yield which lanes train in one stack, and whether they share their minibatches.

    A stack holds lanes of one loss family, about `most` of them; what it costs depends on their number
    rounded up to a multiple of `unit`. Lanes with equal rows, validation rows and seed share where they are
    SHARING or more. The others, and those left over from whole units, go with others of their family that
    have as many rows.
    """
    most = max(unit, most // unit * unit)
    sharing: dict[Hashable, list[int]] = {}
    left: dict[Hashable, list[int]] = {}
    for index, lane in lanes.items():
        sharing.setdefault((lane.loss.family, *_minibatches(lane)), []).append(index)
    for group in sharing.values():
        lane, whole = lanes[group[0]], len(group) // unit * unit if len(group) >= SHARING else 0
        yield from ((group[start : min(start + most, whole)], True) for start in range(0, whole, most))
        left.setdefault((lane.loss.family, len(lane.rows), len(lane.val_rows)), []).extend(group[whole:])
    for group in left.values():
        yield from ((group[start : start + most], False) for start in range(0, len(group), most))


def _first_equals(lanes: Sequence[Lane]) -> list[int]:
    """Return for each lane the position of the first lane that is equal in all that training sees."""
    first: dict[Hashable, int] = {}
    return [
        first.setdefault((*_minibatches(lane), *_objective(lane), lane.epochs), index)
        for index, lane in enumerate(lanes)
    ]


def _minibatches(lane: Lane) -> tuple[Hashable, ...]:
    return lane.seed, _digest(lane.rows), _digest(lane.val_rows)


def _objective(lane: Lane) -> tuple[Hashable, ...]:
    loss = lane.loss
    numbers = tuple(sorted(loss.params.items()))
    return loss.family, numbers, loss.bias, _digest(loss.offset), _digest(lane.weights)


def _digest(array: np.ndarray | None) -> bytes:
    return b"" if array is None else hashlib.sha256(np.ascontiguousarray(array).tobytes()).digest()
