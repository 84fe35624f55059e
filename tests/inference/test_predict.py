"""A kept model says of an image file what the cell's stored scores say of the image."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from bench.backbones.registry import get_backbone
from bench.commands.main import cli
from bench.core.cell import Cell, DataId, MethodSpec
from bench.core.errors import BenchError, StoreError
from bench.core.predictions import CellResult, Predictions
from bench.data.decoding import workers
from bench.data.examples import Examples
from bench.data.pixels import ensure_pixels
from bench.data.sources import SOURCES, open_source
from bench.inference.predict import image_files
from bench.store.head_file import SavedHead, load_head, saved_head
from bench.store.loss_curve import LOSS_CURVE, loss_curve, save_loss_curve
from bench.store.read import MODEL
from bench.store.write import Store
from bench.training.fits import Hidden
from bench.training.linear_head import LinearHead
from tests import forked
from tests.grids import reseal

ROOT = Path(__file__).resolve().parents[2]
SETTING = {"preprocess": "backbone", "engine": "tensorflow", "resize": "pad", "input_size": "24x32"}
SIZE = (24, 32)
K = 7
CLASSES = ("Tops", "=1+1", "<script>", "\x1b[2J", "Tôps", "a b", "z")


def bench(*args: object) -> Any:
    """Run a command in this process."""
    return CliRunner().invoke(cli, [str(arg) for arg in args], standalone_mode=False)


def cell_of(regime: str, kind: str = "multiclass", weights: str = "random") -> Cell:
    return Cell(
        task="fashion",
        task_version=1,
        kind=kind,
        stage="top20",
        regime=regime,
        backbone="lenet",
        weights=weights,
        method=MethodSpec((), "none"),
        seed=0,
        protocol=tuple(sorted(SETTING.items())),
        data=DataId("drawn-tiny", "f" * 64),
    )


def put(root: Path, cell: Cell, items: tuple[str, ...], scores: np.ndarray) -> Path:
    """Store a cell whose test scores these are."""
    truth = np.arange(len(items), dtype=np.int32) % K
    known = None
    if cell.kind == "multilabel":
        truth, known = (scores > 0.4).astype(np.int32), np.full(K, 9)
    test = Predictions(items, None, truth, scores, CLASSES, np.full(K, 5), known)
    rows = ({"class": "Tops", "test_support": 1},)
    result = CellResult(cell, "ok", metrics={"test": {"top1_micro": 0.5}}, per_class=rows)
    return Store(root).commit(result, {"test": test})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of JPEGs of several sizes, and one picture that is not a JPEG at all."""
    out = tmp_path_factory.mktemp("data")
    SOURCES["kaggle-fashion"].write(SOURCES["kaggle-fashion"].draw("tiny"), out)
    some = sorted((out / "images").iterdir())[3]
    with Image.open(some) as image:
        image.convert("RGBA").resize((90, 50)).save(some, format="PNG")
    return out


