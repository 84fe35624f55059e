"""Nets whose blocks begin to train one after the other, from the top."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.backbones.registry import build_backbone, freeze, freeze_before, get_backbone
from bench.training.fits import Fit
from bench.training.nets.blocks import blocks_of
from bench.training.nets.checkpoints import read_checkpoint
from bench.training.nets.train import train_nets
from bench.training.schedule import epoch_order, initial_kernel
from tests.fakes import keras_rules
from tests.training.killed import kill_after
from tests.training.test_nets import SETTING, SIDE, K, _bits, _data, _fit, _scale


def _tower(seed: int) -> Any:
    """Three blocks: a convolution, one with a branch around it, and one more; all with batch statistics."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    inputs = x = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="stem")(x)
    x = y = layers.BatchNormalization(momentum=0.8, name="stem_norm")(x)
    # Of biases in front of what takes means away the gradient is rounding, and Adam makes steps of it.
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, name="inner_1")(x)
    x = layers.BatchNormalization(momentum=0.8, name="inner_norm")(x)
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, name="inner_2")(layers.ReLU(name="relu")(x))
    x = layers.Add(name="add")([x, y])
    x = layers.Conv2D(5, 1, use_bias=False, name="top")(x)
    x = layers.BatchNormalization(momentum=0.8, name="top_norm")(x)
    return keras.Model(inputs, layers.GlobalAveragePooling2D(name="pool")(x))


BLOCKS = [["top", "top_norm"], ["inner_1", "inner_norm", "inner_2"], ["stem", "stem_norm"]]


def _names(net: Any) -> list[list[str]]:
    return [[layer.name for layer in block] for block in blocks_of(net)]


def test_blocks_end_where_all_paths_meet() -> None:
    pytest.importorskip("tensorflow")
    net = _tower(0)
    assert _names(net) == BLOCKS
    freeze_before(net, "inner_2")
    assert _names(net) == [["top", "top_norm"], ["inner_2"]]


@pytest.mark.parametrize(
    ("name", "count", "first", "last"),
    [
        ("lenet", 4, "dense_2", "conv_1"),
        ("mobilenetv2_035", 20, "Conv_1", "Conv1"),
        ("resnet50v2", 17, "conv5_block3_preact_bn", "conv1_conv"),
    ],
)
def test_blocks_of_known_nets(name: str, count: int, first: str, last: str) -> None:
    pytest.importorskip("tensorflow")
    net = build_backbone(get_backbone(name), (64, 64), "random", 0)
    blocks = blocks_of(net)
    assert len(blocks) == count and (blocks[0][0].name, blocks[-1][0].name) == (first, last)
    # Every layer with something to train is in one block, and in one alone.
    held = [layer.name for block in blocks for layer in block]
    assert sorted(held) == sorted(layer.name for layer in net.layers if layer.trainable_variables)


def _train(fit: Fit, every: int, **more: Any) -> str:
    """Return a fit's bits."""
    pixels, y = _data()
    setting = replace(SETTING, unfreeze=every)
    answers = train_nets(_tower, pixels, _scale, y, K, [fit], setting, **more)
    [bits] = [_bits(*answer) for answer in answers]
    return bits


def test_layers_stay_bit_for_bit_until_their_turn(tmp_path: Path) -> None:
    net, path = _tower(0), tmp_path / "net.npz"
    begun = {layer.name: [held.numpy() for held in layer.variables] for layer in net.layers}
    seen = []

    def look(epochs: int, total: int, what: str) -> None:
        found = read_checkpoint(path)
        assert found is not None
        held = iter(found.state)
        trained = (epochs - 1) // 2
        for layer in net.layers:
            same = [np.array_equal(one, next(held)) for one in begun[layer.name]]
            block = next((place for place, names in enumerate(BLOCKS) if layer.name in names), 0)
            assert not same or (all(same) if block >= trained else not any(same)), (epochs, layer.name)
        seen.append(epochs)

    _train(_fit(epochs=8), 2, progress=look, checkpoints=[path])
    assert seen == list(range(1, 9))


def test_a_killed_net_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    fit, path = _fit(epochs=4), tmp_path / "net.npz"
    whole = _train(fit, 1)
    kill_after(2, partial(_train, fit, 1), path)
    assert _train(fit, 1, checkpoints=[path]) == whole


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_equals_keras_with_an_optimizer_for_each_block_that_starts_with_it(optimizer: str) -> None:
    tf = pytest.importorskip("tensorflow")
    pixels, y = _data()
    fit = _fit(seed=2, val=[], epochs=4)
    setting = replace(SETTING, unfreeze=1, optimizer=optimizer, momentum=0.7)
    [(trained, found)] = [
        (trained, embed(np.arange(60, 90)))
        for trained, embed in train_nets(_tower, pixels, _scale, y, K, [fit], setting)
    ]

    model, images = _tower(2), np.asarray(_scale(pixels))
    kernel, bias = tf.Variable(initial_kernel(2, 5, K)), tf.Variable(np.zeros(K, np.float32))
    rules = [keras_rules(0.01, momentum=0.7)[optimizer] for _ in range(4)]
    for epoch in (1, 2, 3, 4):
        for place, block in enumerate(BLOCKS):
            for name in block:
                model.get_layer(name).trainable = place < epoch - 1
        order = epoch_order(fit.rows, 2, epoch)
        for start in range(0, 60, 16):
            rows = order[start : start + 16]
            groups = [[kernel, bias]]
            for block in BLOCKS[: epoch - 1]:
                layers = [model.get_layer(name) for name in block]
                groups.append([held.value for layer in layers for held in layer.trainable_variables])
            with tf.GradientTape() as tape:
                logits = model(images[rows], training=True) @ kernel + bias
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y[rows], logits)
                loss = tf.reduce_mean(losses)
            for rule, held, slopes in zip(rules, groups, tape.gradient(loss, groups), strict=False):
                rule.apply_gradients(zip(slopes, held, strict=True))
    theirs = model(images[60:]).numpy()
    np.testing.assert_allclose(found, theirs, atol=2e-3)
    assert trained.head is not None
    np.testing.assert_allclose(trained.head.kernel, kernel.numpy(), atol=2e-3)


@pytest.mark.parametrize(("norms", "every"), [("keep", 0), ("keep", 1), ("learn", 0)])
def test_normalisation_that_is_kept_stays_bit_for_bit_in_nets_inside_nets_too(norms: str, every: int) -> None:
    def build(seed: int) -> Any:
        import keras

        inner, inputs = _tower(seed), keras.Input((SIDE, SIDE, 3))
        net = keras.Model(inputs, keras.layers.BatchNormalization(momentum=0.8, name="last")(inner(inputs)))
        freeze(net, {"train_from": "", "norms": norms})
        return net

    fit, (pixels, y), setting = _fit(epochs=3), _data(), replace(SETTING, unfreeze=every)
    net = build(fit.seed)
    [(_, embed)] = train_nets(build, pixels, _scale, y, K, [fit], setting)
    same = [
        np.array_equal(one.numpy(), now) for one, now in zip(net.variables, embed.variables(), strict=True)
    ]
    norm = ["norm" in held.path or held.path.startswith("last") for held in net.variables]
    assert 0 < sum(norm) < len(norm)
    assert [one for one, own in zip(same, norm, strict=True) if own] == [norms == "keep"] * sum(norm)
    assert not any(one for one, own in zip(same, norm, strict=True) if not own)
