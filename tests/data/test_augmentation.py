"""Every recipe does what its name says, and the same to an image whatever is changed beside it."""

from __future__ import annotations

import colorsys
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import BenchError
from bench.data.augmentation import DRAWS, RECIPES, Change, Recipe, draw, layers, load_change

SIZE = (20, 28)


@cache
def _load(name: str, strength: float) -> Change:
    from bench.backbones.determinism import make_deterministic

    make_deterministic()
    return load_change(Recipe(name, strength), SIZE)


def _changed(
    name: str, images: np.ndarray, positions: np.ndarray, strength: float = 0.5, view: int = 0
) -> np.ndarray:
    return _load(name, strength)(images, positions, view)


def _smooth(count: int, seed: int = 0) -> np.ndarray:
    """Images without edges, so that a reckoning of one pixel's place need not agree to the last bit."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(np.linspace(0, 1, SIZE[0]), np.linspace(0, 1, SIZE[1]), indexing="ij")
    waves = rng.uniform(1, 4, (2, count, 3)), rng.uniform(0, 6, (count, 3))
    angle = waves[0][0][:, None, None] * y[..., None] + waves[0][1][:, None, None] * x[..., None]
    values: np.ndarray = 127.5 + 110 * np.sin(angle + waves[1][:, None, None])
    return values.astype(np.uint8)


@given(
    st.integers(0, 2**40),
    st.integers(0, 100),
    st.lists(st.integers(0, 2**40), min_size=1, max_size=6),
)
def test_numbers_of_an_image_are_its_own(seed: int, view: int, positions: list[int]) -> None:
    together = draw(np.array(positions), view, seed)
    assert together.shape == (len(positions), DRAWS) and together.dtype == np.float32
    assert (together >= 0).all() and (together < 1).all()
    for row, position in zip(together, positions, strict=True):
        np.testing.assert_array_equal(row, draw(np.array([position]), view, seed)[0])
    assert not np.array_equal(together, draw(np.array(positions), view + 1, seed))
    assert not np.array_equal(together, draw(np.array(positions), view, seed + 1))
    assert not np.array_equal(together, draw(np.array(positions), view))


@pytest.mark.parametrize("name", RECIPES)
def test_a_change_is_the_images_own(name: str) -> None:
    images, positions = np.random.default_rng(0).integers(0, 256, (12, *SIZE, 3), np.uint8), np.arange(12)
    whole = _changed(name, images, positions)
    assert whole.shape == images.shape and whole.dtype == np.uint8
    assert np.any(whole != images, axis=(1, 2, 3)).sum() > 2
    order = np.random.default_rng(1).permutation(12)
    parts = [_changed(name, images[part], positions[part]) for part in np.array_split(order, 5)]
    np.testing.assert_array_equal(np.concatenate(parts), whole[order])
    np.testing.assert_array_equal(load_change(Recipe(name), SIZE)(images, positions, 0), whole)
    assert not np.array_equal(_changed(name, images, positions + 1000), whole)
    assert not np.array_equal(_changed(name, images, positions, view=1), whole)


@pytest.mark.parametrize("name", RECIPES)
def test_no_layer_draws_numbers_of_its_own(name: str) -> None:
    import tensorflow as tf

    function = layers(Recipe(name), SIZE).get_concrete_function(
        tf.TensorSpec((None, *SIZE, 3), tf.uint8), tf.TensorSpec((None, DRAWS), tf.float32)
    )
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for held in graph.library.function for node in held.node_def)]
    kinds = {node.op for node in nodes}
    assert len(kinds) > 10
    assert {kind for kind in kinds if "andom" in kind or "Rng" in kind or "Variable" in kind} == set()


def test_flip_is_left_to_right_and_never_upside_down() -> None:
    images = np.random.default_rng(0).integers(0, 256, (200, *SIZE, 3), np.uint8)
    found = _changed("flip", images, np.arange(200))
    same = (found == images).all(axis=(1, 2, 3))
    mirrored = (found == images[:, :, ::-1]).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(same, ~mirrored)
    assert 70 < mirrored.sum() < 130
    np.testing.assert_array_equal(mirrored, draw(np.arange(200), 0)[:, 0] > 0.5)


def _bilinear(image: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the values at a grid of places, in float64."""
    for axis, places in enumerate((rows, columns)):
        low = np.clip(np.floor(places).astype(int), 0, image.shape[axis] - 2)
        share = np.expand_dims(places - low, tuple(range(1, 3 - axis)))
        image = image.take(low, axis) * (1 - share) + image.take(low + 1, axis) * share
    return image


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_crop_is_a_part_of_the_image_made_as_large_as_the_whole(strength: float) -> None:
    images = _smooth(12)
    found = _changed("crop", images, np.arange(12), strength)
    shares = []
    for image, got, numbers in zip(images, found, draw(np.arange(12), 0).astype(float), strict=True):
        least = max(0.05, 1.0 - strength)
        area, ratio = least + numbers[0] * (1.0 - least), 3 / 4 + numbers[1] * (4 / 3 - 3 / 4)
        height, width = min(1.0, (area / ratio) ** 0.5), min(1.0, (area * ratio) ** 0.5)
        top, left = numbers[2] * (1.0 - height), numbers[3] * (1.0 - width)
        rows = (SIZE[0] - 1) * np.linspace(top, top + height, SIZE[0])
        columns = (SIZE[1] - 1) * np.linspace(left, left + width, SIZE[1])
        np.testing.assert_allclose(got, _bilinear(image.astype(float), rows, columns), atol=0.6)
        shares.append(height * width)
    assert 0.8 * least < min(shares) and max(shares) <= 1.0


