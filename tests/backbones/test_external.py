"""Backbones from outside: what planning reads of a file without Keras, and what it refuses, in one line."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.backbones import vectors
from bench.backbones.external import safe_name, split_names
from bench.backbones.info import ANY_SIZE, UNSPECIFIED
from bench.backbones.names import parts_of, resolve_backbones, stored_parts
from bench.backbones.problems import problem_with
from bench.backbones.registry import build_backbone, feature_spec, get_backbone, weights_ids
from bench.backbones.vectors import features_for
from bench.backbones.weights import check_count
from bench.core.errors import BenchError, WeightsError
from bench.core.protocol import defaults

keras = pytest.importorskip("keras")
layers = keras.layers

Build = Callable[[Any], Any]


def net_on(*between: Any, size: Any = (32, 32, 3), dtype: str = "float32", last: Any = None) -> Any:
    """Return a small functional model; `between` stands below its convolution."""
    images = keras.Input(size, dtype=dtype)
    x = images
    for layer in between:
        x = layer(x)
    x = layers.Conv2D(4, 3, strides=4, name="stem")(x)
    x = layers.GlobalAveragePooling2D(name="pooled")(x)
    return keras.Model(images, x if last is None else last(x))


def saved(model: Any, path: Path) -> Path:
    model.save(path)
    return path


def refusal(text: str | Path, **how: Any) -> str:
    with pytest.raises(BenchError) as caught:
        parts_of(str(text), **how)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def problem(text: str | Path, regime: str = "frozen", **setting: Any) -> str | None:
    return problem_with(parts_of(str(text)), regime, "imagenet", {**defaults(), **setting})


# What is read


def test_a_saved_model_is_known_by_its_content_not_its_place(tmp_path: Path) -> None:
    path = saved(net_on(layers.Rescaling(1 / 255)), tmp_path / "net.keras")
    (info,) = parts_of(str(path))
    assert (info.name, info.input_size, info.preprocess) == ("net.keras", (32, 32), "none")
    (tmp_path / "other").mkdir()
    copy = shutil.copy(path, tmp_path / "other")
    digest = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    assert weights_ids(parts_of(str(copy)), "imagenet") == weights_ids((info,), "random") == digest


def test_planning_imports_nothing_heavy(tmp_path: Path) -> None:
    path = saved(net_on(layers.Rescaling(1 / 255)), tmp_path / "net.keras")
    code = (
        "import sys; from bench.backbones.names import parts_of; parts_of(sys.argv[1]);"
        "assert not {'numpy', 'keras', 'tensorflow', 'openvino', 'h5py'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)


@pytest.mark.parametrize(
    ("build", "scales"),
    [
        (lambda: net_on(layers.Rescaling(1 / 127.5, -1)), True),
        (lambda: net_on(layers.Rescaling([1 / 58, 1 / 57, 1 / 57], [-2, -2, -2])), True),
        (lambda: net_on(layers.Normalization(mean=[123.7, 116.3, 103.5], variance=[1.0, 1.0, 1.0])), True),
        (lambda: net_on(lambda x: x / 127.5 - 1), True),
        (lambda: net_on(lambda x: x * (1 / 255)), True),
        (lambda: net_on(layers.RandomFlip(), layers.Resizing(16, 16), layers.Rescaling(1 / 255)), True),
        (lambda: net_on(keras.Sequential([layers.RandomFlip()]), layers.Rescaling(1 / 255)), True),
        (lambda: net_on(keras.Sequential([layers.Rescaling(1 / 255)])), True),
        (
            lambda: keras.Sequential([keras.Input((32, 32, 3)), layers.Rescaling(1 / 255), layers.Flatten()]),
            True,
        ),
        (lambda: keras.Sequential([net_on(layers.Rescaling(1 / 255))]), True),
        (lambda: net_on(lambda x: keras.ops.cast(x, "float32") / 9, dtype="uint8"), True),
        (lambda: net_on(), False),
        (lambda: net_on(layers.Rescaling(2.0, -1)), False),
        (lambda: net_on(layers.Normalization(mean=[0.48, 0.45, 0.4], variance=[1.0, 1.0, 1.0])), False),
        (lambda: net_on(lambda x: x / 2), False),
        (lambda: net_on(layers.BatchNormalization()), False),
    ],
)
def test_scaling_of_pixels_is_read_and_never_guessed(
    build: Callable[[], Any], scales: bool, tmp_path: Path
) -> None:
    path = saved(build(), tmp_path / "net.keras")
    (info,) = parts_of(str(path))
    assert info.preprocess == ("none" if scales else UNSPECIFIED)
    why = problem(path)
    assert (why is None) if scales else ("--set preprocess=unit|tf|torch|caffe|none" in str(why))
    assert problem(path, preprocess="torch") is None


def test_a_model_for_any_size_wants_one_named(tmp_path: Path) -> None:
    path = saved(net_on(layers.Rescaling(1 / 255), size=(None, None, 3)), tmp_path / "net.keras")
    (info,) = parts_of(str(path))
    assert info.input_size == ANY_SIZE and "--set input_size=224" in str(problem(path))
    assert problem(path, input_size="64") is None
    net = build_backbone(info, (64, 64))
    assert net(np.zeros((2, 64, 64, 3), np.float32)).shape == (2, 4)


def test_a_model_of_one_size_takes_no_other(tmp_path: Path) -> None:
    path = saved(net_on(layers.Rescaling(1 / 255)), tmp_path / "net.keras")
    assert "takes images of 32x32, not 64x64" in str(problem(path, input_size="64"))
    assert problem(path, input_size="32") is None


def test_layers_of_one_part_are_named_by_its_file(tmp_path: Path) -> None:
    path = saved(net_on(layers.Rescaling(1 / 255)), tmp_path / "net.keras")
    parts = parts_of(f"{path}+mobilenet_025")
    setting = {**defaults(), "layers": "net.keras:stem,net.keras:pooled"}
    assert problem_with(parts, "frozen", "imagenet", setting) is None
    assert [feature_spec(info, setting).layers for info in parts] == [("stem", "pooled"), ()]


def test_a_classifier_says_which_layer_has_features(tmp_path: Path) -> None:
    dense = layers.Dense(3, "softmax", name="classes")
    path = saved(net_on(layers.Rescaling(1 / 255), last=dense), tmp_path / "net.keras")
    why = str(problem(path))
    assert "ends in class probabilities (classes)" in why and "--set layers=pooled" in why
    assert problem(path, layers="pooled") is None and problem(path, layers="classes") is None
    assert "layers[-2].output" in str(problem(path, "finetune"))


def test_what_a_regime_and_a_setting_cannot_do(tmp_path: Path) -> None:
    path = saved(net_on(layers.Rescaling(1 / 255)), tmp_path / "net.keras")
    assert "use --regime frozen or finetune" in str(problem(path, "scratch"))
    assert problem(path, "finetune") is None
    assert "computes as it was saved" in str(problem(path, precision="mixed_float16"))


# What is refused


class Doubled(layers.Layer):  # type: ignore[misc,name-defined]
    """A layer of one's own."""

    def call(self, x: Any) -> Any:
        """Return twice the input."""
        return 2 * x


