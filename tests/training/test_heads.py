"""Stacked heads: what they converge to, whom they do not depend on, when they stop, how they fail."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.core.protocol import OPTIMIZERS
from bench.training import group_run, trainer
from bench.training.fits import Fit, Trained, TrainSetting
from bench.training.head import HeadSpec
from bench.training.linear_head import LossSpec
from bench.training.schedule import epoch_order, initial_kernel
from bench.training.trainer import teams, train_heads
from tests.fakes import keras_rules

N, D, K = 260, 13, 5
FAST = TrainSetting(batch_size=32, lr=0.01, patience=0)


def _data(
    n: int = N, d: int = D, k: int = K, seed: int = 0, spread: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = rng.choice(k, size=n, p=np.arange(1, k + 1) / (k * (k + 1) / 2)).astype(np.int32)
    x = rng.normal(size=(n, d)) + spread * rng.normal(size=(k, d))[y]
    return x.astype(np.float32), y


def _fit(
    rows: Any = range(200), val: Any = range(200, N), loss: LossSpec | None = None, **changes: Any
) -> Fit:
    rows, val = np.asarray(rows, np.int64), np.asarray(val, np.int64)
    return replace(Fit(rows, val, loss or LossSpec(), None, seed=0, epochs=4), **changes)


def _company() -> list[Fit]:
    """Fits of every family, with equal and different rows, seeds, lengths, weights and caps."""
    rng = np.random.default_rng(5)
    weights = np.array([5.0, 2.0, 1.5, 1.0, 0.7], np.float32)
    offset = np.log(np.arange(1, K + 1) / 15).astype(np.float32)
    over = rng.integers(0, 200, 333)
    fits = []
    for seed in (0, 1):
        fits += [
            _fit(seed=seed),
            _fit(seed=seed, weights=weights),
            _fit(seed=seed, loss=LossSpec(offset=offset), epochs=2),
            _fit(seed=seed, loss=LossSpec(params={"smoothing": 0.1})),
            _fit(seed=seed, loss=LossSpec("focal", {"gamma": 2.0, "alpha": 1.0})),
            _fit(seed=seed, loss=LossSpec("sigmoid", bias=-1.0, link="sigmoid")),
            _fit(over, seed=seed),
            _fit(over, seed=seed, loss=LossSpec("sigmoid_focal", {"gamma": 1.5}, link="sigmoid")),
            _fit(range(7), seed=seed),
            _fit(val=[], seed=seed),
        ]
    return fits


def _same(one: Trained, other: Trained) -> bool:
    if one.head is None or other.head is None:
        return one == other
    return (
        one.head.kernel.tobytes() == other.head.kernel.tobytes()
        and one.head.bias.tobytes() == other.head.bias.tobytes()
        and (one.best_epoch, one.history, one.failed) == (other.best_epoch, other.history, other.failed)
    )


def _loss(trained: Trained, x: np.ndarray, y: np.ndarray) -> float:
    assert trained.head is not None
    logits = trained.head.logits(x).astype(np.float64)
    logits -= logits.max(1, keepdims=True)
    return float(np.mean(np.log(np.exp(logits).sum(1)) - logits[np.arange(len(y)), y]))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_long_training_with_decay_reaches_the_optimum_of_logistic_regression(optimizer: str) -> None:
    from sklearn.linear_model import LogisticRegression

    x, y = _data()
    setting = TrainSetting(N, {"adam": 0.03, "sgd": 0.3}[optimizer], optimizer, l2=0.05, patience=0)
    [trained] = train_heads(x, y, K, [_fit(range(N), [], epochs=500)], setting)
    best = LogisticRegression(C=1 / (0.05 * N), tol=1e-8, max_iter=2000).fit(x.astype(np.float64), y)
    assert trained.head is not None
    np.testing.assert_allclose(trained.head.kernel, best.coef_.T, atol=2e-3)
    bias = trained.head.bias - trained.head.bias.mean()
    np.testing.assert_allclose(bias, best.intercept_ - best.intercept_.mean(), atol=5e-3)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_a_keras_model_trained_on_the_same_batches(optimizer: str, weighted: bool) -> None:
    keras = pytest.importorskip("keras")
    x, y = _data()
    weights = np.array([5.0, 2.0, 1.5, 1.0, 0.7], np.float32) if weighted else None
    fit = _fit(weights=weights, seed=3)
    setting = TrainSetting(32, 0.01, optimizer, momentum=0.8, patience=0)
    [ours] = train_heads(x, y, K, [fit], setting)

    model = keras.Sequential([keras.Input((D,)), keras.layers.Dense(K)])
    model.layers[0].set_weights([initial_kernel(3, D, K), np.zeros(K, np.float32)])
    rules = keras_rules(0.01, momentum=0.8)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")
    model.compile(rules[optimizer], loss)
    for epoch in range(1, 5):
        order = epoch_order(fit.rows, 3, epoch)
        for start in range(0, len(order), 32):
            rows = order[start : start + 32]
            share = None if weights is None else weights[y[rows]]
            model.train_on_batch(x[rows], y[rows], sample_weight=share)
    val = np.arange(200, N)
    logits = np.asarray(model(x[val]))
    assert ours.head is not None
    assert ours.best_epoch == 4
    np.testing.assert_allclose(ours.head.logits(x[val]), logits, atol=1e-4)
    share = weights[y[val]] if weights is not None else np.ones(len(val))
    theirs = np.average(np.asarray(loss.call(y[val], logits)), weights=share)
    assert ours.history[-1].val_loss == pytest.approx(theirs, abs=1e-5)
    assert ours.history[-1].val_score == pytest.approx(np.mean(logits.argmax(1) == y[val]), abs=1e-6)


def test_a_fit_alone_has_the_bits_it_has_in_company() -> None:
    x, y = _data()
    fits = _company()
    together = train_heads(x, y, K, fits, FAST)
    for fit, trained in zip(fits, together, strict=True):
        [alone] = train_heads(x, y, K, [fit], FAST)
        assert _same(alone, trained)
    backwards = train_heads(x, y, K, fits[::-1], FAST)[::-1]
    assert all(_same(*pair) for pair in zip(backwards, together, strict=True))


@pytest.mark.parametrize(("n", "d", "k", "batch"), [(300, 256, 20, 64), (90, 33, 2, 10), (40, 3, 7, 128)])
def test_company_leaves_the_bits_alone_in_other_shapes(n: int, d: int, k: int, batch: int) -> None:
    x, y = _data(n, d, k)
    rows, val = range(n // 2), range(n // 2, n)
    fits = [_fit(rows, val, LossSpec(params={"smoothing": s / 10}), seed=s % 2) for s in range(7)]
    setting = TrainSetting(batch, 0.003)
    together = train_heads(x, y, k, fits, setting)
    for fit, trained in zip(fits, together, strict=True):
        assert _same(train_heads(x, y, k, [fit], setting)[0], trained)


def test_the_budget_changes_nothing_but_the_stacks() -> None:
    x, y = _data()
    fits = _company()
    wide, narrow = (train_heads(x, y, K, fits, FAST, budget=budget) for budget in (2**30, 1))
    assert all(_same(*pair) for pair in zip(wide, narrow, strict=True))


def test_teams_hold_every_fit_once_and_share_their_minibatches() -> None:
    fits = dict(enumerate(_company()))
    specs = {index: HeadSpec.of(fit, D, K, False, 32) for index, fit in fits.items()}
    for most, cores in ((1, 2), (3, 2), (1000, 4), (1000, 1)):
        parts = teams(fits, specs, most, cores)
        assert sorted(index for team in parts for index in team) == sorted(fits)
        assert len(parts) >= cores
        for team in parts:
            assert len(team) <= most
            batches = {(fits[i].seed, fits[i].rows.tobytes(), fits[i].val_rows.tobytes()) for i in team}
            assert len(batches) == 1


def test_a_fault_in_one_team_ends_all_and_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = _data()

    def told(done: int, total: int, what: str) -> None:
        raise OSError("the pipe is gone")

    with pytest.raises(OSError, match="the pipe is gone"):
        train_heads(x, y, K, [_fit(seed=seed, epochs=10_000) for seed in range(4)], FAST, told)


def digest() -> str:
    bits = hashlib.sha256()
    fits = [fit for fit in _company() if fit.loss.link == "softmax"]
    for trained in train_heads(*_data(), K, fits, FAST):
        assert trained.head is not None
        bits.update(trained.head.kernel.tobytes() + trained.head.bias.tobytes())
        bits.update(repr(trained.history).encode())
    return bits.hexdigest()


def test_training_again_gives_the_same_bits() -> None:
    assert digest() == digest()


def test_a_fit_that_breaks_does_not_touch_the_others() -> None:
    x, y = _data()
    x = np.concatenate([x, np.full((1, D), np.nan, np.float32)])
    y = np.append(y, np.int32(0))
    broken = _fit([*range(200), N])
    others = [_fit(), _fit(seed=1), _fit(loss=LossSpec("focal")), _fit(range(201))]
    answers = train_heads(x, y, K, [others[0], broken, *others[1:]], FAST)
    assert answers[1].head is None
    assert answers[1].failed == "loss became NaN in epoch 1"
    assert answers[1].history == ()
    without = train_heads(x, y, K, others, FAST)
    assert all(_same(*pair) for pair in zip([answers[0], *answers[2:]], without, strict=True))


def test_a_broken_fit_in_a_shared_stack_is_alone_in_failing() -> None:
    x, y = _data()
    weights = np.ones(K, np.float32)
    weights[4] = np.inf
    fits = [_fit(), _fit(weights=weights), _fit(loss=LossSpec(params={"smoothing": 0.1}))]
    answers = train_heads(x, y, K, fits, FAST)
    assert [trained.failed for trained in answers] == [None, "loss became NaN in epoch 1", None]
    assert _same(answers[0], train_heads(x, y, K, fits[:1], FAST)[0])


def test_validation_that_is_not_finite_fails_the_fit() -> None:
    x, y = _data()
    x[N - 1] = np.inf
    [trained] = train_heads(x, y, K, [_fit()], FAST)
    assert trained.failed is not None
    assert trained.failed.startswith("validation loss became ")
    assert trained.failed.endswith(" in epoch 1")


def test_training_stops_patience_epochs_after_the_best_and_keeps_it() -> None:
    x, y = _data(spread=0.1)
    setting = TrainSetting(32, 0.05, patience=3)
    fit = _fit(epochs=60)
    [trained] = train_heads(x, y, K, [fit], setting)
    losses = [line.val_loss for line in trained.history]
    assert trained.best_epoch == int(np.argmin(losses)) + 1  # type: ignore[arg-type]
    assert len(losses) == trained.best_epoch + 3 < 60
    [cut] = train_heads(x, y, K, [replace(fit, epochs=trained.best_epoch)], setting)
    assert trained.head is not None and cut.head is not None
    assert trained.head.kernel.tobytes() == cut.head.kernel.tobytes()
    val = np.arange(200, N)
    assert _loss(trained, x[val], y[val]) == pytest.approx(min(losses), abs=1e-5)  # type: ignore[type-var]


def test_a_fit_that_stops_early_leaves_its_stack_and_the_others_go_on() -> None:
    x, y = _data(spread=0.1)
    weights = np.array([30.0, 1.0, 1.0, 1.0, 1.0], np.float32)
    fits = [_fit(epochs=60, weights=w, seed=seed) for seed in range(3) for w in (None, weights)]
    setting = TrainSetting(32, 0.05, patience=2)
    together = train_heads(x, y, K, fits, setting)
    assert len({len(trained.history) for trained in together}) > 1
    for fit, trained in zip(fits, together, strict=True):
        assert _same(train_heads(x, y, K, [fit], setting)[0], trained)


def test_without_validation_rows_every_epoch_is_trained_and_the_last_is_kept() -> None:
    x, y = _data()
    [trained] = train_heads(x, y, K, [_fit(val=[], epochs=7)], replace(FAST, patience=2))
    assert (trained.best_epoch, len(trained.history)) == (7, 7)
    assert {(line.val_loss, line.val_score) for line in trained.history} == {(None, None)}
    [validated] = train_heads(x, y, K, [_fit(epochs=7)], FAST)
    assert [line.loss for line in trained.history] == [line.loss for line in validated.history]


def test_equal_fits_get_equal_heads() -> None:
    x, y = _data()
    first, second, other = train_heads(x, y, K, [_fit(), _fit(), _fit(epochs=5)], FAST)
    assert _same(first, second)
    assert len(other.history) == 5
    assert first.head is not None
    # They are one object: a step that writes into it would change the other cell.
    with pytest.raises(ValueError, match="read-only"):
        first.head.kernel[:] = 0


def test_weights_that_differ_by_a_factor_train_alike() -> None:
    x, y = _data()
    weights = np.array([5.0, 2.0, 1.5, 1.0, 0.5], np.float32)
    one, other = train_heads(x, y, K, [_fit(weights=weights), _fit(weights=weights * 1000)], FAST)
    assert one.head is not None and other.head is not None
    np.testing.assert_allclose(one.head.kernel, other.head.kernel, atol=1e-5)


def test_classes_of_weight_zero_teach_nothing() -> None:
    x, y = _data()
    weights = np.zeros(K, np.float32)
    [still] = train_heads(x, y, K, [_fit(val=[], weights=weights, epochs=1)], FAST)
    assert still.failed == "loss became NaN in epoch 1"
    weights[2] = 1.0
    [trained] = train_heads(x, y, K, [_fit(weights=weights, epochs=100)], FAST)
    assert trained.head is not None
    assert (trained.head.logits(x[:200])[y[:200] == 2].argmax(1) == 2).all()


def test_two_classes_a_single_row_and_batches_larger_than_the_data() -> None:
    x, y = _data(k=2)
    fits = [_fit([5], []), _fit([5], [6]), _fit(range(3)), _fit([]), _fit(epochs=0)]
    answers = train_heads(x, y, 2, fits, replace(FAST, batch_size=10_000))
    assert [trained.failed for trained in answers[:3]] == [None] * 3
    assert [trained.failed for trained in answers[3:]] == ["no training rows", "no epochs to train for"]
    assert all(trained.head is not None and trained.head.kernel.shape == (D, 2) for trained in answers[:3])


def test_repeated_rows_weigh_as_often_as_they_are_named() -> None:
    x, y = _data()
    counts = 1 + (y[:200] == 0) * 2
    over = np.repeat(np.arange(200), counts)
    weights = np.array([3.0, 1, 1, 1, 1], np.float32)
    setting = TrainSetting(1000, 0.05, patience=0)
    twice, weighted = train_heads(
        x, y, K, [_fit(over, [], epochs=50), _fit(val=[], weights=weights, epochs=50)], setting
    )
    assert twice.head is not None and weighted.head is not None
    np.testing.assert_allclose(twice.head.kernel, weighted.head.kernel, atol=1e-4)


def test_features_may_be_a_read_only_memory_map(tmp_path: Path) -> None:
    x, y = _data()
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert _same(train_heads(mapped, y, K, [_fit()], FAST)[0], train_heads(x, y, K, [_fit()], FAST)[0])


def test_a_table_too_large_to_be_held_is_read_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = _data()
    fits = [_fit(), _fit(seed=1)]
    monkeypatch.setattr(group_run, "BLOCK", 2 * FAST.batch_size * 4 * D)
    held = train_heads(x, y, K, fits, FAST)
    monkeypatch.setattr(trainer, "WHOLE", 0)
    read = train_heads(x, y, K, fits, FAST)
    assert all(_same(one, other) for one, other in zip(held, read, strict=True))


def test_progress_ends_at_its_total() -> None:
    x, y = _data(spread=0.1)
    told: list[tuple[int, int]] = []
    fits = [_fit(epochs=50), _fit(seed=1, epochs=3), _fit([])]
    setting = TrainSetting(32, 0.05, patience=2)
    train_heads(x, y, K, fits, setting, lambda done, total, _: told.append((done, total)))
    assert told[-1][0] == told[-1][1]
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_no_fits_no_outcomes() -> None:
    assert train_heads(*_data(), K, [], FAST) == []


def _row_weighted() -> list[Fit]:
    rng = np.random.default_rng(7)
    shares = rng.random(200).astype(np.float32)
    classes = np.array([5.0, 2.0, 1.5, 1.0, 0.7], np.float32)
    over = rng.integers(0, 200, 333)
    return [
        _fit(row_weights=shares),
        _fit(row_weights=shares, weights=classes),
        _fit(row_weights=1 - shares, loss=LossSpec("gce")),
        _fit(row_weights=shares, val=[]),
        _fit(over, row_weights=shares[over], seed=1),
        _fit(loss=LossSpec("elr", {"beta": 0.7, "lam": 3.0})),
        _fit(over, loss=LossSpec("elr", {"beta": 0.7, "lam": 3.0}), epochs=2),
    ]


def test_positions_are_drawn_as_the_rows_themselves_would_be() -> None:
    rows = np.random.default_rng(1).integers(0, 1000, 77)
    for epoch in (1, 2, 9):
        np.testing.assert_array_equal(rows[epoch_order(np.arange(77), 3, epoch)], epoch_order(rows, 3, epoch))


def test_fits_with_row_weights_do_not_depend_on_their_company() -> None:
    x, y = _data()
    weighted, others = _row_weighted(), _company()
    together = train_heads(x, y, K, [*weighted, *others], FAST)
    for fit, trained in zip([*weighted, *others], together, strict=True):
        assert _same(train_heads(x, y, K, [fit], FAST)[0], trained)
    assert not any(_same(together[0], trained) for trained in together[1:])


def test_row_weights_are_whole_repeats() -> None:
    x, y = _data()
    repeats = np.random.default_rng(2).integers(0, 4, 200)
    setting = TrainSetting(1000, 0.05, patience=0)
    over = _fit(np.repeat(np.arange(200), repeats), [], epochs=50)
    weighted = _fit(val=[], row_weights=repeats.astype(np.float32), epochs=50)
    one, other = train_heads(x, y, K, [over, weighted], setting)
    assert one.head is not None and other.head is not None
    np.testing.assert_allclose(one.head.kernel, other.head.kernel, atol=1e-4)
    assert one.history[-1].loss == pytest.approx(other.history[-1].loss, abs=1e-5)


def test_row_weights_that_follow_the_class_are_class_weights() -> None:
    x, y = _data()
    weights = np.array([5.0, 2.0, 1.5, 1.0, 0.5], np.float32)
    by_class, by_row = train_heads(
        x, y, K, [_fit(val=[], weights=weights), _fit(val=[], row_weights=weights[y[:200]])], FAST
    )
    assert _same(by_class, by_row)


def test_rows_of_weight_zero_teach_nothing_and_validation_rows_have_no_weights() -> None:
    x, y = _data()
    wrong = y.copy()
    wrong[:50] = (wrong[:50] + 1) % K
    keep = (np.arange(200) >= 50).astype(np.float32)
    ours, theirs = (train_heads(x, labels, K, [_fit(row_weights=keep)], FAST)[0] for labels in (y, wrong))
    assert _same(ours, theirs)
    assert ours.history[-1].val_loss == pytest.approx(_loss(ours, x[200:], y[200:]), abs=1e-5)


def test_a_fit_that_stops_by_top1_keeps_the_first_of_its_best_epochs() -> None:
    x, y = _data(spread=0.4)
    y[200:220] = (y[200:220] + 1) % K
    setting = TrainSetting(32, 0.05, patience=4)
    by_loss, by_top1 = train_heads(x, y, K, [_fit(epochs=60), _fit(epochs=60, stop_by="top1")], setting)
    tops = [line.val_score for line in by_top1.history]
    assert by_top1.best_epoch == int(np.argmax(tops)) + 1  # type: ignore[arg-type]
    assert len(tops) == by_top1.best_epoch + 4 < 60
    assert by_loss.best_epoch != by_top1.best_epoch
    both = zip(by_loss.history, by_top1.history, strict=False)
    assert all(one == other for one, other in both)
    val = np.arange(200, N)
    assert by_top1.head is not None
    assert np.mean(by_top1.head.logits(x[val]).argmax(1) == y[val]) == max(tops)  # type: ignore[type-var]


def test_a_family_that_remembers_without_strength_is_cross_entropy() -> None:
    x, y = _data()
    plain, still, strong = train_heads(
        x,
        y,
        K,
        [_fit(), *(_fit(loss=LossSpec("elr", {"beta": 0.7, "lam": lam})) for lam in (0.0, 3.0))],
        FAST,
    )
    assert plain.head is not None and still.head is not None and strong.head is not None
    np.testing.assert_allclose(still.head.kernel, plain.head.kernel, atol=1e-5)
    assert np.abs(strong.head.kernel - plain.head.kernel).max() > 0.01
