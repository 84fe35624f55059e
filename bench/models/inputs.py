"""What heads are trained on: a frozen backbone's features, of changed views too, and its unpooled maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from bench.data.pixels import Pixels
from bench.errors import BenchError
from bench.models.augment import Recipe
from bench.models.backbone_info import BackboneInfo
from bench.models.features import ensure_features
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
    progress: Callable[[int, int, str], None]

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
        """(n, h, w, c) float32: what the backbone's last convolution gives, before it is averaged."""
        from bench.models.views import ensure_maps

        return ensure_maps(self.pixels, **self._how)

    @property
    def _how(self) -> dict[str, Any]:
        return {
            "info": self.info,
            "weights": self.weights,
            "preprocess": str(self.setting["preprocess"]),
            "engine": str(self.setting["engine"]),
            "cache": self.cache,
            "progress": self.progress,
        }
