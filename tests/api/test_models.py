"""A Keras model as a backbone is a file in the cache, the same for equal models."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.api.models import is_model, saved_model
from bench.api.run import _named

FILES = {"config.json": b"{}", "model.weights.h5": b"weights"}


class Model:
    """Stands for keras.Model: it is saved as Keras does, with the time."""

    saves = 0
    fault: Exception | None = None

    def __init__(self, name: str = "tiny net", weights: bytes = b"weights") -> None:
        self.name, self.weights = name, weights

    def save(self, path: Path) -> None:
        Model.saves += 1
        if self.fault is not None:
            raise self.fault
        metadata = {"keras_version": "3.15", "date_saved": f"2026-11-30@{Model.saves}"}
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("metadata.json", json.dumps(metadata))
            for name, content in {**FILES, "model.weights.h5": self.weights}.items():
                archive.writestr(name, content)


Model.__module__ = "keras.src.models.model"


def test_equal_models_are_one_file_and_others_are_others(tmp_path: Path) -> None:
    first = saved_model(Model(), tmp_path / "a")
    content = first.read_bytes()
    assert first.name == "tiny_net.keras" and saved_model(Model(), tmp_path / "a") == first
    assert saved_model(Model(), tmp_path / "b").read_bytes() == content
    other = saved_model(Model(weights=b"others"), tmp_path / "a")
    assert other != first and other.read_bytes() != content
    with zipfile.ZipFile(first) as archive:
        assert {name: archive.read(name) for name in FILES} == FILES


def test_models_take_their_place_among_names(tmp_path: Path) -> None:
    assert is_model(Model()) and not is_model("lenet") and not is_model(object())
    names: Any = _named(["lenet", Model()], tmp_path)
    assert names[0] == "lenet" and names[1].endswith(".keras") and Path(names[1]).is_file()
    assert _named(Model(), tmp_path) == names[1:] and _named("lenet", tmp_path) == "lenet"
    assert _named(None, None) is None


def test_a_model_that_cannot_be_saved_is_one_line(tmp_path: Path) -> None:
    model = Model()
    model.fault = ValueError("not\nserialisable")
    with pytest.raises(
        bench.BenchError, match="the backbone 'tiny net' cannot be saved .ValueError: not serial"
    ):
        saved_model(model, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(bench.BenchError, match="cache folder .*choose another with cache=DIR"):
        saved_model(Model(), tmp_path / "file")


@pytest.mark.slow
def test_a_model_of_keras_is_loaded_from_its_file(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    images = keras.Input((8, 8, 3))
    model = keras.Model(images, keras.layers.GlobalAveragePooling2D()(images), name="mean")
    path = saved_model(model, tmp_path)
    assert saved_model(model, tmp_path / "again").read_bytes() == path.read_bytes()
    assert keras.models.load_model(path).output_shape == (None, 3)
