"""Trainers of a stage's cells: heads on features, and whole nets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path

import numpy as np

from bench.backbones.inputs import Inputs, JoinedInputs, NetInputs
from bench.core.cell import MethodSpec, Value
from bench.core.memory_limits import capped
from bench.core.progress import Progress
from bench.data.augmentation import Recipe
from bench.data.splits import StageSplit
from bench.methods.apply import Resolved, makes_anew
from bench.methods.fallback import two_heads
from bench.methods.grammar import needs_features
from bench.methods.shape import shape_of
from bench.runs.orders import Fitted, Order, Resolver, fit_of, resolve_order, train_setting
from bench.training.fits import Fit, Trained, unit_rows
from bench.training.nets.checkpoints import checkpoint_file
from bench.training.standardize import BLOCK, gather, mean_and_deviation, standardise

EMBED_CACHE_BYTES = 2**27
"""Bytes of standardised features to cache for the next cell."""


class HeadTrainer:
    """Trainer of the frozen regime: all heads of a stage together, on its standardised features.

    Mean and deviation are those of the training and validation rows; parts of a joined backbone get equal
    weight, see `block_scale`. groups: n ids that cross-validation keeps together, or None. prices: n numbers
    as text, "" if unknown, or None. titles: number of title features, which come last and are not
    standardised. resolver: applies a method to its rows. Convolutional heads are nets on feature maps,
    trained one by one.
    """

    def __init__(
        self,
        inputs: Inputs,
        split: StageSplit,
        setting: Mapping[str, Value],
        progress: Progress,
        groups: Sequence[str] | None = None,
        prices: Sequence[str] | None = None,
        titles: int = 0,
        resolver: Resolver = resolve_order,
    ) -> None:
        self.inputs, self.setting, self.progress = inputs, setting, progress
        self.groups, self.prices, self.resolver = groups, prices, resolver
        self.features = inputs.features
        self.classes, self.truth = len(split.classes), split.targets
        self.rows = np.sort(np.concatenate([split.train, split.val]))
        self.table = table = gather(self.features, self.rows)
        width = table.shape[1]
        self.mean, self.scale = np.zeros(width, np.float32), np.ones(width, np.float32)
        if setting["standardize"]:
            self.mean, self.scale = (part.astype(np.float32) for part in mean_and_deviation(table))
            self.scale *= block_scale(inputs, titles)
        self.images = width - titles
        self.mean[self.images :], self.scale[self.images :] = 0.0, 1.0
        standardise(table, self.mean, self.scale)
        self._embedded: dict[bytes, np.ndarray] = {}

    def embed(self, rows: np.ndarray) -> np.ndarray:
        """Return the (len(rows), d) standardised features of examples, read-only.

        They are cached, because the cells of a stage are scored on the same test images.
        """
        key = rows.tobytes()
        if (known := self._embedded.get(key)) is not None:
            return known
        out = np.empty((len(rows), len(self.mean)), np.float32)
        for start in range(0, len(rows), BLOCK):
            part = slice(start, start + BLOCK)
            out[part] = (self.features[rows[part]] - self.mean) / self.scale
        out.flags.writeable = False
        self._embedded[key] = out
        while sum(one.nbytes for one in self._embedded.values()) > capped(EMBED_CACHE_BYTES):
            del self._embedded[next(iter(self._embedded))]
        return out

    def fit(self, orders: Sequence[Order]) -> Iterator[Fitted]:
        """Train the head of every order, all those on pooled features together."""
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
        """Apply an order's method to its rows; return the result, or the reason of its failure."""
        rows = np.searchsorted(self.rows, order.rows)
        inputs = self.table[rows] if needs_features(order.method) else None
        return self.resolver(order, self.truth, self.classes, inputs, self.groups, self.prices)

    def _fit_pooled(self, work: Sequence[tuple[Order, Resolved]]) -> Iterator[Fitted]:
        """Train a head for each order, or two: one on images, one on titles."""
        separate = [one for one in work if shape_of(one[0].method).two_heads]
        whole = iter(self._trained([one for one in work if not shape_of(one[0].method).two_heads]))
        on_images, on_titles = (
            iter(self._trained([(order.part(number), made) for order, made in separate], columns))
            for number, columns in enumerate((slice(self.images), slice(self.images, None)))
        )
        for order, made in work:
            if shape_of(order.method).two_heads:
                heads = next(on_images), next(on_titles)
                answer = joined_heads(*heads, made.loss.link)
                yield Fitted(answer, self.embed, made, self.mean, self.scale, parts=heads)
            else:
                answer = next(whole)
                yield Fitted(answer, _last_layer_inputs(answer, self.embed), made, self.mean, self.scale)

    def _trained(
        self, work: Sequence[tuple[Order, Resolved]], columns: slice = slice(None)
    ) -> Sequence[Trained]:
        """Return heads trained on these columns of the features."""
        from bench.training.trainer import train_heads

        if not work:
            return ()
        real, size = len(self.rows), len(self.rows)
        table, labels = [self.table], [self.truth[self.rows]]
        specs: list[Fit] = []
        for order, made in work:
            added = made.resampled
            rows = np.searchsorted(self.rows, order.rows)
            places = np.concatenate([rows, size + np.arange(len(added.labels))])
            val_rows = np.searchsorted(self.rows, order.val_rows)
            spec = fit_of(order, made, places[added.rows], val_rows, self.setting)
            if _discarded(order.method):
                spec = replace(spec, epochs=1, deferred=0, path=(), decays=())
            specs.append(spec)
            if len(added.labels):
                table.append(added.synthetic)
                labels.append(added.labels.astype(labels[0].dtype))
                size += len(added.labels)
        specs = self._with_views([order for order, _ in work], specs, table, size, real)
        return train_heads(
            np.ascontiguousarray((table[0] if len(table) == 1 else np.concatenate(table))[:, columns]),
            labels[0] if len(labels) == 1 else np.concatenate(labels),
            self.classes,
            specs,
            train_setting(self.setting),
            self.progress,
        )

    def _with_views(
        self, orders: Sequence[Order], specs: list[Fit], table: list[np.ndarray], size: int, real: int
    ) -> list[Fit]:
        """Append augmented views to the table of `size` rows; return the `Fit`s with their rows.

        Synthetic rows, and rows that the method does not augment, are the same in every view.
        """
        starts: dict[tuple[Recipe, int], int] = {}
        out = []
        for order, spec in zip(orders, specs, strict=True):
            shape = shape_of(order.method)
            if shape.recipe is None:
                out.append(spec)
                continue
            key = shape.recipe, shape.views
            if key not in starts:
                starts[key] = size
                for view in self.inputs.views(*key):
                    table.append((np.asarray(view[self.rows], np.float32) - self.mean) / self.scale)
                    size += real
            offsets = [starts[key] + number * real for number in range(shape.views)]
            augmented = spec.rows < real if spec.changed is None else (spec.rows < real) & spec.changed
            changed = [np.where(augmented, spec.rows + offset, spec.rows) for offset in offsets]
            out.append(replace(spec, views=np.stack([spec.rows, *changed])))
        return out

    def _fit_maps(self, work: Sequence[tuple[Order, Resolved]]) -> Iterator[Fitted]:
        from bench.backbones.determinism import make_deterministic
        from bench.training.nets.conv_head import build_conv, channel_scale, standardising
        from bench.training.nets.train import train_nets

        if not work:
            return
        make_deterministic()
        maps = self.inputs.maps
        height, width, channels = maps.shape[1:]
        mean, scale = np.zeros(channels, np.float32), np.ones(channels, np.float32)
        if self.setting["standardize"]:
            mean, scale = channel_scale(maps, self.rows)
        # One compiled net for consecutive orders with the same layers.
        for filters, alike in groupby(work, lambda one: shape_of(one[0].method).filters):
            same = list(alike)
            answers = train_nets(
                partial(build_conv, (height, width, channels), filters),
                maps,
                standardising(mean, scale),
                self.truth,
                self.classes,
                [fit_on_inputs(order, made, self.setting) for order, made in same],
                train_setting(self.setting),
                self.progress,
            )
            for (_, made), (trained, embed) in zip(same, answers, strict=True):
                yield Fitted(trained, embed, made, mean, scale, embed.variables)


