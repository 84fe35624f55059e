"""One Keras graph of a saved model, from pixels to probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench.backbones.info import BackboneInfo
from bench.backbones.registry import feature_spec, preprocess, weights_of
from bench.core.errors import BenchError
from bench.inference.predict import ImageModel, fill
from bench.store.head_file import SavedHead
from bench.training.fits import TINY


def check_exportable(model: ImageModel) -> None:
    """Raise BenchError if a part of a saved model's backbone is not a Keras net."""
    for info in model.parts:
        if not info.is_net or info.source == "onnx":
            what = "an ONNX file" if info.source == "onnx" else "no net"
            raise BenchError(
                f"cell {model.head.cell[:8]} cannot be exported: its backbone {info.name} is {what}; "
                "only Keras nets can"
            )


def serving_graph(
    model: ImageModel, thresholds: Sequence[float] | None, thresholded: str = "decisions"
) -> Any:
    """Return a keras.Model from `image`, (n, h, w, 3) uint8, to a dictionary of outputs.

    `probabilities`: (n, k) float32. The output named by `thresholded`: (n, k) bool, with thresholds only;
    whether a probability reaches its class's. Constants are weights or
    numbers of layers, not tensors, which the export to ONNX would make inputs of.
    Raises BenchError for what cannot be exported, StoreError for variables that do not fit the backbone.
    """
    import keras
    from keras import layers, ops

    from bench.backbones.determinism import make_deterministic

    check_exportable(model)
    make_deterministic()
    head = model.head
    image = keras.Input((*head.size, 3), dtype="uint8", name="image")
    rows = _features(model, ops.cast(image, "float32"))
    if not head.filters:
        rows = _standardised(head, rows)
    if head.hidden_kernel is not None and head.hidden_bias is not None:
        rows = _dense(rows, head.hidden_kernel, head.hidden_bias, "hidden", "relu")
    if head.unit:
        rows = rows / ops.sqrt(ops.maximum(ops.sum(ops.square(rows), axis=-1, keepdims=True), TINY))
    logits = _dense(rows, head.kernel, head.bias, "logits")
    outputs = {"probabilities": layers.Activation(head.link, name="probabilities")(logits)}
    if thresholds is not None:
        above = layers.Rescaling(1.0, [-float(value) for value in thresholds], name="above_thresholds")
        outputs[thresholded] = above(outputs["probabilities"]) >= 0.0
    graph = keras.Model(image, outputs, name="serving")
    # Keras exports only models that were called.
    graph(np.zeros((1, *head.size, 3), np.uint8), training=False)
    return graph


def _features(model: ImageModel, pixels: Any) -> Any:
    """Return the features of float32 pixels from 0 to 255, as `ImageModel` computes them."""
    from keras import ops

    from bench.backbones.engines import feature_extractor, unpooled
    from bench.backbones.registry import build_backbone
    from bench.training.nets.conv_head import build_conv

    head = model.head
    if head.regime != "frozen":
        (info,) = model.parts
        net = build_backbone(info, head.size, "random", precision=head.precision)
        fill(net, head.net)
        return net(_scaled(info, head.preprocess, pixels))
    owns = zip(model.parts, weights_of(model.parts, model.weights), strict=True)
    nets = [(info, build_backbone(info, head.size, own, precision=head.precision)) for info, own in owns]
    if head.filters:
        ((info, net),) = nets
        on_maps = unpooled(net)
        conv = build_conv(on_maps.output_shape[1:], head.filters)
        fill(conv, head.net)
        return conv(_standardised(head, on_maps(_scaled(info, head.preprocess, pixels))))
    found = []
    for info, net in nets:
        taken, scaled = (
            feature_extractor(net, feature_spec(info, vars(head))),
            _scaled(info, head.preprocess, pixels),
        )
        features = taken(scaled)
        found.append((features + taken(ops.flip(scaled, axis=2))) * 0.5 if head.mirror else features)
    return found[0] if len(found) == 1 else ops.concatenate(found, axis=-1)


def _scaled(info: BackboneInfo, mode: str, pixels: Any) -> Any:
    """Return pixels as a net takes them. Every mode is affine in a pixel's colours: a 1x1 convolution."""
    from keras import layers

    kernel, bias = affine(preprocess(info, mode))
    if np.array_equal(kernel, np.eye(3)) and not bias.any():
        return pixels
    layer = layers.Conv2D(3, 1, name=f"preprocessing_{info.name}".replace(".", "_"))
    out = layer(pixels)
    layer.set_weights([kernel[None, None].astype(np.float32), bias.astype(np.float32)])
    return out


def affine(scale: Callable[[Any], Any]) -> tuple[np.ndarray, np.ndarray]:
    """Return the kernel, (3, 3), and bias, (3,), of an affine function of (..., 3) colours; float64 both."""
    bias = np.asarray(scale(np.zeros((1, 1, 1, 3), np.float32)), np.float64).ravel()
    whole = np.asarray(scale(255 * np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3)), np.float64)
    return (whole.reshape(3, 3) - bias) / 255, bias


def _standardised(head: SavedHead, rows: Any) -> Any:
    """Return standardised features, or maps by channel. Two layers, as x/s - m/s would round differently."""
    from keras import layers

    if head.mean is None or head.scale is None:
        return rows
    centred = layers.Rescaling(1.0, [-float(value) for value in head.mean], name="centred")(rows)
    factors = [1.0 / float(value) for value in head.scale]
    return layers.Rescaling(factors, name="standardised")(centred)


def _dense(rows: Any, kernel: np.ndarray, bias: np.ndarray, name: str, activation: str | None = None) -> Any:
    from keras import layers

    layer = layers.Dense(kernel.shape[1], activation=activation, name=name)
    out = layer(rows)
    layer.set_weights([kernel, bias])
    return out
