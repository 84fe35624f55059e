"""Weight decay that falls along a path while validation watches, and its repetition in the refit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from bench.backbones.inputs import PrecomputedFeatures
from bench.core.cell import Value
from bench.core.protocol import AUTO, KEYS, REGIME_DEFAULTS, defaults
from bench.data.splits import StageSplit
from bench.runs.fits import train_setting
from bench.runs.trainers import HeadTrainer
from bench.training.fits import Epoch, Fit, Trained, TrainSetting
from bench.training.linear_head import LossSpec
from bench.training.schedule import HIDDEN_PATH, PATH, UNSEEN, decays_along, initial_kernel
from bench.training.trainer import train_heads
from tests.cells import cell_of

N, D, K = 180, 30, 3
SETTING = TrainSetting(batch_size=16, lr=0.02, patience=4)


def _data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return features of which few say anything, and labels, some of them wrong: decay helps."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, K, N).astype(np.int32)
    x = rng.normal(size=(N, D)).astype(np.float32)
    x[:, :3] += 1.2 * np.eye(K, 3, dtype=np.float32)[y]
    wrong = rng.random(N) < 0.25
    return x, np.where(wrong, rng.integers(0, K, N), y).astype(np.int32)


def _fit(path: tuple[float, ...] = (), **changes: Any) -> Fit:
    fit = Fit(np.arange(90), np.arange(90, N), LossSpec(), None, seed=0, epochs=25, path=path)
    return replace(fit, **changes)


def _best_loss(trained: Trained) -> float:
    value = trained.history[trained.best_epoch - 1].val_loss
    assert value is not None
    return value


def _equal(one: Trained, other: Trained) -> None:
    assert one.head is not None and other.head is not None
    np.testing.assert_array_equal(one.head.kernel, other.head.kernel)
    np.testing.assert_array_equal(one.head.bias, other.head.bias)
    assert one.history == other.history and one.best_epoch == other.best_epoch


def _history(losses: Sequence[float], scores: Sequence[float] | None = None) -> list[Epoch]:
    scores = [0.5] * len(losses) if scores is None else scores
    return [
        Epoch(place + 1, 1.0, loss, score, 1e-3)
        for place, (loss, score) in enumerate(zip(losses, scores, strict=True))
    ]


def test_the_path_goes_on_after_an_epoch_that_brought_nothing() -> None:
    losses = [2.0, 1.0, 1.5, 0.9, 0.9, 0.95, 0.8]
    assert decays_along((1.0, 0.1, 0.01), _history(losses), False) == [1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01]
    assert decays_along((0.5,), _history(losses), False) == [0.5] * 8
    assert decays_along((1.0, 0.1), [], False) == [1.0]


def test_it_goes_by_the_score_where_that_picks_the_best_epoch() -> None:
    history = _history([4.0, 3.0, 2.0], [0.5, 0.4, 0.6])
    assert decays_along((1.0, 0.1, 0.01), history, True) == [1.0, 1.0, 0.1, 0.1]


def test_it_begins_again_where_class_weights_begin_to_count() -> None:
    history = _history([1.0, 2.0, 2.0, 3.0, 3.5, 2.5])
    assert decays_along((1.0, 0.1, 0.01), history, False, deferred=3) == [1, 1, 0.1, 1, 1, 0.1, 0.1]


SHAPES: list[dict[str, Any]] = [
    {},
    {"units": 5},
    {"loss": LossSpec(scale=8.0)},
    {"loss": LossSpec("sigmoid", bias=-1.0, link="sigmoid")},
    {"weights": np.array([1.0, 3.0, 2.0], np.float32)},
    {"stop_by": "top1"},
    {"stop_by": "last"},
    {"weights": np.array([1.0, 3.0, 2.0], np.float32), "deferred": 6},
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_head_is_the_same_in_any_company_and_when_its_decays_are_repeated(shape: dict[str, Any]) -> None:
    x, y = _data()
    fit = _fit((0.5, 0.1, 0.02), **shape)
    (alone,) = train_heads(x, y, K, [fit], SETTING)
    beside = [_fit(**shape), _fit((0.3, 0.0), **shape), fit, _fit((0.3, 0.0), **{**shape, "seed": 3})]
    plain, _, chosen, _ = train_heads(x, y, K, beside, SETTING)
    _equal(chosen, alone)
    _equal(plain, train_heads(x, y, K, [_fit(**shape)], SETTING)[0])
    assert plain.l2 is None and plain.decays == ()
    assert len(chosen.decays) == chosen.best_epoch and chosen.l2 == chosen.decays[-1]
    by_score = shape.get("stop_by", "loss") == "top1"
    along = decays_along(fit.path, chosen.history, by_score, fit.deferred)
    assert chosen.decays == tuple(along[: chosen.best_epoch])
    again = replace(fit, val_rows=fit.val_rows[:0], epochs=chosen.best_epoch, decays=chosen.decays)
    (repeated,) = train_heads(x, y, K, [again], SETTING)
    assert repeated.head is not None and chosen.head is not None
    np.testing.assert_array_equal(repeated.head.kernel, chosen.head.kernel)
    assert repeated.decays == chosen.decays


def test_decays_are_those_that_a_setting_would_have() -> None:
    """Of heads that begin alike whether they have a path or not."""
    x, y = _data()
    fixed = train_heads(x, y, K, [_fit(units=5)], replace(SETTING, l2=0.3))[0]
    along = train_heads(x, y, K, [_fit((0.3,), units=5)], SETTING)[0]
    _equal(along, fixed)
    other = train_heads(x, y, K, [_fit((0.1,), units=5)], SETTING)[0]
    assert other.history != fixed.history


def test_the_path_finds_what_a_search_among_decays_does() -> None:
    x, y = _data()
    searched = [_best_loss(train_heads(x, y, K, [_fit()], replace(SETTING, l2=l2))[0]) for l2 in PATH]
    (found,) = train_heads(x, y, K, [_fit(PATH)], SETTING)
    plain = _best_loss(train_heads(x, y, K, [_fit()], SETTING)[0])
    assert min(searched) < 0.97 * plain, "the problem is one where decay helps"
    assert _best_loss(found) < 1.01 * min(searched)


def test_a_linear_head_begins_at_zero_and_others_do_not() -> None:
    """No gradient reaches the kernel of a column that is zero in training; another image may have it."""
    x, y = _data()
    x[:, 7] = 0.0
    short: dict[str, Any] = {"epochs": 2, "val_rows": np.arange(0)}
    for fit, zero in (
        (_fit((0.0,), **short), True),
        (_fit((0.0,), decays=(0.0, 0.0), **short), True),
        (_fit(**short), False),
        (_fit((0.0,), loss=LossSpec(scale=8.0), **short), False),
    ):
        (trained,) = train_heads(x, y, K, [fit], SETTING)
        assert trained.head is not None
        assert (not trained.head.kernel[7].any()) == zero
    (hidden,) = train_heads(x, y, K, [_fit((0.0,), units=4, **short)], SETTING)
    assert hidden.hidden is not None
    np.testing.assert_array_equal(hidden.hidden.kernel[7], initial_kernel(0, D, 4)[7])


def test_a_decay_that_fails_fails_the_head() -> None:
    x, y = _data()
    with np.errstate(all="ignore"):
        (failed,) = train_heads(x, y, K, [_fit((1e30, 0.02))], replace(SETTING, optimizer="sgd"))
    assert failed.head is None and failed.failed


def _split() -> StageSplit:
    y, rows = _data()[1], np.arange(N)
    return StageSplit(("a", "b", "c"), y, rows[:90], rows[90:130], rows[130:], 0, None)


def _fitted(l2: Value, method: str, split: StageSplit, *first: Trained) -> Trained:
    setting: Mapping[str, Value] = {**defaults(), "lr": 0.02, "epochs": 25, "patience": 4, "l2": l2}
    trainer = HeadTrainer(PrecomputedFeatures(_data()[0]), _split(), setting, lambda *_: None)
    return next(trainer.fit([(cell_of(method, setting=setting), split)], first))[0]


@pytest.mark.parametrize("method", ["none", "class_weight", "smote", "mlp(units=4)", "ldam"])
def test_every_method_chooses_and_its_refit_repeats_the_choice(method: str) -> None:
    split = _split()
    fitted = _fitted(AUTO, method, split)
    path = HIDDEN_PATH if "mlp" in method else PATH
    assert set(fitted.decays) <= set(path) and fitted.decays[0] == path[0]
    last = _fitted(AUTO, method, split.refit(), fitted)
    assert last.decays == fitted.decays and last.best_epoch == fitted.best_epoch
    other = _fitted(AUTO, method, split.refit(), replace(fitted, decays=(5.0,) * len(fitted.decays)))
    assert last.head is not None and other.head is not None
    assert (last.head.kernel != other.head.kernel).any()


def test_without_validation_rows_nothing_is_chosen() -> None:
    split = _split()
    fitted = _fitted(AUTO, "none", replace(split, val=split.val[:0]))
    assert set(fitted.decays) == {UNSEEN}


def test_a_number_leaves_no_choice() -> None:
    assert _fitted(0.02, "none", _split()).l2 is None
    assert train_setting({**defaults(), "l2": AUTO}).l2 == 0.0
    assert train_setting({**defaults(), "l2": 0.02}).l2 == 0.02


def test_the_key_names_both_ends_of_the_path() -> None:
    assert list(PATH) == sorted(PATH, reverse=True)
    assert f"from {PATH[0]:g} to {f'{PATH[-1]:g}'.lstrip('0')}" in KEYS["l2"].help
    assert REGIME_DEFAULTS["frozen"]["l2"] == AUTO and KEYS["l2"].default == 0.0
