"""Nets on changed and mixed images: what they see, that nothing else does, and that it is the same again."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.data.augmentation import Recipe, load_change
from bench.training.fits import Fit, Mixing, TrainSetting
from bench.training.linear_head import LossSpec
from bench.training.mixing import epoch_mix, guest_odds
from bench.training.nets import train as nets
from bench.training.nets.net import Net
from bench.training.nets.train import train_nets
from bench.training.objective import Rows
from bench.training.schedule import epoch_order, initial_kernel
from tests.training.killed import kill_after
from tests.training.test_nets import SETTING, K, N, _bits, _build, _data, _fit, _plain, _scale

SIDE = _data()[0].shape[1]
PLAIN = TrainSetting(batch_size=16, lr=0.1, optimizer="sgd", momentum=0.0, patience=0)
LANES: dict[str, dict[str, Any]] = {
    "none": {},
    **{name: {"recipe": Recipe(name)} for name in ("flip", "standard", "randaug")},
    "few": {"recipe": Recipe("crop"), "changed": np.arange(60) % 3 == 0},
    "mixup": {"mixing": Mixing("mixup", 0.4)},
    "cutmix": {"mixing": Mixing("cutmix", 1.0)},
    "cutmix few": {"mixing": Mixing("cutmix", 1.0, minority=True), "mixed": np.arange(60) % 3 == 0},
    "cmo": {"mixing": Mixing("cmo", 1.0, 0.5)},
    "cmo crop": {"mixing": Mixing("cmo", 1.0, 0.5), "recipe": Recipe("crop")},
    "cutmix flip": {"mixing": Mixing("cutmix", 1.0), "recipe": Recipe("flip")},
}


@pytest.fixture(autouse=True, scope="module")
def _same_every_time() -> None:
    from bench.backbones.determinism import make_deterministic

    make_deterministic()


def _answers(*names: str, setting: TrainSetting = SETTING, **more: Any) -> list[str]:
    pixels, y = _data()
    fits = [_fit(**LANES[name]) for name in names]
    return [_bits(*one) for one in train_nets(_build, pixels, _scale, y, K, fits, setting, **more)]


@pytest.mark.slow
def test_a_fit_is_what_it_is_alone_and_every_change_tells() -> None:
    together = _answers(*LANES)
    assert len(set(together)) == len(LANES)
    for name in ("standard", "few", "cutmix", "cmo crop"):
        assert _answers(name) == [together[list(LANES).index(name)]]


@pytest.mark.parametrize("name", [pytest.param("randaug", marks=pytest.mark.slow), "cutmix flip", "cmo crop"])
def test_a_killed_net_goes_on_to_the_same_bits(name: str, tmp_path: Path) -> None:
    path, whole = tmp_path / "net.npz", _answers(name)
    kill_after(2, partial(_answers, name), path)
    assert _answers(name, checkpoints=[path]) == whole


class Reader:
    """Reads images and notes which were asked for."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels, self.asked = pixels, np.zeros(len(pixels), int)

    def read(self, rows: np.ndarray) -> np.ndarray:
        np.add.at(self.asked, rows, 1)
        found: np.ndarray = self.pixels[rows]
        return found


def _seen(monkeypatch: pytest.MonkeyPatch, fit: Fit) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return what a fit's net is trained on, in one array for each epoch, and what it is asked to embed."""
    trained: list[np.ndarray] = []
    embedded: list[np.ndarray] = []
    train, features = Net.train, Net.features

    def noting_train(self: Any, rows: Rows) -> np.ndarray:
        trained.append(rows["inputs"].copy())
        return train(self, rows)

    def noting_features(self: Any, images: np.ndarray) -> np.ndarray:
        embedded.append(images.copy())
        return features(self, images)

    monkeypatch.setattr(Net, "train", noting_train)
    monkeypatch.setattr(Net, "features", noting_features)
    pixels, y = _data()
    for _, embed in train_nets(_build, Reader(pixels), _scale, y, K, [fit], SETTING):
        embed(np.arange(60, N))
    return trained, embedded