@pytest.fixture(scope="module")
def examples(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Examples:
    return open_source("kaggle-fashion", folder, "tiny", tmp_path_factory.mktemp("c"), ("articleType",))


@pytest.fixture(scope="module")
def pixels(examples: Examples, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return ensure_pixels(examples, SIZE, "pad", tmp_path_factory.mktemp("pixels"))


def drawn_head(d: int, rng: np.random.Generator, cuts: np.ndarray | None = None) -> LinearHead:
    kernel = (rng.normal(size=(d, K)) / d).astype(np.float32)
    return LinearHead(kernel, rng.normal(size=K).astype(np.float32), cuts)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: np.ndarray = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares


@pytest.fixture(scope="module")
def frozen(
    examples: Examples, pixels: Any, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, np.ndarray, Cell]:
    """A stored frozen cell with a hidden layer, its scores computed from the run's own features."""
    from bench.backbones.feature_cache import Extraction

    place = tmp_path_factory.mktemp("frozen")
    info = get_backbone("lenet")
    features = np.asarray(
        Extraction(pixels, info, "random", "backbone", "tensorflow", place / "cache").features(), np.float64
    )
    rng = np.random.default_rng(0)
    mean, scale = features.mean(axis=0), features.std(axis=0) + 0.1
    hidden = Hidden(rng.normal(size=(84, 9)).astype(np.float32), rng.normal(size=9).astype(np.float32))
    head = drawn_head(9, rng)
    inner = np.maximum((features - mean) / scale @ hidden.kernel + hidden.bias, 0)
    scores = softmax(inner @ head.kernel + head.bias)
    cell = cell_of("frozen")
    target = put(place / "results", cell, examples.items, scores)
    saved_head(cell, CLASSES, SIZE, "softmax", head, hidden, mean, scale).save(target)
    reseal(target)
    return place / "results", scores, cell


def told(done: Any) -> dict[str, dict[str, float]]:
    return {Path(row["image"]).stem: row["probabilities"] for row in json.loads(done.stdout)}


def test_predicting_a_stored_image_gives_its_stored_score(
    frozen: tuple[Path, np.ndarray, Cell], folder: Path, examples: Examples
) -> None:
    root, _, cell = frozen
    done = bench("predict", cell.id8, folder / "images", "--results", root, "--format", "json")
    assert done.return_value == 0, done
    found = told(done)
    test = Store(root).load()[0][0].predictions("test")
    assert set(found) == set(examples.items) == set(test.items)
    for item, expected in zip(test.items, test.scores, strict=True):
        assert list(found[item]) == list(CLASSES)
        assert np.abs(np.array(list(found[item].values())) - expected).max() < 1e-5


def test_a_whole_net_is_rebuilt_from_its_variables(
    pixels: Any, examples: Examples, folder: Path, tmp_path: Path
) -> None:
    """Scores of the net of another seed, computed by Keras itself on all images at once."""
    from bench.backbones.registry import build_backbone, preprocess

    net = build_backbone(get_backbone("lenet"), SIZE, "random", seed=5)
    images = pixels.read(np.arange(len(pixels)))
    features = np.asarray(net(preprocess(get_backbone("lenet"))(images), training=False))
    rng = np.random.default_rng(1)
    head = drawn_head(84, rng)
    scores = softmax(features.astype(np.float64) @ head.kernel + head.bias)
    cell = cell_of("scratch")
    target = put(tmp_path, cell, examples.items, scores)
    variables = [np.asarray(held) for held in net.variables]
    saved_head(cell, CLASSES, SIZE, "softmax", head, net=variables).save(target)
    reseal(target)
    done = bench("predict", target, folder / "images", "--results", tmp_path, "--format", "json")
    for item, expected in zip(examples.items, scores, strict=True):
        assert np.abs(np.array(list(told(done)[item].values())) - expected).max() < 1e-5
    # A net of other shapes is not filled in silently.
    saved_head(cell, CLASSES, SIZE, "softmax", head, net=variables[:-1]).save(target)
    reseal(target)
    error = bench("predict", target, folder / "images", "--results", tmp_path).exception
    assert isinstance(error, StoreError) and "train the cell again" in str(error)


def test_convolutions_on_maps_are_rebuilt(
    pixels: Any, examples: Examples, folder: Path, tmp_path: Path
) -> None:
    """Maps, standardising and convolutions by Keras alone, cut off where lenet flattens."""
    import keras

    from bench.backbones.registry import build_backbone, preprocess
    from bench.training.nets.conv_head import build_conv

    net = build_backbone(get_backbone("lenet"), SIZE, "random")
    until = next(place for place, layer in enumerate(net.layers) if isinstance(layer, keras.layers.Flatten))
    x = preprocess(get_backbone("lenet"))(pixels.read(np.arange(len(pixels))))
    for layer in net.layers[:until]:
        x = layer(x)
    maps = np.asarray(x)
    mean, scale = maps.mean(axis=(0, 1, 2)), maps.std(axis=(0, 1, 2)) + 0.5
    conv = build_conv(maps.shape[1:], (5, 4), seed=3)
    rng = np.random.default_rng(2)
    head = drawn_head(4, rng, np.linspace(0.2, 0.8, K).astype(np.float32))
    logits = np.asarray(conv((maps - mean) / scale), np.float64) @ head.kernel + head.bias
    scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
    cell = cell_of("frozen", "multilabel")
    target = put(tmp_path, cell, examples.items, scores)
    variables = [np.asarray(held) for held in conv.variables]
    saved_head(cell, CLASSES, SIZE, "sigmoid", head, None, mean, scale, filters=(5, 4), net=variables).save(
        target
    )
    reseal(target)
    done = bench("predict", cell.id8, folder / "images", "--results", tmp_path, "--format", "json")
    answers = {Path(row["image"]).stem: row for row in json.loads(done.stdout)}
    cuts = head.cuts
    assert cuts is not None
    for item, expected in zip(examples.items, scores, strict=True):
        row = answers[item]
        assert np.abs(np.array(list(row["probabilities"].values())) - expected).max() < 1e-5
        sure = np.abs(expected - cuts) > 1e-5
        said = np.array([name in row["decision"] for name in CLASSES])
        assert (said == (expected >= cuts))[sure].all()
        assert list(row["cuts"].values()) == [float(cut) for cut in cuts]


def test_tables_show_the_top_classes_and_csv_every_one(
    frozen: tuple[Path, np.ndarray, Cell], folder: Path, examples: Examples
) -> None:
    root, scores, cell = frozen
    image = folder / "images" / f"{examples.items[0]}.jpg"
    order = np.argsort(-scores[0])
    table = bench("predict", cell.id8, image, "--results", root, "--top", 2).stdout
    assert table.startswith("fashion top20: lenet, none, seed 0") and "\x1b" not in table
    lines = [line.split() for line in table.splitlines() if f"{examples.items[0]}.jpg" in line]
    assert [line[1] for line in lines] == ["1", "2"]
    assert [line[-1] for line in lines] == [f"{scores[0][place]:.3f}" for place in order[:2]]
    rows = list(
        csv.DictReader(
            io.StringIO(bench("predict", cell.id8, image, "--results", root, "--format", "csv").stdout)
        )
    )
    assert [row["class"] for row in rows] == ["Tops", "'=1+1", "<script>", "", *CLASSES[4:]]
    assert [row["decision"] for row in rows].index("true") == order[0]
    assert sum(float(row["probability"]) for row in rows) == pytest.approx(1, abs=1e-6)
    assert bench("predict", cell.id8, image, "--results", root, "--format", "md").stdout.count("|") > 25


def test_what_is_no_image_costs_a_line_and_exit_4(
    frozen: tuple[Path, np.ndarray, Cell], folder: Path, examples: Examples, tmp_path: Path
) -> None:
    root, _, cell = frozen
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("no picture")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "none").mkdir()
    good = folder / "images" / f"{examples.items[1]}.jpg"
    (tmp_path / "cut.jpg").write_bytes(good.read_bytes()[:300])
    bad = [tmp_path / name for name in ("empty.jpg", "text.jpg", "pipe.jpg", "cut.jpg", "gone.jpg", "none")]
    (tmp_path / "e\x1bsc.jpg").write_bytes(b"x")
    named = [*bad[:3], good, *bad[3:], tmp_path / "e\x1bsc.jpg"]
    done = bench("predict", cell.id8, *named, "--results", root, "--format", "json")
    assert done.return_value == 4
    lines = done.stderr.splitlines()
    assert len(lines) == 7 and all(line.startswith("bench: ") for line in lines) and "\x1b" not in done.stderr
    for name, why in (
        ("empty.jpg", "empty file"),
        ("text.jpg", "not an image"),
        ("pipe.jpg", "not a file"),
        ("gone.jpg", "no such file"),
        ("none", "no image files"),
    ):
        assert any(name in line and why in line for line in lines)
    rows = json.loads(done.stdout)
    assert [row["decision"] is None for row in rows] == [True, True, True, False, True, True, True]
    alone = bench("predict", cell.id8, good, "--results", root, "--format", "json")
    assert json.loads(alone.stdout)[0]["probabilities"] == rows[3]["probabilities"]
    only = bench("predict", cell.id8, tmp_path / "text.jpg", "--results", root)
    assert only.return_value == 4 and "(no rows)" in only.stdout


def test_a_folder_gives_its_images_in_order_and_no_other_files(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", ".hidden.png", "notes.txt", "c.webp", "d.avif", "e.jfif"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "sub.png").mkdir()
    files, problems = image_files([str(tmp_path), "x.odd"])
    names = ["a.png", "b.JPG", "c.webp", "d.avif", "e.jfif", "x.odd"]
    assert [path.name for path in files] == names and not problems
    assert workers() >= 1


# Model files


def some_head(**changes: Any) -> SavedHead:
    rng = np.random.default_rng(0)
    head = drawn_head(9, rng, np.full(K, 0.25, np.float32))
    return replace(saved_head(cell_of("frozen"), CLASSES, SIZE, "sigmoid", head), **changes)


def test_a_model_comes_back_as_it_was_kept(tmp_path: Path) -> None:
    head = some_head(net=(np.arange(3, dtype=np.uint32), np.zeros((2, 2), np.float32)), filters=())
    assert head.save(tmp_path) == tmp_path / MODEL
    back = load_head(tmp_path)
    for name, value in vars(head).items():
        found = getattr(back, name)
        if isinstance(value, np.ndarray):
            assert found.dtype == value.dtype and np.array_equal(found, value)
        elif name == "net":
            assert all(np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(found, value, strict=True))
        else:
            assert found == value
    first = (tmp_path / MODEL).read_bytes()
    head.save(tmp_path)
    assert (tmp_path / MODEL).read_bytes() == first and [path.name for path in tmp_path.iterdir()] == [MODEL]


class Evil:
    def __reduce__(self) -> Any:
        return (os.mkdir, ("evil-was-here",))


def test_a_model_file_never_runs_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / MODEL, facts=np.array([Evil()], dtype=object), kernel=np.zeros(1))
    with pytest.raises(StoreError, match="not a saved model"):
        load_head(tmp_path)
    assert not (tmp_path / "evil-was-here").exists()


@pytest.mark.parametrize(
    "how", ["cut", "text", "empty", "squeezed", "version", "nan", "shape", "double", "facts"]
)
def test_a_damaged_model_is_one_line(tmp_path: Path, how: str) -> None:
    path = some_head().save(tmp_path)
    data = path.read_bytes()
    with np.load(path) as found:
        arrays = {name: found[name] for name in found.files}
    facts = json.loads(arrays["facts"].tobytes())
    if how in ("cut", "text", "empty"):
        path.write_bytes({"cut": data[:-80], "text": b"model", "empty": b""}[how])
    elif how == "squeezed":
        np.savez_compressed(path, **arrays)
    else:
        if how == "version":
            facts["version"] = 99
        if how == "facts":
            facts["classes"] = 5
        arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        if how == "nan":
            arrays["bias"] = np.full(K, np.nan, np.float32)
        if how == "shape":
            arrays["kernel"] = arrays["kernel"][:, :3]
        if how == "double":
            arrays["bias"] = arrays["bias"].astype(np.float64)
        np.savez(path, **arrays)
    with pytest.raises(StoreError, match="not a saved model") as raised:
        load_head(tmp_path)
    assert "\n" not in str(raised.value)


def test_parts_that_do_not_fit_are_not_written(tmp_path: Path) -> None:
    for changes in ({"bias": np.zeros(3, np.float32)}, {"mean": np.zeros(9, np.float32)}, {"link": "tanh"}):
        with pytest.raises(ValueError, match="."):
            some_head(**changes).save(tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(StoreError, match="cannot be written"):
        some_head().save(tmp_path / "gone")


def test_scores_are_what_the_arrays_say() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(11, 6)).astype(np.float32)
    a, b = rng.normal(size=(6, 9)).astype(np.float32), rng.normal(size=9).astype(np.float32)
    mean, scale = rng.normal(size=6).astype(np.float32), rng.uniform(1, 2, 6).astype(np.float32)
    head = some_head(mean=mean, scale=scale, hidden_kernel=a, hidden_bias=b)
    for row, scores in zip(x, head.scores(x), strict=True):
        inner = [
            max(0.0, sum((row[i] - mean[i]) / scale[i] * a[i, u] for i in range(6)) + b[u]) for u in range(9)
        ]
        for c in range(K):
            logit = sum(inner[u] * head.kernel[u, c] for u in range(9)) + head.bias[c]
            assert scores[c] == pytest.approx(1 / (1 + np.exp(-logit)), abs=1e-5)


# What cannot be asked


def test_a_cell_without_a_model_says_how_to_get_one(tmp_path: Path) -> None:
    cell = cell_of("frozen")
    target = put(tmp_path, cell, ("a", "b"), np.full((2, K), 1 / K, np.float32))
    for command in ("predict", "explain"):
        args = ("--out", tmp_path / "o") if command == "explain" else ()
        error = bench(command, cell.id8, "x.jpg", "--results", tmp_path, *args).exception
        assert isinstance(error, StoreError) and "--keep-model" in str(error)
    replace(some_head(), cell="0" * 64).save(target)
    reseal(target)
    error = bench("predict", cell.id8, "x.jpg", "--results", tmp_path).exception
    assert isinstance(error, StoreError) and "is of cell '00000000'" in str(error)
    some_head().save(target)
    reseal(target)
    error = bench("predict", cell.id8, "x.jpg", "--results", tmp_path).exception
    assert isinstance(error, StoreError) and "does not fit lenet" in str(error)
    error = bench("predict", "zzzz", "x.jpg", "--results", tmp_path).exception
    assert isinstance(error, BenchError) and "no stored cell begins with 'zzzz'" in str(error)
    error = bench("predict", str(target), "x.jpg", "--results", tmp_path / "other").exception
    assert isinstance(error, BenchError) and "name its --results folder" in str(error)


def test_weights_of_ones_own_must_be_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "w.h5").write_bytes(b"weights")
    cell = cell_of("frozen", weights="sha256:" + "0" * 64)
    target = put(tmp_path / "r", cell, ("a", "b"), np.full((2, K), 1 / K, np.float32))
    head = drawn_head(84, np.random.default_rng(0))
    saved_head(cell, CLASSES, SIZE, "softmax", head).save(target)
    reseal(target)
    says = {"name it with --weights": (), "is not the file": ("--weights", tmp_path / "w.h5")}
    for text, args in says.items():
        error = bench("predict", cell.id8, "x.jpg", "--results", tmp_path / "r", *args).exception
        assert isinstance(error, BenchError) and text in str(error)