def _two_inputs() -> Any:
    one, two = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 3), name="right")
    return keras.Model([one, two], layers.Flatten()(one + two))


def _two_outputs() -> Any:
    images = keras.Input((8, 8, 3))
    flat = layers.Flatten(name="flat")(images)
    return keras.Model(images, [flat, layers.Dense(2, name="scores")(flat)])


def _text() -> Any:
    words = keras.Input((1,), dtype="string")
    return keras.Model(words, layers.Embedding(4, 2)(layers.TextVectorization(vocabulary=["a"])(words)))


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (_two_inputs, "has 2 inputs (left, right); a backbone takes one image"),
        (_two_outputs, "has 2 outputs (flat, scores); a backbone has one"),
        (_text, "has a layer TextVectorization: it is for text"),
        (lambda: net_on(layers.Lambda(lambda x: x / 255)), "has a Lambda layer, which is code: --allow-code"),
        (lambda: net_on(Doubled()), "Doubled', which is not Keras's: name a function that builds it"),
        (lambda: net_on(size=(32, 32, 1)), "takes images of 1 channels; they have 3"),
        (
            lambda: net_on(layers.Permute((2, 3, 1)), size=(3, 32, 32)),
            "32 channels; they have 3 (channels come",
        ),
        (lambda: keras.Sequential([keras.Input((7,)), layers.Dense(3)]), "arrays of shape (None, 7)"),
        (lambda: keras.Sequential([layers.Dense(3)]), "was saved before it was built"),
        (lambda: net_on(size=(None, 32, 3)), "both sides fixed, or both free"),
        (
            lambda: keras.Sequential([keras.Input(batch_shape=(4, 8, 8, 3)), layers.Flatten()]),
            "takes exactly 4 images at a time",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_what_is_no_backbone_is_refused_before_keras_reads_it(
    build: Callable[[], Any], says: str, tmp_path: Path
) -> None:
    assert says in refusal(saved(build(), tmp_path / "net.keras"))


def _zip(path: Path, members: Mapping[str, str | bytes]) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"config.json": "{}"},
        {"config.json": "{}", "model.weights.h5": b""},
        {"config.json": "[" * 100_000, "model.weights.h5": b""},
        {"config.json": '{"class_name": "Functional", "config": []}', "model.weights.h5": b""},
        {"config.json": b"\xff\xfe", "model.weights.h5": b""},
        {"config.json": " " * (65 * 2**20), "model.weights.h5": b""},
        {
            "config.json": '{"class_name":"Functional","config":{"layers":[],"input_layers":[["a",0,0]],'
            '"output_layers":[["a",0,0]]}}',
            "model.weights.h5": b"",
        },
    ],
)
def test_an_archive_that_is_no_model(members: Mapping[str, str | bytes], tmp_path: Path) -> None:
    _zip(tmp_path / "net.keras", members)
    refusal(tmp_path / "net.keras")


