"""Heads of cosines with margins: what TensorFlow's own gradients make of them, and when the best epoch is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.backbones.inputs import PrecomputedFeatures
from bench.core.cell import Cell, DataId, Value
from bench.core.protocol import defaults
from bench.data.splits import StageSplit
from bench.methods.apply import resolve
from bench.methods.class_weights import class_balanced
from bench.methods.grammar import parse_method
from bench.runs.fits import fit_of
from bench.runs.trainers import HeadTrainer
from bench.store.head_file import SavedHead, load_head
from bench.training.fits import Fit, Trained, TrainSetting, unit_rows
from bench.training.linear_head import LossSpec, link
from bench.training.losses.specs import ldam
from bench.training.schedule import Watch, epoch_order, initial_kernel
from bench.training.trainer import train_heads
from tests.cells import cell_of, trained_as_run
from tests.fakes import keras_rules

N, D, K = 150, 9, 4
COUNTS = np.array([60, 30, 8, 2])
SETTING = TrainSetting(batch_size=32, lr=0.02, patience=0)
MARGINS = np.array([0.1, 0.2, 0.35, 0.5], np.float32)


def _data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    y = np.repeat(np.arange(K, dtype=np.int32), [70, 45, 25, 10])[rng.permutation(N)]
    x = rng.normal(size=(N, D)) + 0.8 * rng.normal(size=(K, D))[y]
    return x.astype(np.float32), y


def _loss(scale: float = 12.0) -> LossSpec:
    return LossSpec(scale=scale, margins=scale * MARGINS, late=0.5)


def _fit(**changes: Any) -> Fit:
    fit = Fit(np.arange(110), np.arange(110, N), _loss(), None, seed=3, epochs=4)
    return replace(fit, **changes)


def _bits(trained: Trained) -> bytes:
    assert trained.head is not None
    below = () if trained.hidden is None else (trained.hidden.kernel, trained.hidden.bias)
    arrays = (trained.head.kernel, trained.head.bias, *below)
    return b"".join(array.tobytes() for array in arrays) + repr(trained.history).encode()


def _batches(fit: Fit, size: int) -> Iterator[tuple[int, np.ndarray]]:
    for epoch in range(1, fit.epochs + 1):
        order = epoch_order(fit.rows, fit.seed, epoch)
        for start in range(0, len(order), size):
            yield epoch, order[start : start + size]


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("units", [0, 6])
def test_equals_what_tensorflow_makes_of_the_same_loss(optimizer: str, units: int) -> None:
    tf = pytest.importorskip("tensorflow")
    x, y = _data()
    weights = np.array([0.2, 0.5, 1.5, 3.0], np.float32)
    fit = _fit(weights=weights, units=units, deferred=2)
    setting = replace(SETTING, optimizer=optimizer, momentum=0.8)
    [ours] = train_heads(x, y, K, [fit], setting)

    below = (
        [tf.Variable(initial_kernel(3, D, units)), tf.Variable(np.zeros(units, np.float32))] if units else []
    )
    kernel = tf.Variable(initial_kernel(3, units or D, K, int(units > 0)))

    def cosines(rows: np.ndarray) -> Any:
        fed = tf.nn.relu(x[rows] @ below[0] + below[1]) if below else tf.constant(x[rows])
        unit = fed / tf.maximum(tf.norm(fed, axis=1, keepdims=True), 1e-6)
        return unit @ (kernel / tf.norm(kernel, axis=0, keepdims=True))

    rule = keras_rules(0.02, momentum=0.8)[optimizer]
    for epoch, rows in _batches(fit, 32):
        with tf.GradientTape() as tape:
            shifted = cosines(rows) - tf.one_hot(y[rows], K) * MARGINS
            lost = tf.nn.sparse_softmax_cross_entropy_with_logits(y[rows], 12.0 * shifted)
            share = weights[y[rows]] if epoch > 2 else np.ones(len(rows), np.float32)
            mean = tf.reduce_sum(share * lost) / tf.reduce_sum(share)
        held = [*below, kernel]
        rule.apply_gradients(zip(tape.gradient(mean, held), held, strict=True))
    val = fit.val_rows
    logits = 12.0 * cosines(val).numpy()
    assert ours.head is not None and ours.unit
    fed = x[val] if ours.hidden is None else ours.hidden(x[val])
    # The last epoch is the best one here, or its logits would be others.
    assert ours.best_epoch == 4
    np.testing.assert_allclose(ours.head.logits(unit_rows(fed)), logits, atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(ours.head.kernel, axis=0), 12.0, rtol=1e-5)
    assert not ours.head.bias.any()
    # Validation knows no margins, and the weights of the epoch.
    lost = tf.nn.sparse_softmax_cross_entropy_with_logits(y[val], logits).numpy()
    assert ours.history[-1].val_loss == pytest.approx(np.average(lost, weights=weights[y[val]]), abs=1e-3)


def test_a_row_of_nothing_but_zeros_has_no_direction_and_harms_nobody() -> None:
    x, y = _data()
    x[[0, N - 1]] = 0.0
    for units in (0, 5):
        [trained] = train_heads(x, y, K, [_fit(units=units)], SETTING)
        assert trained.failed is None and trained.head is not None and np.isfinite(trained.head.kernel).all()


def test_a_fit_alone_has_the_bits_it_has_in_company() -> None:
    x, y = _data()
    weights = np.array([0.2, 0.5, 1.5, 3.0], np.float32)
    fits = [
        _fit(),
        _fit(loss=LossSpec()),
        _fit(loss=_loss(30.0)),
        _fit(loss=replace(_loss(), margins=None)),
        _fit(weights=weights),
        _fit(weights=weights, deferred=3),
        _fit(units=5),
        _fit(units=5, loss=LossSpec()),
        _fit(units=5, loss=_loss(3.0), epochs=2),
        _fit(seed=4),
    ]
    together = train_heads(x, y, K, fits, SETTING)
    for fit, trained in zip(fits, together, strict=True):
        assert _bits(train_heads(x, y, K, [fit], SETTING)[0]) == _bits(trained)
    backwards = train_heads(x, y, K, fits[::-1], SETTING)[::-1]
    assert [_bits(one) for one in backwards] == [_bits(one) for one in together]
    assert len({_bits(one) for one in together}) == len(fits)


def test_the_best_epoch_is_one_after_the_deferral_and_patience_counts_from_there() -> None:
    fit = _fit(epochs=10, deferred=6)
    watch = Watch(fit, replace(SETTING, patience=2), attributes=False)
    losses = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.9, 0.8, 0.85, 0.95, 0.1]
    kept = []
    while not watch.stopped:
        kept.append(watch.record(1.0, losses[len(watch.history)], 0.5))
    assert kept == [False] * 6 + [True, True, False, False] and watch.best_epoch == 8
    # Without the deferral the first epoch is the best and two more are waited for.
    plain = Watch(replace(fit, deferred=0), replace(SETTING, patience=2), attributes=False)
    while not plain.stopped:
        plain.record(1.0, losses[len(plain.history)], 0.5)
    assert plain.best_epoch == 1 and len(plain.history) == 3


def test_weights_wait_and_a_second_training_defers_as_the_first_did() -> None:
    _, y = _data()
    train, val = np.arange(110), np.arange(110, N)

    def deferred(method: str = "ldam", first: Trained | None = None, **setting: Value) -> int:
        own = cell_of(method, setting={"epochs": 40, **setting})
        made = resolve(own.method, y[train], None, K, 0)
        assert made.weights is not None
        return fit_of(own, made, train, val, first).deferred

    assert deferred() == 32
    # Whatever the epochs would be: by steps, more rows have fewer of them.
    assert deferred(steps=20, batch_size=10) == 1
    assert deferred("ldam", Trained(None, 35, deferred=32), steps=20, batch_size=10) == 32
    assert deferred("ldam(drw=false)+class_weight") == 0
    for epochs, number in ((1, 0), (3, 2), (5, 4), (10, 8), (200, 160)):
        assert deferred(epochs=epochs) == number


def test_the_papers_program_gives_the_same_margins_and_weights() -> None:
    args = {"margin": 0.5, "scale": 30.0, "drw": True, "late": 0.2}
    made = ldam(args, COUNTS)
    # LDAMLoss and the training loop of the program that came with the paper, line by line.
    m_list = 1.0 / np.sqrt(np.sqrt(COUNTS))
    m_list = m_list * (0.5 / np.max(m_list))
    assert made.margins is not None
    np.testing.assert_allclose(made.margins, 30.0 * m_list, rtol=1e-6)
    effective_num = 1.0 - np.power(0.9999, COUNTS)
    per_cls_weights = (1.0 - 0.9999) / effective_num
    per_cls_weights = per_cls_weights / np.sum(per_cls_weights) * len(COUNTS)
    from bench.methods.class_weights import deferred

    np.testing.assert_allclose(deferred(args, COUNTS), per_cls_weights, rtol=1e-4)
    np.testing.assert_array_equal(deferred(args, COUNTS), class_balanced({"beta": 0.9999}, COUNTS))
    empty = ldam(args, np.array([16, 0, 1]))
    assert empty.margins is not None
    np.testing.assert_allclose(empty.margins, [7.5, 0.0, 15.0], rtol=1e-6)


def _cell(text: str, seed: int = 0, **setting: Any) -> Cell:
    protocol = {**defaults(), "epochs": 5, "patience": 0, "lr": 0.02, **setting}
    return Cell(
        "fashion",
        1,
        "multiclass",
        "top20",
        "frozen",
        "lenet",
        "random",
        parse_method(text),
        seed,
        tuple(sorted(protocol.items())),
        DataId("made", "f" * 64),
    )


@pytest.mark.parametrize("refit", [False, True])
def test_a_kept_model_scores_features_as_the_cell_did(tmp_path: Any, refit: bool) -> None:
    x, y = _data()
    rows = np.arange(N)
    split = StageSplit(tuple("abcd"), y, rows[:90], rows[90:120], rows[120:], unseen=0, leaked=None)
    texts = ("ldam", "mlp(units=6)+ldam", "ldam+logit_adjust(form=posthoc,tau=auto)", "ldam+ncm", "none")
    cells = [_cell(text, refit=refit) for text in texts]
    trainer = HeadTrainer(PrecomputedFeatures(x), split, cells[0].setting, lambda *_: None)
    for cell, outcome in trained_as_run(trainer, [(cell, split) for cell in cells]):
        folder = tmp_path / cell.id8
        folder.mkdir()
        outcome.model.save(folder)
        head = load_head(folder)
        assert isinstance(head, SavedHead) and head.unit == (cell.method.text != "none")
        np.testing.assert_allclose(head.scores(x[split.test]), outcome.test, atol=1e-6)
        # By hand, from what the file holds.
        fed = (x[split.test] - head.mean) / head.scale
        if head.hidden_kernel is not None:
            fed = np.maximum(fed @ head.hidden_kernel + head.hidden_bias, 0)
        if head.unit:
            fed = fed / np.linalg.norm(fed, axis=1, keepdims=True)
        np.testing.assert_allclose(link("softmax", fed @ head.kernel + head.bias), outcome.test, atol=1e-5)
