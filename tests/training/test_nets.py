"""Nets trained from pixels: the same as Keras trains, the same again, whatever came before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.backbones.precision import dtype_policy, float32_outputs
from bench.core.protocol import OPTIMIZERS
from bench.training.fits import Fit, Trained, TrainSetting
from bench.training.linear_head import LossSpec
from bench.training.nets import train as nets
from bench.training.nets.train import Embed, train_nets
from bench.training.schedule import decays_along, epoch_order, initial_kernel
from tests.fakes import keras_rules

pytest.importorskip("tensorflow")

N, K, SIDE = 90, 3, 8
SETTING = TrainSetting(batch_size=16, lr=0.01, patience=0)


def _data(k: int = K) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = rng.integers(0, k, N).astype(np.int32)
    tones = rng.integers(40, 200, (k, 1, 1, 3))
    noise = rng.integers(0, 56, (N, SIDE, SIDE, 3))
    return (tones[y] + noise).astype(np.uint8), y


def _build(seed: int) -> Any:
    """A small net with everything that a restart must reset: weights, moving averages, a random state."""
    import keras

    keras.utils.set_random_seed(seed)
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(6, 3, activation="relu")(inputs)
    x = keras.layers.BatchNormalization(momentum=0.8)(x)
    x = keras.layers.Dropout(0.2, seed=seed)(x)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


def _plain(seed: int) -> Any:
    import keras

    keras.utils.set_random_seed(seed)
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.Conv2D(6, 3, activation="relu")(inputs)
    return keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))


def _scale(batch: Any) -> Any:
    import keras

    return keras.ops.cast(batch, "float32") / 127.5 - 1.0


def _fit(rows: Any = range(60), val: Any = range(60, N), **changes: Any) -> Fit:
    fit = Fit(np.asarray(rows, np.int64), np.asarray(val, np.int64), LossSpec(), None, seed=0, epochs=3)
    return replace(fit, **changes)


def _train(
    *fits: Fit, setting: TrainSetting = SETTING, build: Any = _build
) -> Iterator[tuple[Trained, Embed]]:
    pixels, y = _data()
    return train_nets(build, pixels, _scale, y, K, fits, setting)


def _bits(trained: Trained, embed: Embed) -> str:
    assert trained.head is not None
    digest = hashlib.sha256(trained.head.kernel.tobytes() + trained.head.bias.tobytes())
    digest.update(embed(np.arange(N)).tobytes() + repr(trained.history).encode())
    return digest.hexdigest()


def digests() -> list[str]:
    weights = np.array([2.0, 1.0, 0.5], np.float32)
    fits = [_fit(), _fit(seed=1, weights=weights), _fit(loss=LossSpec("focal", {"gamma": 1.0})), _fit()]
    return [_bits(*answer) for answer in _train(*fits)]


def test_a_fit_is_what_it_is_alone_whatever_came_before() -> None:
    bits = digests()
    assert bits[0] == bits[3]
    assert len(set(bits)) == 3
    assert digests() == bits
    [alone] = [_bits(*answer) for answer in _train(_fit(loss=LossSpec("focal", {"gamma": 1.0})))]
    assert alone == bits[2]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_equals_a_keras_model_trained_on_the_same_batches(optimizer: str) -> None:
    keras = pytest.importorskip("keras")
    pixels, y = _data()
    weights = np.array([2.0, 1.0, 0.5], np.float32)
    fit = _fit(seed=4, weights=weights)
    [(trained, _)] = _train(fit, setting=replace(SETTING, optimizer=optimizer, momentum=0.7), build=_plain)

    model = keras.Sequential([_plain(4), keras.layers.Dense(K)])
    model.layers[-1].set_weights([initial_kernel(4, 6, K), np.zeros(K, np.float32)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")
    rules = keras_rules(0.01, momentum=0.7)
    model.compile(rules[optimizer], loss)
    images = np.asarray(_scale(pixels))
    for epoch in (1, 2, 3):
        order = epoch_order(fit.rows, 4, epoch)
        for start in range(0, len(order), 16):
            rows = order[start : start + 16]
            model.train_on_batch(images[rows], y[rows], sample_weight=weights[y[rows]])
    val = np.arange(60, N)
    theirs = np.average(np.asarray(loss.call(y[val], model(images[val]))), weights=weights[y[val]])
    assert trained.history[-1].val_loss == pytest.approx(theirs, abs=1e-4)


def test_the_best_epoch_is_kept_and_patience_counts_from_it() -> None:
    pixels, y = _data()
    # With labels that mean nothing, validation soon gets worse.
    y = np.random.default_rng(1).permutation(y)
    setting = replace(SETTING, lr=0.1, patience=3)
    val = np.arange(60, N)
    for trained, embed in train_nets(_plain, pixels, _scale, y, K, [_fit(epochs=40)], setting):
        losses = [line.val_loss for line in trained.history]
        assert trained.best_epoch == int(np.argmin(losses)) + 1  # type: ignore[arg-type]
        assert len(losses) == trained.best_epoch + 3 < 40
        assert trained.head is not None
        logits = trained.head.logits(embed(val)).astype(np.float64)
        lost = np.log(np.exp(logits).sum(1)) - logits[np.arange(len(val)), y[val]]
        assert lost.mean() == pytest.approx(min(losses), abs=1e-5)  # type: ignore[type-var]


def test_a_net_that_breaks_is_marked_and_the_next_one_trains() -> None:
    weights = np.array([np.inf, 1.0, 1.0], np.float32)
    answers = [trained for trained, _ in _train(_fit(), _fit(weights=weights), _fit())]
    assert answers[1].head is None
    assert answers[1].failed == "loss became NaN in epoch 1"
    assert answers[0].history == answers[2].history
    assert answers[2].head is not None


def test_features_are_of_their_own_fit_or_refused() -> None:
    answers = list(_train(_fit(epochs=1), _fit(epochs=1, seed=1)))
    assert answers[1][1](np.arange(0)).shape == (0, 6)
    with pytest.raises(RuntimeError, match="net no longer holds"):
        answers[0][1](np.arange(3))


def test_how_pixels_are_read_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Reader:
        largest = 0

        def read(self, rows: np.ndarray) -> np.ndarray:
            self.largest = max(self.largest, len(rows))
            return np.take(pixels, rows, axis=0)

    pixels, y = _data()
    [expected] = [_bits(*answer) for answer in _train(_fit())]
    monkeypatch.setattr(nets, "BLOCK", 2 * 16 * SIDE * SIDE * 3)
    reader = Reader()
    [got] = [_bits(*answer) for answer in train_nets(_build, reader, _scale, y, K, [_fit()], SETTING)]
    assert got == expected
    assert reader.largest == 32


def test_small_cases() -> None:
    pixels, y = _data(2)
    fits = [_fit([5], []), _fit(np.repeat(np.arange(9), 3), [2]), _fit([]), _fit(val=[], epochs=4)]
    answers = [trained for trained, _ in train_nets(_plain, pixels, _scale, y, 2, fits, SETTING)]
    assert [trained.failed for trained in answers] == [None, None, "no training rows", None]
    assert [len(trained.history) for trained in answers] == [3, 3, 0, 4]
    assert answers[3].best_epoch == 4
    assert answers[3].history[0].val_loss is None
    assert list(train_nets(_plain, pixels, _scale, y, 2, [], SETTING)) == []


def test_decay_shrinks_kernels() -> None:
    plain, decayed = (
        next(_train(_fit(epochs=20), setting=replace(SETTING, l2=l2), build=_plain))[0] for l2 in (0.0, 0.3)
    )
    assert plain.head is not None and decayed.head is not None
    assert np.abs(decayed.head.kernel).sum() < 0.5 * np.abs(plain.head.kernel).sum()


def test_decay_falls_along_a_path_and_can_be_repeated() -> None:
    path = (3.0, 0.3, 0.0)
    answers = _train(_fit(path=path, epochs=8), _fit(seed=2), build=_plain)
    trained, embed = next(answers)
    along = decays_along(path, trained.history, False)
    assert trained.decays == tuple(along[: trained.best_epoch])
    bits = _bits(trained, embed)
    one = next(_train(_fit(path=(0.3,)), build=_plain))
    assert _bits(*one) == _bits(*next(_train(_fit(), setting=replace(SETTING, l2=0.3), build=_plain)))
    decays = (3.0, 0.3, 0.0, 0.3)
    given = next(_train(_fit(val=[], epochs=4, path=path, decays=decays), build=_plain))[0]
    other = next(_train(_fit(val=[], epochs=4, path=path, decays=decays[::-1]), build=_plain))[0]
    assert given.decays == decays and given.history != other.history
    answers = _train(_fit(path=path, epochs=8), _fit(seed=2), build=_plain)
    assert _bits(*next(answers)) == bits
    after = next(answers)
    assert after[0].l2 is None
    assert _bits(*after) == _bits(*next(_train(_fit(seed=2), build=_plain)))


def test_ten_nets_need_no_more_memory_than_three() -> None:
    resource = pytest.importorskip("resource")
    sizes = []
    for _, embed in _train(*[_fit(seed=seed, epochs=1) for seed in range(13)]):
        embed(np.arange(5))
        sizes.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    assert sizes[-1] - sizes[2] < 15


def test_progress_ends_at_its_total() -> None:
    pixels, y = _data()
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int, what: str) -> None:
        told.append((done, total))

    list(train_nets(_plain, pixels, _scale, y, K, [_fit(), _fit(seed=1, epochs=2)], SETTING, progress))
    assert told[-1] == (5, 5)
    assert told == sorted(told)


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_trains_to_about_the_same(precision: str) -> None:
    """Gradients of float16 are of a scaled loss: those too small for it move the net all the same."""

    def build(seed: int) -> Any:
        with dtype_policy(precision):
            return float32_outputs(_plain(seed))

    fit = _fit(epochs=6)
    half, single = (
        next(_train(fit, setting=replace(SETTING, optimizer="sgd", precision=one), build=made))
        for one, made in ((precision, build), ("float32", _plain))
    )
    losses = [[line.loss for line in trained.history] for trained, _ in (half, single)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.02)
    assert losses[0] != losses[1] and losses[0][-1] < losses[0][0]
    assert half[1](np.arange(5)).dtype == np.float32
    assert all(array.dtype != np.float16 for array in half[1].variables())