def test_files_that_are_none(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "net.keras")
    (tmp_path / "folder.keras").mkdir()
    assert "a folder, not a file" in refusal(tmp_path / "folder.keras")
    os.mkfifo(tmp_path / "pipe.keras")
    assert "a pipe, not a file" in refusal(tmp_path / "pipe.keras")
    (tmp_path / "text.keras").write_text("hello")
    assert "not a model that Keras saved" in refusal(tmp_path / "text.keras")
    (tmp_path / "old.keras").write_bytes(b"\x89HDF\r\n\x1a\n" + b"\0" * 100)
    assert "an HDF5 file by content" in refusal(tmp_path / "old.keras")
    assert "files of models and features end in .keras, " in refusal(tmp_path / "a.zip")
    for name, says in (("a.h5", "save it as .keras"), ("a.pt", "PyTorch"), ("a.pkl", "runs code")):
        assert says in refusal(tmp_path / name)


def test_code_in_a_file_runs_only_when_it_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "ran"
    monkeypatch.setenv("MARK", str(mark))
    code = layers.Lambda(lambda x: [__import__("os").system("touch $MARK"), x / 255][1])
    path = saved(net_on(code), tmp_path / "net.keras")
    mark.unlink()
    refusal(path)
    (info,) = parts_of(str(path), allow_code=True)
    assert not mark.exists(), "planning ran it"
    build_backbone(info, (32, 32))
    assert mark.exists()
    # Hidden in a place where planning looks for no layer.
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    rescaling, stem = config["config"]["layers"][1:3]
    stem["config"]["activation"] = rescaling["config"].pop("function")
    rescaling |= {"class_name": "Identity"}
    _zip(path, {**members, "config.json": json.dumps(config)})
    mark.unlink()
    assert "has a Lambda layer" in refusal(path)
    assert not mark.exists()


def test_weights_that_claim_too_much_are_not_unpacked(tmp_path: Path) -> None:
    import h5py

    path = saved(net_on(layers.Rescaling(1 / 255)), tmp_path / "net.keras")
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json")
    with h5py.File(tmp_path / "w.h5", "w") as store:
        store.create_dataset("layers/vars/0", (1 << 34,), "f4", chunks=(1 << 16,), compression="gzip")
    _zip(path, {"config.json": config, "model.weights.h5": (tmp_path / "w.h5").read_bytes()})
    (info,) = parts_of(str(path))
    with pytest.raises(BenchError, match=r"net.keras: Keras cannot load it \(ValueError: it claims"):
        build_backbone(info, (32, 32))


