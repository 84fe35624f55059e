"""Heads on many attributes, with hidden layers, changing rates and views, against Keras and by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.training.fits import Epoch, Fit, Trained, TrainSetting
from bench.training.linear_head import LossSpec
from bench.training.schedule import epoch_order, epoch_views, initial_kernel, rate
from bench.training.trainer import train_heads
from bench.training.validation_scores import auc, f1

N, D, K = 240, 9, 4
BCE = LossSpec("bce", link="sigmoid")
SETTING = TrainSetting(32, 0.01, "adam", l2=0.01, patience=0)


def _data() -> tuple[np.ndarray, np.ndarray]:
    """Return features, and attributes of which a fifth is unknown."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, D)).astype(np.float32)
    logits = x @ rng.normal(size=(D, K)) + np.array([0.0, 1.0, -1.0, 2.0])
    y = (rng.random((N, K)) < 1 / (1 + np.exp(-2 * logits))).astype(np.float32)
    y[rng.random((N, K)) < 0.2] = np.nan
    return x, y


def _fit(**changes: Any) -> Fit:
    fit = Fit(np.arange(180), np.arange(180, N), BCE, None, seed=3, epochs=4)
    return replace(fit, **changes)


def _bits(trained: Trained) -> bytes:
    assert trained.head is not None
    parts = [trained.head.kernel, trained.head.bias]
    parts += [] if trained.hidden is None else [trained.hidden.kernel, trained.hidden.bias]
    return b"".join(part.tobytes() for part in parts) + repr(trained.history).encode()


def _answers(trained: Trained, x: np.ndarray) -> np.ndarray:
    assert trained.head is not None
    return trained.head.logits(x if trained.hidden is None else trained.hidden(x))


@pytest.mark.parametrize("units", [0, 5])
def test_equals_a_keras_model_trained_on_the_same_batches_by_masked_binary_cross_entropy(units: int) -> None:
    keras = pytest.importorskip("keras")
    x, y = _data()
    weights = np.array([[1.0, 2.0, 0.5, 1.0], [1.0, 1.0, 3.0, 0.25]], np.float32)
    setting = replace(SETTING, l2=0.0)
    [ours] = train_heads(x, y, K, [_fit(weights=weights, units=units)], setting)
    layers = [keras.layers.Dense(units, activation="relu")] if units else []
    model = keras.Sequential([keras.Input((D,)), *layers, keras.layers.Dense(K)])
    widths = [D, units, K] if units else [D, K]
    for number, (layer, d, k) in enumerate(zip(model.layers, widths[:-1], widths[1:], strict=True)):
        layer.set_weights([initial_kernel(3, d, k, number), np.zeros(k, np.float32)])

    def loss(truth: Any, logits: Any) -> Any:
        cell = keras.ops.binary_crossentropy(truth[..., :K], logits, from_logits=True)
        return keras.ops.sum(cell * truth[..., K:]) / keras.ops.sum(truth[..., K:])

    # A loss of Keras is given one tensor of truth: the shares of the cells stand beside it.
    known = np.where(np.isnan(y), 0, 1).astype(np.float32)
    yes = np.nan_to_num(y)
    share = known * (weights[0] + yes * (weights[1] - weights[0]))
    told = np.concatenate([yes, share], axis=1)
    model.compile(keras.optimizers.Adam(0.01), loss)
    for epoch in range(1, 5):
        order = epoch_order(np.arange(180), 3, epoch)
        for start in range(0, 180, 32):
            rows = order[start : start + 32]
            model.train_on_batch(x[rows], told[rows])
    np.testing.assert_allclose(_answers(ours, x), np.asarray(model(x)), atol=2e-4)
    val = np.arange(180, N)
    theirs = float(loss(told[val], np.asarray(model(x[val]))))
    assert ours.history[-1].val_loss == pytest.approx(theirs, abs=1e-5)
    assert ours.score == "f1"


def test_long_training_with_one_attribute_reaches_the_optimum_of_logistic_regression() -> None:
    from sklearn.linear_model import LogisticRegression

    x, y = _data()
    known = ~np.isnan(y[:, 0])
    fit = _fit(rows=np.arange(N), val_rows=np.empty(0, np.int64), epochs=600)
    setting = TrainSetting(N, 0.03, l2=0.05, patience=0)
    [trained] = train_heads(x, y[:, :1], 1, [fit], setting)
    best = LogisticRegression(C=1 / (0.05 * known.sum()), tol=1e-8).fit(x[known], y[known, 0])
    assert trained.head is not None
    np.testing.assert_allclose(trained.head.kernel[:, 0], best.coef_[0], atol=3e-3)
    np.testing.assert_allclose(trained.head.bias, best.intercept_, atol=5e-3)


def test_a_fit_alone_has_the_bits_it_has_in_company() -> None:
    x, y = _data()
    filled = np.where(np.isnan(y), 0.25, y)[:180].astype(np.float32)
    fits = [
        _fit(),
        _fit(targets=filled),
        _fit(units=6),
        _fit(units=6, targets=filled),
        _fit(loss=LossSpec("asl", {"gamma_neg": 4.0, "gamma_pos": 1.0, "clip": 0.05}, link="sigmoid")),
        _fit(stop_by="auc"),
        _fit(seed=4),
        _fit(views=np.stack([np.arange(180), np.arange(180)[::-1]])),
    ]
    together = train_heads(x, y, K, fits, SETTING)
    for fit, trained in zip(fits, together, strict=True):
        [alone] = train_heads(x, y, K, [fit], SETTING)
        assert _bits(alone) == _bits(trained)
    # A score that picks another epoch, or is only written down, leaves the weights of equal epochs alone.
    assert len({_bits(one) for one in together}) == len(fits)


