"""Hand-crafted features equal scikit-image's, have a fixed length, and are cached like a net's."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("skimage", reason="the extra `handcrafted` is not installed")

from skimage.feature import hog, local_binary_pattern

from bench.backbones.feature_cache import Extraction
from bench.backbones.handcrafted import DESCRIPTORS, load_handcrafted
from bench.backbones.handcrafted_table import HANDCRAFTED
from bench.backbones.info import BackboneInfo
from bench.backbones.registry import get_backbone
from tests.backbones.test_feature_cache import FakePixels

SIZES = ((96, 96), (33, 50), (224, 224), (100, 61))


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


def photo(size: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Smooth shapes with some noise: what has gradients and textures."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize(size[::-1], Image.Resampling.BICUBIC), np.float64)
    return np.clip(smooth + rng.normal(0, 9, (*size, 3)), 0, 255).astype(np.uint8)


def grey_of(image: np.ndarray) -> np.ndarray:
    """Luminance by ITU-R BT.709's weights, 0 to 1."""
    weighed: np.ndarray = image.astype(np.float64) @ np.array([0.2125, 0.7154, 0.0721]) / 255.0
    return weighed


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("info", HANDCRAFTED, ids=lambda info: info.name)
def test_contract(info: BackboneInfo, size: tuple[int, int]) -> None:
    """As many features as the table says at any size, finite, the same in any batch; two images differ."""
    extract, images = load_handcrafted(info), np.stack([photo(size, seed) for seed in range(3)])
    rows = extract(images)
    assert rows.shape == (3, info.features) and rows.dtype == np.float32
    assert np.isfinite(rows).all() and not np.array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(extract(images[::-1])[::-1], rows)
    assert np.isfinite(extract(np.zeros_like(images))).all()
    assert min(size) >= info.min_size and set(DESCRIPTORS) == {one.builder for one in HANDCRAFTED}


def test_hog_is_that_of_scikit_image() -> None:
    image = photo((96, 96))
    wanted = hog(grey_of(image), 9, (8, 8), (2, 2), "L2-Hys", transform_sqrt=True, feature_vector=True)
    np.testing.assert_allclose(DESCRIPTORS["hog"](image), wanted, atol=1e-6)
    # What 12 cells do not divide is left out alike on both sides: 100 is 2 + 96 + 2, 61 is 60 + 1.
    odd = photo((100, 61), 1)
    wanted = hog(grey_of(odd)[2:98, 0:60], 9, (8, 5), (2, 2), "L2-Hys", transform_sqrt=True)
    np.testing.assert_allclose(DESCRIPTORS["hog"](odd), wanted, atol=1e-6)


def test_lbp_counts_the_patterns_of_scikit_image_field_by_field() -> None:
    image = photo((96, 64))
    grey = np.rint(grey_of(image) * 255).astype(np.uint8)
    patterns: Any = local_binary_pattern
    codes = patterns(grey, 8, 2, "nri_uniform").astype(int)
    wanted = []
    for top in range(0, 96, 12):
        for left in range(0, 64, 8):
            field = codes[top : top + 12, left : left + 8]
            wanted += [np.sqrt((field == pattern).mean()) for pattern in range(59)]
    found = DESCRIPTORS["lbp"](image)
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    # Shares of every field add up to one.
    np.testing.assert_allclose((found.reshape(64, 59) ** 2).sum(axis=1), 1.0, atol=1e-5)


def test_grey_is_the_mean_of_every_field() -> None:
    image = photo((64, 128), 4)
    wanted = grey_of(image).reshape(32, 2, 32, 4).mean(axis=(1, 3)).ravel()
    np.testing.assert_allclose(DESCRIPTORS["grey"](image), wanted, atol=1e-6)
    whole = photo((32, 32), 5)
    np.testing.assert_allclose(DESCRIPTORS["grey"](whole), grey_of(whole).ravel(), atol=1e-6)


@pytest.mark.parametrize("name", ["hog", "lbp", "grey"])
def test_the_cache_holds_them_by_image_and_not_by_the_nets_settings(name: str, tmp_path: Path) -> None:
    images = np.stack([photo((40, 40), seed) for seed in range(5)])
    pixels: Any = FakePixels(images, np.array([True, True, False, True, True]))
    how: dict[str, Any] = {"info": get_backbone(name), "weights": "none", "cache": tmp_path}
    found = Extraction(pixels, preprocess="backbone", engine="tensorflow", **how).features()
    assert np.isnan(found[2]).all()
    for place in (0, 1, 3, 4):
        np.testing.assert_array_equal(found[place], DESCRIPTORS[name](images[place]))
    again = Extraction(pixels, preprocess="caffe", engine="openvino", **how).features()
    np.testing.assert_array_equal(again, found)
    (folder,) = [path for path in (tmp_path / "features").iterdir() if path.is_dir()]
    meta = json.loads((folder / "features.json").read_text())
    assert meta["backbone"] == name and meta["weights"] == "none" and meta["handcrafted"] == 1
