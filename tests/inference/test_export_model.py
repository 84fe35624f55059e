"""An exported model gives the stored scores by its own runtime, or nothing is written."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bench.backbones.info import PREPROCESS, BackboneInfo
from bench.backbones.registry import build_backbone, get_backbone, preprocess
from bench.commands.export_model_ import NAMES
from bench.commands.main import cli
from bench.core.errors import BenchError
from bench.data.images import RESIZE_MODES, resize
from bench.inference import serving_graph as graphs
from bench.inference import serving_script
from bench.inference.predict import ImageModel
from bench.inference.serving_formats import FORMATS
from bench.store.head_file import SavedHead
from bench.store.read import Stored
from tests.grids import answers, faces
from tests.grids import put as put_cell
from tests.in_process import InProcess

SIZE, K = (32, 32), 5
TRAINED = ("--sample", "tiny", "--backbone", "lenet", "--method", "none", "--seed", "0", "--keep-model")


def random_head(inputs: int, seed: int = 0, **changes: Any) -> SavedHead:
    """Return a head whose classes are of about one size."""
    rng = np.random.default_rng(seed)
    hidden = changes.get("hidden_kernel")
    width = changes.pop("width", None) or (inputs if hidden is None else hidden.shape[1])
    fields: dict[str, Any] = {
        "cell": "c" * 64,
        "kind": "multiclass",
        "regime": "frozen",
        "backbone": "lenet",
        "weights": "random",
        "preprocess": "backbone",
        "engine": "tensorflow",
        "resize": "squash",
        "size": SIZE,
        "classes": tuple(f"class {place}" for place in range(K)),
        "link": "softmax",
        "kernel": (rng.normal(size=(width, K)) / width**0.5).astype(np.float32),
        "bias": rng.normal(size=K).astype(np.float32),
        "mean": rng.normal(size=inputs).astype(np.float32),
        "scale": rng.uniform(0.5, 2, inputs).astype(np.float32),
    }
    return SavedHead(**{**fields, **changes})


def model_of(head: SavedHead, *names: str) -> ImageModel:
    return ImageModel(head, tuple(get_backbone(name) for name in names or ("lenet",)), head.weights)


def trained_net(precision: str = "float32") -> tuple[np.ndarray, ...]:
    net = build_backbone(get_backbone("lenet"), SIZE, "random", seed=7, precision=precision)
    return tuple(np.asarray(held) for held in net.variables)


def hidden(inputs: int, units: int = 6) -> dict[str, Any]:
    rng = np.random.default_rng(3)
    return {
        "hidden_kernel": (rng.normal(size=(inputs, units)) / inputs**0.5).astype(np.float32),
        "hidden_bias": rng.normal(size=units).astype(np.float32),
    }


def conv_net() -> tuple[np.ndarray, ...]:
    from bench.training.nets.conv_head import build_conv

    return tuple(np.asarray(held) for held in build_conv((5, 5, 16), (4, 3), seed=2).variables)


HEADS: dict[str, Any] = {
    "linear": lambda: (random_head(84), ()),
    "mlp": lambda: (random_head(84, **hidden(84)), ()),
    "cosine": lambda: (random_head(84, unit=True, mean=None, scale=None), ()),
    "mirror": lambda: (random_head(84, mirror=True, preprocess="caffe"), ()),
    "grid": lambda: (random_head(64, pool="grid2", unit_fields=True), ()),
    "scratch": lambda: (random_head(84, regime="scratch", net=trained_net()), ()),
    "finetune": lambda: (random_head(84, regime="finetune", net=trained_net(), mean=None, scale=None), ()),
    "half": lambda: (
        random_head(84, regime="scratch", precision="mixed_bfloat16", net=trained_net("mixed_bfloat16")),
        (),
    ),
    "conv": lambda: (random_head(16, width=3, filters=(4, 3), net=conv_net()), ()),
    "joined": lambda: (random_head(84 + 256, backbone="lenet+mobilenet_025"), ("lenet", "mobilenet_025")),
    "attributes": lambda: (
        random_head(84, link="sigmoid", cuts=np.linspace(0.2, 0.8, K, dtype=np.float32)),
        (),
    ),
}


SLOW = pytest.mark.slow


@pytest.mark.parametrize("name", [pytest.param(name, marks=[SLOW] * (name == "joined")) for name in HEADS])
def test_the_graph_gives_the_scores_of_the_saved_model(name: str) -> None:
    head, names = HEADS[name]()
    model = model_of(head, *names)
    images = np.random.default_rng(1).integers(0, 256, (7, *SIZE, 3)).astype(np.uint8)
    thresholds = None if head.cuts is None else head.cuts.tolist()
    found = graphs.serving_graph(model, thresholds)(images, training=False)
    expected = model.scores(images)
    assert expected.std() > 0.01
    np.testing.assert_allclose(found["probabilities"], expected, atol=1e-5)
    assert ("decisions" in found) == (head.cuts is not None)
    if head.cuts is not None:
        np.testing.assert_array_equal(found["decisions"], expected >= head.cuts)


@pytest.mark.parametrize("mode", PREPROCESS)
def test_scaling_of_pixels_is_a_convolution(mode: str) -> None:
    scale = preprocess(get_backbone("lenet"), mode)
    kernel, bias = graphs.affine(scale)
    colours = np.random.default_rng(0).integers(0, 256, (1, 4, 4, 3)).astype(np.uint8)
    np.testing.assert_allclose(colours @ kernel + bias, np.asarray(scale(colours)), atol=2e-5)


@pytest.mark.parametrize("mode", RESIZE_MODES)
@pytest.mark.parametrize("crop", [1.0, 0.8])
@pytest.mark.parametrize("shape", [(40, 90), (90, 40), (24, 32), (5, 3), (30, 40)])
def test_the_script_resizes_as_in_training(mode: str, crop: float, shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    contract = {"input": {"shape": [None, 24, 32, 3], "resize": mode, "crop": crop}}
    np.testing.assert_array_equal(serving_script.resize(image, contract), resize(image, (24, 32), mode, crop))


def test_a_backbone_that_is_no_keras_net_is_refused_in_one_line() -> None:
    model = model_of(random_head(84), "hog")
    with pytest.raises(
        BenchError, match=r"cannot be exported: its backbone hog is no net; only Keras nets can"
    ):
        graphs.serving_graph(model, None)
    onnx: BackboneInfo = replace(get_backbone("lenet"), source="onnx", name="net.onnx")
    with pytest.raises(BenchError, match=r"net\.onnx is an ONNX file"):
        graphs.check_exportable(replace(model, parts=(onnx,)))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with one trained cell of many classes, and one of attributes."""
    folder = tmp_path_factory.mktemp("export")
    with pytest.MonkeyPatch.context() as patch:
        inside = InProcess(folder, patch)
        shared = (*TRAINED, "--set", "epochs=2", "--set", "resize=pad", "--regime", "scratch")
        inside.bench("run", "--task", "fashion", "--stage", "top20", *shared, results="one", cache="cache")
        assert inside.code == 0
        inside.bench("run", "--task", "multilabel", *shared, results="many", cache="cache")
        assert inside.code == 0
    yield folder


