"""Auxiliary targets: what TensorFlow's own gradients make of them, what they leave alone, who needs them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.backbones.inputs import PrecomputedFeatures
from bench.core.errors import BenchError
from bench.core.protocol import defaults
from bench.data.splits import StageSplit
from bench.methods.apply import Resolved
from bench.methods.grammar import parse_method, problems_for
from bench.runs.trainers import HeadTrainer
from bench.training.auxiliary import SIDE, Targets, auxiliary_loss, auxiliary_of, read_targets
from bench.training.fits import Auxiliary, Fit, Mixing, Trained, TrainSetting, unit_rows
from bench.training.linear_head import LossSpec
from bench.training.mixing import Mix
from bench.training.nets.train import train_nets
from bench.training.schedule import epoch_order, initial_kernel
from bench.training.trainer import train_heads
from tests.cells import cell_of
from tests.fakes import keras_rules
from tests.training import test_nets
from tests.training.killed import kill_after

N, D, K, UNITS = 130, 8, 4, 6
SIZES = (3, 2)
SETTING = TrainSetting(batch_size=32, lr=0.02, patience=0)


def _data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    y = rng.integers(0, K, N).astype(np.int32)
    return (rng.normal(size=(N, D)) + rng.normal(size=(K, D))[y]).astype(np.float32), y


def _aside(n: int, main: float = 2.0, weight: float = 0.5, seed: int = 5) -> Auxiliary:
    """Labels of two targets; a third of them are unknown, and of one minibatch's worth all."""
    rng = np.random.default_rng(seed)
    labels = np.stack([rng.integers(0, size, n) for size in SIZES], axis=1).astype(np.int32)
    labels[rng.random(labels.shape) < 0.3] = -1
    return Auxiliary(labels, SIZES, main, weight)


def _fit(**changes: Any) -> Fit:
    fit = Fit(np.arange(90), np.arange(90, N), LossSpec(), None, seed=3, epochs=3, units=UNITS)
    return replace(fit, **changes)


def _bits(trained: Trained) -> bytes:
    assert trained.head is not None
    below = () if trained.hidden is None else (trained.hidden.kernel, trained.hidden.bias)
    arrays = (trained.head.kernel, trained.head.bias, *below)
    return b"".join(array.tobytes() for array in arrays) + repr(trained.history).encode()


def _side_loss(tf: Any, logits: list[Any], labels: np.ndarray) -> Any:
    """Return the sum over targets of the mean cross entropy over rows that know the target."""
    total = 0.0
    for own, told in zip(logits, labels.T, strict=True):
        known = np.flatnonzero(told >= 0)
        if len(known):
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(told[known], tf.gather(own, known))
            total += tf.reduce_mean(losses)
    return total


@pytest.mark.parametrize("cosine", [False, True])
def test_a_hidden_layer_learns_what_tensorflow_says(cosine: bool) -> None:
    tf = pytest.importorskip("tensorflow")
    x, y = _data()
    scale = 9.0 if cosine else 0.0
    fit = _fit(auxiliary=_aside(90), loss=LossSpec(scale=scale))
    [ours] = train_heads(x, y, K, [fit], SETTING)

    names = [initial_kernel(3, D, UNITS), np.zeros(UNITS), initial_kernel(3, UNITS, K, 1), np.zeros(K)]
    for place, size in enumerate(SIZES):
        names += [initial_kernel(3, UNITS, size, SIDE + place), np.zeros(size)]
    held = [tf.Variable(value.astype(np.float32)) for value in names]

    def forward(rows: np.ndarray) -> tuple[Any, list[Any]]:
        below = tf.nn.relu(x[rows] @ held[0] + held[1])
        own = below @ held[2] + held[3]
        if cosine:
            unit = below / tf.maximum(tf.norm(below, axis=1, keepdims=True), 1e-6)
            own = scale * unit @ (held[2] / tf.norm(held[2], axis=0))
        return own, [below @ held[4] + held[5], below @ held[6] + held[7]]

    rule = keras_rules(0.02, momentum=0.0)["adam"]
    assert fit.auxiliary is not None
    for epoch in (1, 2, 3):
        order = epoch_order(fit.rows, 3, epoch)
        for start in range(0, 90, 32):
            rows = order[start : start + 32]
            with tf.GradientTape() as tape:
                own, beside = forward(rows)
                main = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y[rows], own))
                loss = 2.0 * main + 0.5 * _side_loss(tf, beside, fit.auxiliary.labels[rows])
            gradients = tape.gradient(loss, held, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            rule.apply_gradients(zip(gradients, held, strict=True))
    val = fit.val_rows
    logits = forward(val)[0].numpy()
    assert ours.head is not None and ours.hidden is not None and ours.best_epoch == 3
    below = ours.hidden(x[val])
    np.testing.assert_allclose(ours.head.logits(unit_rows(below) if cosine else below), logits, atol=1e-3)
    # The history is of the class alone, as without auxiliary targets.
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y[val], logits).numpy()
    assert ours.history[-1].val_loss == pytest.approx(losses.mean(), abs=1e-4)


