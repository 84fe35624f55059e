"""Training inputs: features of frozen backbones, joined ones side by side, or the inputs of whole nets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bench.backbones.feature_cache import Extraction, Spread
from bench.backbones.info import AS_EVER, BackboneInfo
from bench.backbones.problems import no_maps
from bench.backbones.registry import build_backbone, freeze, preprocess, reading_of, weights_of
from bench.backbones.vectors import features_for
from bench.core.cell import Value
from bench.core.errors import BenchError
from bench.core.progress import Progress
from bench.core.protocol import image_size
from bench.data.augmentation import Recipe
from bench.data.cache.rows import Array
from bench.data.decoding import Form
from bench.data.examples import Examples
from bench.data.pixels import Pixels, ensure_pixels


class Inputs(Protocol):
    """Outputs of one backbone on all n images."""

    @property
    def features(self) -> Array:
        """(n, d) float32 features of the images as they are."""
        ...

    @property
    def maps(self) -> Array:
        """(n, h, w, c) float32: what the backbone's last convolution gives, before it is averaged."""
        ...

    def views(self, recipe: Recipe, count: int) -> Sequence[Array]:
        """Return the features of so many changed views of every image: (n, d) float32 each."""
        ...


@dataclass(frozen=True)
class GivenFeatures:
    """Precomputed features, without images for views or maps."""

    features: Array

    @property
    def maps(self) -> Array:
        """Raise BenchError: there is no backbone."""
        raise BenchError("features alone have no unpooled map")

    def views(self, recipe: Recipe, count: int) -> Sequence[Array]:
        """Raise BenchError: there are no images."""
        raise BenchError("features alone have no images to change")


@dataclass(frozen=True)
class FrozenInputs:
    """Outputs of one backbone on all images, each computed or read from the cache on request.

    weights: as the user wrote it. setting: the protocol. spread: where the backbone runs, None for this
    process.
    """

    pixels: Pixels
    info: BackboneInfo
    weights: str
    setting: Mapping[str, Value]
    cache: Path
    progress: Progress
    spread: Spread | None = None

    @cached_property
    def features(self) -> Array:
        """(n, d) float32 features of the images as they are."""
        return self._extraction().features()

    def views(self, recipe: Recipe, count: int) -> Sequence[Array]:
        """Return the features of so many changed views of every image: (n, d) float32 each."""
        return self._extraction(recipe=recipe).views(count)

    @cached_property
    def maps(self) -> Array:
        """(n, h, w, c) float32: what the backbone's last convolution gives, before it is averaged.

        Raises BenchError where there is no such map, or something else is to be read.
        """
        if why := no_maps((self.info,), self.setting):
            raise BenchError(why)
        return self._extraction(reading=AS_EVER, pooled=False).rows()

    def _extraction(self, **more: Any) -> Extraction:
        named = {key: str(self.setting[key]) for key in ("preprocess", "engine", "precision")}
        own = {"reading": reading_of(self.info, self.setting), "spread": self.spread, **named, **more}
        return Extraction(
            self.pixels, self.info, self.weights, cache=self.cache, progress=self.progress, **own
        )


@dataclass(frozen=True)
class JoinedInputs:
    """Outputs of several backbones on the same n images, side by side in the order of `parts`."""

    parts: Sequence[Inputs]

    @cached_property
    def features(self) -> Array:
        """(n, d_1 + d_2 + ...) float32 features of the images as they are."""
        return np.concatenate([part.features for part in self.parts], axis=1)

    @property
    def widths(self) -> tuple[int, ...]:
        """How many of the features are of each part; those of a joined part one by one."""
        own = (
            part.widths if isinstance(part, JoinedInputs) else (part.features.shape[1],)
            for part in self.parts
        )
        return tuple(width for widths in own for width in widths)

    @property
    def maps(self) -> Array:
        """Raise BenchError: maps of several backbones are of several sizes."""
        raise BenchError("joined backbones have no common feature map")

    def views(self, recipe: Recipe, count: int) -> Sequence[Array]:
        """Return the features of so many changed views of every image: (n, d_1 + d_2 + ...) float32 each.

        The same view of an image is changed in the same way for every part.
        """
        made = [part.views(recipe, count) for part in self.parts]
        return tuple(np.concatenate(same, axis=1) for same in zip(*made, strict=True))


@dataclass(frozen=True, eq=False)
class NetInputs:
    """Training inputs of whole nets, and their builder. See `bench.training.nets.train.train_nets`.

    rows: all n inputs. preprocess: a batch of them -> what a net is fed. build: seed -> a net below its head.
    """

    rows: Pixels | Array
    preprocess: Callable[[Any], Any]
    build: Callable[[int], Any]


def pixel_inputs(pixels: Pixels, info: BackboneInfo, weights: str, setting: Mapping[str, Value]) -> NetInputs:
    """Return the training inputs of one backbone's nets.

    weights: what they begin with: `random`, `imagenet` or a path. setting: the protocol. Building a net
    raises what `build_backbone` and `freeze` raise.
    """

    def build(seed: int) -> Any:
        net = build_backbone(info, pixels.size, weights, seed, str(setting["precision"]))
        freeze(net, setting)
        return net

    return NetInputs(pixels, preprocess(info, str(setting["preprocess"])), build)


def frozen_inputs(
    parts: Sequence[BackboneInfo],
    weights: str,
    setting: Mapping[str, Value],
    examples: Examples,
    cache: Path,
    progress: Progress,
    spread: Spread | None = None,
) -> Inputs:
    """Return the outputs of a frozen backbone, or several joined ones; nothing is computed yet.

    weights: as the user wrote it, for all parts. setting: the protocol. Images are decoded for each size
    that a part takes. spread: where backbones run, None for this process. Raises what `ensure_pixels` and
    `features_for` raise, and BenchError for a part that reads titles.
    """
    made: list[Inputs] = []
    for info, own in zip(parts, weights_of(parts, weights), strict=True):
        if info.reads == "vectors":
            made.append(GivenFeatures(features_for(info, examples.items)))
            continue
        if info.reads != "pixels":
            raise BenchError(f"{info.name} reads {info.reads}, and images are what is looked at here")
        pixels = pixels_for(info, setting, examples, cache, progress)
        made.append(FrozenInputs(pixels, info, own, setting, cache, progress, spread))
    return made[0] if len(made) == 1 else JoinedInputs(made)


def pixels_for(
    info: BackboneInfo,
    setting: Mapping[str, Value],
    examples: Examples,
    cache: Path,
    progress: Progress,
    also: Sequence[Form] = (),
) -> Pixels:
    """Return all images as a backbone takes them; they are decoded unless the cache has them.

    also: see `ensure_pixels`.
    """
    form = form_for(info, setting)
    return ensure_pixels(examples, form.size, form.mode, cache, progress, form.crop, also)


def form_for(info: BackboneInfo, setting: Mapping[str, Value]) -> Form:
    """Return the image format of a backbone."""
    size = image_size(setting["input_size"], info.input_size)
    return Form(size, str(setting["resize"]), float(setting["crop"] or 1.0))
