"""Every registered backbone builds; preprocessing is Keras's own; weights that cannot be had are one line."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import threading
import urllib.error
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.backbones.info import PREPROCESS, BackboneInfo
from bench.backbones.problems import problem_of
from bench.backbones.registry import BACKBONES, build_backbone, get_backbone, preprocess, weights_id
from bench.backbones.weights import imagenet_file
from bench.core.errors import BenchError, WeightsError
from bench.core.protocol import defaults


def _smallest(info: BackboneInfo) -> tuple[int, int]:
    return info.min_size, info.min_size


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty KERAS_HOME on a machine without a network; returns its folder of weights."""

    def unreachable(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("no network here")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", unreachable)
    return tmp_path / "models"


def _error(info: BackboneInfo, weights: str) -> str:
    with pytest.raises(WeightsError) as caught:
        build_backbone(info, _smallest(info), weights)
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_lenet_is_lenet_5() -> None:
    info = get_backbone("lenet")
    net = build_backbone(info, (32, 32))
    assert net.count_params() == info.parameters == 456 + 2416 + 48120 + 10164
    assert net.layers[-1].units == 84


def test_every_classification_net_of_keras_is_registered() -> None:
    import keras

    functions = {name for name in dir(keras.applications) if name[0].isupper()}
    assert functions == {info.builder for info in BACKBONES.values() if info.source == "keras"}


@pytest.mark.parametrize("name", ["mobilenet_025", "kcv_resnet18", "lenet"])
def test_random_weights_depend_on_the_seed_alone(name: str) -> None:
    info = get_backbone(name)
    one, again, other = (
        build_backbone(info, _smallest(info), "random", seed).get_weights() for seed in (3, 3, 4)
    )
    assert all(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_listing_imports_nothing_heavy() -> None:
    code = (
        "import sys; from bench.backbones.registry import BACKBONES, get_backbone, weights_id;"
        "from bench.backbones.problems import problem_of;"
        "from bench.backbones.weights import imagenet_file;"
        "from bench.core.protocol import defaults;"
        "problem_of(get_backbone('resnet50'), 'frozen', 'imagenet', defaults());"
        "weights_id(get_backbone('resnet50'), 'imagenet');"
        "imagenet_file(get_backbone('resnet50'), (224, 224));"
        "heavy = {'tensorflow', 'keras', 'keras_cv', 'numpy', 'openvino'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(BenchError, match="unknown backbone 'mobilenet_25'; did you mean 'mobilenet_025'"):
        get_backbone("mobilenet_25")


@pytest.mark.parametrize(
    "info", [info for info in BACKBONES.values() if info.source == "keras"], ids=lambda info: info.name
)
def test_preprocessing_is_that_of_the_module(info: BackboneInfo) -> None:
    import keras

    module = sys.modules[getattr(keras.applications, info.builder).__module__]
    pixels = np.random.default_rng(1).integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)
    expected = module.preprocess_input(pixels.astype(np.float32))
    np.testing.assert_allclose(np.asarray(preprocess(info)(pixels)), expected, atol=1e-4)


@pytest.mark.parametrize("mode", PREPROCESS)
def test_every_mode_in_a_graph_is_its_formula(mode: str) -> None:
    import tensorflow as tf

    pixels = np.random.default_rng(2).integers(0, 256, (2, 5, 4, 3), dtype=np.uint8)
    wide = pixels.astype(np.float64)
    formulae = {
        "none": wide,
        "unit": wide / 255,
        "tf": wide / 127.5 - 1,
        "torch": (wide / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
        "caffe": wide[..., ::-1] - [103.939, 116.779, 123.68],
    }
    scaled = tf.function(preprocess(get_backbone("resnet50"), mode))(tf.constant(pixels)).numpy()
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled, formulae[mode], atol=1e-4)


def test_unknown_preprocess() -> None:
    with pytest.raises(BenchError, match="unknown preprocess 'caffee'; did you mean 'caffe'"):
        preprocess(get_backbone("resnet50"), "caffee")


@pytest.mark.parametrize("name", ["mobilenet_025", "resnet50v2"])
def test_missing_imagenet_weights_name_file_and_folder(name: str, home: Path) -> None:
    info = get_backbone(name)
    path = imagenet_file(info, _smallest(info))
    assert path is not None
    text = _error(info, "imagenet")
    assert path.name in text and str(home) in text and "no network here" in text


def test_missing_kaggle_weights_name_file_and_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: Any) -> None:
        raise OSError("no network here\nand more")

    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    monkeypatch.setattr("kagglehub.model_download", offline)
    text = _error(get_backbone("kcv_mobilenet_v3_small"), "imagenet")
    assert "model.weights.h5" in text and str(tmp_path / "models/keras/mobilenetv3") in text


def test_network_that_does_not_answer_is_not_waited_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: told.wait(600))
    monkeypatch.setattr("bench.core.download.CONNECT_SECONDS", 0.2)
    assert "no answer in" in _error(get_backbone("mobilenet_025"), "imagenet")
    told.set()


