"""What is read of a net: layers, grids and mirrors against Keras run by hand; old caches still serve."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.backbones.engines import batch_for, feature_extractor
from bench.backbones.feature_cache import Extraction
from bench.backbones.info import POOLS, FeatureSpec
from bench.backbones.registry import build_backbone, get_backbone, preprocess
from bench.core.errors import BenchError
from bench.data.augmentation import Recipe, load_change
from tests.backbones.test_feature_cache import FakePixels

MOBILENET, LENET = get_backbone("mobilenet_025"), get_backbone("lenet")
SIZE = (96, 96)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="module")
def net() -> Any:
    return build_backbone(MOBILENET, SIZE)


def pixels_of(count: int, size: tuple[int, int] = SIZE) -> Any:
    return FakePixels(np.random.default_rng(0).integers(0, 256, (count, *size, 3), dtype=np.uint8))


def ensure(pixels: Any, cache: Path, spec: FeatureSpec, **changes: Any) -> np.ndarray:
    how: dict[str, Any] = {"info": MOBILENET, "weights": "random", "preprocess": "backbone"}
    how |= {"engine": "tensorflow", "cache": cache, **changes}
    return np.asarray(Extraction(pixels, **how, spec=spec).features())


def run_by_hand(net: Any, images: np.ndarray, name: str) -> np.ndarray:
    """Run a sequence of layers one after the other, up to and with the one of this name."""
    x = preprocess(MOBILENET)(images)
    for layer in net.layers[1:]:
        x = layer(x, training=False) if "bn" in layer.name else layer(x)
        if layer.name == name:
            return np.asarray(x)
    raise AssertionError(name)


def close(found: np.ndarray, wanted: np.ndarray) -> None:
    """Compare by the largest value there is: those of nets with random weights are as small as they like."""
    assert found.shape == wanted.shape and np.abs(wanted).max() > 0
    np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max(), rtol=0)


def grid_of(maps: np.ndarray, fields: int) -> np.ndarray:
    """Average the fields of a grid, each from the floor of its beginning to the ceiling of its end."""
    _, height, width, _ = maps.shape
    rows = []
    for i in range(fields):
        for j in range(fields):
            top, bottom = int(np.floor(i * height / fields)), int(np.ceil((i + 1) * height / fields))
            left, right = int(np.floor(j * width / fields)), int(np.ceil((j + 1) * width / fields))
            rows.append(maps[:, top:bottom, left:right].astype(np.float64).mean(axis=(1, 2)))
    return np.concatenate(rows, axis=1)


@pytest.mark.parametrize("pool", POOLS)
def test_layers_are_pooled_and_stand_side_by_side(net: Any, pool: str, tmp_path: Path) -> None:
    names = ("conv_pw_3_relu", "conv_pw_5_relu") if pool == "grid8" else ("conv_pw_5_relu", "conv_pw_8_relu")
    pixels = pixels_of(batch_for(SIZE) // 8)
    found = ensure(pixels, tmp_path, FeatureSpec(names, pool))
    maps = [run_by_hand(net, pixels.images, name) for name in names]
    wanted = np.concatenate([grid_of(one, POOLS[pool]) for one in maps], axis=1)
    # Layer by layer, as they differ in scale.
    width = POOLS[pool] ** 2 * maps[0].shape[-1]
    close(found[:, :width], wanted[:, :width])
    close(found[:, width:], wanted[:, width:])
    # The order of the names is the order of the features.
    turned = ensure(pixels, tmp_path, FeatureSpec(names[::-1], pool))
    width = POOLS[pool] ** 2 * maps[1].shape[-1]
    np.testing.assert_array_equal(np.concatenate([turned[:, width:], turned[:, :width]], axis=1), found)


def test_a_grid_of_the_last_map_averages_to_the_net_s_own_features(net: Any, tmp_path: Path) -> None:
    pixels = pixels_of(4, (128, 128))
    plain, grid = ensure(pixels, tmp_path, FeatureSpec()), ensure(pixels, tmp_path, FeatureSpec(pool="grid2"))
    # A map of 4x4 falls into four fields of 2x2.
    close(grid.reshape(4, 4, 256).mean(axis=1), plain)
    last = ensure(pixels, tmp_path, FeatureSpec(("conv_pw_13_relu",)))
    close(last, plain)


def test_a_layer_that_gives_a_row_is_read_as_it_is(tmp_path: Path) -> None:
    pixels = pixels_of(3, (32, 32))
    found = ensure(pixels, tmp_path, FeatureSpec(("pool_1", "dense_1"), "grid2"), info=LENET)
    x, wanted = preprocess(LENET)(pixels.images), []
    for layer in build_backbone(LENET, (32, 32)).layers:
        x = layer(x)
        if layer.name in ("pool_1", "dense_1"):
            wanted.append(grid_of(np.asarray(x), 2) if len(x.shape) == 4 else np.asarray(x))
    close(found, np.concatenate(wanted, axis=1))


@pytest.mark.parametrize("pool", ["average", "grid2"])
def test_unit_features_have_length_one_by_field_and_by_layer(net: Any, pool: str, tmp_path: Path) -> None:
    names, pixels, grid = ("conv_pw_5_relu", "conv_pw_8_relu"), pixels_of(4), POOLS[pool]
    found = ensure(pixels, tmp_path, FeatureSpec(names, pool, unit=True))
    wanted = []
    for name in names:
        rows = grid_of(run_by_hand(net, pixels.images, name), grid).reshape(len(pixels), grid**2, -1)
        rows /= np.sqrt((rows**2).sum(axis=2, keepdims=True)) * grid
        np.testing.assert_allclose((rows**2).sum(axis=(1, 2)), 1.0)
        wanted.append(rows.reshape(len(pixels), -1))
    np.testing.assert_allclose(found, np.concatenate(wanted, axis=1), atol=1e-5)
    # Of a net's own features the length alone changes.
    small = pixels_of(4, (32, 32))
    plain, alone = (ensure(small, tmp_path, FeatureSpec(unit=unit), info=LENET) for unit in (False, True))
    close(alone, plain / np.linalg.norm(plain, axis=1, keepdims=True))


def test_mirrored_features_are_the_mean_of_both_ways(tmp_path: Path) -> None:
    pixels = pixels_of(6)
    pixels.ok[2] = False
    flipped: Any = FakePixels(np.flip(pixels.images, axis=2).copy(), pixels.ok, "flipped")
    both = ensure(pixels, tmp_path / "a", FeatureSpec(mirror=True))
    one, other = (ensure(some, tmp_path / "b", FeatureSpec()) for some in (pixels, flipped))
    np.testing.assert_allclose(both, (np.asarray(one, np.float64) + other) / 2, rtol=1e-6)
    assert np.isnan(both[2]).all() and np.isfinite(np.delete(both, 2, axis=0)).all()
    # An image and its mirror have the same features.
    again = ensure(flipped, tmp_path / "c", FeatureSpec(mirror=True))
    close(np.delete(again, 2, axis=0), np.delete(both, 2, axis=0))


def test_views_are_read_like_the_images(tmp_path: Path) -> None:
    pixels, recipe = pixels_of(5, (32, 32)), Recipe("crop")
    spec = FeatureSpec(("conv_2",), mirror=True)
    how = pixels, LENET, "random", "backbone", "tensorflow", tmp_path
    (view,) = Extraction(*how, spec=spec, recipe=recipe).views(1)
    changed: Any = FakePixels(load_change(recipe, (32, 32))(pixels.images, np.arange(5), 0), key="changed")
    np.testing.assert_allclose(view, ensure(changed, tmp_path, spec, info=LENET), atol=1e-6)


def digest(key: dict[str, Any]) -> str:
    text = json.dumps(key, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def test_caches_from_before_layers_were_read_still_serve(tmp_path: Path) -> None:
    key = {
        "version": 1,
        "pixels": "fake",
        "backbone": "lenet",
        "weights": "random",
        "preprocess": "tf",
        "size": [32, 32],
        "engine": "tensorflow",
    }
    pixels = pixels_of(2, (32, 32))
    ensure(pixels, tmp_path, FeatureSpec(), info=LENET)
    assert (tmp_path / "features" / f"lenet-{digest(key)}").is_dir()
    ensure(pixels, tmp_path, FeatureSpec(mirror=True), info=LENET)
    ensure(pixels, tmp_path, FeatureSpec(("conv_1",)), info=LENET)
    ensure(pixels, tmp_path, FeatureSpec(unit=True), info=LENET)
    changes: list[dict[str, Any]] = [{}, {"mirrored": True}, {"layers": ["conv_1"], "pool": "average"}]
    changes += [{"layers": [], "pool": "average", "unit": True}]
    names = {f"lenet-{digest({**key, **change})}" for change in changes}
    assert {path.name for path in (tmp_path / "features").iterdir() if path.is_dir()} == names


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (FeatureSpec(("conv_pw_3_rel",)), "did you mean 'conv_pw_3_relu'"),
        (FeatureSpec(("conv_pw_13_relu",), "grid4"), "3x3, too small for a grid of 4x4"),
        (FeatureSpec(pool="grid8"), "3x3, too small for a grid of 8x8"),
    ],
)
def test_what_cannot_be_read_is_one_line(net: Any, spec: FeatureSpec, says: str) -> None:
    with pytest.raises(BenchError, match=says) as caught:
        feature_extractor(net, spec)
    assert "\n" not in str(caught.value)
