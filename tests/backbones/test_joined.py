"""Joined backbones: names taken apart, weights dealt out, features side by side; what cannot be joined."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.backbones.feature_cache import Extraction
from bench.backbones.info import FeatureSpec
from bench.backbones.inputs import JoinedInputs, PrecomputedFeatures, frozen_inputs, pixels_for
from bench.backbones.names import parts_of
from bench.backbones.problems import feature_map_problem, problem_with
from bench.backbones.registry import feature_spec, get_backbone, weights_ids, weights_of, width_of
from bench.core.cell import Value
from bench.core.errors import BenchError, WeightsError
from bench.core.protocol import defaults
from bench.data.augmentation import Recipe
from bench.data.examples import Examples
from bench.data.pixels import ensure_pixels
from bench.data.sources import open_source
from bench.data.splits import StageSplit
from bench.runs.plan_checks import saved_model_problem
from bench.runs.trainers import HeadTrainer


def setting_of(**changes: Value) -> dict[str, Value]:
    return {**defaults(), **changes}


def no_progress(done: int, total: int, what: str) -> None:
    """Tell nobody."""


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    return open_source("kaggle-fashion", None, "tiny", tmp_path_factory.mktemp("c"), ("articleType",))


# Names and weights


def test_a_joined_name_is_its_parts_in_their_order() -> None:
    assert [info.name for info in parts_of("hog + mobilenet_025")] == ["hog", "mobilenet_025"]
    assert parts_of("lenet") == (get_backbone("lenet"),)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mobilenet_025+hogg", "unknown backbone 'hogg'; did you mean 'hog'"),
        ("mobilenet_025+", "a part is empty"),
        ("+", "a part is empty"),
        ("hog+lbp+hog", "hog appears twice"),
    ],
)
def test_a_name_that_cannot_be_joined_is_one_line(name: str, says: str) -> None:
    with pytest.raises(BenchError, match=says):
        parts_of(name)


@pytest.mark.parametrize(
    ("name", "weights", "wanted"),
    [
        ("mobilenet_025", "imagenet", "imagenet"),
        ("mobilenet_025+mobilenetv2_035", "imagenet", "imagenet+imagenet"),
        ("mobilenet_025+lenet", "imagenet+random", "imagenet+random"),
        ("hog+mobilenet_025", "imagenet", "none+imagenet"),
        ("hog+mobilenet_025", "none+random", "none+random"),
        ("hog", "imagenet", "none"),
        ("hog+lbp", "random", "none+none"),
    ],
)
def test_weights_are_for_every_net_or_named_part_by_part(name: str, weights: str, wanted: str) -> None:
    assert weights_ids(parts_of(name), weights) == wanted


def test_a_weights_file_may_have_a_plus_in_its_name(tmp_path: Path) -> None:
    path = tmp_path / "one+other.h5"
    path.write_bytes(b"numbers")
    assert weights_of(parts_of("lenet+hog"), str(path)) == (str(path), "none")
    assert weights_ids(parts_of("hog+lenet"), str(path)).startswith("none+sha256:")
    with pytest.raises(WeightsError, match="lenet has no none weights"):
        weights_ids(parts_of("lenet+hog"), "none+none")


# What a protocol has read, and what makes no sense


def test_a_layer_is_for_every_net_or_for_the_one_that_is_named() -> None:
    setting = setting_of(layers="a,lenet:b,mobilenet_025:c", pool="grid2", mirror=True)
    assert feature_spec(get_backbone("lenet"), setting) == FeatureSpec(("a", "b"), "grid2", mirror=True)
    assert feature_spec(get_backbone("mobilenet_025"), setting) == FeatureSpec(
        ("a", "c"), "grid2", mirror=True
    )
    assert feature_spec(get_backbone("hog"), setting) == FeatureSpec(mirror=True)
    assert feature_spec(get_backbone("lenet"), defaults()) == FeatureSpec()
    with pytest.raises(BenchError, match="unknown backbone 'lenett'; did you mean 'lenet'"):
        feature_spec(get_backbone("lenet"), setting_of(layers="lenett:a"))
    with pytest.raises(BenchError, match="a layer of lenet is named twice"):
        feature_spec(get_backbone("lenet"), setting_of(layers="a,lenet:a"))


@pytest.mark.parametrize(
    ("name", "regime", "setting", "reason"),
    [
        ("lenet+hog", "frozen", {}, None),
        ("lenet+hog", "scratch", {}, "regime scratch trains one net"),
        ("lenet+hog", "finetune", {}, "regime finetune trains one net"),
        ("hog", "scratch", {}, "hog has nothing that regime scratch could train"),
        ("hog", "frozen", {"engine": "openvino"}, None),
        ("hog", "frozen", {"input_size": "20"}, "at least 24x24"),
        ("lenet+hog", "frozen", {"input_size": "20"}, "at least 24x24"),
        ("hog", "frozen", {"pool": "grid2"}, "for nets, and hog has none"),
        ("hog+grey", "frozen", {"unit_fields": True}, "for nets, and hog+grey has none"),
        ("hog", "frozen", {"layers": "conv_1"}, "names no layer of hog"),
        ("lenet+hog", "frozen", {"layers": "conv_1", "pool": "grid2"}, None),
        ("lenet+hog", "frozen", {"layers": "mobilenet_025:conv1"}, "names no layer of lenet+hog"),
        ("hog", "frozen", {"mirror": True, "crop": 0.5}, None),
        ("tfidf", "frozen", {"mirror": True}, "mirror is for images"),
        ("tfidf", "frozen", {"crop": 0.5}, "crop is for images"),
    ],
)
def test_problem_with(name: str, regime: str, setting: dict[str, Value], reason: str | None) -> None:
    problem = problem_with(parts_of(name), regime, "random", setting_of(**setting))
    assert problem is None if reason is None else reason in str(problem)


def test_handcrafted_features_want_their_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.backbones.problems.find_spec", lambda name: None)
    problem = problem_with(parts_of("lenet+hog"), "frozen", "random", defaults())
    assert problem is not None and "pip install 'messybench[handcrafted]'" in problem


def test_heads_of_convolutions_stand_on_one_net_s_last_map() -> None:
    assert feature_map_problem(parts_of("lenet"), defaults()) is None
    for name, changes in (
        ("lenet+hog", {}),
        ("hog", {}),
        ("lenet", {"pool": "grid2"}),
        ("lenet", {"mirror": True}),
    ):
        assert "conv needs" in str(feature_map_problem(parts_of(name), setting_of(**changes)))


def test_how_wide_features_are() -> None:
    assert width_of(parts_of("lenet+hog+grey"), defaults()) == 84 + 4356 + 1024
    assert width_of(parts_of("lenet"), setting_of(mirror=True)) == 84
    assert width_of(parts_of("lenet+hog"), setting_of(pool="grid2")) is None
    assert width_of(parts_of("lenet+tfidf"), defaults()) is None


def test_what_cannot_be_kept() -> None:
    assert saved_model_problem(parts_of("mobilenet_025+mobilenetv2_035"), defaults()) is None
    assert saved_model_problem(parts_of("mobilenet_025+hog"), setting_of(input_size="64")) is None
    says = str(saved_model_problem(parts_of("mobilenet_025+hog"), defaults()))
    assert "224x224" in says and "96x96" in says and "--set input_size" in says
    assert "reads titles" in str(saved_model_problem(parts_of("lenet+tfidf"), defaults()))


# Features


def test_joined_features_are_the_parts_side_by_side(examples: Examples, tmp_path: Path) -> None:
    """Each part at its own size, found where it is cached on its own."""
    setting = setting_of(crop=0.8)
    inputs = frozen_inputs(parts_of("grey+lenet+hog"), "random", setting, examples, tmp_path, no_progress)
    assert isinstance(inputs, JoinedInputs)
    wanted: list[Any] = []
    for name, size in (("grey", 32), ("lenet", 32), ("hog", 96)):
        pixels = ensure_pixels(examples, (size, size), "squash", tmp_path, crop=0.8)
        weights = "random" if name == "lenet" else "none"
        how = weights, "backbone", "tensorflow", tmp_path / "alone"
        wanted.append(Extraction(pixels, get_backbone(name), *how).features())
    assert inputs.features.shape == (len(examples), 1024 + 84 + 4356)
    np.testing.assert_array_equal(inputs.features, np.concatenate(wanted, axis=1))
    assert inputs.widths == (1024, 84, 4356) and inputs.features.dtype == np.float32
    assert pixels_for(get_backbone("hog"), setting, examples, tmp_path, no_progress).size == (96, 96)


def test_views_are_joined_view_by_view_and_maps_are_refused(examples: Examples, tmp_path: Path) -> None:
    together = frozen_inputs(parts_of("lenet+grey"), "random", defaults(), examples, tmp_path, no_progress)
    alone = [
        frozen_inputs(parts_of(name), "random", defaults(), examples, tmp_path, no_progress)
        for name in ("lenet", "grey")
    ]
    views = together.views(Recipe("flip"), 2)
    assert len(views) == 2
    for number, view in enumerate(views):
        wanted = [one.views(Recipe("flip"), 2)[number] for one in alone]
        np.testing.assert_array_equal(view, np.concatenate(wanted, axis=1))
    for inputs in (together, alone[1], JoinedInputs((PrecomputedFeatures(np.zeros((2, 3), np.float32)),))):
        with pytest.raises(BenchError, match="map"):
            _ = inputs.maps


# Heads on them


def split_of(count: int) -> StageSplit:
    rows, truth = np.arange(count), (np.arange(count) % 2).astype(np.int32)
    parts = rows[rows % 5 < 3], rows[rows % 5 == 3], rows[rows % 5 == 4]
    return StageSplit(("no", "yes"), truth, *parts, unseen=0, leaked=None)


def trainer_of(parts: list[np.ndarray], titles: int = 0, **changes: Value) -> HeadTrainer:
    inputs = JoinedInputs([PrecomputedFeatures(part) for part in parts])
    return HeadTrainer(inputs, split_of(len(parts[0])), setting_of(**changes), no_progress, titles=titles)


def test_parts_of_different_widths_count_alike() -> None:
    """The rows that are trained on have the same mean square length in each part."""
    rng = np.random.default_rng(0)
    parts = [rng.normal(3, 9, (200, width)).astype(np.float32) for width in (5, 80, 20)]
    trainer = trainer_of(parts)
    plain = np.concatenate(
        [(part - part[trainer.rows].mean(axis=0)) / part[trainer.rows].std(axis=0) for part in parts], axis=1
    )
    shrunk = np.repeat(np.sqrt([1, 80 / 5, 20 / 5]), (5, 80, 20))
    np.testing.assert_allclose(trainer.table, (plain / shrunk)[trainer.rows], atol=1e-5)
    np.testing.assert_allclose(trainer.embed(np.arange(200)), plain / shrunk, atol=1e-5)
    lengths = [(part**2).sum(axis=1).mean() for part in np.split(trainer.table, [5, 85], axis=1)]
    np.testing.assert_allclose(lengths, 5.0, rtol=1e-4)
    # Nested parts are parts; what is not standardised stays as it is.
    nested = JoinedInputs(
        (JoinedInputs([PrecomputedFeatures(part) for part in parts[:2]]), PrecomputedFeatures(parts[2]))
    )
    assert nested.widths == (5, 80, 20)
    raw = trainer_of(parts, standardize=False)
    np.testing.assert_array_equal(raw.table, np.concatenate(parts, axis=1)[raw.rows])


def test_titles_do_not_shrink_the_images_beside_them() -> None:
    rng = np.random.default_rng(1)
    parts = [rng.normal(size=(100, width)).astype(np.float32) for width in (16, 4)]
    trainer = trainer_of(parts, titles=4)
    own = parts[0][trainer.rows]
    np.testing.assert_allclose(trainer.table[:, :16], (own - own.mean(axis=0)) / own.std(axis=0), atol=1e-5)
    np.testing.assert_array_equal(trainer.table[:, 16:], parts[1][trainer.rows])
