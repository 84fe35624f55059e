"""Explanations of models whose answer is known by construction, and the pictures of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import BenchError
from bench.inference.explain import GRID, _borders, heat_map, lime, occlusion, overlay, segments_of
from bench.store.head_file import saved_head
from bench.store.write import Store
from tests.grids import reseal
from tests.inference.test_predict import CLASSES, K, bench, cell_of, drawn_head, put

SIZE = (24, 32)


def pictures(seed: int = 0) -> np.ndarray:
    """Return a (28, 42, 3) uint8 image of soft blobs, which has superpixels."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:28, 0:42]
    image = np.zeros((28, 42, 3))
    for _ in range(9):
        row, column, spread = rng.integers(28), rng.integers(42), rng.uniform(3, 8)
        blob = np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / spread**2)
        image += blob[..., None] * rng.uniform(0, 200, 3)
    return np.clip(image, 0, 255).astype(np.uint8)


def additive(weights: np.ndarray) -> Any:
    """Return a model whose scores are sums over pixels: (h, w, 3, k) weights."""
    return lambda images: np.einsum("nhwc,hwck->nk", images.astype(np.float64), weights).astype(np.float32)


def test_lime_finds_what_each_superpixel_adds_to_an_additive_model() -> None:
    """Against hiding each superpixel alone, which for such a model is the whole truth."""
    pytest.importorskip("lime", reason="the extra `explain` is not installed")
    image = pictures()
    model = additive(np.random.default_rng(1).normal(size=(28, 42, 3, 3)) / 300)
    segments = segments_of(image)
    found = lime(image, model, (0, 2), 2000, 0)
    assert set(found) == {0, 2}
    for place, answer in found.items():
        assert np.array_equal(answer.segments, segments) and answer.fit > 0.999
        for segment, weight in enumerate(answer.weights):
            inside = segments == segment
            hidden = image.copy()
            hidden[inside] = image[inside].mean(axis=0).astype(np.uint8)
            alone = float(model(image[None])[0, place] - model(hidden[None])[0, place])
            assert weight == pytest.approx(alone, abs=0.02 + 0.02 * abs(alone))


def test_lime_says_the_same_twice_and_something_else_with_another_seed() -> None:
    pytest.importorskip("lime", reason="the extra `explain` is not installed")
    image = pictures(3)

    def model(images: np.ndarray) -> np.ndarray:
        left = images[:, :, :20].mean(axis=(1, 2, 3)) / 255
        return np.stack([left**3, 1 - left**3], axis=1).astype(np.float32)

    first, second = (lime(image, model, (1,), 100, 5)[1] for _ in range(2))
    assert np.array_equal(first.weights, second.weights) and first.fit == second.fit
    assert not np.array_equal(first.weights, lime(image, model, (1,), 100, 6)[1].weights)
    # One class alone or among others: the same.
    assert np.array_equal(lime(image, model, (0, 1), 100, 5)[1].weights, first.weights)


def test_lime_scores_each_changed_image_once_however_many_classes_ask() -> None:
    pytest.importorskip("lime", reason="the extra `explain` is not installed")
    model, seen = additive(np.ones((28, 42, 3, 4)) / 1e5), [0]

    def counting(images: np.ndarray) -> np.ndarray:
        seen[0] += len(images)
        return np.asarray(model(images))

    lime(pictures(), counting, (0, 1, 2, 3), 130, 0)
    assert seen[0] == 130


