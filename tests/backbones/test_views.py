"""Views are the features of changed images, maps what is averaged into features; both are cached alike."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.backbones import feature_cache as features
from bench.backbones.engines import unpooled
from bench.backbones.extract import Extractor
from bench.backbones.feature_cache import Extraction
from bench.backbones.registry import BACKBONES, build_backbone, get_backbone, preprocess
from bench.core.errors import BenchError, StoreError
from bench.data.augmentation import Recipe, load_change
from bench.data.cache.rows import CheckedRows
from bench.data.examples import Examples
from bench.data.pixels import ensure_pixels
from tests.backbones.test_feature_cache import ENGINES, FakePixels

LENET = get_backbone("lenet")
MOBILENET = get_backbone("mobilenet_025")
CROP = Recipe("crop")


def _pixels(count: int = 300, size: tuple[int, int] = (32, 32)) -> Any:
    return FakePixels(np.random.default_rng(0).integers(0, 256, (count, *size, 3), dtype=np.uint8))


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The mean of each image in the place of every engine, pooled or not; grows by one with each batch."""
    seen: list[int] = []

    def load(self: Extractor) -> Callable[[np.ndarray], np.ndarray]:
        shape = (84,) if self.pooled else (2, 3, 4)

        def extract(images: np.ndarray) -> np.ndarray:
            seen.append(len(images))
            return np.broadcast_to(_mean(images).reshape(-1, *[1] * len(shape)), (len(images), *shape))

        return extract

    monkeypatch.setattr(Extractor, "load", load)
    return seen


def _how(cache: Path, **changes: Any) -> dict[str, Any]:
    return {
        "info": LENET,
        "weights": "random",
        "preprocess": "backbone",
        "engine": "tensorflow",
        "cache": cache,
        "progress": lambda *_: None,
        **changes,
    }


def _views(pixels: Any, cache: Path, views: int, recipe: Recipe = CROP, **changes: Any) -> Any:
    return Extraction(pixels, **_how(cache, **changes), recipe=recipe).views(views)


def _folders(cache: Path) -> set[str]:
    return {path.name for path in (cache / "features").iterdir() if path.is_dir()}


def _mean(images: np.ndarray) -> np.ndarray:
    means: np.ndarray = images.reshape(len(images), -1).mean(axis=1)
    return means.astype(np.float32)


def test_the_features_cache_of_before_is_still_found(tmp_path: Path, counted: list[int]) -> None:
    Extraction(_pixels(30), **_how(tmp_path)).features()
    assert _folders(tmp_path) == {"lenet-ff9e2f55300b34c1"}


def test_a_view_is_the_features_of_changed_images(tmp_path: Path) -> None:
    pixels = _pixels(150)
    found = _views(pixels, tmp_path, 2)
    net, change = build_backbone(LENET, (32, 32)), load_change(CROP, (32, 32))
    for number, view in enumerate(found):
        assert view.shape == (150, 84) and view.dtype == np.float32
        assert isinstance(view, CheckedRows)
        changed = change(pixels.images, np.arange(150), number)
        expected = np.asarray(net(preprocess(LENET)(changed), training=False))
        np.testing.assert_allclose(view, expected, atol=1e-5)
    plain = Extraction(pixels, **_how(tmp_path)).features()
    assert not np.allclose(found[0], found[1], atol=1e-3) and not np.allclose(found[0], plain, atol=1e-3)


def test_more_views_take_up_those_that_are_there(tmp_path: Path, counted: list[int]) -> None:
    pixels = _pixels()
    two = [np.array(view) for view in _views(pixels, tmp_path, 2)]
    assert len(counted) == 2 * 3
    kept = _folders(tmp_path)
    five = _views(pixels, tmp_path, 5)
    assert len(counted) == 5 * 3 and kept < _folders(tmp_path)
    for one, other in zip(two, five, strict=False):
        np.testing.assert_array_equal(one, other)
    _views(pixels, tmp_path, 5)
    assert len(counted) == 5 * 3


