"""A user's loss: trained beside ours in one group, part of the identity, refused in one line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.methods.apply import resolve
from bench.methods.grammar import parse_method
from bench.training.linear_head import LossSpec
from bench.training.trainer import train_heads
from tests.training import test_heads as heads

SOURCE = """
import keras
from keras import ops

def entropy(y_true, y_pred, scale=1.0):
    return -scale * ops.sum(y_true * ops.log_softmax(y_pred), axis=-1)

def by_index(y_true, y_pred):
    return ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)

def mean(y_true, y_pred):
    return ops.mean(entropy(y_true, y_pred))

def raises(y_true, y_pred):
    raise RuntimeError("no such\\nthing")

def nan(y_true, y_pred):
    return entropy(y_true, y_pred) * float("nan")

class Mine(keras.losses.Loss):
    def __init__(self, gamma=1.0):
        super().__init__()
        self.gamma = gamma

    def call(self, y_true, y_pred):
        return self.gamma * entropy(y_true, y_pred)

class Other:
    pass

of_shares = keras.losses.CategoricalCrossentropy()
of_logits = keras.losses.CategoricalCrossentropy(from_logits=True)

number = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_losses.py").write_text(SOURCE)
    yield tmp_path / "my_losses.py"
    sys.modules.pop("my_losses", None)


def _spec(text: str) -> LossSpec:
    _, y = heads._data()
    return resolve(parse_method(text), y, None, heads.K, seed=0).loss


@pytest.mark.parametrize(
    "text",
    [
        "loss(my_losses:entropy)",
        "loss(my_losses:by_index,labels=index)",
        "loss(my_losses:Mine,gamma=1)",
        "loss(my_losses:of_logits)",
        "loss",
        "loss(keras.losses:CategoricalFocalCrossentropy,gamma=0,alpha=1)",
    ],
)
def test_cross_entropy_of_ones_own_is_trained_beside_ours_and_equals_it(module: Path, text: str) -> None:
    x, y = heads._data()
    fits = [heads._fit(), heads._fit(loss=_spec(text)), heads._fit(loss=LossSpec("focal"))]
    ours, own, focal = train_heads(x, y, heads.K, fits, heads.FAST)
    assert ours.head is not None and own.head is not None and focal.head is not None
    np.testing.assert_allclose(own.head.kernel, ours.head.kernel, atol=2e-4)
    assert own.history[-1].val_loss == pytest.approx(ours.history[-1].val_loss, abs=1e-4)
    assert np.abs(focal.head.kernel - ours.head.kernel).max() > 1e-3
    [alone] = train_heads(x, y, heads.K, [fits[1]], heads.FAST)
    assert heads._same(alone, own)


def test_arguments_reach_the_loss(module: Path) -> None:
    x, y = heads._data()
    one, double = (heads._fit(loss=_spec(f"loss(my_losses:entropy,scale={scale})")) for scale in (1, 2))
    first, second = train_heads(x, y, heads.K, [one, double], heads.FAST)
    assert second.history[0].loss == pytest.approx(2 * first.history[0].loss, rel=0.05)


def test_the_source_is_part_of_the_method_and_a_changed_one_is_another(module: Path) -> None:
    method = parse_method("loss(my_losses:entropy, scale=2)+class_weight")
    assert parse_method(method.text) == method and "source=" in method.text and "scale=2" in method.text
    module.write_text(SOURCE + "\n# changed\n")
    assert parse_method("loss(my_losses:entropy, scale=2)+class_weight") != method
    assert parse_method(method.text) == method, "stored results are read without the module"
    with pytest.raises(BenchError, match="has changed since"):
        _spec(method.text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("loss(no_such_module:f)", "cannot import no_such_module"),
        ("loss(my_losses:nothing)", "has no loss 'nothing'"),
        ("loss(my_losses:number)", "has no loss 'number'"),
        ("loss(my_losses)", "function must be a word"),
        ("loss(my_losses:entropy,bogus=1)", "does not take these arguments"),
        ("loss(my_losses:Mine,bogus=1)", "does not take these arguments"),
        ("loss(my_losses:of_shares)", "make it with from_logits=True"),
        ("loss(my_losses:Other)", "no keras.losses.Loss"),
        ("loss(my_losses:mean)", "one loss a row is wanted"),
        ("loss(my_losses:raises)", "fails on a minibatch: no such thing"),
        ("loss(my_losses:nan)", "not all are finite"),
        ("loss(my_losses:entropy)+focal", "a method has one loss"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(module: Path, text: str, says: str) -> None:
    with pytest.raises(BenchError, match=says) as caught:
        _spec(text)
    assert "\n" not in str(caught.value)
