"""Trainer of heads on shared features, side by side."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from bench.backbones.determinism import make_deterministic
from bench.core.memory_limits import capped
from bench.core.progress import Progress
from bench.training.fits import Fit, Hidden, Trained, TrainSetting
from bench.training.group_run import GroupRun
from bench.training.head import HeadSpec
from bench.training.linear_head import LinearHead
from bench.training.loop import core_count, epochs_of, train_together
from bench.training.schedule import Watch

BUDGET = 64 * 2**20
"""Bytes of all heads in training at a time, optimizer slots and gradients included."""

WHOLE = 2**28
"""Bytes of features up to which minibatches are gathered inside the graph, from a copy of them all."""

TEAM = 8
"""Largest number of heads in a group: more share each minibatch and product, fewer fit the cores' caches."""

SMALL, FEW = 2e10, 5_000
"""Floating-point operations of all heads below which groups train one after the other, since each further
thread compiles again; and steps below which a group has one head, since groups of other heads compile again
too."""


def train_heads(
    features: np.ndarray,
    y: np.ndarray,
    classes: int,
    fits: Sequence[Fit],
    setting: TrainSetting,
    progress: Progress | None = None,
    budget: int = BUDGET,
) -> list[Trained]:
    """Train one head per fit, linear or with one hidden layer; return the outcomes in the fits' order.

    features: (n, d) float32, may be a read-only memory map. y: (n,) int32, classes in the rows that
    fits use, or (n, k) float32 attributes, NaN where unknown. progress receives (epochs done, epochs at
    most, what). budget: bytes for the state of heads in training; it changes the speed and nothing else.

    A minibatch's loss is sum(w * loss) / sum(w), w the weight of the row's class times its own, or of the
    cell. The validation loss, which stops a fit and picks its best epoch unless a score does (see `Fit`), is
    the same objective, class weights and offset included, over all validation rows; scores are of logits
    without offset. A fit whose loss is not finite fails alone. Equal fits are trained once; a fit may
    have its own setting. A fit's bits depend neither on the machine's other work nor on the fits beside it.
    """
    import tensorflow as tf

    _prepare()
    fits = [replace(fit, setting=fit.own(setting)) for fit in fits]
    first = _first_equals(fits)
    watches = {index: Watch(fits[index], fits[index].own(setting), y.ndim > 1) for index in first}
    going = {index: fits[index] for index, watch in watches.items() if not watch.stopped}
    table = features if features.dtype == np.float32 else np.asarray(features, np.float32)
    truth = np.asarray(y, np.int32 if y.ndim == 1 else np.float32)
    batches = {index: fit.own(setting).batch_size for index, fit in going.items()}
    size = table.shape[1], classes, y.ndim > 1
    specs = {index: HeadSpec.of(fit, *size, batches[index]) for index, fit in going.items()}
    heads: dict[int, tuple[LinearHead, Hidden | None]] = {}
    held = tf.constant(table) if table.nbytes <= WHOLE else table

    def train(team: Sequence[int]) -> Iterator[None]:
        own = {index: fits[index] for index in team}
        run = GroupRun(held, truth, own, specs, watches, own[team[0]].own(setting))
        yield from epochs_of(run)
        heads.update(run.best)

    def composition(team: Sequence[int]) -> Hashable:
        return tuple(specs[index] for index in team)

    work = sum(
        4.0 * fit.epochs * len(fit.rows) * table.shape[1] * specs[index].columns
        for index, fit in going.items()
    )
    cores = core_count() if work > SMALL else 1
    widest = max((spec.columns + spec.last_columns + spec.side_columns for spec in specs.values()), default=1)
    # Kernel, gradient and the optimizer's slots of every fit on every core.
    most = budget // (4 * 5 * widest * (table.shape[1] + 1) * cores)
    steps = sum(fit.epochs * -(-len(fit.rows) // batches[index]) for index, fit in going.items())
    team = TEAM if steps > FEW or work > SMALL else 1
    parts = teams(going, specs, capped(max(1, min(team, most))), cores)
    what = f"training {len(fits)} heads"
    train_together(parts, train, watches.values(), progress, what, cores, apart=composition)
    outcomes = {index: watch.trained(*heads.get(index, (None, None))) for index, watch in watches.items()}
    return [outcomes[index] for index in first]


@cache
def _prepare() -> None:
    """Make TensorFlow deterministic, once: a second time would drop compiled functions."""
    make_deterministic()


def teams(fits: Mapping[int, Fit], specs: Mapping[int, HeadSpec], most: int, cores: int) -> list[list[int]]:
    """Return groups of at most `most` fits that share minibatches and shape, small enough for every core.

    Heads of one learning rate are neighbours: they take about as many epochs, and a group trains until its
    last head has stopped. Among these, heads of a spec are neighbours, and so are groups of the same specs,
    which have the same graph. The costliest groups come first.
    """
    sharing: dict[Hashable, list[int]] = {}
    for index, fit in fits.items():
        sharing.setdefault((specs[index].fused, _minibatches(fit)), []).append(index)
    most = max(1, min(most, -(-len(fits) // cores)))
    parts = []
    for group in sharing.values():
        group = sorted(group, key=lambda index: (_rate(fits[index]), repr(specs[index])))
        parts += [group[start : start + most] for start in range(0, len(group), most)]
    cost = {team[0]: -sum(len(fits[i].rows) * fits[i].epochs for i in team) for team in parts}
    return sorted(parts, key=lambda team: (cost[team[0]], [repr(specs[index]) for index in team]))


def _rate(fit: Fit) -> float:
    """Return the learning rate of a fit's own setting."""
    return 0.0 if fit.setting is None else fit.setting.lr


def _first_equals(fits: Sequence[Fit]) -> list[int]:
    """Return for each fit the position of the first fit that is equal to it."""
    first: dict[Hashable, int] = {}
    return [first.setdefault(_key(fit), index) for index, fit in enumerate(fits)]


def _minibatches(fit: Fit) -> Hashable:
    """Return a key of all that the heads of a group share."""
    aside, arrays = fit.auxiliary, (fit.rows, fit.val_rows, fit.views, fit.mixed)
    targets = None if aside is None else (aside.labels, aside.sizes)
    batch = fit.setting and fit.setting.batch_size
    return _key((*arrays, targets, batch, fit.mixing, fit.seed, fit.units, fit.loss.scale > 0))


def _key(value: Any) -> Hashable:
    """Return a hashable value for a nested one: equal for equal values, with digests for arrays."""
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.str, hashlib.sha256(value.tobytes()).digest()
    if isinstance(value, Mapping):
        return tuple(sorted(value.items()))
    if is_dataclass(value):
        value = tuple(getattr(value, field.name) for field in fields(value))
    return tuple(map(_key, value)) if isinstance(value, tuple) else value