@pytest.mark.parametrize("block", [nets.BLOCK, 16 * SIDE * SIDE * 3])
@pytest.mark.parametrize("name", ["standard", "few"])
def test_every_epoch_changes_training_images_anew_and_no_others(
    name: str, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nets, "BLOCK", block)
    fit = _fit(**LANES[name], seed=3)
    trained, embedded = _seen(monkeypatch, fit)
    pixels, _ = _data()
    original = pixels.copy()
    assert fit.recipe is not None
    change = load_change(fit.recipe, (SIDE, SIDE))
    blocks = -(-60 // (60 if block == nets.BLOCK and block > 10**6 else 16))
    for epoch in (1, 2, 3):
        order = epoch_order(np.arange(60), 3, epoch)
        found = np.concatenate(trained[(epoch - 1) * blocks : epoch * blocks])
        expected = change(pixels[order], order, epoch, seed=3)
        if fit.changed is not None:
            expected[~fit.changed[order]] = pixels[order][~fit.changed[order]]
        np.testing.assert_array_equal(found, expected)
        assert (expected != pixels[order]).any(axis=(1, 2, 3)).sum() > 10
    # Validation after each epoch, and what is asked for in the end: the images as they are.
    np.testing.assert_array_equal(np.concatenate(embedded), np.tile(pixels[60:], (4, 1, 1, 1)))
    np.testing.assert_array_equal(pixels, original)


def test_repeats_of_an_image_are_changed_apart() -> None:
    pixels, _ = _data()
    change = load_change(Recipe("crop"), (SIDE, SIDE))
    twice = change(pixels[[5, 5]], np.array([0, 1]), 1, seed=0)
    assert (twice[0] != twice[1]).any()


@pytest.mark.parametrize("name", ["cutmix", "cutmix few", "cmo", "cmo crop"])
def test_patches_are_pasted_and_their_labels_mixed_as_keras_would(name: str) -> None:
    """A Keras model trained on the same pasted pixels and mixed one-hot labels answers the same."""
    keras = pytest.importorskip("keras")
    pixels, y = _data()
    fit = _fit(**LANES[name], seed=4, val_rows=np.arange(0))
    assert fit.mixing is not None
    model = keras.Sequential([_plain(4), keras.layers.Dense(K)])
    model.layers[-1].set_weights([initial_kernel(4, 6, K), np.zeros(K, np.float32)])
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.0), keras.losses.CategoricalCrossentropy(from_logits=True)
    )
    change = load_change(Recipe("crop"), (SIDE, SIDE)) if fit.recipe else None
    odds = guest_odds(y[:60], 1.0)
    for epoch in (1, 2, 3):
        order = epoch_order(np.arange(60), 4, epoch)
        mix = epoch_mix(fit.mixing, order, 16, 4, epoch, fit.mixed, (SIDE, SIDE), odds)
        assert mix.boxes is not None
        shown = pixels[:60] if change is None else change(pixels[:60], np.arange(60), epoch, seed=4)
        images, labels = shown[order].copy(), np.eye(K, dtype=np.float32)[y[order]]
        for row, (other, box) in enumerate(zip(mix.others, mix.boxes, strict=True)):
            top, bottom, left, right = box
            images[row, top:bottom, left:right] = shown[other, top:bottom, left:right]
            pasted = (bottom - top) * (right - left) / SIDE**2
            labels[row] = (1 - pasted) * labels[row] + pasted * np.eye(K)[y[other]]
        for start in range(0, 60, 16):
            part = slice(start, start + 16)
            model.train_on_batch(np.asarray(_scale(images[part])), labels[part])
    [answer] = train_nets(_plain, pixels, _scale, y, K, [fit], PLAIN)
    trained, embed = answer
    assert trained.head is not None
    mine, theirs = trained.head.logits(embed(np.arange(60, N))), np.asarray(model(_scale(pixels[60:])))
    np.testing.assert_allclose(mine, theirs, atol=1e-3)
    [(plain, embed)] = train_nets(
        _plain, pixels, _scale, y, K, [replace(fit, mixing=None, recipe=None)], PLAIN
    )
    assert plain.head is not None
    assert np.abs(plain.head.logits(embed(np.arange(60, N))) - theirs).max() > 0.01


def test_weights_of_both_labels_count() -> None:
    """With no weight on one class, patches of its images teach nothing, but hide what they cover."""
    weights = np.array([1.0, 1.0, 0.0], np.float32)
    fit = _fit(mixing=Mixing("cmo", 1.0, 1.0, 5.0), weights=weights, val_rows=np.arange(0))
    pixels, y = _data()
    [(trained, _)] = train_nets(_build, pixels, _scale, y, K, [fit], SETTING)
    assert trained.head is not None and np.isfinite(trained.history[-1].loss)
    lone = _fit(loss=LossSpec("softmax"), val_rows=np.arange(0), mixing=Mixing("cmo", 1.0, 1.0, 5.0))
    [(other, _)] = train_nets(_build, pixels, _scale, y, K, [lone], SETTING)
    assert other.history[-1].loss != trained.history[-1].loss
