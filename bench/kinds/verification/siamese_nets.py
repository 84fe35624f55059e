"""Siamese nets: two photos through one backbone with shared weights, trained end to end on pairs.

The siamese net of Bromley et al. 1993, with the comparison of two vectors of Koch et al. 2015: a layer on
their differences and products, or their cosine alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.backbones.info import BackboneInfo
from bench.core.cell import Cell, Step, Value
from bench.core.progress import Progress
from bench.data.pixels import Pixels
from bench.kinds.verification.arrays import Fold
from bench.kinds.verification.match import Match, match_of
from bench.runs.fits import epochs_of, stop_by, train_setting
from bench.training.fits import Fit, Trained
from bench.training.linear_head import LinearHead, LossSpec
from bench.training.nets.checkpoints import checkpoint_file
from bench.training.schedule import initial_kernel

if TYPE_CHECKING:
    from bench.training.nets.train import Embed

COSINE_SCALE = 10.0
"""How much more likely, in log odds, a pair of equal vectors is one person's at first than one of orthogonal
vectors."""


class PhotoPairs:
    """Reads two photos at once: (m, 2, h, w, 3) uint8 for positions of pairs that were added before."""

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels
        self.photos = np.empty((0, 2), np.int64)

    def add(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Append pairs of photos, by the photos' positions; return the pairs' own (m,) positions."""
        start = len(self.photos)
        self.photos = np.concatenate([self.photos, np.stack([first, second], axis=1).astype(np.int64)])
        return np.arange(start, len(self.photos))

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return both photos of each pair."""
        both = self.pixels.read(self.photos[rows].ravel())
        return both.reshape(len(rows), 2, *self.pixels.size, 3)


class NetPairs:
    """Scratch and finetune regime: each cell is a net of its own, one after the other.

    weights: what backbones begin with: `random`, `imagenet` or a path. checkpoints: a folder where nets in
    training are written down after every epoch, or None.
    """

    def __init__(
        self,
        pixels: Pixels,
        backbone: BackboneInfo,
        setting: Mapping[str, Value],
        progress: Progress,
        weights: str = "random",
        checkpoints: Path | None = None,
    ) -> None:
        self.pixels, self.backbone, self.setting, self.progress = pixels, backbone, setting, progress
        self.weights, self.checkpoints = weights, checkpoints

    def fit(
        self, work: Sequence[tuple[Cell, Fold]], first: Sequence[Trained] = ()
    ) -> Iterator[tuple[Trained, Match | None]]:
        """Train a net for each cell's fold. One is compiled for all neighbours that compare alike."""
        repeated: Sequence[Trained | None] = first or [None] * len(work)
        every = [(*one, before) for one, before in zip(work, repeated, strict=True)]
        for step, alike in groupby(every, lambda one: match_of(one[0].method).match):
            yield from self._fit_alike(step, list(alike))

    def _fit_alike(
        self, step: Step, work: Sequence[tuple[Cell, Fold, Trained | None]]
    ) -> Iterator[tuple[Trained, Match | None]]:
        from bench.backbones.determinism import make_deterministic
        from bench.backbones.registry import preprocess
        from bench.training.nets.train import train_nets

        make_deterministic()
        pairs, same = PhotoPairs(self.pixels), [np.empty(0, bool)]
        specs, names = [], []
        for cell, fold, first in work:
            sides = fold.train, fold.val
            rows, val_rows = (pairs.add(side.first, side.second) for side in sides)
            same += [side.same for side in sides]
            specs.append(_fit(cell, rows, val_rows, first))
            names.append(f"{cell.id}{f'-{fold.place}' if fold.place else ''}{'-refit' if first else ''}")
        answers = train_nets(
            lambda seed: pair_net(self.backbone, self.pixels.size, self.weights, step, self.setting, seed),
            pairs,
            preprocess(self.backbone, str(self.setting["preprocess"])),
            np.concatenate(same).astype(np.int32),
            2,
            specs,
            train_setting(self.setting),
            self.progress,
            [checkpoint_file(self.checkpoints, name) for name in names],
        )
        for trained, embed in answers:
            if trained.head is None:
                yield replace(trained, failed=trained.failed or "training failed"), None
            else:
                yield trained, _match(trained.head, embed, pairs)


def _match(head: LinearHead, embed: Embed, pairs: PhotoPairs) -> Match:
    """Return the match of a trained net: the logarithm of the odds that both photos show one person."""

    def score(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        logits = head.logits(embed(pairs.add(first, second)))
        return np.asarray(logits[:, 1] - logits[:, 0], np.float32)

    def arrays() -> dict[str, np.ndarray]:
        """Return every variable of the net below its head, in the model's order, and the head."""
        net = {f"net_{place:04d}": value for place, value in enumerate(embed.variables())}
        return {**net, "kernel": head.kernel, "bias": head.bias}

    return Match({"supervision": "pairs"}, score, arrays)


def _fit(cell: Cell, rows: np.ndarray, val_rows: np.ndarray, first: Trained | None) -> Fit:
    return Fit(
        rows,
        val_rows,
        LossSpec(),
        None,
        cell.seed,
        epochs_of(cell.setting, len(rows)) if first is None else first.best_epoch,
        stop_by=stop_by(cell.setting, "loss"),
        rates=() if first is None else first.rates,
        setting=train_setting(cell.setting),
    )


def pair_net(
    backbone: BackboneInfo,
    size: tuple[int, int],
    weights: str,
    step: Step,
    setting: Mapping[str, Value],
    seed: int,
) -> Any:
    """Build the net below the last layer: a keras.Model from (n, 2, h, w, 3) float32 to (n, d).

    step: what the two vectors are compared by. `pair_logistic`: |a - b| and a * b side by side; `siamese`: a
    layer of relu units on these; `cosine`: the cosine of both, scaled. Raises BenchError as `build_backbone`
    does.
    """
    from bench.backbones.registry import build_backbone, freeze

    net = build_backbone(backbone, size, weights, seed, str(setting["precision"]))
    freeze(net, setting)
    import keras
    from keras import layers, ops

    both = keras.Input((2, *size, 3))
    photos = ops.reshape(both, (-1, *size, 3))
    vectors = ops.reshape(net(photos), (-1, 2, net.output_shape[-1]))
    one, other = vectors[:, 0], vectors[:, 1]
    if step.name == "cosine":
        norms = [ops.sqrt(ops.sum(part * part, axis=1, keepdims=True)) + 1e-7 for part in (one, other)]
        alike = ops.sum((one / norms[0]) * (other / norms[1]), axis=1, keepdims=True)
        # The layer on top begins with a slope of any sign; from a falling one the net would learn to part
        # what belongs together.
        kernel = initial_kernel(seed, 1, 2)
        gain = keras.initializers.Constant(COSINE_SCALE / float(kernel[0, 1] - kernel[0, 0]))
        rise = layers.Dense(1, use_bias=False, kernel_initializer=gain, trainable=False, name="rise")
        return keras.Model(both, rise(alike))
    compared = ops.concatenate([ops.abs(one - other), one * other], axis=1)
    if step.name == "siamese":
        compared = layers.Dense(int(step["units"] or 0), activation="relu", name="compare")(compared)
    return keras.Model(both, compared)