def block_scale(inputs: Inputs, titles: int = 0) -> np.ndarray:
    """Return the divisor of each standardised feature, (d,) float32; ones except for joined backbones.

    Block scaling: the root of the part's width over that of the narrowest part, so that rows have the same
    mean squared norm in every part. titles: number of title features, which come last and are not scaled.
    """
    widths = inputs.widths if isinstance(inputs, JoinedInputs) else (inputs.features.shape[1],)
    parts = widths[:-1] if titles and len(widths) > 1 else widths
    factors = [np.full(width, np.sqrt(width / min(parts)), np.float32) for width in parts]
    return np.concatenate([*factors, np.ones(sum(widths[len(parts) :]), np.float32)])


class NetTrainer:
    """Trainer of the scratch and finetune regimes: one net per cell, trained end to end.

    checkpoints: a folder for checkpoints after every epoch, or None. prices, resolver: as in `HeadTrainer`.
    """

    def __init__(
        self,
        inputs: NetInputs,
        split: StageSplit,
        setting: Mapping[str, Value],
        progress: Progress,
        prices: Sequence[str] | None = None,
        checkpoints: Path | None = None,
        resolver: Resolver = resolve_order,
    ) -> None:
        self.inputs, self.setting, self.progress = inputs, setting, progress
        self.prices, self.checkpoints, self.resolver = prices, checkpoints, resolver
        self.classes, self.truth = len(split.classes), split.targets

    def fit(self, orders: Sequence[Order]) -> Iterator[Fitted]:
        """Train the net of every order, one after another."""
        from bench.backbones.determinism import make_deterministic
        from bench.training.nets.train import train_nets

        make_deterministic()
        known = self.truth, self.classes, None, None, self.prices
        made = [self.resolver(order, *known) for order in orders]
        work = [(order, one) for order, one in zip(orders, made, strict=True) if isinstance(one, Resolved)]
        answers = train_nets(
            self.inputs.build,
            self.inputs.rows,
            self.inputs.preprocess,
            self.truth,
            self.classes,
            [fit_on_inputs(order, one, self.setting) for order, one in work],
            train_setting(self.setting),
            self.progress,
            [checkpoint_file(self.checkpoints, order.name) for order, _ in work],
        )
        for one in made:
            if isinstance(one, str):
                yield Fitted.failed(one)
            else:
                trained, embed = next(answers)
                yield Fitted(trained, embed, one, net=embed.variables)


