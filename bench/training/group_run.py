"""Training of one group of heads: initial weights, rows of each epoch, validation, and the trained heads."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bench.training.auxiliary import side_kernel
from bench.training.co_teaching import PEER, mean_head
from bench.training.fits import TINY, Fit, Hidden, TrainSetting
from bench.training.head import HeadSpec, padded
from bench.training.head_group import GroupSpec, borrow_group, return_group
from bench.training.linear_head import LinearHead
from bench.training.loop import Line, Run
from bench.training.mixing import epoch_mix
from bench.training.objective import rows_at
from bench.training.schedule import Watch, epoch_order, epoch_views, initial_kernel
from bench.training.validation_scores import SCORES

BLOCK = 32 * 2**20
"""Bytes of the features that one call of a graph trains on, at most (one minibatch at least)."""

VALIDATED = 1024
"""Validation rows scored at a time, at most."""

WORTH = 2e11
"""Floating-point operations saved from which compiling a smaller group, a second or so, is worth its time."""


class GroupRun(Run):
    """Fits with equal rows, views, validation rows, units, cosines, auxiliary targets, mixing, batch, seed.

    table: (n, d) float32, a tensor, or an array that is too large to be one. truth: (n,) classes, or (n, k)
    float32 attributes. fits, specs, watches: by index. setting: of one fit; rates and decays of others may
    differ. best: the head of every fit's best epoch so far, and the hidden layer below it.
    """

    def __init__(
        self,
        table: Any,
        truth: np.ndarray,
        fits: Mapping[int, Fit],
        specs: Mapping[int, HeadSpec],
        watches: Mapping[int, Watch],
        setting: TrainSetting,
    ) -> None:
        self.table, self.truth, self.setting = table, truth, setting
        self.fits, self.specs = dict(fits), {index: specs[index] for index in fits}
        self.watches = {index: watches[index] for index in fits}
        self.best: dict[int, tuple[LinearHead, Hidden | None]] = {}
        self._made: dict[tuple[int, int], Any] = {}
        self.one = next(iter(self.fits.values()))
        self.group = borrow_group(self._spec())
        for place, layer in enumerate(self.group.layers):
            starts = [self._start(index, place) for index in self.fits]
            layer.start(*zip(*starts, strict=True))
        for memory, spec in zip(self.group.memories, self.specs.values(), strict=True):
            if memory is not None:
                memory.assign(np.zeros((len(self.one.rows), spec.k), np.float32))

    def epoch(self, number: int, going: Mapping[int, Watch]) -> dict[int, Line]:
        """Train every fit for one epoch; those that have stopped have a learning rate of zero."""
        self._drop_others(going)
        rates, decays = ([getattr(going.get(i), part, 0.0) for i in self.fits] for part in ("rate", "decay"))
        self.group.begin(rates, decays, self.setting.batch_size)
        numbers = [self._numbers(index, number) for index in self.fits]
        sums = np.zeros((2, len(self.fits)))
        for table, at, rows in self._blocks(number):
            sums += self.group.train(table, at, numbers, rows)
        with np.errstate(all="ignore"):
            losses = sums[0] / sums[1]
        return dict(zip(self.fits, zip(losses.tolist(), *self._validate(numbers), strict=True), strict=True))

    def keep(self, best: Collection[int]) -> None:
        """Keep the current layers of fits; of two heads that teach each other, those of their mean."""
        layers = [layer.heads() for layer in self.group.layers[:2]]
        for place, (index, fit) in enumerate(self.fits.items()):
            if index in best:
                self.best[index] = _unpadded(self.specs[index], fit, [heads[place] for heads in layers])

    def close(self) -> None:
        """Return the compiled group to the pool."""
        return_group(self.group)

    def _numbers(self, index: int, number: int) -> Any:
        """Return a fit's numbers of an epoch as tensors, made once where the epochs share them."""
        import tensorflow as tf

        fit, spec = self.fits[index], self.specs[index]
        key = index, number if spec.by_epoch else number <= fit.deferred
        if key not in self._made:
            self._made = {made: one for made, one in self._made.items() if made[0] != index}
            self._made[key] = tf.nest.map_structure(tf.constant, spec.numbers(fit, number))
        return self._made[key]

    def _spec(self) -> GroupSpec:
        sharing = [self._sharing(index) for index in self.fits]
        rows, width = tuple(map(list(dict.fromkeys(sharing)).index, sharing)), self.table.shape[1]
        return GroupSpec(
            tuple(self.specs.values()), rows, width, self.setting.optimizer, self.setting.momentum
        )

    def _sharing(self, index: int) -> Hashable:
        """Return a key of what heads with equal training rows have in common."""
        fit = self.fits[index]
        arrays = fit.targets, fit.row_weights, fit.auxiliary and fit.auxiliary.labels
        return *map(id, arrays), self.specs[index].objective.family.memory

    def _drop_others(self, going: Mapping[int, Watch]) -> None:
        """Drop all fits that have stopped, where compiling a smaller group takes less time than they do.

        A fit that may stop early is taken to go on for as long again.
        """
        epochs = max(
            min(watch.epochs - watch.done, len(watch.history) if watch.stops_early else watch.epochs)
            for watch in going.values()
        )
        stopped = sum(spec.columns for index, spec in self.specs.items() if index not in going)
        if 4.0 * epochs * len(self.one.rows) * self.table.shape[1] * stopped < WORTH:
            return
        state = self.group.state([place for place, index in enumerate(self.fits) if index in going])
        return_group(self.group)
        self.fits = {index: self.fits[index] for index in going}
        self.specs = {index: self.specs[index] for index in going}
        self.group = borrow_group(self._spec())
        self.group.restore(*state)

    def _start(self, index: int, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the initial kernel and bias of a fit's part of a layer, padded with zeros."""
        fit, spec, seed = self.fits[index], self.specs[index], self.fits[index].seed
        last = not spec.units or place == 1
        if place == 2:
            kernel = side_kernel(seed, spec.units, spec.sides)
            return _padded(kernel, np.zeros(kernel.shape[1], np.float32))
        inputs = self.table.shape[1] if place == 0 else spec.units
        width = spec.k if last else spec.units
        bias = np.full(width, fit.loss.bias if last and not spec.cosine else 0.0, np.float32)
        kernels = [initial_kernel(seed, inputs, width, PEER * peer + place) for peer in range(spec.heads)]
        if starts_at_zero(fit, spec):
            kernels = [np.zeros_like(kernel) for kernel in kernels]
        parts = [_padded(kernel, bias) for kernel in kernels]
        return tuple(np.concatenate(one, axis=-1) for one in zip(*parts, strict=True))  # type: ignore[return-value]

    def _blocks(self, number: int) -> Iterator[tuple[Any, np.ndarray, list[dict[str, np.ndarray]]]]:
        """Yield a table, positions in it and the fits' rows, whole minibatches in an epoch's order."""
        one, batch = self.one, self.setting.batch_size
        # Positions are permuted as the rows themselves would be, so that a row's own weight can be found.
        order = epoch_order(np.arange(len(one.rows)), one.seed, number)
        rows = one.rows
        if one.views is not None:
            drawn = epoch_views(len(rows), len(one.views), one.seed, number)
            rows = one.views[drawn, np.arange(len(rows))]
        mix = None
        if one.mixing is not None:
            mix = epoch_mix(one.mixing, order, batch, one.seed, number, one.mixed)
        size = batch * max(1, BLOCK // (4 * batch * self.table.shape[1]))
        for start in range(0, len(order), size):
            places = order[start : start + size]
            part = None if mix is None else mix.part(start, start + size)
            fits = {self._sharing(index): fit for index, fit in self.fits.items()}
            own = [rows_at(fit, self.truth, places, part, fit.units > 0) for fit in fits.values()]
            yield *self._features(rows[places]), own

    def _features(self, rows: np.ndarray) -> tuple[Any, np.ndarray]:
        """Return a table that holds these rows, and their positions in it."""
        if isinstance(self.table, np.ndarray):
            return self.table[rows], np.arange(len(rows))
        return self.table, rows

    def _validate(self, numbers: Any) -> tuple[list[float], list[float]]:
        """Return every fit's loss and score over the validation rows."""
        rows, sums = self.one.val_rows, np.zeros((2, len(self.fits)))
        parts: list[list[np.ndarray]] = []
        for start in range(0, len(rows), VALIDATED):
            block = rows[start : start + VALIDATED]
            answer, logits = self.group.validate(*self._features(block), numbers, self.truth[block])
            sums += answer
            parts.append(logits)
        if not parts:
            return [float("nan")] * len(self.fits), [float("nan")] * len(self.fits)
        labels, logits = self.truth[rows], [np.concatenate(one) for one in zip(*parts, strict=True)]
        names = [self.watches[index].score for index in self.fits]
        with np.errstate(all="ignore"):
            return (sums[0] / sums[1]).tolist(), [
                SCORES[name](one, labels) for name, one in zip(names, logits, strict=True)
            ]


def starts_at_zero(fit: Fit, spec: HeadSpec) -> bool:
    """Return whether a head's initial kernel is zero, as a path of falling decays needs it.

    The part of a random kernel outside the span of the training rows has no gradient but the decay's, and
    adds noise to the logits of all other rows. Hidden layers, cosines and peers cannot start at zero.
    """
    return bool(fit.path or fit.decays) and not spec.units and not spec.cosine and spec.heads == 1


def _padded(kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    more = padded(len(bias)) - len(bias)
    return np.pad(kernel, ((0, 0), (0, more))), np.pad(bias, (0, more))


def _unpadded(
    spec: HeadSpec, fit: Fit, layers: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[LinearHead, Hidden | None]:
    """Return a fit's head, and its hidden layer, from its padded layers."""

    def own(layer: int, peer: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        start = peer * padded(width)
        return tuple(one[..., start : start + width].copy() for one in layers[layer])  # type: ignore[return-value]

    heads = []
    for peer in range(spec.heads):
        below = Hidden(*own(0, peer, spec.units)) if spec.units else None
        kernel, bias = own(-1, peer, spec.k)
        if spec.cosine:
            lengths = np.sqrt(np.maximum(np.square(kernel).sum(axis=0), np.float32(TINY)))
            kernel, bias = kernel / lengths * np.float32(fit.loss.scale), np.zeros_like(bias)
        heads.append((LinearHead(kernel, bias), below))
    return heads[0] if len(heads) == 1 else mean_head(*heads)
