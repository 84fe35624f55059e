"""What is trained on: features of frozen backbones, those of joined ones side by side, or what nets read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bench.data.examples import Examples
from bench.data.pixels import Pixels, ensure_pixels
from bench.errors import BenchError
from bench.models.augment import Recipe
from bench.models.backbone_info import BackboneInfo
from bench.models.backbones import (
    build_backbone,
    freeze,
    no_maps,
    preprocess,
    reading_of,
    weights_of,
)
from bench.models.features import ensure_features
from bench.progress import Progress
from bench.protocol import image_size
from bench.spec import Value


class Inputs(Protocol):
    """What one backbone makes of all n images."""

    @property
    def features(self) -> np.ndarray:
        """(n, d) float32 features of the images as they are."""
        ...

    @property
    def maps(self) -> np.ndarray:
        """(n, h, w, c) float32: what the backbone's last convolution gives, before it is averaged."""
        ...

    def views(self, recipe: Recipe, count: int) -> Sequence[np.ndarray]:
        """Return the features of so many changed views of every image: (n, d) float32 each."""
        ...


@dataclass(frozen=True)
class GivenFeatures:
    """Features that were made elsewhere; there are no images to make views or maps of."""

    features: np.ndarray

    @property
    def maps(self) -> np.ndarray:
        """Raise BenchError: there is no backbone."""
        raise BenchError("features alone have no unpooled map")

    def views(self, recipe: Recipe, count: int) -> Sequence[np.ndarray]:
        """Raise BenchError: there are no images."""
        raise BenchError("features alone have no images to change")


@dataclass(frozen=True)
class FrozenInputs:
    """All that one backbone makes of all images; each part is computed, or found, when asked for.

    weights: as the user wrote it. setting: the protocol.
    """

    pixels: Pixels
    info: BackboneInfo
    weights: str
    setting: Mapping[str, Value]
    cache: Path
    progress: Progress

    @cached_property
    def features(self) -> np.ndarray:
        """(n, d) float32 features of the images as they are."""
        return ensure_features(self.pixels, **self._how)

    def views(self, recipe: Recipe, count: int) -> Sequence[np.ndarray]:
        """Return the features of so many changed views of every image: (n, d) float32 each."""
        from bench.models.views import ensure_views

        return ensure_views(self.pixels, **self._how, recipe=recipe, views=count)

    @cached_property
    def maps(self) -> np.ndarray:
        """(n, h, w, c) float32: what the backbone's last convolution gives, before it is averaged.

        Raises BenchError where there is no such map, or something else is to be read.
        """
        from bench.models.views import ensure_maps

        how = self._how
        if why := no_maps((self.info,), self.setting):
            raise BenchError(why)
        del how["reading"]
        return ensure_maps(self.pixels, **how)

    @property
    def _how(self) -> dict[str, Any]:
        return {
            "info": self.info,
            "weights": self.weights,
            "preprocess": str(self.setting["preprocess"]),
            "engine": str(self.setting["engine"]),
            "cache": self.cache,
            "progress": self.progress,
            "reading": reading_of(self.info, self.setting),
        }


@dataclass(frozen=True)
class JoinedInputs:
    """What several backbones make of the same n images, side by side in the order of `parts`."""

    parts: Sequence[Inputs]

    @cached_property
    def features(self) -> np.ndarray:
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
    def maps(self) -> np.ndarray:
        """Raise BenchError: maps of several backbones are of several sizes."""
        raise BenchError("joined backbones have no common feature map")

    def views(self, recipe: Recipe, count: int) -> Sequence[np.ndarray]:
        """Return the features of so many changed views of every image: (n, d_1 + d_2 + ...) float32 each.

        The same view of an image is changed in the same way for every part.
        """
        made = [part.views(recipe, count) for part in self.parts]
        return tuple(np.concatenate(same, axis=1) for same in zip(*made, strict=True))


@dataclass(frozen=True, eq=False)
class NetInputs:
    """What nets are trained on, and how one is built. See `bench.models.nets.train_nets`.

    rows: all n inputs. preprocess: a batch of them -> what a net is fed. build: seed -> a net below its head.
    """

    rows: Pixels | np.ndarray
    preprocess: Callable[[Any], Any]
    build: Callable[[int], Any]


def pixel_inputs(pixels: Pixels, info: BackboneInfo, weights: str, setting: Mapping[str, Value]) -> NetInputs:
    """Return what nets of one backbone are trained on.

    weights: what they begin with: `random`, `imagenet` or a path. setting: the protocol. Building a net
    raises what `build_backbone` and `freeze` raise.
    """

    def build(seed: int) -> Any:
        net = build_backbone(info, pixels.size, weights, seed)
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
) -> Inputs:
    """Return what a frozen backbone, or several joined ones, make of all images; nothing is computed yet.

    weights: as the user wrote it, for all parts. setting: the protocol. Images are decoded for each size
    that a part takes. Raises what `ensure_pixels` raises, and BenchError for a part that reads no images.
    """
    made: list[Inputs] = []
    for info, own in zip(parts, weights_of(parts, weights), strict=True):
        if info.reads != "pixels":
            raise BenchError(f"{info.name} reads {info.reads}, and images are what is looked at here")
        pixels = pixels_for(info, setting, examples, cache, progress)
        made.append(FrozenInputs(pixels, info, own, setting, cache, progress))
    return made[0] if len(made) == 1 else JoinedInputs(made)


def pixels_for(
    info: BackboneInfo, setting: Mapping[str, Value], examples: Examples, cache: Path, progress: Progress
) -> Pixels:
    """Return all images as a backbone takes them; they are decoded unless the cache has them."""
    size = image_size(setting["input_size"], info.input_size)
    mode, crop = str(setting["resize"]), float(setting["crop"] or 1.0)
    return ensure_pixels(examples, size, mode, cache, progress, crop)
