"""What a frozen backbone gives beside the features of the images as they are: of changed ones, and maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.data.pixels import Pixels
from bench.models.augment import Recipe
from bench.models.backbone_info import AS_EVER, BackboneInfo, Reading
from bench.models.features import Extraction
from bench.progress import Progress


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
) -> tuple[np.ndarray, ...]:
    """Return the (n, d) float32 features of `views` changed versions of every image, each mapped.

    The images as they came are not among them. Each version is a folder of the cache on its own, so that
    more of them take up those that are there. The rest, and what is raised, is as
    `bench.models.features.ensure_features` tells.
    """
    extraction = Extraction(
        pixels, info, weights, preprocess, engine, cache, progress, reading, recipe=recipe
    )
    return tuple(extraction.features(number) for number in range(views))


def ensure_maps(
    pixels: Pixels,
    info: BackboneInfo,
    weights: str,
    preprocess: str,
    engine: str,
    cache: Path,
    progress: Progress,
) -> np.ndarray:
    """Return the (n, h, w, c) float32 maps that the backbone averages into features, mapped.

    The rest, and what is raised, is as `bench.models.features.ensure_features` tells.
    """
    return Extraction(pixels, info, weights, preprocess, engine, cache, progress, pooled=False).rows()