# The loss curve


def test_the_loss_curve_is_a_picture_of_both_losses(tmp_path: Path) -> None:
    history = [{"epoch": i, "loss": 1 / i, "val_loss": None if i == 2 else 2 / i} for i in range(1, 6)]
    path = save_loss_curve(tmp_path, history, "<b>$x$")
    assert path == tmp_path / LOSS_CURVE
    with Image.open(path) as picture:
        assert picture.format == "PNG" and min(picture.size) > 200
    assert path.read_bytes() == loss_curve(history, "<b>$x$")
    other = [{**row, "val_loss": None} for row in history]
    assert loss_curve(other, "<b>$x$") != loss_curve(history, "<b>$x$")
    with pytest.raises(StoreError, match="cannot be written"):
        save_loss_curve(tmp_path / "gone", history)


def test_a_kept_model_is_a_plain_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(some_head().save(tmp_path)) as archive:
        assert {"facts.npy", "kernel.npy", "bias.npy", "cuts.npy"} == set(archive.namelist())


# The real command, from a folder of images to their probabilities


@pytest.mark.slow
@pytest.mark.parametrize("regime", [("--regime", "frozen", "--weights", "random"), ()])
def test_a_kept_model_of_a_real_run_gives_the_stored_scores(
    folder: Path, tmp_path: Path, regime: tuple[str, ...]
) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "BENCH_CACHE": str(tmp_path / "cache"),
        "BENCH_RESULTS": str(tmp_path / "results"),
    }

    def shell(*args: object) -> subprocess.CompletedProcess[str]:
        return forked.run([str(arg) for arg in args], tmp_path, environment)

    run = (
        "run",
        "--task",
        "fashion",
        "--data",
        folder,
        "--backbone",
        "lenet",
        "--method",
        "none,logit_adjust",
    )
    done = shell(
        *run, *regime, "--seed", 0, "--stage", "top20", "--set", "epochs=3", "--keep-model", "--quiet"
    )
    assert done.returncode == 0, done.stderr
    cells = Store(tmp_path / "results").load()[0]
    assert len(cells) == 2
    for stored in cells:
        assert (stored.folder / LOSS_CURVE).read_bytes().startswith(b"\x89PNG")
        told = shell("predict", stored.id[:8], folder / "images", "--format", "json")
        # What TensorFlow writes to standard error while it starts is nobody's business.
        assert told.returncode == 0 and not told.stderr
        answers = {Path(row["image"]).stem: row["probabilities"] for row in json.loads(told.stdout)}
        for split in ("test", *(() if stored.record["cell"]["protocol"]["refit"] else ("val",))):
            pred = stored.predictions(split)
            assert len(pred.items) >= 6
            for item, expected in zip(pred.items, pred.scores, strict=True):
                assert list(answers[item]) == list(pred.classes)
                assert np.abs(np.array(list(answers[item].values())) - expected).max() < 1e-5


