"""ONNX models as backbones: what their files say, and their features by OpenVINO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.backbones.extract import Extractor
from bench.backbones.info import ANY_SIZE, UNSPECIFIED, FeatureSpec
from bench.backbones.names import parts_of
from bench.backbones.problems import feature_map_problem, problem_with
from bench.backbones.registry import preprocess
from bench.core.errors import BenchError
from bench.core.protocol import defaults

Side = int | None


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | str | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def value_info(name: str, shape: Sequence[Side], kind: int = 1) -> bytes:
    dims = b"".join(field(1, field(2, "n") if side is None else field(1, side)) for side in shape)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, dims)))


def tensor(name: str, array: np.ndarray, *more: bytes) -> bytes:
    dims = b"".join(field(1, side) for side in array.shape)
    return dims + field(2, 1) + field(8, name) + field(9, array.astype("<f4").tobytes()) + b"".join(more)


def node(kind: str, inputs: Sequence[str], output: str) -> bytes:
    return b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, kind)


KERNEL = np.random.default_rng(0).normal(size=(5, 3, 3, 3)).astype(np.float32)


def model(
    path: Path,
    shape: Sequence[Side] = (None, 3, 32, 32),
    kind: int = 1,
    inputs: Sequence[bytes] = (),
    outputs: Sequence[str] = ("map",),
    weights: bytes | None = None,
) -> Path:
    """Write a model of one convolution, or one that passes pixels of channels last."""
    nodes = (
        [node("Conv", ("image", "kernel"), "map")]
        if shape[1:2] == (3,)
        else [node("Relu", ("image",), "map")]
    )
    graph = b"".join(
        [
            *(field(1, one) for one in nodes),
            field(2, "net"),
            field(5, tensor("kernel", KERNEL) if weights is None else weights),
            field(11, value_info("image", shape, kind)),
            field(11, value_info("kernel", KERNEL.shape)),
            *(field(11, one) for one in inputs),
            *(field(12, value_info(name, (None, None, None, None))) for name in outputs),
        ]
    )
    path.write_bytes(field(1, 8) + field(7, graph) + field(8, field(2, 13)))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(BenchError) as caught:
        parts_of(str(path))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def problem(path: Path, regime: str = "frozen", **setting: Any) -> str | None:
    usual = {**defaults(), "engine": "openvino", "preprocess": "torch"}
    return problem_with(parts_of(str(path)), regime, "imagenet", {**usual, **setting})


def test_what_a_file_says(tmp_path: Path) -> None:
    (info,) = parts_of(str(model(tmp_path / "net.onnx")))
    assert (info.name, info.input_size, info.preprocess) == ("net.onnx", (32, 32), UNSPECIFIED)
    (free,) = parts_of(str(model(tmp_path / "free.onnx", (None, 3, None, None))))
    (last,) = parts_of(str(model(tmp_path / "last.onnx", (None, 24, 32, 3))))
    (whole,) = parts_of(str(model(tmp_path / "whole.onnx", kind=2)))
    assert free.input_size == ANY_SIZE and last.input_size == (24, 32) and whole.preprocess == "none"


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"inputs": [value_info("mask", (None, 1))]}, "has 2 inputs"),
        ({"outputs": ("map", "scores")}, "has 2 outputs"),
        ({"kind": 8}, "takes text"),
        ({"kind": 10}, "takes numbers of ONNX type 10"),
        ({"shape": (None, 7)}, "arrays of shape (?, 7), not images"),
        ({"shape": (None, 1, 28, 28)}, "arrays of shape (?, 1, 28, 28), not images"),
        ({"shape": (None, 3, None, 28)}, "fixes one side"),
        ({"weights": tensor("kernel", KERNEL, field(14, 1))}, "keeps its weights in other files"),
    ],
)
def test_what_is_no_backbone(how: dict[str, Any], says: str, tmp_path: Path) -> None:
    assert says in refusal(model(tmp_path / "net.onnx", **how))


def test_files_that_are_none(tmp_path: Path) -> None:
    whole = model(tmp_path / "net.onnx").read_bytes()
    for content in (b"", b"hello", b"\x3a", whole[:-40], b"\xff" * 40, b"\x3a\xff\xff\xff\xff\x0f"):
        (tmp_path / "net.onnx").write_bytes(content)
        assert "is not an ONNX file" in refusal(tmp_path / "net.onnx")


def test_what_a_setting_cannot_do(tmp_path: Path) -> None:
    path = model(tmp_path / "net.onnx")
    assert problem(path) is None and problem(path, mirror=True) is None
    assert "--set preprocess=" in str(problem(path, preprocess="backbone"))
    assert "add --set engine=openvino" in str(problem(path, engine="tensorflow"))
    assert "use --regime frozen" in str(problem(path, "finetune"))
    assert "are for Keras models" in str(problem(path, layers="conv"))
    assert "are for Keras models" in str(problem(path, pool="grid2"))
    assert "no feature map" in str(feature_map_problem(parts_of(str(path)), defaults()))


@pytest.mark.parametrize("mode", ["unit", "tf", "torch", "caffe", "none"])
def test_features_are_the_convolution_of_scaled_pixels(mode: str, tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    keras = pytest.importorskip("keras")
    path = model(tmp_path / "net.onnx", (None, 3, None, None))
    (info,) = parts_of(str(path))
    extract = Extractor(info, "own", mode, "openvino", (20, 30), FeatureSpec()).load()
    images = np.random.default_rng(1).integers(0, 256, (128, 20, 30, 3)).astype(np.uint8)
    scaled = preprocess(replace(info, preprocess="none"), mode)(images)
    maps = keras.ops.conv(scaled, KERNEL.transpose(2, 3, 1, 0), padding="valid")
    expected = np.asarray(maps).mean(axis=(1, 2))
    np.testing.assert_allclose(extract(images), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_channels_last_and_whole_numbers(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    images = np.random.default_rng(1).integers(0, 256, (128, 24, 32, 3)).astype(np.uint8)
    (info,) = parts_of(str(model(tmp_path / "last.onnx", (None, 24, 32, 3))))
    extract = Extractor(info, "own", "none", "openvino", (24, 32), FeatureSpec()).load()
    np.testing.assert_allclose(extract(images), images.mean(axis=(1, 2)), rtol=1e-5)


def test_a_model_that_openvino_cannot_run(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    path = model(tmp_path / "net.onnx")
    path.write_bytes(path.read_bytes().replace(b"Conv", b"Cqnv"))
    (info,) = parts_of(str(path))
    with pytest.raises(BenchError, match="net.onnx: OpenVINO cannot run it") as caught:
        Extractor(info, "own", "none", "openvino", (32, 32), FeatureSpec()).load()
    assert "\n" not in str(caught.value)