def test_a_fit_alone_has_the_bits_it_has_in_company() -> None:
    x, y = _data()
    fits = [
        _fit(),
        _fit(auxiliary=_aside(90)),
        _fit(auxiliary=_aside(90, weight=2.0)),
        _fit(auxiliary=_aside(90, seed=6), epochs=2),
        _fit(auxiliary=_aside(90), loss=LossSpec(params={"smoothing": 0.1}), epochs=1),
        _fit(auxiliary=_aside(90), mixing=Mixing("mixup", 0.4)),
        _fit(auxiliary=_aside(90), units=0),
    ]
    together = train_heads(x, y, K, fits, SETTING)
    for fit, trained in zip(fits, together, strict=True):
        assert _bits(train_heads(x, y, K, [fit], SETTING)[0]) == _bits(trained)
    assert len({_bits(one) for one in together}) == len(fits)
    # What counts nothing changes nothing, and neither do targets where nothing is shared.
    for units in (UNITS, 0):
        plain, idle = train_heads(
            x, y, K, [_fit(units=units), _fit(units=units, auxiliary=_aside(90, 1.0, 0.0))], SETTING
        )
        assert _bits(plain) == _bits(idle)
    plain, linear = train_heads(
        x, y, K, [_fit(units=0), _fit(units=0, auxiliary=_aside(90, 1.0, 9.0))], SETTING
    )
    assert _bits(plain) == _bits(linear)


def test_losses_are_means_over_the_rows_that_know_a_target_mixed_or_not() -> None:
    rng = np.random.default_rng(0)
    aside = _aside(20)
    places = rng.permutation(20)[:9]
    logits = rng.normal(size=(9, sum(SIZES))).astype(np.float32)
    mix = Mix(rng.random(9).astype(np.float32), rng.integers(0, 20, 9))

    def value(logits: np.ndarray, mixed: bool) -> float:
        total, start = 0.0, 0
        for labels, size in zip(aside.labels.T, SIZES, strict=True):
            own = logits[:, start : start + size].astype(np.float64)
            logs = own - np.log(np.exp(own).sum(axis=1, keepdims=True))
            sides = [(labels[places], mix.shares if mixed else np.ones(9))]
            sides += [(labels[mix.others], 1.0 - mix.shares)] if mixed else []
            lost = sum(
                share * -logs[row, told[row]] * (told[row] >= 0)
                for told, shares in sides
                for row, share in enumerate(shares)
            )
            total += lost / sum(float((shares * (told >= 0)).sum()) for told, shares in sides)
            start += size
        return total

    for mixed in (False, True):
        rows = {"aside": aside.labels[places]}
        if mixed:
            rows |= {"kept": mix.shares, "other_aside": aside.labels[mix.others]}
        assert float(auxiliary_loss(logits, SIZES, rows)) == pytest.approx(value(logits, mixed), abs=1e-5)
    unknown = {"aside": np.full((9, 2), -1, np.int32)}
    assert float(auxiliary_loss(logits, SIZES, unknown)) == 0.0


