"""Training inputs: features of frozen backbones, concatenated if joined, or the inputs of whole nets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bench.backbones.feature_cache import Extraction, RemoteExtractor
from bench.backbones.info import PLAIN_FEATURES, BackboneInfo
from bench.backbones.problems import feature_map_problem
from bench.backbones.registry import build_backbone, feature_spec, freeze, preprocess, weights_of
from bench.backbones.vectors import features_for
from bench.core.cell import Value
from bench.core.errors import BenchError
from bench.core.progress import Progress
from bench.core.protocol import image_size
from bench.data.augmentation import Recipe
from bench.data.cache.rows import Array
from bench.data.decoding import ImageFormat
from bench.data.examples import Examples
from bench.data.pixels import Pixels, ensure_pixels


class Inputs(Protocol):
    """Outputs of one backbone on all n images."""

    @property
    def features(self) -> Array:
        """(n, d) float32 features of the unaugmented images."""
        ...

    @property
    def maps(self) -> Array:
        """(n, h, w, c) float32 feature maps before the last pooling."""
        ...

    def views(self, recipe: Recipe, count: int) -> Sequence[Array]:
        """Return the features of `count` augmented views of every image: (n, d) float32 each."""
        ...


@dataclass(frozen=True)
class PrecomputedFeatures:
    """Precomputed features, without images, views or maps."""

    features: Array

    @property
    def maps(self) -> Array:
        """Raise BenchError: there is no backbone."""
        raise BenchError("precomputed features have no unpooled map")

    def views(self, recipe: Recipe, count: int) -> Sequence[Array]:
        """Raise BenchError: there are no images."""
        raise BenchError("precomputed features have no images to augment")


@dataclass(frozen=True)
class FrozenInputs:
    """Outputs of one backbone on all images, computed or read from the cache on request.

    weights: the user's text. setting: the protocol. remote: see `Extraction`.
    """

    pixels: Pixels
    info: BackboneInfo
    weights: str
    setting: Mapping[str, Value]
    cache: Path
    progress: Progress
    remote: RemoteExtractor | None = None

    @cached_property
    def features(self) -> Array:
        """(n, d) float32 features of the unaugmented images."""
        return self._extraction().features()

    def views(self, recipe: Recipe, count: int) -> Sequence[Array]:
        """Return the features of `count` augmented views of every image: (n, d) float32 each."""
        return self._extraction(recipe=recipe).views(count)

    @cached_property
    def maps(self) -> Array:
        """(n, h, w, c) float32 feature maps before the last pooling.

        Raises BenchError for a backbone without one, and for a protocol that asks for other features.
        """
        if why := feature_map_problem((self.info,), self.setting):
            raise BenchError(why)
        return self._extraction(spec=PLAIN_FEATURES, pooled=False).rows()

    def _extraction(self, **more: Any) -> Extraction:
        named = {key: str(self.setting[key]) for key in ("preprocess", "engine", "precision")}
        options = {"spec": feature_spec(self.info, self.setting), "remote": self.remote, **named, **more}
        return Extraction(
            self.pixels, self.info, self.weights, cache=self.cache, progress=self.progress, **options
        )


@dataclass(frozen=True)
class JoinedInputs:
    """Outputs of several backbones on the same n images, concatenated in the order of `parts`."""

    parts: Sequence[Inputs]

    @cached_property
    def features(self) -> Array:
        """(n, d_1 + d_2 + ...) float32 features of the unaugmented images."""
        return np.concatenate([part.features for part in self.parts], axis=1)

    @property
    def widths(self) -> tuple[int, ...]:
        """Number of features of each part, nested ones flattened."""
        nested = (
            part.widths if isinstance(part, JoinedInputs) else (part.features.shape[1],)
            for part in self.parts
        )
        return tuple(width for widths in nested for width in widths)

    @property
    def maps(self) -> Array:
        """Raise BenchError: maps of several backbones differ in size."""
        raise BenchError("joined backbones have no common feature map")

    def views(self, recipe: Recipe, count: int) -> Sequence[Array]:
        """Return the features of `count` augmented views of every image: (n, d_1 + d_2 + ...) float32 each.

        All parts see the same view.
        """
        made = [part.views(recipe, count) for part in self.parts]
        return tuple(np.concatenate(same, axis=1) for same in zip(*made, strict=True))


@dataclass(frozen=True, eq=False)
class NetInputs:
    """Training inputs of whole nets, and their builder. See `bench.training.nets.train.train_nets`.

    rows: all n inputs. preprocess: a batch of them -> the net's input. build: seed -> a net without a head.
    """

    rows: Pixels | Array
    preprocess: Callable[[Any], Any]
    build: Callable[[int], Any]


def pixel_inputs(pixels: Pixels, info: BackboneInfo, weights: str, setting: Mapping[str, Value]) -> NetInputs:
    """Return the training inputs of one backbone's nets.

    weights: initial ones: `random`, `imagenet` or a path. setting: the protocol. `build` raises the errors of
    `build_backbone` and `freeze`.
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
    remote: RemoteExtractor | None = None,
) -> Inputs:
    """Return the outputs of a frozen backbone, or of several joined ones; they are computed on request.

    weights: the user's text for all parts. setting: the protocol. Images are decoded once per input size.
    remote: see `Extraction`. Raises the errors of `ensure_pixels` and
    `features_for`, and BenchError for a part that reads titles.
    """
    made: list[Inputs] = []
    for info, part_weights in zip(parts, weights_of(parts, weights), strict=True):
        if info.reads == "vectors":
            made.append(PrecomputedFeatures(features_for(info, examples.items)))
            continue
        if info.reads != "pixels":
            raise BenchError(f"{info.name} reads {info.reads}, not images")
        pixels = pixels_for(info, setting, examples, cache, progress)
        made.append(FrozenInputs(pixels, info, part_weights, setting, cache, progress, remote))
    return made[0] if len(made) == 1 else JoinedInputs(made)


def pixels_for(
    info: BackboneInfo,
    setting: Mapping[str, Value],
    examples: Examples,
    cache: Path,
    progress: Progress,
    also: Sequence[ImageFormat] = (),
) -> Pixels:
    """Return all images in the size of a backbone, decoded unless cached.

    also: see `ensure_pixels`.
    """
    form = image_format(info, setting)
    return ensure_pixels(examples, form.size, form.mode, cache, progress, form.crop, also)


def image_format(info: BackboneInfo, setting: Mapping[str, Value]) -> ImageFormat:
    """Return the image format of a backbone."""
    size = image_size(setting["input_size"], info.input_size)
    return ImageFormat(size, str(setting["resize"]), float(setting["crop"] or 1.0))