def test_views_are_of_the_images_place_among_all(tmp_path: Path, counted: list[int]) -> None:
    pixels = _pixels()
    (whole,) = _views(pixels, tmp_path / "whole", 1)
    pixels.ok[[0, 5, 130]] = False
    (found,) = _views(pixels, tmp_path / "bad", 1)
    np.testing.assert_array_equal(np.isnan(found).all(axis=1), ~pixels.ok)
    np.testing.assert_array_equal(found[pixels.ok], whole[pixels.ok])
    (few,) = _views(_pixels(40), tmp_path / "few", 1)
    np.testing.assert_array_equal(few, whole[:40])


def test_what_could_differ_is_kept_apart(tmp_path: Path, counted: list[int]) -> None:
    pixels = _pixels(30)
    for recipe in (CROP, Recipe("crop", 0.7), Recipe("flip"), Recipe("flip", 0.7)):
        _views(pixels, tmp_path, 1, recipe)
    assert len(counted) == len(_folders(tmp_path)) == 3
    Extraction(pixels, **_how(tmp_path), pooled=False).rows()
    Extraction(pixels, **_how(tmp_path)).features()
    assert len(_folders(tmp_path)) == 5


def test_meta_tells_what_the_images_went_through(tmp_path: Path, counted: list[int]) -> None:
    _views(_pixels(30), tmp_path, 1)
    (path,) = (tmp_path / "features").glob("*/features.json")
    meta = json.loads(path.read_text(encoding="utf-8"))
    assert meta["augment"] == {"version": 1, "recipe": "crop", "strength": 0.5} and meta["view"] == 0
    assert meta["rows"]["shape"] == [30, 84]
    Extraction(_pixels(30), **_how(tmp_path / "maps"), pooled=False).rows()
    (path,) = (tmp_path / "maps" / "features").glob("*/features.json")
    meta = json.loads(path.read_text(encoding="utf-8"))
    assert meta["pooled"] is False and meta["rows"]["shape"] == [30, 2, 3, 4]


def test_interrupted_views_go_on_where_they_stopped(
    tmp_path: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "SAVE_SECONDS", 0.0)
    told: list[tuple[int, str]] = []

    def stop(done: int, total: int, what: str) -> None:
        told.append((done, what))
        if done >= 256 and "view 2" in what:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _views(_pixels(), tmp_path, 3, progress=stop)
    assert len(_folders(tmp_path)) == 2  # the first, and what there is of the second
    assert told[-1] == (256, "features of lenet, crop, view 2")
    counted.clear()
    found = _views(_pixels(), tmp_path, 3)
    assert len(counted) == 2 + 3
    for view, whole in zip(found, _views(_pixels(), tmp_path / "whole", 3), strict=True):
        np.testing.assert_array_equal(view, whole)


def test_interrupted_maps_go_on_where_they_stopped(
    tmp_path: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(features, "SAVE_SECONDS", 0.0)

    def stop(done: int, total: int, what: str) -> None:
        if done >= 256 and what == "feature maps of lenet":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Extraction(_pixels(), **_how(tmp_path, progress=stop), pooled=False).rows()
    counted.clear()
    found = Extraction(_pixels(), **_how(tmp_path), pooled=False).rows()
    assert len(counted) == 2 + 1  # what is left, and the batch that shows what shape a map has
    np.testing.assert_array_equal(
        found, Extraction(_pixels(), **_how(tmp_path / "whole"), pooled=False).rows()
    )


def test_two_builders_compute_once(tmp_path: Path, counted: list[int]) -> None:
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda: answers.append(_views(_pixels(), tmp_path, 2))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counted) == 6 and len(answers) == 3
    for first, second in answers:
        np.testing.assert_array_equal(first, answers[0][0])
        np.testing.assert_array_equal(second, answers[0][1])


@pytest.mark.parametrize("engine", ENGINES)
def test_maps_are_what_is_averaged_into_features(engine: str, tmp_path: Path) -> None:
    pixels = _pixels(5, (70, 100))
    how = _how(tmp_path, info=MOBILENET, engine=engine)
    maps, pooled = Extraction(pixels, **how, pooled=False).rows(), Extraction(pixels, **how).features()
    assert maps.shape == (5, 2, 3, 256) and maps.dtype == np.float32 and isinstance(maps, CheckedRows)
    np.testing.assert_allclose(np.asarray(maps).mean(axis=(1, 2)), pooled, atol=1e-6, rtol=1e-4)
    assert np.ptp(maps, axis=(1, 2)).max() > 0


