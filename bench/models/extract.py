"""What computes the features of a batch of images: a net up to where it is read, or a function of pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.models.backbone_info import BackboneInfo, Reading
from bench.models.backbones import preprocess as preprocessing

Extract = Callable[[np.ndarray], np.ndarray]
"""(b, h, w, 3) uint8 -> (b, d) or (b, y, x, c) float32."""


def mirror(images: np.ndarray) -> np.ndarray:
    """Return (b, h, w, c) images with left and right changed."""
    return np.ascontiguousarray(images[:, :, ::-1])


def both_ways(features: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Return the mean of images' features and those of their mirrors, (n, d) float32 each."""
    mean: np.ndarray = (features + mirrored) * np.float32(0.5)
    return mean


def feature_engine(
    info: BackboneInfo,
    weights: str,
    preprocess: str,
    engine: str,
    size: tuple[int, int],
    reading: Reading,
    pooled: bool = True,
) -> Extract:
    """Return what computes features, or unpooled maps, of batches of exactly `batch_for(size)` images.

    The arguments are those of `ensure_features`; of the reading all but the mirror is heeded.
    """
    from bench import env
    from bench.models.backbones import build_backbone
    from bench.models.engines import load_engine, read_at, unpooled
    from bench.models.handmade import load_handmade

    if not info.is_net:
        return load_handmade(info)
    env.make_deterministic()
    net = build_backbone(info, size, weights)
    taken = read_at(net, reading) if pooled else unpooled(net)
    return load_engine(engine, taken, preprocessing(info, preprocess), size)
