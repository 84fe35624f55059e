"""Co-teaching: two heads of one fit, against a second computation and against what it must become."""

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
from bench.methods.apply import resolve
from bench.methods.grammar import parse_method
from bench.runs.trainers import HeadTrainer
from bench.training.co_teaching import PEER, mean_head, taught_rows
from bench.training.fits import Fit, Hidden, Trained, TrainSetting
from bench.training.head import HeadSpec
from bench.training.linear_head import LinearHead, LossSpec
from bench.training.schedule import epoch_order, initial_kernel
from bench.training.trainer import train_heads
from tests.cells import cell_of

N, D, K = 180, 7, 4
SETTING = TrainSetting(16, 0.05, patience=0)


def _data(noise: float = 0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (N, D) inputs, (N,) true classes and (N,) given ones."""
    rng = np.random.default_rng(0)
    truth = rng.integers(K, size=N).astype(np.int32)
    x = 2.0 * rng.normal(size=(K, D))[truth] + rng.normal(size=(N, D))
    flipped = rng.random(N) < noise
    given_ = np.where(flipped, (truth + rng.integers(1, K, N)) % K, truth).astype(np.int32)
    return x.astype(np.float32), truth, given_


def _co(forget: float = 0.3, gradual: int = 4) -> LossSpec:
    return LossSpec("co_teaching", {"forget": forget, "gradual": gradual})


def _fit(loss: LossSpec | None = None, **changes: Any) -> Fit:
    rows, val = np.arange(140), np.arange(140, N)
    return replace(Fit(rows, val, loss or _co(), None, seed=3, epochs=5), **changes)


def _easy(logits: np.ndarray, labels: np.ndarray, share: float) -> np.ndarray:
    """Return ones at the rows that a head finds easy."""
    chosen: np.ndarray = taught_rows((logits, logits), labels, np.float32(share))[0].numpy()
    return chosen


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    out: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return out


def _by_hand(x: np.ndarray, y: np.ndarray, fit: Fit, forget: float, gradual: int) -> list[list[np.ndarray]]:
    """Train two linear heads as the paper's algorithm 1 says, in float64 and by plain gradient descent."""
    weights = np.ones(K) if fit.weights is None else fit.weights.astype(np.float64)
    heads = [[initial_kernel(fit.seed, D, K, layer).astype(np.float64), np.zeros(K)] for layer in (0, PEER)]
    x64 = x.astype(np.float64)
    for epoch in range(1, fit.epochs + 1):
        remember = 1 - forget * min(epoch / gradual, 1)
        order = epoch_order(fit.rows, fit.seed, epoch)
        for start in range(0, len(order), 16):
            batch = order[start : start + 16]
            picks = []
            for kernel, bias in heads:
                p = _softmax(x64[batch] @ kernel + bias)
                ranked = sorted((-np.log(p[place, y[row]]), place) for place, row in enumerate(batch))
                picks.append([batch[place] for _, place in ranked[: int(remember * len(batch) + 1e-6)]])
            for (kernel, bias), rows in zip(heads, reversed(picks), strict=True):
                slope = _softmax(x64[rows] @ kernel + bias) - np.eye(K)[y[rows]]
                share = weights[y[rows]] / weights[y[rows]].sum()
                slope *= share[:, None]
                kernel -= 0.05 * x64[rows].T @ slope
                bias -= 0.05 * slope.sum(axis=0)
    return heads


@pytest.mark.parametrize("weights", [None, np.array([3.0, 1.0, 0.5, 1.0], np.float32)])
def test_both_heads_are_those_of_the_papers_algorithm(weights: np.ndarray | None) -> None:
    x, _, y = _data()
    fit = _fit(weights=weights)
    setting = replace(SETTING, optimizer="sgd", momentum=0.0)
    ours, validated = train_heads(x, y, K, [replace(fit, val_rows=fit.rows[:0]), fit], setting)
    one, other = _by_hand(x, y, fit, 0.3, 4)
    assert np.abs(one[0] - other[0]).max() > 0.1
    assert ours.head is not None and ours.best_epoch == 5
    np.testing.assert_allclose(ours.head.kernel, (one[0] + other[0]) / 2, atol=1e-4)
    np.testing.assert_allclose(ours.head.bias, (one[1] + other[1]) / 2, atol=1e-4)
    answers = (x[140:] @ one[0] + one[1] + x[140:] @ other[0] + other[1]) / 2
    p = _softmax(answers)[np.arange(N - 140), y[140:]]
    share = np.ones(N - 140) if weights is None else weights[y[140:]]
    assert validated.history[-1].val_loss == pytest.approx(np.average(-np.log(p), weights=share), abs=1e-4)
    assert validated.history[-1].val_score == pytest.approx(np.mean(answers.argmax(1) == y[140:]), abs=1e-6)


def test_one_full_batch_by_hand() -> None:
    """Of four rows each head leaves its worst one to the other; the loss told is the mean over both."""
    x = np.array([[1, 0], [0, 1], [1, 0], [0, 1]], np.float32)
    y = np.array([0, 1, 1, 1], np.int32)
    fit = Fit(np.arange(4), np.arange(0), _co(0.25, 1), None, seed=0, epochs=1)
    [trained] = train_heads(x, y, 2, [fit], TrainSetting(4, 0.1, "sgd", momentum=0.0, patience=0))
    losses, moved = [], []
    kernels = [initial_kernel(0, 2, 2, layer).astype(np.float64) for layer in (0, PEER)]
    every = [-np.log(_softmax(x[epoch_order(np.arange(4), 0, 1)] @ kernel)) for kernel in kernels]
    labels = y[epoch_order(np.arange(4), 0, 1)]
    rows = x[epoch_order(np.arange(4), 0, 1)]
    for number, kernel in enumerate(kernels):
        theirs = every[1 - number][np.arange(4), labels]
        kept = np.delete(np.arange(4), theirs.argmax())
        losses += every[number][kept, labels[kept]].tolist()
        slope = (_softmax(rows[kept] @ kernel) - np.eye(2)[labels[kept]]) / 3
        moved.append(kernel - 0.1 * rows[kept].T @ slope)
    assert trained.head is not None
    np.testing.assert_allclose(trained.head.kernel, sum(moved) / 2, atol=1e-6)
    assert trained.history[0].loss == pytest.approx(np.mean(losses), abs=1e-6)


def test_forgetting_nothing_ends_where_one_head_ends() -> None:
    x, _, y = _data()
    fits = [_fit(loss, epochs=400, val_rows=np.arange(0)) for loss in (_co(0.0), LossSpec())]
    still, plain = train_heads(x, y, K, fits, replace(SETTING, batch_size=N, l2=0.05))
    assert still.head is not None and plain.head is not None
    # Cross entropy with decay has one optimum, wherever it starts.
    np.testing.assert_allclose(still.head.kernel, plain.head.kernel, atol=2e-3)


@settings(max_examples=30)
@given(
    st.lists(st.integers(-3, 3), min_size=1, max_size=12),
    st.floats(0.0, 0.99),
    st.integers(1, 50),
    st.integers(1, 100),
)
def test_the_easiest_rows_are_picked_and_no_others(
    gaps: list[int], forget: float, gradual: int, epoch: int
) -> None:
    logits = np.array([[gap, 0.0] for gap in gaps], np.float32)
    labels = np.zeros(len(gaps), np.int32)
    spec = HeadSpec.of(_fit(_co(forget, gradual)), D, 2, False, 16)
    share = float(spec.numbers(_fit(_co(forget, gradual)), epoch)["easy"])
    assert 1 - forget <= share + 1e-6 <= 1 + 1e-6
    assert epoch < gradual or share == pytest.approx(1 - forget, abs=1e-6)
    chosen = _easy(logits, labels, share)
    count = int(chosen.sum())
    assert count == max(1, int(np.floor(share * len(gaps) + 1e-5)))
    picked, left = np.array(gaps)[chosen == 1], np.array(gaps)[chosen == 0]
    assert not len(left) or picked.min() >= left.max(), "the wider the gap, the smaller the loss"


def test_each_head_learns_what_is_easy_for_the_other_and_nan_is_hard() -> None:
    sure = np.array([[5, 0], [4, 0], [3, 0], [np.nan, 0]], np.float32)
    unsure = sure[::-1].copy()
    unsure[0] = 9, 0
    labels = np.zeros(4, np.int32)
    first, second = taught_rows((sure, unsure), labels, 0.5)
    assert first.numpy().tolist() == [1, 0, 0, 1] and second.numpy().tolist() == [1, 1, 0, 0]
    assert _easy(sure, labels, 1.0).tolist() == [1, 1, 1, 1]
    assert _easy(sure, labels, 0.01).tolist() == [1, 0, 0, 0]
    assert _easy(sure, labels, 1 - 0.25).tolist() == [1, 1, 1, 0]


@pytest.mark.parametrize("units", [0, 3])
def test_the_mean_head_gives_the_mean_of_logits(units: int) -> None:
    rng = np.random.default_rng(1)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    x, width = draw(20, D), units or D
    heads = [LinearHead(draw(width, K), draw(K)) for _ in range(2)]
    below = (Hidden(draw(D, 3), draw(3)), Hidden(draw(D, 3), draw(3))) if units else None
    inputs = [x, x] if below is None else [layer(x) for layer in below]
    one, other = zip(heads, below or (None, None), strict=True)
    head, hidden = mean_head(one, other)
    expected = np.mean([one.logits(seen) for one, seen in zip(heads, inputs, strict=True)], axis=0)
    np.testing.assert_allclose(head.logits(x if hidden is None else hidden(x)), expected, atol=1e-5)


def _same(one: Trained, other: Trained) -> bool:
    assert one.head is not None and other.head is not None
    hidden = [None if each.hidden is None else each.hidden.kernel.tobytes() for each in (one, other)]
    return (
        one.head.kernel.tobytes() == other.head.kernel.tobytes()
        and hidden[0] == hidden[1]
        and (one.best_epoch, one.history) == (other.best_epoch, other.history)
    )


@pytest.mark.parametrize("units", [0, 5])
def test_a_pair_alone_has_the_bits_it_has_in_company(units: int) -> None:
    x, _, y = _data()
    fits = [
        _fit(LossSpec(), epochs=3),
        _fit(),
        _fit(_co(0.5, 2), epochs=2),
        _fit(LossSpec("gce", {"q": 0.7}), epochs=9),
        _fit(_co(0.1, 1), epochs=7),
        _fit(seed=1),
        _fit(stop_by="top1"),
    ]
    fits = [replace(fit, units=units) for fit in fits]
    together = train_heads(x, y, K, fits, SETTING)
    for fit, trained in zip(fits, together, strict=True):
        assert _same(train_heads(x, y, K, [fit], SETTING)[0], trained)
    backwards = train_heads(x, y, K, fits[::-1], SETTING, budget=1)[::-1]
    assert all(_same(*pair) for pair in zip(backwards, together, strict=True))
    hidden = together[1].hidden
    assert hidden is None or hidden.kernel.shape == (D, 2 * units)


def test_wrong_labels_are_learnt_by_the_plain_head_and_not_by_the_pair() -> None:
    rng = np.random.default_rng(5)
    n, d = 600, 120
    truth = rng.integers(K, size=n).astype(np.int32)
    x = (0.5 * rng.normal(size=(K, d))[truth] + rng.normal(size=(n, d))).astype(np.float32)
    y = np.where(rng.random(n) < 0.35, (truth + rng.integers(1, K, n)) % K, truth).astype(np.int32)
    rows = np.arange(300)
    fits = [Fit(rows, rows[:0], loss, None, seed=0, epochs=60) for loss in (LossSpec(), _co(0.35, 10))]
    plain, pair = train_heads(x, y, K, fits, replace(SETTING, lr=0.005))
    assert plain.head is not None and pair.head is not None
    right = [np.mean(one.head.logits(x[300:]).argmax(1) == truth[300:]) for one in (plain, pair)]  # type: ignore[union-attr]
    assert right[0] + 0.03 < right[1], right


def _split(y: np.ndarray) -> StageSplit:
    rows = np.arange(N)
    parts = rows[:100], rows[100:140], rows[140:]
    return StageSplit(tuple("abcd"), y, *parts, unseen=0, leaked=None)


def test_the_step_is_told_what_it_is_and_stops_by_top1() -> None:
    _, _, y = _data()
    made = resolve(parse_method("co_teaching(forget=0.4,gradual=3)+class_weight"), y, None, K, seed=0)
    assert made.loss.family == "co_teaching" and made.loss.params == {"forget": 0.4, "gradual": 3}
    assert made.stop_by == "top1" and made.weights is not None
    assert made.loss.link == "softmax"


def test_a_trained_pair_answers_with_the_mean_and_conv_has_none() -> None:
    x, _, y = _data()
    setting = {**defaults(), "epochs": 4, "patience": 0}
    split = _split(y)
    trainer = HeadTrainer(PrecomputedFeatures(x), split, setting, lambda *_: None)
    methods = ("co_teaching", "co_teaching+mlp(units=6)")
    work = [(cell_of(text, setting=setting), split) for text in methods]
    (linear, _), (mlp, _) = trainer.fit(work)
    assert linear.head is not None and linear.head.kernel.shape == (D, K)
    assert mlp.head is not None and mlp.head.kernel.shape == (12, K)
    assert mlp.embed is not None and mlp.embed(split.test).shape == (40, 12)
    with pytest.raises(BenchError, match="co_teaching and conv cannot be combined"):
        parse_method("conv(filters=4)+co_teaching")