def test_maps_of_quarantined_images_are_nan_and_damage_is_mended(tmp_path: Path, counted: list[int]) -> None:
    pixels = _pixels()
    pixels.ok[[7, 8, 299]] = False
    maps = np.array(Extraction(pixels, **_how(tmp_path), pooled=False).rows())
    assert maps.shape == (300, 2, 3, 4)
    np.testing.assert_array_equal(np.isnan(maps).all(axis=(1, 2, 3)), ~pixels.ok)
    np.testing.assert_array_equal(maps[pixels.ok, 1, 2, 3], _mean(pixels.images)[pixels.ok])
    (rows,) = tmp_path.glob("features/*/features.npy")
    rows.write_bytes(rows.read_bytes()[:-100])
    np.testing.assert_array_equal(Extraction(pixels, **_how(tmp_path), pooled=False).rows(), maps)
    assert len(counted) == 2 * (1 + 3)


def test_maps_that_are_not_finite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def extract(images: np.ndarray) -> np.ndarray:
        out = np.zeros((len(images), 2, 2, 3), np.float32)
        out[5, 1, 0, 2] = np.nan
        return out

    monkeypatch.setattr(Extractor, "load", lambda _: extract)
    with pytest.raises(BenchError, match="lenet gives image 5 .* not finite"):
        Extraction(_pixels(30), **_how(tmp_path), pooled=False).rows()
    assert not _folders(tmp_path)


def test_maps_that_the_disk_has_no_room_for(
    tmp_path: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 10})())
    with pytest.raises(StoreError, match="make room"):
        Extraction(_pixels(), **_how(tmp_path), pooled=False).rows()
    assert len(counted) == 1


class _Made:
    """Photos of no particular shape."""

    def read(self, index: int) -> np.ndarray:
        return np.random.default_rng(index).integers(0, 256, (40 + index, 60, 3), np.uint8)

    def content_hashes(self) -> tuple[str, ...]:
        return tuple(map(str, range(6)))


def test_images_need_not_be_square_from_pixels_to_views(tmp_path: Path) -> None:
    examples = Examples(tuple("abcdef"), {}, _Made(), "f", "made")
    pixels = ensure_pixels(examples, (35, 45), "pad", tmp_path)
    how = _how(tmp_path)
    assert pixels.size == (35, 45)
    assert Extraction(pixels, **how).features().shape == (6, 84)
    assert Extraction(pixels, **how, pooled=False).rows().shape == (6, 5, 8, 16)
    (view,) = _views(pixels, tmp_path, 1, Recipe("rotate"))
    change, net = load_change(Recipe("rotate"), (35, 45)), build_backbone(LENET, (35, 45))
    rows = np.arange(6)
    expected = np.asarray(net(preprocess(LENET)(change(pixels.read(rows), rows, 0)), training=False))
    np.testing.assert_allclose(view, expected, atol=1e-5)


def _smallest_of_each_family() -> list[str]:
    families: dict[str, str] = {}
    nets = [info for info in BACKBONES.values() if info.is_net and info.reads == "pixels"]
    for info in sorted(nets, key=lambda info: info.parameters):
        families.setdefault(info.family, info.name)
    return sorted(families.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", _smallest_of_each_family())
def test_every_family_has_a_map_from_which_its_features_follow(name: str) -> None:
    import keras

    info = get_backbone(name)
    size = (info.min_size, info.min_size)
    net = build_backbone(info, size)
    cut = unpooled(net)
    images = preprocess(info)(np.random.default_rng(3).integers(0, 256, (2, *size, 3), dtype=np.uint8))
    maps = np.asarray(cut(images, training=False))
    assert maps.ndim == 4
    rest = keras.Model(cut.outputs[0], net.outputs[0])
    expected = np.asarray(net(images, training=False))
    np.testing.assert_allclose(np.asarray(rest(maps)).reshape(expected.shape), expected, rtol=1e-4)