def test_colour_is_brightness_contrast_and_saturation() -> None:
    images, strength = _smooth(6), 0.8
    found = _changed("colour", images, np.arange(6), strength)
    share = 0.4 * strength
    for image, got, numbers in zip(images, found, draw(np.arange(6), 0).astype(float), strict=True):
        brighter = np.clip(image + 255 * share * (2 * numbers[0] - 1), 0, 255)
        mean = brighter.mean(axis=(0, 1))
        strong = np.clip(mean + (brighter - mean) * (1 + share * (2 * numbers[1] - 1)), 0, 255)
        factor = 0.5 + share / 2 * (2 * numbers[2] - 1)
        for place in [(0, 0), (7, 13), (19, 27), (3, 22)]:
            hue, saturation, value = colorsys.rgb_to_hsv(*(strong[place] / 255))
            expected = colorsys.hsv_to_rgb(hue, min(1.0, saturation * factor / (1 - factor)), value)
            np.testing.assert_allclose(got[place], 255 * np.array(expected), atol=0.6)


def test_rotation_turns_about_the_centre_by_the_angle_drawn() -> None:
    y, x = np.indices(SIZE) - (np.array(SIZE).reshape(2, 1, 1) - 1) / 2
    bar = np.where((abs(y) < 2) & (abs(x) < 7), 255, 0).astype(np.uint8)
    images = np.repeat(np.repeat(bar[None, ..., None], 3, axis=3), 40, axis=0)
    found = _changed("rotate", images, np.arange(40), 1.0)[..., 0].astype(float)
    mass = found.sum(axis=(1, 2))
    np.testing.assert_allclose([(found * x).sum((1, 2)) / mass, (found * y).sum((1, 2)) / mass], 0, atol=0.2)
    xx, yy, xy = ((found * part).sum(axis=(1, 2)) for part in (x * x, y * y, x * y))
    angles = np.degrees(np.arctan2(2 * xy, xx - yy) / 2)
    drawn = 30 * (2 * draw(np.arange(40), 0)[:, 0] - 1)
    np.testing.assert_allclose(abs(angles), abs(drawn), atol=1.5)
    assert abs(np.corrcoef(angles, drawn)[0, 1]) > 0.99


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "flip"])
def test_more_strength_changes_more(name: str) -> None:
    images, positions = _smooth(24), np.arange(24)
    little, much = (
        np.mean(abs(_changed(name, images, positions, strength).astype(float) - images))
        for strength in (0.1, 1.0)
    )
    assert 0 < little < much


@pytest.mark.parametrize("name", ["rotate", "randaug"])
def test_what_comes_in_from_outside_repeats_the_edge(name: str) -> None:
    images = np.full((60, *SIZE, 3), 128, np.uint8)
    images[:, 3:-3, 3:-3] = np.random.default_rng(0).integers(0, 256, (60, 14, 22, 3))
    found = _changed(name, images, np.arange(60), 1.0)
    if name == "rotate":
        corners = found[:, [0, 0, -1, -1], [0, -1, 0, -1]]
        np.testing.assert_array_equal(corners, 128)
        return
    # What moves the image by half of it and more leaves whole rows of one tone, not a mirrored image.
    assert any(len(np.unique(image[:6].reshape(-1, 3), axis=0)) == 1 for image in found)


def test_recipes_are_told_apart_unless_nothing_tells_them_apart() -> None:
    keys = [Recipe(name, strength).key for name in RECIPES for strength in (0.25, 1.0)]
    assert keys[0] == keys[1] and keys[0]["recipe"] == "flip"
    assert len({repr(key) for key in keys}) == 2 * len(RECIPES) - 1


@pytest.mark.parametrize(
    ("name", "strength", "message"),
    [
        ("flop", 0.5, "'flop'.*flip"),
        ("crop", 0.0, "strength of crop is above 0 and at most 1, not 0"),
        ("crop", 1.5, "not 1.5"),
        ("crop", float("nan"), "not nan"),
    ],
)
def test_other_recipes_are_one_clear_line(name: str, strength: float, message: str) -> None:
    with pytest.raises(BenchError, match=message) as caught:
        Recipe(name, strength)
    assert "\n" not in str(caught.value)


def test_recipes_run_inside_a_graph() -> None:
    import tensorflow as tf

    change = layers(Recipe("randaug"), SIZE)

    whole = tf.function(lambda images, numbers: tf.cast(change(images, numbers), tf.float32) / 255.0)
    images, positions = _smooth(5), np.arange(5)
    found = whole(images, draw(positions, 0)).numpy()
    expected = _changed("randaug", images, positions) / 255.0
    np.testing.assert_allclose(found, expected, atol=1e-6)
