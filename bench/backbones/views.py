"""Further outputs of a frozen backbone: features of changed images, and unpooled maps."""

from __future__ import annotations

from pathlib import Path

from bench.backbones.feature_cache import Extraction, Spread
from bench.backbones.info import AS_EVER, BackboneInfo, Reading
from bench.backbones.precision import FLOAT32
from bench.core.progress import Progress
from bench.data.augmentation import Recipe
from bench.data.cache.rows import Array
from bench.data.pixels import Pixels


def ensure_views(
    pixels: Pixels,
    info: BackboneInfo,
    weights: str,
    preprocess: str,
    engine: str,
    cache: Path,
    progress: Progress,
    recipe: Recipe,
    views: int,
    reading: Reading = AS_EVER,
    precision: str = FLOAT32,
    spread: Spread | None = None,
) -> tuple[Array, ...]:
    """Return the (n, d) float32 features of `views` changed versions of every image, read from the cache.

    The unchanged images are not among them. Each version has a cache folder of its own, so that a larger
    number reuses those present. For the rest, and the errors, see
    `bench.backbones.feature_cache.ensure_features`.
    """
    how = pixels, info, weights, preprocess, engine, cache, progress, reading, precision
    extraction = Extraction(*how, recipe=recipe, spread=spread)
    return tuple(extraction.features(number) for number in range(views))


def ensure_maps(
    pixels: Pixels,
    info: BackboneInfo,
    weights: str,
    preprocess: str,
    engine: str,
    cache: Path,
    progress: Progress,
    precision: str = FLOAT32,
    spread: Spread | None = None,
) -> Array:
    """Return the (n, h, w, c) float32 maps that the backbone averages into features, read from the cache.

    For the rest, and the errors, see `bench.backbones.feature_cache.ensure_features`.
    """
    how = pixels, info, weights, preprocess, engine, cache, progress
    return Extraction(*how, precision=precision, pooled=False, spread=spread).rows()
