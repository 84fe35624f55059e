"""The two ways a stage's cells are trained, behind one face: heads on features, nets on pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.pixels import Pixels
from bench.data.splits import StageSplit
from bench.methods.apply import Resolved, shape_of
from bench.methods.grammar import needs_features
from bench.models.augment import Recipe
from bench.models.backbone_info import BackboneInfo
from bench.models.inputs import Inputs
from bench.models.lanes import Lane, Trained
from bench.models.orders import Fitted, Order, as_targets, lane_of, resolve_order, train_setting
from bench.spec import Value

Progress = Callable[[int, int, str], None]

BLOCK = 4096
"""Rows standardised at a time when many are scored."""


class HeadTrainer:
    """Frozen regime: all heads of a stage are trained together on its standardised features.

    Mean and deviation of the features come from the stage's training part (validation included: no label
    is used, and no test image). groups: n ids of all examples, of what a cross-validation must keep
    together, or None. prices: n numbers as text, "" for unknown, or None where the data has none. Heads of
    convolutions are nets on the backbone's maps, trained one by one.
    """

    def __init__(
        self,
        inputs: Inputs,
        split: StageSplit,
        setting: Mapping[str, Value],
        progress: Progress,
        groups: Sequence[str] | None = None,
        prices: Sequence[str] | None = None,
    ) -> None:
        self.inputs, self.setting, self.progress = inputs, setting, progress
        self.groups, self.prices = groups, prices
        self.features = inputs.features
        self.classes, self.truth = len(split.classes), as_targets(split.truth)
        self.rows = np.sort(np.concatenate([split.train, split.val]))
        own = np.asarray(self.features[self.rows], np.float32)
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
        """Train every order's head, those on pooled features in one cohort."""
        made = [self._resolve(order) for order in orders]
        work = [(order, one) for order, one in zip(orders, made, strict=True) if isinstance(one, Resolved)]
        on_maps = [bool(shape_of(order.method).filters) for order, _ in work]
        pooled = self._fit_pooled([one for one, maps in zip(work, on_maps, strict=True) if not maps])
        convolved = self._fit_maps([one for one, maps in zip(work, on_maps, strict=True) if maps])
        for order, one in zip(orders, made, strict=True):
            if isinstance(one, str):
                yield Fitted.failed(one)
            else:
                yield next(convolved if shape_of(order.method).filters else pooled)

    def _resolve(self, order: Order) -> Resolved | str:
        """Return what an order's method makes of its rows, or why it cannot."""
        rows = np.searchsorted(self.rows, order.rows)
        inputs = self.table[rows] if needs_features(order.method) else None
        return resolve_order(order, self.truth, self.classes, inputs, self.groups, self.prices)

    def _fit_pooled(self, work: Sequence[tuple[Order, Resolved]]) -> Iterator[Fitted]:
        from bench.models.cohort import train_heads

        if not work:
            return
        real, size = len(self.rows), len(self.rows)
        table, labels = [self.table], [self.truth[self.rows]]
        lanes: list[Lane] = []
        for order, made in work:
            added = made.resampled
            rows = np.searchsorted(self.rows, order.rows)
            places = np.concatenate([rows, size + np.arange(len(added.labels))])
            val_rows = np.searchsorted(self.rows, order.val_rows)
            lanes.append(lane_of(order, made, places[added.rows], val_rows, self.setting))
            if len(added.labels):
                table.append(added.synthetic)
                labels.append(added.labels.astype(labels[0].dtype))
                size += len(added.labels)
        lanes = self._with_views([order for order, _ in work], lanes, table, size, real)
        trained = train_heads(
            table[0] if len(table) == 1 else np.concatenate(table),
            labels[0] if len(labels) == 1 else np.concatenate(labels),
            self.classes,
            lanes,
            train_setting(self.setting),
            self.progress,
        )
        for (_, made), answer in zip(work, trained, strict=True):
            yield Fitted(answer, _through(answer, self.embed), made, self.mean, self.scale)

    def _with_views(
        self, orders: Sequence[Order], lanes: list[Lane], table: list[np.ndarray], size: int, real: int
    ) -> list[Lane]:
        """Append the views that orders ask for to the table of `size` rows; return lanes that draw from them.

        A row that is no image's, a synthetic one, stands for itself in every view.
        """
        starts: dict[tuple[Recipe, int], int] = {}
        out = []
        for order, lane in zip(orders, lanes, strict=True):
            shape = shape_of(order.method)
            if shape.recipe is None:
                out.append(lane)
                continue
            key = shape.recipe, shape.views
            if key not in starts:
                starts[key] = size
                for view in self.inputs.views(*key):
                    table.append((np.asarray(view[self.rows], np.float32) - self.mean) / self.scale)
                    size += real
            offsets = [starts[key] + number * real for number in range(shape.views)]
            changed = [np.where(lane.rows < real, lane.rows + offset, lane.rows) for offset in offsets]
            out.append(replace(lane, views=np.stack([lane.rows, *changed])))
        return out

    def _fit_maps(self, work: Sequence[tuple[Order, Resolved]]) -> Iterator[Fitted]:
        from bench.env import make_deterministic
        from bench.models.conv import build_conv, channel_scale, standardising
        from bench.models.nets import train_nets

        if not work:
            return
        make_deterministic()
        maps = self.inputs.maps
        channels = maps.shape[-1]
        mean, scale = np.zeros(channels, np.float32), np.ones(channels, np.float32)
        if self.setting["standardize"]:
            mean, scale = channel_scale(maps, self.rows)
        # One net is compiled for all neighbours that have the same layers.
        for filters, alike in groupby(work, lambda one: shape_of(one[0].method).filters):
            same = list(alike)
            answers = train_nets(
                partial(build_conv, maps.shape[1:], filters),
                maps,
                standardising(mean, scale),
                self.truth,
                self.classes,
                [_lane_on_images(order, made, self.setting) for order, made in same],
                train_setting(self.setting),
                self.progress,
            )
            for (_, made), (trained, embed) in zip(same, answers, strict=True):
                yield Fitted(trained, embed, made, mean, scale, embed.variables)


