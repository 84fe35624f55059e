"""Feature functions of batches of images: a net up to the layers read, or a function of pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.backbones.info import BackboneInfo, Reading
from bench.backbones.precision import FLOAT32
from bench.backbones.registry import preprocess as preprocessing

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
    precision: str = FLOAT32,
    pooled: bool = True,
) -> Extract:
    """Return the function from batches of exactly `batch_for(size)` images to features or unpooled maps.

    The arguments are those of `bench.backbones.feature_cache.Extraction`; the reading's mirror is ignored.
    """
    from bench.backbones.engines import load_engine
    from bench.backbones.handmade import load_handmade

    if not info.is_net:
        return load_handmade(info)
    if info.source == "onnx":
        from bench.backbones.onnx_engine import load_onnx

        return load_onnx(info, preprocess, size)
    net = _net(info, weights, size, reading, precision, pooled)
    return load_engine(engine, net, preprocessing(info, preprocess), size)


def feature_graph(
    info: BackboneInfo,
    weights: str,
    preprocess: str,
    engine: str,
    size: tuple[int, int],
    reading: Reading,
    precision: str,
    pooled: bool,
) -> bytes | None:
    """Return the graph that `engines.load_graph` runs elsewhere; None for what runs in another way.

    With it, a process needs neither TensorFlow nor the seconds that building the net takes.
    """
    from bench.backbones.engines import frozen_graph

    if engine != "openvino" or not info.is_net or info.source == "onnx":
        return None
    net = _net(info, weights, size, reading, precision, pooled)
    return frozen_graph(net, preprocessing(info, preprocess), size)


def _net(
    info: BackboneInfo,
    weights: str,
    size: tuple[int, int],
    reading: Reading,
    precision: str,
    pooled: bool,
) -> Any:
    """Return the built backbone up to what is read of it."""
    from bench.backbones.determinism import make_deterministic
    from bench.backbones.engines import read_at, unpooled
    from bench.backbones.registry import build_backbone

    make_deterministic()
    net = build_backbone(info, size, weights, precision=precision)
    return read_at(net, reading) if pooled else unpooled(net)