def test_unknown_cells_teach_nothing_whatever_stands_in_the_features_of_their_rows() -> None:
    x, y = _data()
    y[:60] = np.nan
    [before] = train_heads(x, y, K, [_fit()], replace(SETTING, batch_size=180))
    x[:60] += 100
    [after] = train_heads(x, y, K, [_fit()], replace(SETTING, batch_size=180))
    assert _bits(before) == _bits(after)


def test_own_targets_are_trained_on_and_validation_keeps_the_known_ones() -> None:
    x, y = _data()
    turned = (1 - np.nan_to_num(y[:180], nan=0.5)).astype(np.float32)
    [plain, against] = train_heads(x, y, K, [_fit(epochs=40), _fit(epochs=40, targets=turned)], SETTING)
    losses = [[line.val_loss for line in one.history if line.val_loss] for one in (plain, against)]
    assert losses[0][-1] < losses[0][0] and losses[1][-1] > losses[1][0]


def test_views_stand_for_their_rows_in_turn() -> None:
    x, y = _data()
    table = np.concatenate([x, x + 1, x + 2])
    rows = np.arange(180)
    fit = _fit(views=np.stack([rows, rows + N, rows + 2 * N]), epochs=3)
    setting = replace(SETTING, batch_size=180, optimizer="sgd", momentum=0.0, l2=0.0)
    [ours] = train_heads(table, y, K, [fit], setting)
    kernel, bias = initial_kernel(3, D, K).astype(np.float64), np.zeros(K)
    for epoch in (1, 2, 3):
        inputs = x[:180] + epoch_views(180, 3, 3, epoch)[:, None]
        known = ~np.isnan(y[:180])
        slope = (1 / (1 + np.exp(-(inputs @ kernel + bias))) - np.nan_to_num(y[:180])) * known / known.sum()
        kernel, bias = kernel - 0.01 * inputs.T @ slope, bias - 0.01 * slope.sum(axis=0)
    assert ours.history[-1].epoch == 3
    np.testing.assert_allclose(_answers(ours, x), x @ kernel + bias, atol=1e-5)
    drawn = np.concatenate([epoch_views(180, 3, 3, epoch) for epoch in range(1, 20)])
    assert np.bincount(drawn).min() > 0.8 * len(drawn) / 3


def test_scores_of_attributes_equal_scikit_learn_on_the_known_cells() -> None:
    from sklearn.metrics import f1_score, roc_auc_score

    rng = np.random.default_rng(2)
    _, y = _data()
    logits = np.round(rng.normal(size=y.shape), 1).astype(np.float32)
    known = ~np.isnan(y)
    columns = [(y[known[:, c], c], logits[known[:, c], c]) for c in range(K)]
    assert f1(logits, y) == pytest.approx(np.mean([f1_score(t, s >= 0) for t, s in columns]))
    assert auc(logits, y) == pytest.approx(np.mean([roc_auc_score(t, s) for t, s in columns]))
    nothing = np.full((3, K), np.nan)
    assert (f1(logits[:3], nothing), auc(logits[:3], nothing)) == (0.0, 0.5)


def test_the_best_epoch_by_a_score_is_the_one_with_the_highest() -> None:
    x, y = _data()
    for name in ("f1", "auc"):
        [one] = train_heads(x, y, K, [_fit(stop_by=name, epochs=30)], SETTING)
        scores = [line.val_score for line in one.history]
        assert one.score == name and one.best_epoch == int(np.argmax(scores)) + 1  # type: ignore[arg-type]


def _history(losses: Sequence[float]) -> list[Epoch]:
    return [Epoch(number, 1.0, loss, None, 0.1) for number, loss in enumerate(losses, 1)]


def test_rates_fall_as_their_schedule_says() -> None:
    setting = TrainSetting(8, 0.1, schedule_every=2, schedule_factor=0.5)
    rates = {
        name: [rate(replace(setting, schedule=name), 6, _history([1.0] * done)) for done in range(6)]
        for name in ("constant", "step", "cosine")
    }
    assert rates["constant"] == [0.1] * 6
    assert rates["step"] == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025, 0.025])
    assert rates["cosine"] == pytest.approx([0.05 * (1 + np.cos(np.pi * t / 6)) for t in range(6)])
    plateau = replace(setting, schedule="plateau")
    losses = [3.0, 2.0, 2.0, 2.5, 1.0, 1.5, 1.2, 1.1]
    falls = [rate(plateau, 9, _history(losses[:done])) for done in range(9)]
    assert falls == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025])


def test_the_history_tells_the_rates_and_a_repeated_fit_keeps_them() -> None:
    x, y = _data()
    setting = replace(SETTING, schedule="step", schedule_every=1, schedule_factor=0.5)
    [one] = train_heads(x, y, K, [_fit(val_rows=np.empty(0, np.int64))], setting)
    assert [line.lr for line in one.history] == pytest.approx([0.01, 0.005, 0.0025, 0.00125])
    again = _fit(val_rows=np.empty(0, np.int64), rates=one.rates)
    [same] = train_heads(x, y, K, [again], replace(setting, schedule="constant", lr=9.0))
    assert _bits(same) == _bits(one)