class NetTrainer:
    """Scratch and finetune regime: each cell is a net of its own, trained end to end on pixels.

    weights: what nets begin with: `random`, `imagenet` or a path. checkpoints: a folder where nets in
    training are written down after every epoch, or None. prices: as in `HeadTrainer`.
    """

    def __init__(
        self,
        pixels: Pixels,
        backbone: BackboneInfo,
        split: StageSplit,
        setting: Mapping[str, Value],
        progress: Progress,
        weights: str = "random",
        checkpoints: Path | None = None,
        prices: Sequence[str] | None = None,
    ) -> None:
        self.pixels, self.backbone, self.setting, self.progress = pixels, backbone, setting, progress
        self.weights, self.checkpoints, self.prices = weights, checkpoints, prices
        self.classes, self.truth = len(split.classes), as_targets(split.truth)

    def fit(self, orders: Sequence[Order]) -> Iterator[Fitted]:
        """Train every order's net, one after the other."""
        from bench.env import make_deterministic
        from bench.models.backbones import build_backbone, freeze_before, preprocess
        from bench.models.nets import train_nets

        def build(seed: int) -> Any:
            net = build_backbone(self.backbone, self.pixels.size, self.weights, seed)
            freeze_before(net, str(self.setting["train_from"]))
            return net

        make_deterministic()
        known = self.truth, self.classes, None, None, self.prices
        resolved = [resolve_order(order, *known) for order in orders]
        work = [
            (order, made) for order, made in zip(orders, resolved, strict=True) if not isinstance(made, str)
        ]
        names = [order.name if self.checkpoints else "" for order, _ in work]
        answers = train_nets(
            build,
            self.pixels,
            preprocess(self.backbone, str(self.setting["preprocess"])),
            self.truth,
            self.classes,
            [_lane_on_images(order, made, self.setting) for order, made in work],
            train_setting(self.setting),
            self.progress,
            [self.checkpoints / f"{name}.npz" if self.checkpoints and name else None for name in names],
        )
        for one in resolved:
            if isinstance(one, str):
                yield Fitted.failed(one)
            else:
                trained, embed = next(answers)
                yield Fitted(trained, embed, one, net=embed.variables)


def _lane_on_images(order: Order, made: Resolved, setting: Mapping[str, Value]) -> Lane:
    """Return the lane of an order whose inputs are the images themselves, or one map of each."""
    return lane_of(order, made, order.rows[made.resampled.rows], order.val_rows, setting)


def _through(
    trained: Trained, embed: Callable[[np.ndarray], np.ndarray]
) -> Callable[[np.ndarray], np.ndarray]:
    """Return what gives the inputs of a head's last layer."""
    hidden = trained.hidden
    return embed if hidden is None else lambda rows: hidden(embed(rows))
