"""What every backbone must do: it builds at its smallest size, and is what its entry says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.backbones import weights as pretrained
from bench.backbones.info import NO_WEIGHTS, PREPROCESS, BackboneInfo
from bench.backbones.registry import BACKBONES, build_backbone, get_backbone, preprocess, size_problem
from bench.backbones.weights import imagenet_file
from bench.testing.subjects import is_own, subjects

QUICK = 3_000_000
"""Nets with more parameters, or built of many layers, are left to the slow run."""

INFOS = subjects("backbone", BACKBONES)
NETS = {name: info for name, info in INFOS.items() if info.is_net and info.reads == "pixels"}
SMALLEST = {info.family: name for name, info in sorted(NETS.items(), key=lambda one: -one[1].parameters)}
"""Of each family: its larger nets are made of the same layers."""


def _nets() -> list[Any]:
    return [
        pytest.param(
            info,
            id=name,
            marks=[pytest.mark.slow] if info.parameters > QUICK or info.family == "nasnet" else [],
        )
        for name, info in NETS.items()
    ]


def _smallest(info: BackboneInfo) -> tuple[int, int]:
    return info.min_size, info.min_size


@pytest.mark.parametrize("info", _nets())
def test_contract(info: BackboneInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    asked: list[Path] = []
    monkeypatch.setattr(pretrained, "_ensure", lambda path, *_: asked.append(path))
    if info.source == "keras":
        # Asking for ImageNet weights without loading them tells, in the same build, which file Keras wants.
        monkeypatch.setattr(keras.Model, "load_weights", lambda *_, **__: None)
    net = build_backbone(info, _smallest(info), "imagenet" if info.source == "keras" else "random")
    assert net.output_shape == (None, info.features)
    assert info.source == "bench" or net.count_params() == info.parameters
    if info.source == "keras":
        assert asked == [imagenet_file(info, _smallest(info))]
    if info.name not in SMALLEST.values() and is_own("backbone", info.name):
        return
    pixels = np.random.default_rng(0).integers(0, 256, (1, *_smallest(info), 3), dtype=np.uint8)
    batch = preprocess(info)(pixels)
    first, second = np.asarray(net(batch, training=False)), np.asarray(net(batch, training=False))
    assert first.shape == (1, info.features) and first.dtype == np.float32
    assert np.isfinite(first).all()
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("info", INFOS.values(), ids=list(INFOS))
def test_entry_is_consistent(info: BackboneInfo) -> None:
    assert get_backbone(info.name) is info
    assert info.preprocess in PREPROCESS
    if is_own("backbone", info.name):
        assert info.regime == ("scratch" if info.name in ("lenet", "gru") else "frozen")
    assert info.regime in ("frozen", "scratch")
    assert size_problem(info, info.input_size) is None
    assert size_problem(info, _smallest(info)) is None
    assert "at least" in str(size_problem(info, (info.min_size - 1, 224)))
    assert set(info.weights) <= {"imagenet", "random"} or info.weights == (NO_WEIGHTS,)
    assert info.reads in ("pixels", "titles")
    assert ("imagenet" in info.weights) == bool(info.weights_file)
    assert "\n" not in info.summary