def test_columns_become_targets_of_the_training_part_alone() -> None:
    columns = {
        "master": ("Apparel", " Apparel ", "Footwear", "", "Footwear", "Free Items"),
        "same": ("x",) * 6,
        "sub": ("b", "a", "", "c", "a", "b"),
    }
    targets = read_targets(columns, np.array([4, 0, 1, 2, 3]))
    assert targets.names == ("master", "sub") and targets.sizes == (2, 3)
    np.testing.assert_array_equal(targets.labels[:, 0], [0, 0, 1, -1, 1, -1])
    np.testing.assert_array_equal(targets.labels[:, 1], [1, 0, -1, 2, 0, 1])
    assert targets.found(np.array([0, 3])) == {
        "master_classes": 2,
        "sub_classes": 3,
        "master_known": 1,
        "sub_known": 2,
    }
    assert read_targets({"same": ("x", "x")}, np.arange(2)).names == ()
    # Rows of the fit: repeats are themselves, and of a made up one nothing is known.
    aside = auxiliary_of(targets, np.array([2, 5, 0]), np.array([0, 0, 3, 1]), (2.0, 0.5))
    np.testing.assert_array_equal(aside.labels, [[1, -1], [1, -1], [-1, -1], [-1, 1]])


def _trainer(x: np.ndarray, y: np.ndarray) -> tuple[HeadTrainer, StageSplit]:
    rows = np.arange(N)
    split = StageSplit(tuple("abcd"), y, rows[:80], rows[80:105], rows[105:], unseen=0, leaked=None)
    setting = {**defaults(), "epochs": 3, "patience": 0}
    return HeadTrainer(PrecomputedFeatures(x), split, setting, lambda *_: None), split


def test_only_labels_of_training_rows_are_learned_from() -> None:
    x, y = _data()
    trainer, split = _trainer(x, y)
    labels = np.stack([np.random.default_rng(0).integers(0, size, N) for size in SIZES], axis=1)
    given = Targets(("a", "b"), labels.astype(np.int32), SIZES)
    other = given.labels.copy()
    other[80:] = 0
    own = cell_of("oversample+mlp(units=5)+multitask+ldam", setting=trainer.setting)
    heads: list[tuple[Trained, Resolved | None]] = []
    for told in (given.labels, other, np.where(np.arange(N)[:, None] < 10, -1, given.labels)):
        trainer.targets = replace(given, labels=told)
        heads += trainer.fit([(own, split)])
    (same, _), (changed, _), (fewer, made) = heads
    assert _bits(same) == _bits(changed) != _bits(fewer)
    assert made is not None and made.found["multitask"]["a_known"] == 70
    plain = cell_of("mlp(units=5)+multitask", setting=trainer.setting)
    for targets in (None, Targets((), np.empty((0, 0), np.int32), ())):
        trainer.targets = targets
        [(failed, made)] = trainer.fit([(plain, split)])
        assert made is None and "no auxiliary column has two values" in str(failed.failed)


def test_what_cannot_share_is_refused_in_one_line() -> None:
    assert problems_for(parse_method("mlp+multitask"), "multiclass", "frozen") is None
    assert problems_for(parse_method("multitask"), "multiclass", "finetune") is None
    why = problems_for(parse_method("multitask"), "multiclass", "frozen")
    assert why is not None and "a linear head shares nothing" in why
    for text, says in (
        ("co_teaching+mlp+multitask", "has two heads of its own"),
        ("ldam+tau_norm", "all of one length already"),
        ("ldam+fallback", "fallback trains on parts"),
        ("ldam+class_weight", "both weight the classes"),
        ("ldam(drw=false,late=0.5)", "which drw=false leaves out"),
        ("multitask(main=0)", "main is 0"),
        ("mlp+conv", "a method has one head"),
        ("multitask+mlp+conv", "a method has one head"),
    ):
        with pytest.raises(BenchError, match=says):
            parse_method(text)


IMAGES = np.arange(60)


def _net_fit(**changes: Any) -> Fit:
    return test_nets._fit(**changes)


def _net_answers(fits: list[Fit], setting: TrainSetting = test_nets.SETTING, **more: Any) -> list[str]:
    pixels, y = test_nets._data()
    answers = train_nets(test_nets._build, pixels, test_nets._scale, y, test_nets.K, fits, setting, **more)
    return [test_nets._bits(*one) for one in answers]