@pytest.mark.parametrize(
    ("last", "says"),
    [
        (lambda x: keras.ops.expand_dims(x, 1), r"gives arrays of shape \(None, 1, 4\).*--set layers=NAME"),
        (lambda x: keras.ops.sum(x, axis=1), r"gives arrays of shape \(None,\)"),
    ],
)
def test_an_output_that_is_no_features(last: Build, says: str, tmp_path: Path) -> None:
    path = saved(net_on(layers.Rescaling(1 / 255), last=last), tmp_path / "net.keras")
    (info,) = parts_of(str(path))
    with pytest.raises(BenchError, match=says):
        build_backbone(info, (32, 32))


def test_a_map_is_averaged_and_every_layer_can_be_trained(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Rescaling(1 / 255), layers.Conv2D(5, 3)])
    model.trainable = False
    (info,) = parts_of(str(saved(model, tmp_path / "net.keras")))
    net = build_backbone(info, (8, 8))
    images = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(net(images), model(images).numpy().mean(axis=(1, 2)), rtol=1e-5)
    assert len(net.trainable_variables) == 2


# Functions


MODULE = """
import keras
from pathlib import Path
Path(__file__).with_name("ran").touch()

def build():
    images = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, kernel_initializer="ones")(images)
    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(x))

def number():
    return 3

def fails():
    raise RuntimeError("no luck\\ntoday")

def leaves():
    raise SystemExit(0)
"""


def test_a_function_builds_a_backbone_and_planning_does_not_run_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    package = tmp_path / "nets_of_mine"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "small.py").write_text(MODULE)
    (info,) = parts_of("nets_of_mine.small:build")
    assert info.name == "nets_of_mine.small:build" and not (package / "ran").exists()
    why = str(problem("nets_of_mine.small:build"))
    assert "--set input_size=224" in why and "--set preprocess=" in why
    assert problem("nets_of_mine.small:build", input_size="32", preprocess="unit") is None
    assert weights_ids((info,), "") == f"sha256:{hashlib.sha256(MODULE.encode()).hexdigest()}"
    assert build_backbone(info, (32, 32)).output_shape == (None, 4) and (package / "ran").exists()
    for name, says in (
        ("build", r"takes arrays of shape \(None, 32, 32, 3\), not images \(None, 64, 64, 3\)"),
        ("number", "gives a int, not a keras.Model"),
        ("fails", r"it fails without arguments \(RuntimeError: no luck today\)"),
        ("leaves", r"it fails without arguments \(SystemExit: 0?\)"),
        ("nothing", "has no function nothing"),
    ):
        with pytest.raises(BenchError, match=says):
            build_backbone(parts_of(f"nets_of_mine.small:{name}")[0], (64, 64))
    assert "no module nets_of_mine.large" in refusal("nets_of_mine.large:build")
    with pytest.raises(BenchError, match="--allow-code runs it, if you trust it"):
        stored_parts(info.name, weights_ids((info,), ""), ())
    assert stored_parts(info.name, weights_ids((info,), ""), (), allow_code=True)[0].name == info.name
    (package / "small.py").write_text(MODULE + "\n# changed")
    with pytest.raises(BenchError, match="not the one that the cell was run with"):
        stored_parts(info.name, weights_ids((info,), ""), (), allow_code=True)


# Names


def test_commas_and_plus_signs_in_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "a,b+c.npz", ids=["1"], features=[[1.0]])
    assert split_names("lenet,a,b+c.npz, hog", ",") == ["lenet", "a,b+c.npz", "hog"]
    assert split_names("a,b+c.npz+hog", "+") == ["a,b+c.npz", "hog"]
    found = resolve_backbones(["lenet,a,b+c.npz+hog", "lenet"])
    assert [[info.name for info in parts] for parts in found] == [["lenet"], ["a_b_c.npz", "hog"]]
    assert safe_name(Path("x" * 100 + "\n.keras")) == "x" * 53 + "_.keras"
    with pytest.raises(BenchError, match="a name is empty"):
        resolve_backbones(["lenet,"])


