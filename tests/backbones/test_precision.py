"""Nets in half precision: what they compute in, what they keep and what they give."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

import keras
import tensorflow as tf

from bench.backbones.determinism import make_deterministic
from bench.backbones.engines import batch_for, feature_extractor, load_engine, unpooled
from bench.backbones.gru import build_gru
from bench.backbones.info import BackboneInfo, FeatureSpec
from bench.backbones.registry import build_backbone, get_backbone, preprocess

HALF = {"mixed_bfloat16": "bfloat16", "mixed_float16": "float16"}
SIZE = (64, 64)
LENET, MOBILENET = get_backbone("lenet"), get_backbone("mobilenet_025")


def images(size: tuple[int, int]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (batch_for(size), *size, 3), dtype=np.uint8)


@pytest.mark.parametrize("precision", HALF)
def test_layers_compute_in_half_and_keep_single(precision: str) -> None:
    net = build_backbone(MOBILENET, SIZE, "random", 3, precision)
    single = build_backbone(MOBILENET, SIZE, "random", 3)
    computing = {layer.compute_dtype for layer in net.layers if layer.weights}
    assert computing == {HALF[precision]}
    assert {weight.dtype for weight in net.weights} == {"float32"}
    for ours, theirs in zip(net.get_weights(), single.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    # Keras numbers what it names itself: the input and the pooling.
    names = [[layer.name for layer in one.layers[1:end]] for one, end in ((net, -2), (single, -1))]
    assert names[0] == names[1], "users name layers"
    assert keras.config.dtype_policy().name == "float32", "a head on top is of single precision"


@pytest.mark.parametrize("precision", HALF)
@pytest.mark.parametrize(
    ("info", "size", "spec"),
    [
        (LENET, (32, 32), FeatureSpec()),
        (MOBILENET, SIZE, FeatureSpec(("conv_pw_2_relu",))),
        (MOBILENET, SIZE, FeatureSpec(("conv_pw_2_relu",), pool="grid2", unit=True)),
    ],
    ids=["rows", "averages", "lengths"],
)
def test_features_are_those_of_single_precision_but_for_rounding(
    precision: str, info: BackboneInfo, size: tuple[int, int], spec: FeatureSpec
) -> None:
    found = []
    for one in (precision, "float32"):
        net = feature_extractor(build_backbone(info, size, "random", 3, one), spec)
        found.append(load_engine("tensorflow", net, preprocess(info), size)(images(size)))
    half, single = found
    assert half.dtype == single.dtype == np.float32
    assert 0 < np.abs(half - single).max() < 0.03 * np.abs(single).max()
    if spec.unit:
        np.testing.assert_allclose(np.square(half).sum(axis=1), 1.0, atol=1e-5)


def test_maps_are_float32_too() -> None:
    net = unpooled(build_backbone(MOBILENET, SIZE, "random", 3, "mixed_bfloat16"))
    found = load_engine("tensorflow", net, preprocess(MOBILENET), SIZE)(images(SIZE))
    assert found.dtype == np.float32 and found.ndim == 4


def test_a_net_on_words_gives_float32() -> None:
    words = np.array([[2, 3, 0], [3, 2, 1]], np.int32)
    half, single = (
        np.asarray(build_gru(3, 4, precision, 0)(words)) for precision in ("mixed_bfloat16", "float32")
    )
    assert half.dtype == single.dtype == np.float32
    assert 0 < np.abs(half - single).max() < 0.02


def test_gpus_grow_and_do_not_round_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU is needed: what TensorFlow is asked for is what is looked at."""
    growing: dict[str, bool] = {"one": False, "other": True}
    asked: list[Any] = []

    def grow(gpu: str, on: bool) -> None:
        growing[gpu] = on
        asked.append(gpu)

    experimental = SimpleNamespace(
        get_memory_growth=growing.__getitem__,
        set_memory_growth=grow,
        enable_tensor_float_32_execution=lambda on: asked.append(("TensorFloat-32", on)),
        enable_op_determinism=lambda: asked.append("determinism"),
    )
    optimizer = SimpleNamespace(set_jit=lambda on: asked.append(("jit", on)))
    config = SimpleNamespace(
        list_physical_devices=lambda kind: list(growing), experimental=experimental, optimizer=optimizer
    )
    monkeypatch.setattr(tf, "config", config)
    make_deterministic()
    assert growing == {"one": True, "other": True}
    assert asked == ["one", ("TensorFloat-32", False), "determinism", ("jit", False)]
