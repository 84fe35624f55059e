"""The two ways a stage's cells are trained, behind one face: heads on features, nets on pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from bench.data.pixels import Pixels
from bench.data.splits import StageSplit
from bench.methods.apply import Resolved, resolve
from bench.methods.grammar import needs_features
from bench.methods.registry import LinearHead
from bench.models.backbone_info import BackboneInfo
from bench.models.lanes import Lane, Trained, TrainSetting
from bench.spec import MethodSpec, Value

Progress = Callable[[int, int, str], None]

BLOCK = 4096
"""Rows standardised at a time when many are scored."""


@dataclass(frozen=True)
class Order:
    """One cell to train: rows are positions among all examples; epochs None means the protocol's."""

    method: MethodSpec
    seed: int
    rows: np.ndarray
    val_rows: np.ndarray
    epochs: int | None = None

    def refit(self, epochs: int) -> Order:
        """Return the order that trains on training and validation rows for exactly so many epochs."""
        both = np.sort(np.concatenate([self.rows, self.val_rows]))
        return replace(self, rows=both, val_rows=both[:0], epochs=epochs)


@dataclass(frozen=True)
class Fitted:
    """A trained cell. embed: rows -> (n, d) inputs of its head, valid until the next one is asked for.

    link: how its logits become scores. seen: (k,) rows per class that it was trained on. found: what the
    method found in its training rows, by step, for the record. head is None where training failed.
    """

    trained: Trained
    embed: Callable[[np.ndarray], np.ndarray]
    link: str
    seen: np.ndarray
    found: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def head(self) -> LinearHead | None:
        """The trained head."""
        return self.trained.head


class Trainer(Protocol):
    """Trains orders and yields them in the same order."""

    def fit(self, orders: Sequence[Order]) -> Iterator[Fitted]:
        """Train; each result must be used before the next is asked for."""
        ...


def link(name: str, logits: np.ndarray) -> np.ndarray:
    """Turn (n, k) logits into scores: `softmax` probabilities, or one `sigmoid` per class; float32."""
    wide = logits.astype(np.float64)
    if name == "sigmoid":
        return (1.0 / (1.0 + np.exp(-np.clip(wide, -500.0, 500.0)))).astype(np.float32)
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return shares.astype(np.float32)


def train_setting(setting: Mapping[str, Value]) -> TrainSetting:
    """Take what training needs from a protocol."""
    names = ("batch_size", "lr", "optimizer", "momentum", "l2", "patience")
    return TrainSetting(**{name: setting[name] for name in names})  # type: ignore[arg-type]


class HeadTrainer:
    """Frozen regime: all heads of a stage are trained together on its standardised features.

    features: (n, d) of all examples. Mean and deviation come from the stage's training part
    (validation included: no label is used, and no test image). groups: n ids of all examples, of what a
    cross-validation must keep together, or None.
    """

    def __init__(
        self,
        features: np.ndarray,
        split: StageSplit,
        setting: Mapping[str, Value],
        progress: Progress,
        groups: Sequence[str] | None = None,
    ) -> None:
        self.features, self.setting, self.progress, self.groups = features, setting, progress, groups
        self.classes, self.truth = len(split.classes), split.truth
        self.rows = np.sort(np.concatenate([split.train, split.val]))
        own = np.asarray(features[self.rows], np.float32)
        self.mean, self.scale = np.zeros(own.shape[1], np.float32), np.ones(own.shape[1], np.float32)
        if setting["standardize"]:
            self.mean = own.mean(axis=0, dtype=np.float64).astype(np.float32)
            spread = own.std(axis=0, dtype=np.float64)
            self.scale = np.where(spread > 1e-8, spread, 1.0).astype(np.float32)
        self.table = (own - self.mean) / self.scale

    def embed(self, rows: np.ndarray) -> np.ndarray:
        """Return the (len(rows), d) standardised features of any examples."""
        out = np.empty((len(rows), len(self.mean)), np.float32)
        for start in range(0, len(rows), BLOCK):
            part = slice(start, start + BLOCK)
            out[part] = (self.features[rows[part]] - self.mean) / self.scale
        return out

    def fit(self, orders: Sequence[Order]) -> Iterator[Fitted]:
        """Train every order's head in one cohort."""
        from bench.models.cohort import train_heads

        labels = self.truth[self.rows]
        resolved: list[Resolved] = []
        lanes: list[Lane] = []
        size = len(self.rows)
        for order in orders:
            rows = np.searchsorted(self.rows, order.rows)
            inputs = self.table[rows] if needs_features(order.method) else None
            groups = None if self.groups is None else [self.groups[row] for row in order.rows]
            made = resolve(order.method, labels[rows], inputs, self.classes, order.seed, groups)
            places = np.concatenate([rows, size + np.arange(len(made.resampled.labels))])
            val_rows = np.searchsorted(self.rows, order.val_rows)
            lanes.append(_lane(order, made, places[made.resampled.rows], val_rows, self.setting))
            size += len(made.resampled.labels)
            resolved.append(made)
        table, y = self.table, labels
        added = [made.resampled for made in resolved if len(made.resampled.labels)]
        if added:
            table = np.concatenate([table, *[part.synthetic for part in added]])
            y = np.concatenate([labels, *[part.labels for part in added]])
        trained = train_heads(
            table, y.astype(np.int32), self.classes, lanes, train_setting(self.setting), self.progress
        )
        for made, answer in zip(resolved, trained, strict=True):
            yield Fitted(answer, self.embed, made.loss.link, made.seen, made.found)


class NetTrainer:
    """Scratch regime: each cell is a net of its own, trained end to end from random weights on pixels."""

    def __init__(
        self,
        pixels: Pixels,
        backbone: BackboneInfo,
        split: StageSplit,
        setting: Mapping[str, Value],
        progress: Progress,
    ) -> None:
        self.pixels, self.backbone, self.setting, self.progress = pixels, backbone, setting, progress
        self.classes, self.truth = len(split.classes), split.truth

    def fit(self, orders: Sequence[Order]) -> Iterator[Fitted]:
        """Train every order's net, one after the other."""
        from bench.env import make_deterministic
        from bench.models.backbones import build_backbone, preprocess
        from bench.models.nets import train_nets

        make_deterministic()
        resolved, lanes = [], []
        for order in orders:
            made = resolve(order.method, self.truth[order.rows], None, self.classes, order.seed)
            resolved.append(made)
            lanes.append(_lane(order, made, order.rows[made.resampled.rows], order.val_rows, self.setting))
        size = self.pixels.size
        answers = train_nets(
            lambda seed: build_backbone(self.backbone, size, "random", seed),
            self.pixels,
            preprocess(self.backbone, str(self.setting["preprocess"])),
            self.truth,
            self.classes,
            lanes,
            train_setting(self.setting),
            self.progress,
        )
        for made, (trained, embed) in zip(resolved, answers, strict=True):
            yield Fitted(trained, embed, made.loss.link, made.seen, made.found)


def _lane(
    order: Order, made: Resolved, rows: np.ndarray, val_rows: np.ndarray, setting: Mapping[str, Value]
) -> Lane:
    epochs = order.epochs if order.epochs is not None else setting["epochs"]
    return Lane(
        rows,
        val_rows,
        made.loss,
        made.weights,
        order.seed,
        int(epochs or 0),
        made.row_weights,
        made.stop_by,
    )
