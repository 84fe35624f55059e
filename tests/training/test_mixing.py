"""mixup: the rule of keras-cv, heads and nets trained as Keras trains them on the same mixed batches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.backbones.inputs import PrecomputedFeatures
from bench.core.errors import BenchError
from bench.core.protocol import defaults
from bench.data.splits import StageSplit
from bench.methods.grammar import parse_method
from bench.runs.trainers import HeadTrainer
from bench.testing.graph import Measured
from bench.training.fits import Fit, Mixing, Trained, TrainSetting
from bench.training.linear_head import LossSpec
from bench.training.mixing import Mix, blended, epoch_mix
from bench.training.schedule import epoch_order, initial_kernel
from bench.training.trainer import train_heads
from tests.cells import cell_of

N, D, K, SIDE = 90, 6, 3, 8
SETTING = TrainSetting(batch_size=16, lr=0.01, patience=0)


def _data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.integers(K, size=N).astype(np.int32)
    return (rng.normal(size=(K, D))[y] + rng.normal(size=(N, D))).astype(np.float32), y


def _fit(**changes: Any) -> Fit:
    fit = Fit(
        np.arange(60), np.arange(60, N), LossSpec(), None, seed=4, epochs=3, mixing=Mixing("mixup", 0.4)
    )
    return replace(fit, **changes)


def _measured(
    mix: Mix, objective: Measured, logits: np.ndarray, labels: np.ndarray, places: np.ndarray
) -> tuple[float, float, np.ndarray]:
    """Return the loss of one minibatch mixed with itself."""
    assert mix.partners is not None
    return objective(logits, labels, places, (mix.shares, mix.partners))


def test_inputs_and_labels_are_mixed_as_keras_cv_mixes_them() -> None:
    keras_cv = pytest.importorskip("keras_cv")
    rng = np.random.default_rng(1)
    images = rng.integers(0, 256, (12, 5, 4, 3)).astype(np.float32)
    onehot = np.eye(K, dtype=np.float32)[rng.integers(K, size=12)]
    layer = keras_cv.layers.MixUp(alpha=0.4, seed=7)
    theirs, shares, order = layer._mixup(images)
    labels = np.asarray(layer._update_labels(onehot, shares, order))
    partners = np.asarray(order, np.int64)
    mix = Mix(np.asarray(shares), partners, partners)
    assert 0 < mix.shares.min() < 0.5 < mix.shares.max() < 1
    np.testing.assert_allclose(
        blended(images, {"kept": mix.shares, "partners": partners}), np.asarray(theirs), rtol=1e-6, atol=1e-4
    )

    logits = rng.normal(size=(12, K)).astype(np.float32)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    objective = Measured(LossSpec(), rows=12)
    lost, seen, slope = _measured(mix, objective, logits, onehot.argmax(1), np.arange(12))
    assert lost == pytest.approx(-(labels * log_p).sum(), rel=1e-5) and seen == pytest.approx(12)
    np.testing.assert_allclose(slope, (np.exp(log_p) - labels) / 12, atol=1e-6)


def test_each_label_brings_the_weight_of_its_row() -> None:
    rng = np.random.default_rng(2)
    n = 9
    logits, y = rng.normal(size=(n, K)), rng.integers(K, size=n)
    by_class, by_row = np.array([2.0, 1.0, 0.5]), rng.random(20)
    places, partners = rng.permutation(20)[:n], rng.permutation(n)
    shares = rng.random(n)
    objective = Measured(LossSpec("gce", {"q": 0.7}), by_class, by_row, 20)
    mix = Mix(shares.astype(np.float32), partners, partners)
    lost, seen, slope = _measured(mix, objective, logits.astype(np.float32), y, places)

    def loss(z: np.ndarray) -> tuple[float, float]:
        total = weight = 0.0
        for row in range(n):
            p = np.exp(z[row]) / np.exp(z[row]).sum()
            for share, place in ((shares[row], row), (1 - shares[row], partners[row])):
                own = share * by_class[y[place]] * by_row[places[place]]
                total, weight = total + own * (1 - p[y[place]] ** 0.7) / 0.7, weight + own
        return total, weight

    total, weight = loss(logits)
    assert lost == pytest.approx(total, rel=1e-5) and seen == pytest.approx(weight, rel=1e-5)
    for row, label in ((0, 0), (4, 2), (8, 1)):
        nudge = np.zeros_like(logits)
        nudge[row, label] = 1e-5
        rise = (loss(logits + nudge)[0] - loss(logits - nudge)[0]) / 2e-5 / weight
        assert slope[row, label] == pytest.approx(rise, abs=1e-5)


def test_unknown_attributes_are_no_ones_partner() -> None:
    known = np.array([[1, np.nan], [0, 1]], np.float32)
    mix = Mix(np.array([0.75, 0.75], np.float32), np.array([1, 0]), np.array([1, 0]))
    objective = Measured(LossSpec("bce", link="sigmoid"), rows=2, attributes=True)
    lost, seen, slope = _measured(mix, objective, np.zeros((2, 2), np.float32), known, np.arange(2))
    assert seen == pytest.approx(3.0) and lost == pytest.approx(3.0 * np.log(2))
    np.testing.assert_allclose(slope * 3, [[0.75 * -0.5 + 0.25 * 0.5, -0.125], [0.25, -0.375]], atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 70), st.integers(1, 33), st.floats(0.01, 10.0), st.integers(0, 9), st.integers(1, 9))
def test_partners_permute_each_minibatch(rows: int, size: int, alpha: float, seed: int, epoch: int) -> None:
    order = np.random.default_rng(epoch).permutation(rows)
    mix, again = (epoch_mix(Mixing("mixup", alpha), order, size, seed, epoch) for _ in range(2))
    assert mix.partners is not None and again.partners is not None and mix.boxes is None
    np.testing.assert_array_equal(mix.shares, again.shares)
    np.testing.assert_array_equal(mix.partners, again.partners)
    assert mix.shares.shape == mix.partners.shape == (rows,) and mix.shares.dtype == np.float32
    assert ((mix.shares >= 0) & (mix.shares <= 1)).all()
    for start in range(0, rows, size):
        part = mix.part(start, start + size)
        assert part.partners is not None
        np.testing.assert_array_equal(part.others, order[start : start + size][part.partners])
        np.testing.assert_array_equal(np.sort(part.partners), np.arange(min(size, rows - start)))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_have_the_mean_and_variance_of_their_beta(alpha: float) -> None:
    mixing, order = Mixing("mixup", alpha), np.arange(40_000)
    shares = epoch_mix(mixing, order, 64, 0, 1).shares
    assert shares.mean() == pytest.approx(0.5, abs=0.01)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.03)
    assert (epoch_mix(mixing, order, 64, 0, 2).shares != shares).mean() > 0.9


def _keras_on_mixed_batches(model: Any, inputs: np.ndarray, y: np.ndarray, fit: Fit) -> np.ndarray:
    """Train a Keras model on mixed inputs and mixed one-hot labels; return its logits of the last 30 rows."""
    import keras

    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.0), loss)
    onehot = np.eye(K, dtype=np.float32)[y]
    for epoch in range(1, fit.epochs + 1):
        order = epoch_order(fit.rows, fit.seed, epoch)
        assert fit.mixing is not None
        mix = epoch_mix(fit.mixing, order, 16, fit.seed, epoch)
        assert mix.partners is not None
        for start in range(0, len(order), 16):
            rows = order[start : start + 16]
            others = rows[mix.partners[start : start + 16]]
            share = mix.shares[start : start + 16, None]
            part = share.reshape(-1, *[1] * (inputs.ndim - 1))
            mixed = part * inputs[rows] + (1 - part) * inputs[others]
            model.train_on_batch(mixed, share * onehot[rows] + (1 - share) * onehot[others])
    return np.asarray(model(inputs[60:]))


def test_heads_equal_a_keras_model_trained_on_the_same_mixed_batches() -> None:
    keras = pytest.importorskip("keras")
    x, y = _data()
    fit = _fit(val_rows=np.arange(0))
    setting = replace(SETTING, lr=0.1, optimizer="sgd", momentum=0.0)
    [trained, plain] = train_heads(x, y, K, [fit, replace(fit, mixing=None)], setting)
    model = keras.Sequential([keras.Input((D,)), keras.layers.Dense(K)])
    model.layers[0].set_weights([initial_kernel(4, D, K), np.zeros(K, np.float32)])
    theirs = _keras_on_mixed_batches(model, x, y, fit)
    assert trained.head is not None and plain.head is not None
    np.testing.assert_allclose(trained.head.logits(x[60:]), theirs, atol=1e-4)
    assert np.abs(plain.head.logits(x[60:]) - theirs).max() > 0.05


def test_nets_equal_a_keras_model_trained_on_the_same_mixed_pixels() -> None:
    keras = pytest.importorskip("keras")
    from bench.training.nets.train import train_nets

    y = _data()[1]
    rng = np.random.default_rng(0)
    pixels = (rng.integers(40, 200, (K, 1, 1, 3))[y] + rng.integers(0, 56, (N, SIDE, SIDE, 3))).astype(
        np.uint8
    )

    def build(seed: int) -> Any:
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((SIDE, SIDE, 3))
        x = keras.layers.Conv2D(6, 3, activation="relu")(inputs)
        return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))

    def scale(batch: Any) -> Any:
        return keras.ops.cast(batch, "float32") / 127.5 - 1.0

    setting = replace(SETTING, lr=0.1, optimizer="sgd", momentum=0.0)
    fits = [_fit(mixing=None), _fit(), _fit(mixing=None)]
    answers = []
    for trained, embed in train_nets(build, pixels, scale, y, K, fits, setting):
        assert trained.head is not None
        answers.append((trained, trained.head.logits(embed(np.arange(60, N)))))
    model = keras.Sequential([build(4), keras.layers.Dense(K)])
    model.layers[-1].set_weights([initial_kernel(4, 6, K), np.zeros(K, np.float32)])
    # Mixed as pixels are, before they are scaled.
    raw = keras.Sequential([keras.Input((SIDE, SIDE, 3)), keras.layers.Lambda(scale), *model.layers])
    theirs = _keras_on_mixed_batches(raw, pixels.astype(np.float32), y, _fit())
    assert answers[1][0].best_epoch == 3
    np.testing.assert_allclose(answers[1][1], theirs, atol=1e-3)
    assert np.abs(answers[0][1] - theirs).max() > 0.01
    np.testing.assert_array_equal(answers[0][1], answers[2][1])
    assert answers[0][0].history == answers[2][0].history


def _same(one: Trained, other: Trained) -> bool:
    assert one.head is not None and other.head is not None
    return one.head.kernel.tobytes() == other.head.kernel.tobytes() and one.history == other.history


def test_a_mixed_fit_alone_has_the_bits_it_has_in_company() -> None:
    x, y = _data()
    fits = [
        _fit(mixing=None),
        _fit(),
        _fit(loss=LossSpec("gce", {"q": 0.7})),
        _fit(seed=1),
        _fit(mixing=Mixing("mixup", 0.5)),
    ]
    together = train_heads(x, y, K, fits, SETTING)
    for fit, trained in zip(fits, together, strict=True):
        assert _same(train_heads(x, y, K, [fit], SETTING)[0], trained)
    assert len({trained.head.kernel.tobytes() for trained in together if trained.head}) == len(fits)


def test_mixing_needs_losses_that_do_not_go_by_single_images() -> None:
    x, y = _data()
    rows = np.arange(N)
    split = StageSplit(tuple("abc"), y, rows[:50], rows[50:70], rows[70:], unseen=0, leaked=None)
    setting = {**defaults(), "epochs": 3, "patience": 0}
    trainer = HeadTrainer(PrecomputedFeatures(x), split, setting, lambda *_: None)
    texts = ("mixup", "mixup(alpha=1)+gce+class_weight+oversample")
    answers = list(trainer.fit([(cell_of(text, setting=setting), split) for text in texts]))
    assert all(one.head is not None for one, _ in answers)
    for name in ("elr", "co_teaching"):
        with pytest.raises(BenchError, match=f"mixup and {name} cannot be combined"):
            parse_method(f"{name}+mixup")