def test_two_files_of_one_name_are_two_backbones(tmp_path: Path) -> None:
    for folder, value in (("a", 1.0), ("b", 2.0), ("c", 1.0)):
        (tmp_path / folder).mkdir()
        np.savez(tmp_path / folder / "x.npz", ids=["1"], features=[[value]])
    found = resolve_backbones([str(tmp_path / folder / "x.npz") for folder in "abc"])
    assert [parts[0].name for parts in found] == ["x.npz", "x.npz", "x.npz"]
    assert len({weights_ids(parts, "") for parts in found}) == 2


def test_a_stored_backbone_is_found_by_content(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", ids=["1"], features=[[1.0]])
    np.savez(tmp_path / "y.npz", ids=["1"], features=[[2.0]])
    identity = weights_ids(parts_of(f"{tmp_path / 'x.npz'}+hog"), "")
    with pytest.raises(BenchError, match=r"was run with the file x.npz: name it with --weights FILE"):
        stored_parts("x.npz+hog", identity, ())
    with pytest.raises(BenchError, match="y.npz' has another content"):
        stored_parts("x.npz+hog", identity, (str(tmp_path / "y.npz"),))
    (tmp_path / "x.npz").rename(tmp_path / "z.npz")
    named = f"{tmp_path / 'y.npz'},{tmp_path / 'z.npz'}+hog"
    assert [info.name for info in stored_parts("x.npz+hog", identity, (named,))] == ["x.npz", "hog"]


# Features


def _features(path: Path, ids: Any, features: Any) -> Path:
    if path.suffix == ".npz":
        np.savez(path, ids=ids, features=features)
    else:
        import pyarrow
        import pyarrow.parquet

        table = pyarrow.table({"ids": list(ids), "features": list(features)})
        pyarrow.parquet.write_table(table, path)
    return path


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_features_come_in_the_order_of_the_data(ending: str, dtype: type, tmp_path: Path) -> None:
    rows: np.ndarray = np.random.default_rng(0).normal(size=(4, 3)).astype(dtype)
    path = _features(tmp_path / f"f{ending}", ["b", "a", "d", "c"], rows)
    (info,) = parts_of(str(path))
    assert info.reads == "vectors" and not info.is_net
    found = features_for(info, ("a", "b", "c"))
    np.testing.assert_array_equal(found, rows[[1, 0, 3]].astype(np.float32))
    assert found.dtype == np.float32
    numbered = _features(tmp_path / f"g{ending}", np.array([7, 8, 9, 10]), rows)
    np.testing.assert_array_equal(
        features_for(parts_of(str(numbered))[0], ("10", "7")), rows[[3, 0]].astype(np.float32)
    )


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
@pytest.mark.parametrize(
    ("ids", "features", "says"),
    [
        (["a", "b"], [[1.0], [2.0]], "no features of 1 of 3 images (the first: 'c'"),
        (["x", "y"], [[1.0], [2.0]], "no features of any image (the first: 'a'; its own ids are like 'x')"),
        (["a", "b", "c"], [[1.0], [np.nan], [2.0]], "the features of 'b' hold NaN"),
        (["a", "b", "c"], [[1.0], [1e300], [2.0]], "the features of 'b' hold NaN, or numbers beyond float32"),
        (["a", "b", "c", "b"], [[1.0]] * 4, "the id 'b' appears twice"),
        (["a", "b", "c"], [["x"], ["y"], ["z"]], "numbers"),
        (["a", "b", "c"], [1.0, 2.0, 3.0], "numbers"),
        ([], [], "features"),
    ],
)
def test_faulty_features(ids: Any, features: Any, says: str, ending: str, tmp_path: Path) -> None:
    path = _features(tmp_path / f"f{ending}", ids, features)
    (info,) = parts_of(str(path))
    with pytest.raises(BenchError) as caught:
        features_for(info, ("a", "b", "c"))
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("values", [[{"a": 1.0}, {"a": 2.0}], [[("a", 1.0)], [("a", 2.0)]], [[1.0], None]])
def test_a_column_that_is_no_lists_of_numbers(values: Any, tmp_path: Path) -> None:
    import pyarrow.parquet

    kind = pyarrow.map_(pyarrow.string(), pyarrow.float64()) if values[0] == [("a", 1.0)] else None
    table = pyarrow.table({"ids": ["a", "b"], "features": pyarrow.array(values, kind)})
    pyarrow.parquet.write_table(table, tmp_path / "f.parquet")
    with pytest.raises(BenchError, match="not lists of numbers|has empty cells"):
        features_for(parts_of(str(tmp_path / "f.parquet"))[0], ("a", "b"))


def test_rows_that_unpack_to_too_much_are_not_all_read(tmp_path: Path, monkeypatch: Any) -> None:
    rows = np.zeros((2**16, 4), np.float32)
    (info,) = parts_of(str(_features(tmp_path / "f.parquet", np.arange(len(rows)), rows)))
    assert features_for(info, ("7",)).shape == (1, 4)
    vectors._read.cache_clear()
    monkeypatch.setattr(vectors, "_most", lambda size: 2**19)
    with pytest.raises(BenchError, match="its 65,536 rows unpack to too much"):
        features_for(info, ("7",))


def test_files_that_hold_no_features(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", x=[1])
    np.savez(tmp_path / "pickled.npz", ids=np.array(["a", 1], object), features=[[1.0], [2.0]])
    np.savez(tmp_path / "uneven.npz", ids=["a"], features=[[1.0], [2.0]])
    np.savez_compressed(tmp_path / "bomb.npz", ids=["a"], features=np.zeros((1, 1 << 28), np.int8))
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "text.parquet").write_text("hello")
    for name, says in {
        "other.npz": "no array 'ids' (it has: x)",
        "pickled.npz": "allow_pickle",
        "uneven.npz": "1 ids and 2 rows",
        "bomb.npz": "it claims 256 MiB",
        "text.npz": "is not a readable file",
        "text.parquet": "is not a readable file",
    }.items():
        with pytest.raises(BenchError) as caught:
            features_for(parts_of(str(tmp_path / name))[0], ("a",))
        assert says in str(caught.value) and "\n" not in str(caught.value)
    os.mkfifo(tmp_path / "pipe.npz")
    assert "a pipe, not a file" in refusal(tmp_path / "pipe.npz")


def test_features_are_for_the_frozen_regime_and_have_no_images(tmp_path: Path) -> None:
    path = _features(tmp_path / "f.npz", ["a"], [[1.0]])
    assert "use --regime frozen" in str(problem(path, "finetune"))
    assert "--set crop is for images" in str(problem(path, crop=0.5))
    assert problem(path) is None


# Weights files of another net


def test_a_whole_model_is_not_taken_for_weights_of_a_net(tmp_path: Path) -> None:
    path = saved(net_on(layers.Rescaling(1 / 255)), tmp_path / "net.keras")
    with pytest.raises(
        WeightsError, match=r"not of lenet: 112 numbers, not 61,156; as a backbone of its own"
    ):
        check_count(path, get_backbone("lenet"))
    lenet = build_backbone(get_backbone("lenet"), (32, 32))
    images, features = lenet.inputs[0], lenet.outputs[0]
    with_head = keras.Model(images, layers.Dense(7, name="top")(features))
    large = keras.Model(
        images, layers.Dense(99, name="c")(layers.Dense(99, name="b")(layers.Dense(90, name="a")(features)))
    )
    with_head.compile("adam")
    with_head.optimizer.build(with_head.trainable_variables)
    for name in ("own.keras", "own.weights.h5", "own.h5"):
        lenet.save(tmp_path / name) if "weights" not in name else lenet.save_weights(tmp_path / name)
        check_count(tmp_path / name, get_backbone("lenet"))
    check_count(saved(with_head, tmp_path / "head.keras"), get_backbone("lenet"))
    with pytest.raises(WeightsError, match="--backbone"):
        check_count(saved(large, tmp_path / "large.keras"), get_backbone("lenet"))
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(WeightsError, match="cannot be read"):
        check_count(tmp_path / "text.h5", get_backbone("lenet"))