def _weights_of(name: str, path: Path, seed: int = 7) -> list[np.ndarray]:
    info = get_backbone(name)
    net = build_backbone(info, _smallest(info), "random", seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith(".weights.h5"):
        net.save_weights(path)
    else:
        net.save(path)
    weights: list[np.ndarray] = net.get_weights()
    return weights


def test_imagenet_file_that_is_there_is_loaded(home: Path) -> None:
    info = get_backbone("mobilenet_025")
    path = imagenet_file(info, _smallest(info))
    assert path is not None
    expected = _weights_of("mobilenet_025", path)
    net = build_backbone(info, _smallest(info), "imagenet")
    assert all(np.array_equal(a, b) for a, b in zip(net.get_weights(), expected, strict=True))


def test_kaggle_file_that_is_there_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keras_cv

    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    info = get_backbone("kcv_mobilenet_v3_small")
    path = imagenet_file(info, _smallest(info))
    assert path is not None
    path.parent.mkdir(parents=True)
    net = getattr(keras_cv.models, info.builder)(input_shape=(*_smallest(info), 3), **info.arguments)
    net.save_weights(path)
    built = build_backbone(info, _smallest(info), "imagenet")
    assert all(np.array_equal(a, b) for a, b in zip(built.get_weights(), net.get_weights(), strict=True))


class Answer(io.BytesIO):
    """A server's answer, with the whole file."""

    status = 200
    headers: Mapping[str, str] = {}


def test_download_is_kept_whole_or_not_at_all(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = get_backbone("mobilenet_025")
    expected = _weights_of("mobilenet_025", tmp_path / "served.h5")
    served = (tmp_path / "served.h5").read_bytes()

    class Breaking(Answer):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell():
                raise TimeoutError("the line went dead")
            return super().read(1000)

    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: Breaking(served))
    assert "the line went dead" in _error(info, "imagenet")
    assert {path.suffix for path in home.iterdir()} == {".part", ".tag"}
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: Answer(served))
    net = build_backbone(info, _smallest(info), "imagenet")
    assert all(np.array_equal(a, b) for a, b in zip(net.get_weights(), expected, strict=True))
    assert [path.name for path in home.iterdir()] == [
        getattr(imagenet_file(info, _smallest(info)), "name", "")
    ]


def test_download_that_is_not_the_published_file_is_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: Answer(b"something else"))
    assert "not the published file" in _error(get_backbone("mobilenetv3_small_075"), "imagenet")
    assert list(home.iterdir()) == []


def test_truncated_imagenet_file(home: Path) -> None:
    info = get_backbone("mobilenet_025")
    path = imagenet_file(info, _smallest(info))
    assert path is not None
    _weights_of("mobilenet_025", path)
    path.write_bytes(path.read_bytes()[:5000])
    assert str(path) in _error(info, "imagenet")