COMPANY: tuple[dict[str, Any], ...] = (
    {},
    {"auxiliary": _aside(60)},
    {"loss": LossSpec(scale=9.0, margins=np.full(3, 1.5, np.float32))},
    {"auxiliary": _aside(60), "loss": LossSpec(scale=9.0), "mixing": Mixing("mixup", 0.4)},
)


def test_a_net_alone_has_the_bits_it_has_in_company() -> None:
    fits = [_net_fit(epochs=2, **changes) for changes in COMPANY]
    together = _net_answers(fits)
    assert [_net_answers([fit])[0] for fit in fits] == together
    assert len(set(together)) == len(fits)


@pytest.mark.parametrize("cosine", [False, True])
def test_a_net_learns_what_tensorflow_says(cosine: bool) -> None:
    tf = pytest.importorskip("tensorflow")
    pixels, y = test_nets._data()
    scale, margins = (
        (9.0, np.array([0.5, 0.2, 0.1], np.float32)) if cosine else (0.0, np.zeros(3, np.float32))
    )
    fit = _net_fit(seed=4, auxiliary=_aside(60), loss=LossSpec(scale=scale, margins=scale * margins))
    answers = train_nets(test_nets._plain, pixels, test_nets._scale, y, test_nets.K, [fit], test_nets.SETTING)
    [(ours, features)] = [(trained, embed(fit.val_rows)) for trained, embed in answers]

    model, width = test_nets._plain(4), 6
    values = [initial_kernel(4, width, test_nets.K), np.zeros(test_nets.K)]
    for place, size in enumerate(SIZES):
        values += [initial_kernel(4, width, size, SIDE + place), np.zeros(size)]
    heads = [tf.Variable(value.astype(np.float32)) for value in values]
    held = [*(one.value for one in model.trainable_variables), *heads]
    images = np.asarray(test_nets._scale(pixels))

    def main(fed: Any) -> Any:
        if not cosine:
            return fed @ heads[0] + heads[1]
        unit = fed / tf.maximum(tf.norm(fed, axis=1, keepdims=True), 1e-6)
        return scale * unit @ (heads[0] / tf.norm(heads[0], axis=0))

    rule = keras_rules(0.01, momentum=0.0)["adam"]
    assert fit.auxiliary is not None
    for epoch in (1, 2, 3):
        order = epoch_order(fit.rows, 4, epoch)
        for start in range(0, 60, 16):
            rows = order[start : start + 16]
            with tf.GradientTape() as tape:
                fed = model(images[rows], training=True)
                own = main(fed) - scale * tf.one_hot(y[rows], test_nets.K) * margins
                loss = 2.0 * tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y[rows], own))
                beside = [fed @ heads[2] + heads[3], fed @ heads[4] + heads[5]]
                loss += 0.5 * _side_loss(tf, beside, fit.auxiliary.labels[rows])
            gradients = tape.gradient(loss, held, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            rule.apply_gradients(zip(gradients, held, strict=True))
    logits = main(model(images[fit.val_rows])).numpy()
    assert ours.head is not None and ours.unit == cosine
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(y[fit.val_rows], logits).numpy()
    assert ours.history[-1].val_loss == pytest.approx(losses.mean(), abs=2e-4)
    if cosine:
        np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1.0, rtol=1e-5)
    if ours.best_epoch == 3:
        np.testing.assert_allclose(ours.head.logits(features), logits, atol=2e-3)


def test_a_killed_net_with_heads_beside_it_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    weights = np.array([2.0, 1.0, 0.5], np.float32)
    # Killed before any epoch may be the best one.
    fit = _net_fit(epochs=3, deferred=2, weights=weights, **COMPANY[3])
    path = tmp_path / "net.npz"
    [whole] = _net_answers([fit])
    kill_after(2, partial(_net_answers, [fit]), path)
    # A net without such heads takes no more than its own from a run that has both.
    assert _net_answers([_net_fit(epochs=3), fit], checkpoints=[None, path])[1] == whole
