"""CutMix and CMO: the patches of keras-cv, labels by what was really pasted, patches of rare classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.training.fits import Mixing
from bench.training.mixing import epoch_mix, guest_odds, left_shares, patch_boxes

SIZE = (9, 14)


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_patches_are_where_keras_cv_puts_them(alpha: float) -> None:
    keras_cv = pytest.importorskip("keras_cv")
    import tensorflow as tf

    tf.random.set_seed(3)
    images = np.zeros((64, *SIZE, 3), np.float32) + np.arange(64, dtype=np.float32)[:, None, None, None]
    layer = keras_cv.layers.CutMix(alpha=alpha, seed=1)
    theirs, shares, order, rows, columns, widths, heights = map(np.asarray, layer._cutmix(images))
    drawn = np.stack([rows, columns], axis=1).astype(np.int64)
    # Any share gives the sides that it gave them: what floor(sqrt(1 - share) * side) is made of.
    sides = np.stack([heights, widths], axis=1)
    found = np.zeros((64, 4), np.int64)
    for axis in (0, 1):
        share = 1 - ((sides[:, axis] + 0.5) / SIZE[axis]) ** 2
        share[sides[:, axis] == SIZE[axis]] = 0
        boxes = patch_boxes(np.maximum(share, 0).astype(np.float32), drawn, SIZE)
        found[:, 2 * axis : 2 * axis + 2] = boxes[:, 2 * axis : 2 * axis + 2]
    mine = np.array(images)
    for image, other, (top, bottom, left, right) in zip(mine, images[order], found, strict=True):
        image[top:bottom, left:right] = other[top:bottom, left:right]
    np.testing.assert_array_equal(mine, theirs)
    # Their share is of the patch whole, ours of what lies within the image: equal where nothing is cut off.
    whole = (found[:, 1] - found[:, 0] == heights) & (found[:, 3] - found[:, 2] == widths)
    left_of = left_shares(found, SIZE)
    assert 5 < whole.sum() < 60
    np.testing.assert_allclose(left_of[whole], shares[whole], atol=1e-6)
    assert (left_of[~whole] > shares[~whole]).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 20), st.integers(1, 20), st.floats(0.05, 5), st.integers(0, 99))
def test_shares_are_the_pixels_that_are_left(
    rows: int, height: int, width: int, alpha: float, seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(rows)
    mix = epoch_mix(Mixing("cutmix", alpha), order, 8, seed, 2, image=(height, width))
    assert mix.boxes is not None and mix.partners is not None
    own = np.zeros((rows, height, width, 1), np.uint8)
    pasted = mix.paste(own, np.ones_like(own))
    np.testing.assert_allclose(mix.shares, 1 - pasted.mean(axis=(1, 2, 3)), atol=1e-6)
    assert (own == 0).all()
    np.testing.assert_array_equal(mix.others, order[np.arange(rows) // 8 * 8 + mix.partners])


def test_whole_patches_have_the_area_that_was_drawn() -> None:
    shares = np.linspace(0.05, 1, 20).astype(np.float32)
    middle = np.tile([500, 500], (20, 1))
    left = left_shares(patch_boxes(shares, middle, (1000, 1000)), (1000, 1000))
    np.testing.assert_allclose(left, shares, atol=0.002)


def test_only_some_images_get_a_patch_and_others_none_at_all() -> None:
    order = np.random.default_rng(0).permutation(4000)
    half = epoch_mix(Mixing("cutmix", 1.0, share=0.25), order, 32, 0, 1, image=(64, 64))
    assert 0.2 < (half.shares < 1).mean() < 0.26
    small = np.arange(4000) < 1000
    for way in ("mixup", "cutmix"):
        mix = epoch_mix(Mixing(way, 1.0), order, 32, 0, 1, small, (64, 64))
        assert (mix.shares[~small[order]] == 1).all() and (mix.shares[small[order]] < 1).mean() > 0.9
        everywhere = epoch_mix(Mixing(way, 1.0), order, 32, 0, 1, None, (64, 64))
        np.testing.assert_array_equal(mix.shares[small[order]], everywhere.shares[small[order]])


@pytest.mark.parametrize(("power", "by_class"), [(0.0, (20, 4, 1)), (1.0, (1, 1, 1)), (2.0, (1, 5, 20))])
def test_patches_come_from_classes_as_the_power_says(power: float, by_class: tuple[int, ...]) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], (2000, 400, 100)))
    odds = guest_odds(labels, power)
    wanted = np.array(by_class) / sum(by_class)
    np.testing.assert_allclose(np.bincount(labels, odds), wanted, atol=1e-9)
    mix = epoch_mix(Mixing("cmo", 1.0, 0.5, power), np.arange(2500), 50, 0, 1, image=SIZE, odds=odds)
    assert mix.partners is None and mix.boxes is not None
    np.testing.assert_allclose(np.bincount(labels[mix.others], minlength=3) / 2500, wanted, atol=0.03)
    assert 0.4 < (mix.shares < 1).mean() < 0.55


def test_the_same_numbers_again_and_others_for_another_seed_or_epoch() -> None:
    order, odds = np.arange(50), np.full(50, 0.02)

    def numbers(way: str, seed: int, epoch: int) -> bytes:
        mix = epoch_mix(Mixing(way, 1.0), order, 16, seed, epoch, None, SIZE, odds)
        return mix.shares.tobytes() + mix.others.tobytes()

    for way in ("mixup", "cutmix", "cmo"):
        assert numbers(way, 1, 2) == numbers(way, 1, 2)
        assert len({numbers(way, seed, epoch) for seed in (0, 1) for epoch in (1, 2)}) == 4