def test_imagenet_file_with_a_wrong_checksum(home: Path) -> None:
    info = get_backbone("mobilenetv3_small_075")
    path = imagenet_file(info, _smallest(info))
    assert path is not None
    _weights_of("mobilenetv3_small_075", path)
    assert "checksum" in _error(info, "imagenet")


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
def test_weights_from_a_path(suffix: str, tmp_path: Path) -> None:
    info, path = get_backbone("lenet"), tmp_path / f"mine{suffix}"
    expected = _weights_of("lenet", path)
    net = build_backbone(info, _smallest(info), str(path))
    assert all(np.array_equal(a, b) for a, b in zip(net.get_weights(), expected, strict=True))
    assert weights_id(info, str(path)) == f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
@pytest.mark.parametrize(("theirs", "ours"), [("mobilenet_050", "mobilenet_025"), ("lenet", "mobilenet_025")])
def test_weights_of_another_net(theirs: str, ours: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"other{suffix}"
    _weights_of(theirs, path)
    assert str(path) in _error(get_backbone(ours), str(path))


@pytest.mark.parametrize("name", ["broken.weights.h5", "broken.h5", "broken.keras", "broken.txt"])
def test_file_that_is_no_weights_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(b"\x89HDF\r\n\x1a\n and then nothing")
    assert str(path) in _error(get_backbone("lenet"), str(path))


def test_folder_in_place_of_a_weights_file(tmp_path: Path) -> None:
    assert str(tmp_path) in _error(get_backbone("lenet"), str(tmp_path))


@pytest.mark.parametrize("weights", ["nowhere.h5", "", "a/b/c"])
def test_weights_path_that_is_not_there(weights: str) -> None:
    info = get_backbone("lenet")
    assert repr(str(Path(weights))) in _error(info, weights)
    with pytest.raises(WeightsError):
        weights_id(info, weights)


def test_misspelt_weights_suggest_the_word() -> None:
    assert "did you mean 'imagenet'" in _error(get_backbone("lenet"), "imagnet")


def test_weights_a_net_does_not_have() -> None:
    assert weights_id(get_backbone("resnet50"), "imagenet") == "imagenet"
    assert weights_id(get_backbone("lenet"), "random") == "random"
    with pytest.raises(WeightsError, match="lenet has no imagenet weights"):
        weights_id(get_backbone("lenet"), "imagenet")


@pytest.mark.parametrize(
    ("name", "regime", "weights", "setting", "reason"),
    [
        ("mobilenet_025", "frozen", "imagenet", {}, None),
        ("mobilenet_025", "frozen", "random", {"input_size": "64"}, None),
        ("mobilenet_025", "scratch", "random", {}, None),
        ("mobilenet_025", "scratch", "imagenet", {}, "scratch"),
        ("mobilenet_025", "frozen", "imagenet", {"input_size": "31x64"}, "at least 32x32"),
        ("lenet", "frozen", "imagenet", {}, "no published ImageNet weights"),
        ("kcv_mit_b0", "frozen", "random", {"input_size": "64x96"}, "square"),
        ("kcv_mit_b0", "frozen", "random", {"input_size": "100"}, "multiples of 32"),
    ],
)
def test_problem_of(
    name: str, regime: str, weights: str, setting: dict[str, str], reason: str | None
) -> None:
    problem = problem_of(get_backbone(name), regime, weights, {**defaults(), **setting})
    assert problem is None if reason is None else reason in str(problem)


def test_size_is_checked_before_anything_is_built() -> None:
    with pytest.raises(BenchError, match="xception takes images of at least 71x71, not 70x70"):
        build_backbone(get_backbone("xception"), (70, 70))


@pytest.mark.parametrize(("name", "features"), [("mobilenet_025", 256), ("mobilenetv2_035", 1280)])
def test_real_imagenet_weights(name: str, features: int, imagenet: Callable[[str], Path]) -> None:
    info = get_backbone(name)
    path = imagenet_file(info, (224, 224))
    assert path is not None and imagenet(path.name) == path
    net = build_backbone(info, (224, 224), "imagenet")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    answer = np.asarray(net(preprocess(info)(pixels), training=False))
    assert answer.shape == (2, features)
    assert np.isfinite(answer).all() and answer.std() > 0.01