def test_a_model_with_prediction_sets_gives_the_set_of_each_image() -> None:
    from bench.core.kind import get_kind
    from bench.inference.predict import ImageAnswer
    from bench.kinds.multiclass.predictor import ClassPredictor

    predictor = ClassPredictor(get_kind("multiclass"))
    cuts = np.array([0.5, 0.2, 0.0, 0.2, 0.9, 0.9, 0.9], np.float32)
    head = saved_head(
        cell_of("frozen"), CLASSES, SIZE, "softmax", drawn_head(3, np.random.default_rng(0), cuts)
    )
    scores = np.array([0.45, 0.2, 0.0, 0.35, 0.0, 0.0, 0.0], np.float32)
    answer, none = ImageAnswer("a.jpg", scores), ImageAnswer("b.jpg", np.zeros(K, np.float32))
    decision, more = predictor.facts(head, answer, 2)
    # Likeliest first; the likeliest class of all is not likely enough for its threshold.
    assert decision == "Tops" and more["set"] == ["\x1b[2J", "=1+1", "<script>"]
    rows = list(predictor.rows(head, answer))
    assert [row["in_set"] for row in rows] == [False, True, True, True, False, False, False]
    assert [row["decision"] for row in rows].index(True) == 0 and rows[1]["cut"] == pytest.approx(0.2)
    table = predictor.table(head, [answer, none], 2, "")
    assert [row["set"] for row in table.rows] == ["\x1b[2J, =1+1, <script>", None, "<script>", None]
    assert "in_set" not in next(iter(predictor.rows(replace(head, cuts=None), answer)))
    assert predictor.thresholds(head) == pytest.approx(cuts.tolist())
