"""Which engine extracts features where none is named, and what a cell's identity says of it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

from bench.backbones import engine_choice
from bench.backbones.engine_choice import with_engine
from bench.backbones.names import parts_of
from bench.backbones.problems import problem_with
from bench.core.paths import search_path
from bench.core.protocol import AUTO, defaults
from bench.runs.open_task import open_task
from bench.runs.plan import Request, make_plan

TF, OV = "tensorflow", "openvino"


@pytest.fixture(autouse=True)
def on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a GPU where OpenVINO is installed, whatever this one is."""
    monkeypatch.setattr(engine_choice, "gpus", tuple)
    monkeypatch.setattr(engine_choice, "find_spec", lambda name: name)


def chosen(backbone: str, regime: str = "frozen", **changes: Any) -> Any:
    setting = {**defaults(), "engine": AUTO, **changes}
    return with_engine(parts_of(backbone), regime, setting)["engine"]


@pytest.mark.parametrize(
    ("backbone", "regime", "changes", "engine"),
    [
        ("mobilenet_025", "frozen", {}, OV),
        ("lenet+hog", "frozen", {}, OV),
        ("lenet+tfidf", "frozen", {}, OV),
        ("hog+grey", "frozen", {}, TF),
        ("tfidf", "frozen", {}, TF),
        ("gru", "scratch", {}, TF),
        ("lenet", "scratch", {}, TF),
        ("lenet", "finetune", {}, TF),
        ("mobilenet_025", "frozen", {"precision": "mixed_bfloat16"}, TF),
        ("mobilenet_025", "frozen", {"engine": TF}, TF),
        ("mobilenet_025", "finetune", {"engine": OV}, OV),
    ],
)
def test_frozen_nets_run_on_openvino(
    backbone: str, regime: str, changes: dict[str, str], engine: str
) -> None:
    assert chosen(backbone, regime, **changes) == engine


def test_a_gpu_is_tensorflow_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "gpus", lambda: ("NVIDIA L4",))
    assert chosen("mobilenet_025") == TF
    assert chosen("mobilenet_025", engine=OV) == OV, "what is named is what runs"


def test_without_openvino_it_is_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_choice, "find_spec", lambda name: None)
    assert chosen("mobilenet_025") == TF
    setting = {**defaults(), "engine": OV}
    problem = problem_with(parts_of("mobilenet_025"), "frozen", "imagenet", setting)
    assert problem is not None and "pip install openvino, or --set engine=tensorflow" in problem
    assert problem_with(parts_of("lenet"), "scratch", "random", setting) is None


def test_openvino_knows_one_precision() -> None:
    setting = {**defaults(), "engine": OV, "precision": "mixed_float16"}
    problem = problem_with(parts_of("mobilenet_025"), "frozen", "imagenet", setting)
    assert problem == "engine=openvino computes in float32: add --set engine=tensorflow"
    assert problem_with(parts_of("mobilenet_025"), "finetune", "imagenet", setting) is None


def test_precision_is_for_nets() -> None:
    setting = {**defaults(), "precision": "mixed_float16"}
    assert (
        problem_with(parts_of("hog"), "frozen", "none", setting) == "precision is for nets, and hog has none"
    )
    assert problem_with(parts_of("lenet+hog"), "frozen", "random", setting) is None


def test_a_plan_names_what_runs(tmp_path: Any) -> None:
    """The identity holds the engine, never `auto`: equal to that of a user who names it."""

    def planned(**settings: str) -> dict[tuple[str, str], list[Any]]:
        found: dict[tuple[str, str], list[Any]] = {}
        for regime, backbones in (("frozen", ("lenet", "hog")), ("scratch", ("lenet",))):
            request = Request(
                "fashion",
                sample="tiny",
                backbones=backbones,
                methods=("none",),
                seeds="0",
                regime=regime,
                weights="random",
                settings=settings,
            )
            card, examples = open_task(request, search_path("tasks"), tmp_path)
            for cell in make_plan(card, request, examples).cells:
                found.setdefault((regime, cell.backbone), []).append(cell)
        return found

    auto, named = planned(), planned(engine=OV)
    assert {key: {cell.setting["engine"] for cell in cells} for key, cells in auto.items()} == {
        ("frozen", "lenet"): {OV},
        ("frozen", "hog"): {TF},
        ("scratch", "lenet"): {TF},
    }
    ids = [[cell.id for cell in plan["frozen", "lenet"]] for plan in (auto, named)]
    assert ids[0] == ids[1]
    assert planned(engine=AUTO)["frozen", "lenet"][0].id == ids[0][0]
    assert planned(engine=TF)["frozen", "lenet"][0].id != ids[0][0]


@pytest.mark.skipif(find_spec("openvino") is None, reason="OpenVINO is not installed")
def test_a_net_that_openvino_cannot_convert_is_one_line() -> None:
    pytest.importorskip("tensorflow")
    import keras
    import tensorflow as tf

    from bench.backbones.engines import load_engine
    from bench.core.errors import BenchError

    class Igamma(keras.layers.Layer):  # type: ignore[misc]
        def call(self, maps: Any) -> Any:
            means = tf.abs(tf.reduce_mean(maps, axis=(1, 2))) + 1.0
            return tf.math.igamma(means, tf.ones_like(means))

    image = keras.Input((8, 8, 3))
    net = keras.Model(image, Igamma()(image), name="odd")

    def load(engine: str) -> Any:
        return load_engine(engine, net, lambda pixels: tf.cast(pixels, "float32"), (8, 8))

    load(TF)
    with pytest.raises(BenchError, match="OpenVINO cannot convert odd: add --set engine=tensorflow") as error:
        load(OV)
    assert "Igamma" in str(error.value) and "\n" not in str(error.value)