@pytest.mark.parametrize("shape", [(28, 42), (24, 32), (16, 16), (5, 50)])
def test_occlusion_is_the_mean_fall_over_the_patches_of_a_pixel(shape: tuple[int, int]) -> None:
    """Against a loop over pixels and patches, written without looking at sums."""
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    model = additive(rng.normal(size=(*shape, 3, 2)) / 1000)
    found = occlusion(image, model)
    height, width = shape
    tall, wide = max(1, height // GRID), max(1, width // GRID)
    grey = np.rint(image.reshape(-1, 3).mean(axis=0)).astype(np.uint8)
    tops = sorted({*range(0, height - tall, max(1, tall // 2)), height - tall})
    lefts = sorted({*range(0, width - wide, max(1, wide // 2)), width - wide})
    whole = model(image[None])[0]
    falls = {}
    for top in tops:
        for left in lefts:
            hidden = image.copy()
            hidden[top : top + tall, left : left + wide] = grey
            falls[top, left] = whole - model(hidden[None])[0]
    for row in range(height):
        for column in range(0, width, 3):
            over = [
                fall
                for (top, left), fall in falls.items()
                if top <= row < top + tall and left <= column < left + wide
            ]
            assert found[row, column] == pytest.approx(np.mean(over, axis=0), abs=1e-4)


def test_an_image_without_superpixels_is_cut_into_fields() -> None:
    pytest.importorskip("skimage", reason="the extra `explain` is not installed")
    noise = np.random.default_rng(0).integers(0, 256, (28, 35, 3), dtype=np.uint8)
    segments = segments_of(noise)
    for row in range(28):
        for column in range(35):
            assert segments[row, column] == row // 4 * GRID + column // 5
    assert len(np.unique(segments_of(noise[:3, :5]))) == 15


def test_borders_are_drawn_where_neighbours_differ() -> None:
    segments = np.array([[0, 0, 1], [2, 0, 1]])
    found = {tuple(map(tuple, line)) for line in _borders(segments).tolist()}
    assert found == {
        ((-0.5, 0.5), (0.5, 0.5)),  # 0 above 2
        ((1.5, -0.5), (1.5, 0.5)),  # 0 beside 1, upper row
        ((0.5, 0.5), (0.5, 1.5)),  # 2 beside 0
        ((1.5, 0.5), (1.5, 1.5)),  # 0 beside 1, lower row
    }


def test_pictures_are_png_and_the_same_twice() -> None:
    pytest.importorskip("lime", reason="the extra `explain` is not installed")
    image, title = pictures(), "<script> $x$ \x1b"
    found = lime(image, additive(np.ones((28, 42, 3, 1)) / 1e5), (0,), 60, 0)[0]
    fall = np.linspace(-1, 1, 28 * 42).reshape(28, 42)
    first, second = overlay(image, found, title), heat_map(image, fall, title)
    assert first.startswith(b"\x89PNG") and second.startswith(b"\x89PNG") and first != second
    assert first == overlay(image, found, title) and second == heat_map(image, fall, title)
    assert first != overlay(255 - image, found, title) and second != heat_map(image, -fall, title)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with a kept model, and two images."""
    out = tmp_path_factory.mktemp("explain")
    cell = cell_of("frozen")
    target = put(out / "results", cell, ("a", "b"), np.full((2, K), 1 / K, np.float32))
    saved_head(cell, CLASSES, SIZE, "softmax", drawn_head(84, np.random.default_rng(0))).save(target)
    reseal(target)
    for seed in (1, 2):
        Image.fromarray(pictures(seed)).save(out / f"pic {seed}.png")
    return out


def test_the_command_writes_two_pictures_for_each_image_and_class(place: Path, tmp_path: Path) -> None:
    pytest.importorskip("lime", reason="the extra `explain` is not installed")
    cell = Store(place / "results").load()[0][0].id[:8]
    base = ("explain", cell, place, "--results", place / "results", "--samples", 50, "--format", "json")
    done = bench(*base, "--out", tmp_path / "one")
    assert done.return_value == 0, done
    rows = json.loads(done.stdout)
    images = [place / "pic 1.png", place / "pic 2.png"]
    assert [row["image"] for row in rows] == [str(path) for path in images]
    told = json.loads(
        bench("predict", cell, place, "--results", place / "results", "--format", "json").stdout
    )
    for row, answer in zip(rows, told, strict=True):
        assert row["class"] == answer["decision"]
        assert row["probability"] == pytest.approx(answer["probabilities"][row["class"]], abs=1e-6)
    files = {Path(row[key]) for row in rows for key in ("lime", "occlusion")}
    assert len(files) == 4 and set((tmp_path / "one").iterdir()) == files
    one, victim = ("explain", cell, images[0], *base[3:]), tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "two").mkdir()
    for path in (file for file in files if "pic_1" in file.name):
        (tmp_path / "two" / path.name).symlink_to(victim)
    again = bench(*one, "--out", tmp_path / "two", "--class", rows[0]["class"], "--class", "z")
    assert victim.read_text() == "precious"
    assert again.return_value == 0
    assert [row["class"] for row in json.loads(again.stdout)] == [rows[0]["class"], "z"]
    assert len(list((tmp_path / "two").iterdir())) == 4
    for key in ("lime", "occlusion"):
        file = Path(rows[0][key])
        assert (tmp_path / "two" / file.name).read_bytes() == file.read_bytes()


def test_what_cannot_be_explained_is_one_line(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lime", reason="the extra `explain` is not installed")
    cell = Store(place / "results").load()[0][0].id[:8]
    base = ("explain", cell, place / "pic 1.png", "--results", place / "results", "--samples", 50)
    error = bench(*base, "--out", tmp_path, "--class", "Topps").exception
    assert isinstance(error, BenchError) and "did you mean 'Tops'?" in str(error)
    (tmp_path / "file").write_text("")
    error = bench(*base, "--out", tmp_path / "file").exception
    assert isinstance(error, BenchError) and "cannot be made" in str(error)
    (tmp_path / "x.jpg").write_text("no picture")
    done = bench(*base[:2], tmp_path / "x.jpg", *base[3:], "--out", tmp_path / "out")
    assert done.return_value == 4 and "not an image" in done.stderr
    monkeypatch.setitem(sys.modules, "lime", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "lime" else object())
    error = bench(*base, "--out", tmp_path / "o").exception
    assert isinstance(error, BenchError) and "messybench[explain]" in str(error)
