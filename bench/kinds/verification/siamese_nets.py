"""Siamese nets: two photos through one backbone with shared weights, trained end to end on pairs.

The siamese net of Bromley et al. 1993, with the comparison of two vectors of Koch et al. 2015: a layer on
their differences and products, or their cosine alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from bench.backbones.info import BackboneInfo
from bench.core.cell import Step, Value
from bench.core.progress import Progress
from bench.data.pixels import Pixels
from bench.kinds.verification.match import match_of
from bench.kinds.verification.orders import Matched, PairOrder
from bench.runs.orders import train_setting
from bench.training.fits import Fit, Trained
from bench.training.linear_head import LossSpec
from bench.training.nets.checkpoints import checkpoint_file
from bench.training.schedule import initial_kernel

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


@dataclass(frozen=True)
class NetMatched:
    """A trained net. See `Matched`."""

    trained: Trained
    embed: Any
    pairs: PhotoPairs
    found: Mapping[str, object] = field(default_factory=lambda: {"supervision": "pairs"})
    choices: Mapping[str, float] = field(default_factory=dict)

    def score(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return (m,) float32, the logarithm of the odds that both photos show one person."""
        assert self.trained.head is not None
        logits = self.trained.head.logits(self.embed(self.pairs.add(first, second)))
        return np.asarray(logits[:, 1] - logits[:, 0], np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return every variable of the net below its head, in the model's order, and the head."""
        assert self.trained.head is not None
        net = {f"net_{place:04d}": value for place, value in enumerate(self.embed.variables())}
        return {**net, "kernel": self.trained.head.kernel, "bias": self.trained.head.bias}


class NetPairs:
    """Scratch and finetune regime: each order is a net of its own, one after the other.

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

    def following(self, setting: Mapping[str, Value]) -> NetPairs:
        """Return the trainer with another protocol; what was read and fitted is shared."""
        other = copy(self)
        other.setting = setting
        return other

    def fit(self, orders: Sequence[PairOrder]) -> Iterator[Matched | str]:
        """Train every order's net. One is compiled for all neighbours that compare alike."""
        for step, alike in groupby(orders, lambda order: match_of(order.method).match):
            yield from self._fit_alike(step, list(alike))

    def _fit_alike(self, step: Step, orders: Sequence[PairOrder]) -> Iterator[Matched | str]:
        from bench.backbones.determinism import make_deterministic
        from bench.backbones.registry import preprocess
        from bench.training.nets.train import train_nets

        make_deterministic()
        pairs, same = PhotoPairs(self.pixels), [np.empty(0, bool)]
        specs = []
        for order in orders:
            sides = order.train, order.val
            rows, val_rows = (pairs.add(side.first, side.second) for side in sides)
            same += [side.same for side in sides]
            specs.append(self._fit(order, rows, val_rows))
        answers = train_nets(
            lambda seed: pair_net(self.backbone, self.pixels.size, self.weights, step, self.setting, seed),
            pairs,
            preprocess(self.backbone, str(self.setting["preprocess"])),
            np.concatenate(same).astype(np.int32),
            2,
            specs,
            train_setting(self.setting),
            self.progress,
            [checkpoint_file(self.checkpoints, order.name) for order in orders],
        )
        for trained, embed in answers:
            if trained.head is None:
                yield trained.failed or "training failed"
            else:
                yield NetMatched(trained, embed, pairs)

    def _fit(self, order: PairOrder, rows: np.ndarray, val_rows: np.ndarray) -> Fit:
        epochs = int(self.setting["epochs"] or 0) if order.epochs is None else order.epochs
        stop_by = str(self.setting["stop_by"]).removeprefix("val_")
        return Fit(
            rows,
            val_rows,
            LossSpec(),
            None,
            order.seed,
            epochs,
            stop_by="loss" if stop_by == "auto" else stop_by,
            rates=order.rates,
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
