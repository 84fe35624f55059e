"""Grids on external models and features: run, stored, predicted and reproduced like any other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.backbones.names import parts_of
from bench.backbones.registry import build_backbone
from bench.core.errors import BenchError
from bench.core.paths import search_path
from bench.data.examples import Examples
from bench.data.images import resize
from bench.data.sources import open_source
from bench.inference.predict import open_model
from bench.runs.reproduce import LocalPaths, request_of
from bench.store.read import Stored
from tests.in_process import InProcess, content

keras = pytest.importorskip("keras")

TINY = (
    *("run", "--task", "fashion", "--sample", "tiny", "--stage", "top20", "--method", "none", "--seed", "0"),
    *("--set", "epochs=20"),
)


def write_net(path: Path, seed: int = 1) -> Path:
    keras.utils.set_random_seed(seed)
    images = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(images)
    x = keras.layers.Conv2D(8, 5, strides=2, activation="relu", name="stem")(x)
    x = keras.layers.Conv2D(12, 3, strides=2, activation="relu", name="last")(x)
    path.parent.mkdir(exist_ok=True)
    keras.Model(images, keras.layers.GlobalAveragePooling2D(name="pooled")(x)).save(path)
    return path


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InProcess:
    return InProcess(tmp_path, monkeypatch)


@pytest.fixture
def examples(tmp_path: Path) -> Examples:
    return open_source("kaggle-fashion", None, "tiny", tmp_path / "sample", ("articleType",))


def check_predictions(stored: Stored, weights: str, examples: Examples) -> None:
    """A saved model, built anew from the file, gives the stored scores."""
    model, test = open_model(stored, weights), stored.predictions("test")
    places = [examples.items.index(item) for item in test.items[:20]]
    images = np.stack([resize(examples.images.read(place), (32, 32), "squash", 1.0) for place in places])
    np.testing.assert_allclose(model.scores(images), test.scores[:20], atol=1e-5)


def test_two_nets_of_one_name_are_two_results_wherever_they_lie(
    inside: InProcess, tmp_path: Path, examples: Examples, capsys: pytest.CaptureFixture[str]
) -> None:
    net, other = write_net(tmp_path / "net.keras"), write_net(tmp_path / "b" / "net.keras", 2)
    cells = inside.bench(*TINY, "--keep-model", "--backbone", f"{net},{other}", results="one", cache="cache")
    assert inside.code == 0 and [one.record["cell"]["backbone"] for one in cells] == ["net.keras"] * 2
    assert len({one.record["cell"]["weights"] for one in cells}) == 2
    moved = net.rename(tmp_path / "b" / "moved.keras")
    capsys.readouterr()
    for stored in cells:
        with pytest.raises(BenchError, match="the file net.keras: name it with --weights FILE"):
            open_model(stored)
        check_predictions(stored, f"{moved},{other}", examples)
        place = LocalPaths(search_path("tasks"), weights=f"{moved},{other}")
        request = request_of(stored, place, {})
        assert request.backbones in ((str(moved),), (str(other),))
        with pytest.raises(BenchError, match="name it with --weights FILE"):
            request_of(stored, LocalPaths(search_path("tasks")), {"backbone": (str(net),)})


def test_features_of_a_file_train_the_heads_of_the_net_that_made_them(
    inside: InProcess, tmp_path: Path, examples: Examples
) -> None:
    net = write_net(tmp_path / "net.keras")
    engine = ("--set", "engine=tensorflow")
    (stored,) = inside.bench(*TINY, *engine, "--backbone", str(net), results="one", cache="cache")
    [folder] = [path for path in (tmp_path / "cache" / "features").iterdir() if path.is_dir()]
    rows = np.load(folder / "features.npy")
    order = np.random.default_rng(0).permutation(len(rows))
    np.savez(tmp_path / "f.npz", ids=np.array(examples.items)[order], features=rows[order])
    (given,) = inside.bench(*TINY, "--backbone", str(tmp_path / "f.npz"), results="two", cache="cache")
    assert given.record["cell"]["backbone"] == "f.npz"
    same = {"predictions.parquet", "per_class.csv"}
    theirs, ours = content(stored), content(given)
    assert {name: theirs[name] for name in same} == {name: ours[name] for name in same}
    with pytest.raises(BenchError, match=r"needs vectors \(f.npz\); images are not enough"):
        open_model(given)
    with pytest.raises(BenchError, match="--keep-model: f.npz reads vectors"):
        inside.bench(*TINY, "--keep-model", "--backbone", str(tmp_path / "f.npz"), results="3", cache="cache")
    (joined,) = inside.bench(*TINY, "--backbone", f"{tmp_path / 'f.npz'}+{net}", results="4", cache="cache")
    assert joined.ok and joined.record["cell"]["backbone"] == "f.npz+net.keras"


def test_a_net_from_outside_is_finetuned_and_predicts(
    inside: InProcess, tmp_path: Path, examples: Examples
) -> None:
    net = write_net(tmp_path / "net.keras")
    args = (*TINY[:-1], "epochs=2", "--regime", "finetune", "--set", "train_from=last", "--keep-model")
    (stored,) = inside.bench(*args, "--backbone", str(net), results="one", cache="cache")
    assert stored.ok, stored.record["reason"]
    check_predictions(stored, str(net), examples)


def test_wrong_names_are_one_line_before_anything_runs(inside: InProcess, tmp_path: Path) -> None:
    net = write_net(tmp_path / "net.keras")
    for asked, says in (
        (("--backbone", str(net), "--weights", "imagenet"), "has weights of its own; leave it out"),
        (("--weights", str(net)), r"is not of lenet: .* as a backbone of its own: --backbone"),
        (("--backbone", "nowhere:build"), "no module nowhere in this folder or among those installed"),
        (("--backbone", "my.keras"), "no such file"),
        (("--backbone", str(net), "--regime", "scratch"), "use --regime frozen or finetune"),
    ):
        with pytest.raises(BenchError, match=says):
            inside.bench(*TINY, *asked, results="one", cache="cache")
    assert not (tmp_path / "one").exists()


@pytest.mark.slow
def test_presets_of_keras_hub_are_frozen_fine_tuned_and_predict(
    inside: InProcess, tmp_path: Path, examples: Examples
) -> None:
    hub = pytest.importorskip("keras_hub")
    small = {"patch_size": 8, "num_layers": 1, "num_heads": 2, "hidden_dim": 8, "image_shape": (32, 32, 3)}
    dino = hub.models.DINOV2Backbone(intermediate_dim=16, position_embedding_shape=(16, 16, 3), **small)
    scale, offset = (1 / 58, 1 / 57, 1 / 56), (-2.1, -2.0, -1.8)
    made = {
        "vit": (hub.models.ViTBackbone(mlp_dim=16, **small), hub.layers.ViTImageConverter),
        "dino": (dino, hub.layers.DINOV2ImageConverter),
    }
    for name, (net, converter) in made.items():
        net.save_to_preset(str(tmp_path / name))
        converter(image_size=(32, 32), scale=scale, offset=offset).save_to_preset(str(tmp_path / name))
    (info,) = parts_of(f"hub:{tmp_path / 'dino'}")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    expected = dino({"images": pixels * np.asarray(scale, np.float32) + np.asarray(offset, np.float32)})[:, 0]
    np.testing.assert_allclose(build_backbone(info, (32, 32))(pixels), expected, atol=1e-4)
    assert build_backbone(info, (48, 48)).output_shape == (None, 8)

    text = f"hub:{tmp_path / 'vit'}"
    (frozen,) = inside.bench(*TINY, "--keep-model", "--backbone", text, results="one", cache="cache")
    assert inside.code == 0 and frozen.record["cell"]["protocol"]["engine"] == "openvino"
    check_predictions(frozen, text, examples)
    tuned = (*TINY[:-1], "epochs=1", "--regime", "finetune", "--backbone", text)
    cells = inside.bench(*tuned, results="two", cache="cache")
    assert inside.code == 0 and [one.record["cell"]["backbone"] for one in cells] == ["hub:vit"]
    (tmp_path / "vit" / "config.json").write_text("{}")
    with pytest.raises(BenchError, match="preset hub:vit: name it with --weights FILE"):
        open_model(frozen, text)