def cell_of(place: Path, results: str) -> Stored:
    from bench.store.write import Store

    return Store(place / results).load()[0][0]


def export(place: Path, out: Path, name: str, results: str = "one", *more: object) -> Any:
    """Run the command in this process."""
    cell = cell_of(place, results).id
    words = ("export-model", cell, "--format", name, "--out", out, "--results", place / results)
    args = [str(word) for word in (*words, "--cache", place / "cache", *more)]
    return CliRunner().invoke(cli, args, standalone_mode=False)


def script_of(folder: Path) -> Any:
    """Return the exported program as a module."""
    spec = importlib.util.spec_from_file_location("exported", folder / "predict.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", NAMES)
def test_every_format_gives_the_stored_scores_and_the_answers_of_bench_predict(
    name: str, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in FORMATS[name].needs:
        pytest.importorskip(package, reason=f"the extra `{FORMATS[name].extra}` is not installed")
    out = tmp_path / "new" / "served"
    done = export(place, out, name)
    assert done.exception is None and "31 test images reproduce their stored scores" in done.stdout
    assert {path.name for path in out.iterdir()} >= {
        "README.md",
        "model.json",
        "predict.py",
        FORMATS[name].file,
    }
    assert sorted(path.name for path in out.parent.iterdir()) == ["served"]
    # A transparent, a turned, a grey one, and one of 16 bits.
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = rng.integers(0, 256, (50, 80, 4)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels[..., :3]).save(tmp_path / "b.jpg", exif=exif)
    Image.fromarray(pixels[..., 0]).save(tmp_path / "c.png")
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(tmp_path / "d.png")
    photos = [str(tmp_path / photo) for photo in ("a.png", "b.jpg", "c.png", "d.png")]
    args = ["predict", cell_of(place, "one").id, *photos, "--results", str(place / "one"), "--format", "json"]
    expected = json.loads(CliRunner().invoke(cli, args, standalone_mode=False).stdout)
    capsys.readouterr()
    script_of(out).main(photos)
    lines = capsys.readouterr().out.splitlines()
    for line, theirs in zip(lines, expected, strict=True):
        ours = json.loads(line)
        assert (ours["image"], ours["decision"]) == (theirs["image"], theirs["decision"])
        for label, value in theirs["probabilities"].items():
            assert ours["probabilities"][label] == pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize(
    "name", ["openvino", pytest.param("onnx", marks=SLOW), pytest.param("litert", marks=SLOW)]
)
def test_attributes_are_decided_by_their_thresholds(name: str, place: Path, tmp_path: Path) -> None:
    for package in FORMATS[name].needs:
        pytest.importorskip(package, reason=f"the extra `{FORMATS[name].extra}` is not installed")
    done = export(place, tmp_path / "out", name, "many")
    assert done.exception is None, done.exception
    contract = json.loads((tmp_path / "out" / "model.json").read_text())
    assert contract["outputs"] == ["decisions", "probabilities"]
    stored = cell_of(place, "many")
    assert contract["classes"] == stored.record["classes"]
    images = np.random.default_rng(0).integers(0, 256, (3, *contract["input"]["shape"][1:])).astype(np.uint8)
    outputs = serving_script.load(tmp_path / "out", contract)(images)
    reached = outputs["probabilities"] >= np.array(contract["thresholds"], np.float32)
    np.testing.assert_array_equal(outputs["decisions"], reached)
    answer = serving_script.answer(contract, outputs, 0)
    names = np.array(contract["classes"])[reached[0]]
    assert answer["decision"] == names.tolist()


def test_prediction_sets_are_an_output_beside_the_class() -> None:
    head = random_head(84, cuts=np.array([0, 0.1, 0.3, 0.2, 0.9], np.float32))
    assert head.cuts is not None
    images = np.random.default_rng(1).integers(0, 256, (3, *SIZE, 3)).astype(np.uint8)
    graph = graphs.serving_graph(model_of(head), head.cuts.tolist(), "sets")
    found = {name: np.asarray(values) for name, values in graph(images, training=False).items()}
    assert sorted(found) == ["probabilities", "sets"]
    inside = found["probabilities"] >= head.cuts
    np.testing.assert_array_equal(found["sets"], inside)
    answer = serving_script.answer({"classes": list(head.classes)}, found, 0)
    assert answer["decision"] == head.classes[int(found["probabilities"][0].argmax())]
    assert answer["set"] == np.array(head.classes)[inside[0]].tolist() and "class 0" in answer["set"]


def test_the_card_says_what_the_model_is_and_how_good(place: Path, tmp_path: Path) -> None:
    assert export(place, tmp_path / "out", "keras").exception is None
    card, stored = (tmp_path / "out" / "README.md").read_text(), cell_of(place, "one")
    for part in ("Data and split", "Test metrics", "Warnings", "Check", "Origin"):
        assert f"\n## {part}\n" in card
    assert stored.id in card and stored.record["cell"]["data"]["fingerprint"][:16] in card
    assert "synthetic sample" in card and "leak in top20: 1 of 31 test images" in card
    assert "(n, 32, 32, 3)" in card and "mean colour of its border" in card
    value = f"{stored.record['metrics']['test']['top1_micro']:.3f}"
    (row,) = [line for line in card.splitlines() if line.startswith("| top-1  ")]
    name, shown, low, high, _ = (cell.strip() for cell in row.strip("|").split("|"))
    assert (name, shown) == ("top-1", value) and float(low) < float(shown) < float(high)
    # An empty folder may be there; a model never lies over another.
    (tmp_path / "empty").mkdir()
    assert export(place, tmp_path / "empty", "keras").exception is None
    error = export(place, tmp_path / "empty", "keras").exception
    assert isinstance(error, BenchError) and "is there and not an empty folder" in str(error)


def test_a_graph_that_gives_other_scores_is_not_written(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = graphs.serving_graph

    def shifted(model: ImageModel, thresholds: Any, thresholded: str) -> Any:
        head = model.head
        bias = head.bias + np.eye(1, len(head.bias), dtype=np.float32)[0] * np.float32(0.01)
        return exact(replace(model, head=replace(head, bias=bias)), thresholds, thresholded)

    monkeypatch.setattr("bench.inference.export_model.serving_graph", shifted)
    error = export(place, tmp_path / "out", "keras").exception
    assert isinstance(error, BenchError) and error.exit_code == 3
    assert "does not give the stored answers" in str(error) and "\n" not in str(error)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported_is_said_in_one_line_before_anything_is_built(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(results: Path, cell: str, name: str = "keras", *more: object) -> str:
        words = (
            "export-model",
            cell,
            "--format",
            name,
            "--out",
            tmp_path / "out",
            "--results",
            results,
            *more,
        )
        error = CliRunner().invoke(cli, [str(word) for word in words], standalone_mode=False).exception
        assert isinstance(error, BenchError) and "\n" not in str(error), error
        return str(error)

    monkeypatch.setattr("bench.inference.export_model.serving_graph", lambda *_: pytest.fail("was built"))
    pairs = put_cell(
        tmp_path / "pairs", faces(60, 20, 1.0, 0), kind="verification", task="faces", stage="all"
    )
    assert "tasks of kind verification do not answer image by image" in refused(tmp_path / "pairs", pairs)
    bare = put_cell(tmp_path / "bare", answers(20, 4, 0.5, 0))
    assert "train the cell again with --keep-model" in refused(tmp_path / "bare", bare)
    one = place / "one", cell_of(place, "one").id
    assert "unknown format 'onx'; did you mean 'onnx'?" in refused(*one, "onx")
    there = (*one, "keras", "--data", tmp_path)
    assert "was run on the synthetic sample: leave out --data" in refused(*there)
    monkeypatch.setattr("bench.inference.serving_formats.find_spec", lambda _: None)
    assert "pip install 'messybench[onnx]'" in refused(*one, "onnx")
    assert not (tmp_path / "out").exists()
