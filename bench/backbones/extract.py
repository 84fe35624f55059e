"""Feature extractors for batches of images: a net up to the named layers, or a function of pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.backbones.info import BackboneInfo, FeatureSpec
from bench.backbones.precision import FLOAT32
from bench.backbones.registry import preprocess as preprocessing

Extract = Callable[[np.ndarray], np.ndarray]
"""(b, h, w, 3) uint8 -> (b, d) or (b, y, x, c) float32."""


def mirror(images: np.ndarray) -> np.ndarray:
    """Return (b, h, w, c) images, flipped left to right."""
    return np.ascontiguousarray(images[:, :, ::-1])


def mirror_mean(features: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Return the mean of the features of images and of their mirror images, (n, d) float32 each."""
    mean: np.ndarray = (features + mirrored) * np.float32(0.5)
    return mean


@dataclass(frozen=True)
class Extractor:
    """A backbone that gives features of images, or unpooled maps.

    The fields are those of `bench.backbones.feature_cache.Extraction`; `spec.mirror` is ignored.
    """

    info: BackboneInfo
    weights: str
    preprocess: str
    engine: str
    size: tuple[int, int]
    spec: FeatureSpec
    precision: str = FLOAT32
    pooled: bool = True

    def load(self) -> Extract:
        """Return the function from batches of exactly `batch_for(size)` images to features or maps."""
        from bench.backbones.engines import load_engine
        from bench.backbones.handcrafted import load_handcrafted

        if not self.info.is_net:
            return load_handcrafted(self.info)
        if self.info.source == "onnx":
            from bench.backbones.onnx_engine import load_onnx

            return load_onnx(self.info, self.preprocess, self.size)
        return load_engine(self.engine, self._net(), preprocessing(self.info, self.preprocess), self.size)

    def graph(self) -> bytes | None:
        """Return the graph for `engines.load_graph` in another process, or None if OpenVINO does not run it.

        That process then neither imports TensorFlow nor builds the net.
        """
        from bench.backbones.engines import frozen_graph

        if self.engine != "openvino" or not self.info.is_net or self.info.source == "onnx":
            return None
        return frozen_graph(self._net(), preprocessing(self.info, self.preprocess), self.size)

    def _net(self) -> Any:
        """Return the built backbone up to its features, or its feature map."""
        from bench.backbones.determinism import make_deterministic
        from bench.backbones.engines import feature_extractor, unpooled
        from bench.backbones.registry import build_backbone

        make_deterministic()
        net = build_backbone(self.info, self.size, self.weights, precision=self.precision)
        return feature_extractor(net, self.spec) if self.pooled else unpooled(net)