def _discarded(method: MethodSpec) -> bool:
    """Return whether a posthoc step replaces the trained head, so that one epoch suffices.

    Not with a hidden layer, which gives the features, nor with two heads.
    """
    return makes_anew(method) and not shape_of(method).units and not shape_of(method).two_heads


def joined_heads(images: Trained, titles: Trained, link: str) -> Trained:
    """Combine the heads on images and titles; the history is that of the first."""
    for what, one in (("images", images), ("titles", titles)):
        if one.head is None:
            return replace(one, failed=f"the head on {what}: {one.failed}")
    assert images.head is not None and titles.head is not None
    return replace(images, head=two_heads(images.head, titles.head, link))


def fit_on_inputs(order: Order, made: Resolved, setting: Mapping[str, Value]) -> Fit:
    """Return the `Fit` of an order on images, titles or feature maps."""
    spec = fit_of(order, made, order.rows[made.resampled.rows], order.val_rows, setting)
    return replace(spec, recipe=shape_of(order.method).recipe)


def _last_layer_inputs(
    trained: Trained, embed: Callable[[np.ndarray], np.ndarray]
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from rows to the inputs of a head's last layer."""
    hidden = trained.hidden
    if hidden is None and not trained.unit:
        return embed
    below = embed if hidden is None else lambda rows: hidden(embed(rows))
    return (lambda rows: unit_rows(below(rows))) if trained.unit else below
