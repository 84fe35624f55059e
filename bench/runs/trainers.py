"""Trainers of a stage's cells: heads on features, and whole nets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path

import numpy as np

from bench.backbones.inputs import Inputs, JoinedInputs, NetInputs
from bench.core.cell import Cell, MethodSpec, Value
from bench.core.memory_limits import capped
from bench.core.progress import Progress
from bench.data.augmentation import Recipe
from bench.data.splits import StageSplit
from bench.methods.apply import Resolved, makes_anew, resolve
from bench.methods.fallback import two_heads
from bench.methods.grammar import needs_features
from bench.methods.shape import shape_of
from bench.runs.fits import train_setting
from bench.runs.label_trainer import LabelTrainer, Work
from bench.training.auxiliary import Targets
from bench.training.fits import Fit, Trained, unit_rows
from bench.training.nets.checkpoints import checkpoint_file
from bench.training.standardize import BLOCK, gather, mean_and_deviation, standardise

EMBED_CACHE_BYTES = 2**27
"""Bytes of standardised features to cache for the next cell."""


class HeadTrainer(LabelTrainer):
    """Trainer of the frozen regime: all heads of a stage together, on its standardised features.

    Mean and deviation are those of the training and validation rows; parts of a joined backbone get equal
    weight, see `block_scale`. titles: number of title features, which come last and are not standardised.
    Convolutional heads are nets on feature maps, trained one by one.
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
        targets: Targets | None = None,
        resolver: Callable[..., Resolved] = resolve,
    ) -> None:
        super().__init__(split, setting, progress, groups, prices, targets, resolver)
        self.inputs, self.features = inputs, inputs.features
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

    def scaling(self, cell: Cell) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and scale of standardised features, or of maps by channel."""
        return self._map_scaling if shape_of(cell.method).filters else (self.mean, self.scale)

    @cached_property
    def _map_scaling(self) -> tuple[np.ndarray, np.ndarray]:
        from bench.training.nets.conv_head import channel_scale

        maps = self.inputs.maps
        if self.setting["standardize"]:
            return channel_scale(maps, self.rows)
        return np.zeros(maps.shape[-1], np.float32), np.ones(maps.shape[-1], np.float32)

    def _inputs(self, cell: Cell, split: StageSplit) -> np.ndarray | None:
        return self.table[np.searchsorted(self.rows, split.train)] if needs_features(cell.method) else None

    def _train(self, work: Sequence[Work]) -> Iterator[Trained]:
        """Train the head of every cell, all those on pooled features together."""
        on_maps = [bool(shape_of(cell.method).filters) for cell, *_ in work]
        pooled = self._train_pooled([one for one, maps in zip(work, on_maps, strict=True) if not maps])
        convolved = self._train_maps([one for one, maps in zip(work, on_maps, strict=True) if maps])
        for maps in on_maps:
            yield next(convolved if maps else pooled)

    def _train_pooled(self, work: Sequence[Work]) -> Iterator[Trained]:
        """Train a head for each cell, or two: one on images, one on titles."""
        separate = [one for one in work if shape_of(one[0].method).two_heads]
        whole = iter(self._heads([one for one in work if not shape_of(one[0].method).two_heads]))
        on_images, on_titles = (
            iter(self._heads([_part(one, number) for one in separate], columns))
            for number, columns in enumerate((slice(self.images), slice(self.images, None)))
        )
        for cell, _, made, _ in work:
            if shape_of(cell.method).two_heads:
                answer = joined_heads(next(on_images), next(on_titles), made.loss.link)
                yield replace(answer, embed=self.embed)
            else:
                answer = next(whole)
                yield replace(answer, embed=_last_layer_inputs(answer, self.embed))

    def _heads(self, work: Sequence[Work], columns: slice = slice(None)) -> Sequence[Trained]:
        """Return heads trained on these columns of the features."""
        from bench.training.trainer import train_heads

        if not work:
            return ()
        real, size = len(self.rows), len(self.rows)
        table, labels = [self.table], [self.truth[self.rows]]
        specs: list[Fit] = []
        for one in work:
            cell, split, made, _ = one
            added = made.resampled
            rows = np.searchsorted(self.rows, split.train)
            places = np.concatenate([rows, size + np.arange(len(added.labels))])
            spec = self._fit(one, places[added.rows], np.searchsorted(self.rows, split.val))
            if _discarded(cell.method):
                spec = replace(spec, epochs=1, deferred=0, path=(), decays=())
            specs.append(spec)
            if len(added.labels):
                table.append(added.synthetic)
                labels.append(added.labels.astype(labels[0].dtype))
                size += len(added.labels)
        specs = self._with_views([cell.method for cell, *_ in work], specs, table, size, real)
        return train_heads(
            np.ascontiguousarray((table[0] if len(table) == 1 else np.concatenate(table))[:, columns]),
            labels[0] if len(labels) == 1 else np.concatenate(labels),
            self.classes,
            specs,
            train_setting(self.setting),
            self.progress,
        )

    def _with_views(
        self, methods: Sequence[MethodSpec], specs: list[Fit], table: list[np.ndarray], size: int, real: int
    ) -> list[Fit]:
        """Append augmented views to the table of `size` rows; return the `Fit`s with their rows.

        Synthetic rows, and rows that the method does not augment, are the same in every view.
        """
        starts: dict[tuple[Recipe, int], int] = {}
        out = []
        for method, spec in zip(methods, specs, strict=True):
            shape = shape_of(method)
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

    def _train_maps(self, work: Sequence[Work]) -> Iterator[Trained]:
        from bench.training.nets.conv_head import build_conv, standardising

        # One compiled net for consecutive cells with the same layers.
        for filters, alike in groupby(work, lambda one: shape_of(one[0].method).filters):
            maps = self.inputs.maps
            height, width, channels = maps.shape[1:]
            build = partial(build_conv, (height, width, channels), filters)
            yield from self._nets(build, maps, standardising(*self._map_scaling), list(alike))


def block_scale(inputs: Inputs, titles: int = 0) -> np.ndarray:
    """Return the divisor of each standardised feature, (d,) float32; ones except for joined backbones.

    Block scaling: the root of the part's width over that of the narrowest part, so that rows have the same
    mean squared norm in every part. titles: number of title features, which come last and are not scaled.
    """
    widths = inputs.widths if isinstance(inputs, JoinedInputs) else (inputs.features.shape[1],)
    parts = widths[:-1] if titles and len(widths) > 1 else widths
    factors = [np.full(width, np.sqrt(width / min(parts)), np.float32) for width in parts]
    return np.concatenate([*factors, np.ones(sum(widths[len(parts) :]), np.float32)])


class NetTrainer(LabelTrainer):
    """Trainer of the scratch and finetune regimes: one net per cell, trained end to end, one after another.

    checkpoints: a folder for checkpoints after every epoch, or None.
    """

    def __init__(
        self,
        inputs: NetInputs,
        split: StageSplit,
        setting: Mapping[str, Value],
        progress: Progress,
        prices: Sequence[str] | None = None,
        checkpoints: Path | None = None,
        targets: Targets | None = None,
        resolver: Callable[..., Resolved] = resolve,
    ) -> None:
        super().__init__(split, setting, progress, None, prices, targets, resolver)
        self.inputs, self.checkpoints = inputs, checkpoints

    def _train(self, work: Sequence[Work]) -> Iterator[Trained]:
        names = [cell.id if first is None else f"{cell.id}-refit" for cell, _, _, first in work]
        files = [checkpoint_file(self.checkpoints, name) for name in names]
        inputs = self.inputs
        return self._nets(inputs.build, inputs.rows, inputs.preprocess, work, files)


def _discarded(method: MethodSpec) -> bool:
    """Return whether a posthoc step replaces the trained head, so that one epoch suffices.

    Not with a hidden layer, which gives the features, nor with two heads.
    """
    return makes_anew(method) and not shape_of(method).units and not shape_of(method).two_heads


def _part(one: Work, number: int) -> Work:
    """Return the work of one of two heads, counted from 0."""
    cell, split, made, first = one
    return cell, split, made, None if first is None else first.parts[number]


def joined_heads(images: Trained, titles: Trained, link: str) -> Trained:
    """Combine the heads on images and titles; the history is that of the first."""
    for what, one in (("images", images), ("titles", titles)):
        if one.head is None:
            return replace(one, failed=f"the head on {what}: {one.failed}")
    assert images.head is not None and titles.head is not None
    return replace(images, head=two_heads(images.head, titles.head, link), parts=(images, titles))


def _last_layer_inputs(
    trained: Trained, embed: Callable[[np.ndarray], np.ndarray]
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from rows to the inputs of a head's last layer."""
    hidden = trained.hidden
    if hidden is None and not trained.unit:
        return embed
    below = embed if hidden is None else lambda rows: hidden(embed(rows))
    return (lambda rows: unit_rows(below(rows))) if trained.unit else below
