"""A few heads in training that share their minibatches: stacked variables, moved by NumPy and BLAS.

A head is linear, or has one hidden layer below its last one. A lane has one head, or two that teach each
other and answer together: g lanes have h heads, in the lanes' order and then the second ones. Kernels are
(h, d, k), biases (h, k). A lane's bits do not depend on its company: each kernel meets the batch in a matrix
product of its own, losses are computed lane by lane, and what remains is arithmetic of one number at a time,
which rounds alike wherever a number stands.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.methods.losses import PAIRED
from bench.methods.registry import LinearHead
from bench.models.auxiliary import SideObjective, side_kernel
from bench.models.judging import SCORES, score_name
from bench.models.lanes import Hidden, Lane, TrainSetting
from bench.models.layers import CosineLayer, Layer
from bench.models.mixing import Mix, epoch_mix, measure_mixed
from bench.models.objective import objective_of
from bench.models.pairs import PEER, kept_share, mean_head, taught_rows
from bench.models.schedule import epoch_order, epoch_views, initial_kernel

BLOCK = 1024
"""Validation rows scored at a time, at most."""


class Stack:
    """The heads of lanes with equal rows, views, validation rows, units, mixing and seed, from the start on.

    Their last layers are all plain or all of cosines, and they have the same auxiliary targets or none.
    table: (n, d) float32. truth: (n,) classes, or (n, k) float32 attributes.
    """

    def __init__(
        self, table: np.ndarray, truth: np.ndarray, k: int, lanes: Sequence[Lane], setting: TrainSetting
    ) -> None:
        self.table, self.truth, self.setting = table, truth, setting
        one = lanes[0]
        self.rows, self.views, self.val_rows, self.seed = one.rows, one.views, one.val_rows, one.seed
        self.mixing, self.mixed = one.mixing, one.mixed
        attributes = truth.ndim > 1
        self.objectives = [objective_of(lane, attributes) for lane in lanes]
        self.scores = [SCORES[score_name(lane.stop_by, attributes)] for lane in lanes]
        self.peers = _seated([lane.loss.family in PAIRED for lane in lanes])
        firsts, width = [0] * len(lanes) + [PEER] * len(self.peers), table.shape[1]
        self.hidden: Layer | None = None
        if one.units:
            kernels = np.stack([initial_kernel(one.seed, width, one.units, first) for first in firsts])
            self.hidden = Layer(kernels, np.zeros((len(firsts), one.units), np.float32), setting)
            width = one.units
        layer = int(self.hidden is not None)
        kernels = np.stack([initial_kernel(one.seed, width, k, first + layer) for first in firsts])
        losses = [lane.loss for lane in (*lanes, *(lanes[place] for place in self.peers))]
        biases = np.stack([np.full(k, loss.bias, np.float32) for loss in losses])
        scales = [lane.loss.scale for lane in lanes]
        self.last = Layer(kernels, biases, setting)
        if scales[0]:
            self.last = CosineLayer(kernels, biases, scales, setting)
        self.sides = [SideObjective(lane.auxiliary) for lane in lanes if lane.auxiliary is not None]
        self.side: Layer | None = None
        if one.auxiliary is not None:
            kernel = side_kernel(one.seed, width, one.auxiliary.sizes)
            kernels = np.stack([kernel for _ in lanes])
            self.side = Layer(kernels, np.zeros((len(lanes), kernel.shape[1]), np.float32), setting)
        self.step = 0
        rows = max(min(setting.batch_size, len(self.rows)), min(BLOCK, len(self.val_rows)))
        self.inputs = np.empty((rows, table.shape[1]), np.float32)

    def keep(self, places: list[int]) -> None:
        """Go on with the lanes at these places alone."""
        self.objectives = [self.objectives[place] for place in places]
        self.scores = [self.scores[place] for place in places]
        self.sides = [self.sides[place] for place in places if self.sides]
        heads = [*places, *(self.peers[place] for place in places if place in self.peers)]
        self.peers = _seated([place in self.peers for place in places])
        for layer in self._layers():
            layer.keep(heads)

    def epoch(self, number: int, rates: np.ndarray) -> np.ndarray:
        """Train every lane for one epoch (counted from 1) at its own rate and validate: (3, g) float64.

        rates: (g,) float64. The rows of the answer are training loss, validation loss and validation score,
        NaN where undefined.
        """
        size = max(1, self.setting.batch_size)
        for objective in self.objectives:
            objective.epoch = number
        # Positions are drawn as the rows themselves would be, so that a row's own weight can be found.
        order = epoch_order(np.arange(len(self.rows)), self.seed, number)
        rows = self.rows
        if self.views is not None:
            drawn = epoch_views(len(self.rows), len(self.views), self.seed, number)
            rows = self.views[drawn, np.arange(len(self.rows))]
        mix = None
        if self.mixing is not None:
            mix = epoch_mix(self.mixing, order, size, self.seed, number, self.mixed)
        sums = np.zeros((2, len(self.objectives)))
        for start in range(0, len(order), size):
            places = order[start : start + size]
            own = None if mix is None else mix.part(start, start + size)
            sums += self._descend(places, rows[places], rates, own)
        return np.stack([sums[0] / sums[1], *self._validate()])

    def head(self, place: int) -> tuple[LinearHead, Hidden | None]:
        """Return a copy of the layers of the lane at this place: of two heads, those of their mean."""
        if place not in self.peers:
            return self.last.head(place), self._below(place)
        peer = self.peers[place]
        one, other = self._below(place), self._below(peer)
        below = None if one is None or other is None else (one, other)
        return mean_head(self.last.head(place), self.last.head(peer), below)

    def _below(self, seat: int) -> Hidden | None:
        below = self.hidden
        return None if below is None else Hidden(below.kernels[seat].copy(), below.biases[seat].copy())

    def _layers(self) -> list[Layer]:
        return [layer for layer in (self.hidden, self.last, self.side) if layer is not None]

    def _descend(
        self, places: np.ndarray, rows: np.ndarray, rates: np.ndarray, mix: Mix | None
    ) -> np.ndarray:
        """Move every lane by the minibatch at these places, whose inputs are these rows of the table.

        Returns (2, g) sums of weight * loss and of weight; of two heads, over what either learnt from.
        """
        inputs, below, logits = self._forward(rows, mix)
        known = self.truth[self.rows[places]]
        sums = np.zeros((2, len(self.objectives)))
        beside = None if self.side is None else self.side.forward(below)
        for place, objective in enumerate(self.objectives):
            labels = objective.labels(places, known)
            taught: dict[int, np.ndarray | None] = {place: None}
            if place in self.peers:
                peer = self.peers[place]
                share = kept_share(objective.params, objective.epoch)
                own, other = taught_rows((logits[place], logits[peer]), labels, share)
                taught = {place: own, peer: other}
            for seat, shares in taught.items():
                if mix is None:
                    lost, seen, slope = objective(logits[seat], labels, places, shares)
                else:
                    pair = mix.shares, labels[mix.partners], places[mix.partners]
                    lost, seen, slope = measure_mixed(objective, logits[seat], labels, places, *pair)
                sums[:, place] += lost, seen
                aside = None
                if beside is not None:
                    slope *= self.sides[place].main
                    aside = self.sides[place].slope(beside[seat], places, mix)
                self._lean(seat, inputs, below, slope, aside)
        self.step += 1
        if self.peers:
            rates = np.concatenate([rates, rates[list(self.peers)]])
        for layer in self._layers():
            layer.move(self.step, rates)
        return sums

    def _lean(
        self, seat: int, inputs: np.ndarray, below: np.ndarray, slope: np.ndarray, aside: np.ndarray | None
    ) -> None:
        """Take down one head's gradient, given the slope of its loss by its logits.

        aside: that of its auxiliary losses by the logits of these, or None.
        """
        seen = below if self.hidden is None else below[seat]
        self.last.lean(seat, seen, slope)
        if self.side is not None and aside is not None:
            self.side.lean(seat, seen, aside)
        if self.hidden is None:
            return
        back = self.last.back(seat, seen, slope)
        if self.side is not None and aside is not None:
            back += self.side.back(seat, seen, aside)
        back *= seen > 0
        self.hidden.lean(seat, inputs, back)

    def _validate(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (g,) losses and (g,) scores over the validation rows."""
        sums, parts = np.zeros((2, len(self.objectives))), []
        for start in range(0, len(self.val_rows), BLOCK):
            rows = self.val_rows[start : start + BLOCK]
            logits = self._answers(self._forward(rows)[2])
            # A loss may overwrite the logits it is given.
            parts.append(logits.copy())
            for place, objective in enumerate(self.objectives):
                sums[:, place] += objective(logits[place], self.truth[rows])[:2]
        scores = np.full(len(self.objectives), np.nan)
        if parts:
            labels, whole = self.truth[self.val_rows], np.concatenate(parts, axis=1)
            scores[:] = [score(logits, labels) for score, logits in zip(self.scores, whole, strict=True)]
        return sums[0] / sums[1], scores

    def _answers(self, logits: np.ndarray) -> np.ndarray:
        """Return (g, b, k) of (h, b, k): a lane's own logits, or the mean of its heads' in their place."""
        for place, peer in self.peers.items():
            logits[place] += logits[peer]
            logits[place] *= np.float32(0.5)
        return logits[: len(self.objectives)]

    def _forward(self, rows: np.ndarray, mix: Mix | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return inputs (b, d), what the last layer sees, the same or (h, b, u), and logits (h, b, k)."""
        inputs = self.inputs[: len(rows)]
        # Rows are known to exist; any mode but "raise" spares a copy of the output.
        np.take(self.table, rows, axis=0, out=inputs, mode="clip")
        if mix is not None:
            inputs[:] = mix.inputs(inputs)
        below = inputs
        if self.hidden is not None:
            below = self.hidden.forward(inputs)
            np.maximum(below, np.float32(0), out=below)
        return inputs, below, self.last.forward(below)


def _seated(paired: Sequence[bool]) -> dict[int, int]:
    """Return where the second heads of lanes stand, by the lanes' places: after all first ones."""
    return {place: len(paired) + turn for turn, place in enumerate(np.flatnonzero(paired).tolist())}
