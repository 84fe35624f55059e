"""Naive Bayes against scikit-learn's; two heads of which one answers, against every threshold tried."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, softmax
from sklearn.naive_bayes import MultinomialNB

from bench.backbones.inputs import PrecomputedFeatures
from bench.backbones.tfidf import ROW_NORM, tfidf_rows
from bench.core.errors import BenchError
from bench.core.protocol import defaults
from bench.data.splits import StageSplit
from bench.methods.closed_form_heads import naive_bayes
from bench.methods.fallback import TwoHeads, fallback, sureness
from bench.methods.grammar import parse_method
from bench.runs.trainers import HeadTrainer
from bench.training.linear_head import LinearHead
from tests.cells import cell_of, trained_as_run

K = 4


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.sampled_from([1e-3, 0.1, 1.0, 5.0]), st.booleans())
def test_naive_bayes_is_scikit_learns(seed: int, alpha: float, uniform: bool) -> None:
    rng = np.random.default_rng(seed)
    y = np.concatenate([np.arange(K), rng.choice(K, 40, p=[0.6, 0.2, 0.15, 0.05])]).astype(np.int32)
    named = [tuple(f"w{(label * 3 + word) % 17}" for word in rng.integers(0, 6, 5)) for label in y.tolist()]
    rows = tfidf_rows(named, np.arange(len(y)))
    head = LinearHead(np.zeros((rows.shape[1], K + 1), np.float32), np.zeros(K + 1, np.float32))
    args = {"alpha": alpha, "prior": "uniform" if uniform else "counts"}
    made, chosen = naive_bayes(args, head, rows, y, np.bincount(y, minlength=K + 1))
    theirs = MultinomialNB(alpha=alpha, fit_prior=not uniform).fit(rows.astype(np.float64) / ROW_NORM, y)
    ours = softmax(made.logits(rows).astype(np.float64), axis=1)
    np.testing.assert_allclose(
        ours[:, :K], theirs.predict_proba(rows.astype(np.float64) / ROW_NORM), atol=2e-6
    )
    assert chosen == {} and (ours[:, K] == 0).all(), "a class without rows is never answered"


def _heads(seed: int, n: int = 80) -> tuple[TwoHeads, np.ndarray, np.ndarray]:
    """Return two heads that know something each, rows that both see, and the truth."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, K, n)
    rows = np.concatenate([np.eye(K)[y] + rng.normal(0, spread, (n, K)) for spread in (0.9, 0.6)], axis=1)
    kernel = np.concatenate([np.eye(K), 2 * np.eye(K)]).astype(np.float32)
    bias = rng.normal(0, 0.3, (2, K)).astype(np.float32)
    return (
        TwoHeads(kernel, bias[0], images=K, title_bias=bias[1]),
        rows.astype(np.float32),
        y.astype(np.int32),
    )


def _answers(head: TwoHeads, rows: np.ndarray, threshold: float) -> np.ndarray:
    """Return what the two heads say, row by row, written out."""
    said = []
    for row in rows:
        one = row[:K] @ head.kernel[:K] + head.bias
        two = row[K:] @ head.kernel[K:] + head.title_bias
        sure = float(np.max(np.exp(one) / np.exp(one).sum()))
        said.append(int(np.argmax(one if sure >= threshold else two)))
    return np.array(said)


@settings(max_examples=25)
@given(st.integers(0, 2**31))
def test_no_threshold_has_more_validation_rows_right(seed: int) -> None:
    head, rows, y = _heads(seed)
    chosen, choices = fallback({"by": "threshold"}, head, rows, y, np.bincount(y, minlength=K))
    assert isinstance(chosen, TwoHeads)
    found = float((chosen.logits(rows).argmax(axis=1) == y).mean())
    assert choices["val_top1"] == found
    tried = [float((_answers(head, rows, cut) == y).mean()) for cut in np.linspace(0, 1.01, 203)]
    assert found >= max(tried) - 1e-12
    np.testing.assert_array_equal(
        chosen.logits(rows).argmax(axis=1), _answers(head, rows, choices["threshold"])
    )
    sure = softmax(head.both(rows)[0].astype(np.float64), axis=1).max(axis=1)
    assert choices["fell_back"] == pytest.approx(float((sure < choices["threshold"]).mean()))
    # With what was chosen before, no row is looked at.
    again, nothing = fallback({"by": "threshold", **choices}, head, rows[:0], y[:0], np.bincount(y))
    assert nothing == {} and isinstance(again, TwoHeads) and again.threshold == chosen.threshold


def test_ends_are_never_and_always() -> None:
    head, rows, _ = _heads(1)
    only = {"by": "threshold"}
    images, titles = (logits.argmax(axis=1).astype(np.int32) for logits in head.both(rows))
    wrong = (images + 1) % K
    _, told = fallback(only, head, rows, images, np.ones(K))
    assert told["threshold"] == 0.0 and told["fell_back"] == 0.0 and told["val_top1"] == 1.0
    always, told = fallback(only, head, rows, titles, np.ones(K))
    assert told["val_top1"] == 1.0
    assert (always.logits(rows).argmax(axis=1) == titles).all()
    _, told = fallback(only, replace(head, kernel=np.zeros_like(head.kernel)), rows, wrong, np.ones(K))
    assert told["threshold"] in (0.0, 2.0), "rows that are equally sure cannot be parted"


def test_the_surer_head_answers() -> None:
    head, rows, y = _heads(2)
    chosen, choices = fallback({"by": "confidence"}, head, rows, y, np.ones(K))
    one, two = head.both(rows)
    sides = softmax(one.astype(float), axis=1), softmax(two.astype(float), axis=1)
    fell = sides[1].max(axis=1) > sides[0].max(axis=1)
    expected = np.where(fell[:, None], two, one)
    np.testing.assert_array_equal(chosen.logits(rows), expected)
    assert choices["fell_back"] == pytest.approx(fell.mean()) and "threshold" not in choices
    assert 0 < fell.sum() < len(y)


def test_sureness_goes_by_the_link() -> None:
    logits = np.random.default_rng(0).normal(size=(9, K)).astype(np.float32)
    np.testing.assert_allclose(sureness("sigmoid", logits), expit(logits).max(axis=1), rtol=1e-6)
    np.testing.assert_allclose(sureness("softmax", logits), softmax(logits, axis=1).max(axis=1), rtol=1e-6)


def test_a_head_alone_stays_and_a_threshold_needs_validation() -> None:
    head, rows, y = _heads(0)
    alone = LinearHead(head.kernel, head.bias)
    assert fallback({"by": "threshold"}, alone, rows, y, np.ones(K)) == (alone, {})
    with pytest.raises(BenchError, match="chosen on validation, which has no images"):
        fallback({"by": "threshold"}, head, rows[:0], y[:0], np.ones(K))


@pytest.mark.parametrize("method", ["fallback+mlp", "fallback+conv", "fallback+ncm", "fallback+naive_bayes"])
def test_two_heads_take_nothing_that_wants_one(method: str) -> None:
    with pytest.raises(BenchError, match="cannot be combined"):
        parse_method(method)


def _joined(n: int = 240) -> tuple[np.ndarray, StageSplit]:
    """Return features of which the first 6 tell little and the last 5 much, and a split of their rows."""
    rng = np.random.default_rng(4)
    truth = rng.integers(0, K, n).astype(np.int32)
    images = np.eye(6)[truth] + rng.normal(0, 0.8, (n, 6))
    titles = ROW_NORM * np.maximum(np.eye(5)[truth] + rng.normal(0, 0.3, (n, 5)), 0)
    rows = np.arange(n)
    split = StageSplit(tuple("abcd"), truth, rows[:140], rows[140:190], rows[190:], 0, None)
    return np.concatenate([images, titles], axis=1).astype(np.float32), split


@pytest.mark.parametrize(
    ("method", "plain"),
    [
        ("fallback", "none"),
        ("class_weight+fallback(confidence)", "class_weight"),
        ("oversample+fallback", "oversample"),
    ],
)
@pytest.mark.parametrize("refit", [False, True])
def test_two_heads_are_those_of_each_part_alone(method: str, plain: str, refit: bool) -> None:
    """And choices are validation's: test rows may say what they will."""
    features, split = _joined()
    setting: dict[str, Any] = {**defaults(), "epochs": 12, "patience": 3, "refit": refit, "lr": 0.01}

    def run(table: np.ndarray, titles: int, text: str) -> Any:
        trainer = HeadTrainer(PrecomputedFeatures(table), split, setting, lambda *_: None, titles=titles)
        ((_, one),) = trained_as_run(trainer, [(cell_of(text, setting=setting), split)])
        return one

    both = run(features, 5, method)
    one, two = run(features[:, :6], 0, plain), run(features[:, 6:], 5, plain)
    choices = both.choices["fallback"]
    assert choices["best_epochs"] == [one.trained.best_epoch, two.trained.best_epoch]
    if "confidence" in method:
        assert "threshold" not in choices
        fell = {
            part: getattr(two, part).max(axis=1) > getattr(one, part).max(axis=1) for part in ("val", "test")
        }
    else:
        cut = choices["threshold"]
        fell = {part: getattr(one, part).max(axis=1) < cut for part in ("val", "test")}
    for part in ("val", "test"):
        expected = np.where(fell[part][:, None], getattr(two, part), getattr(one, part))
        np.testing.assert_allclose(getattr(both, part), expected, atol=1e-6)
        np.testing.assert_allclose(getattr(both, part).sum(axis=1), 1, atol=1e-5)
    assert choices["fell_back"] == pytest.approx(fell["val"].mean())
    assert choices["fell_back_test"] == pytest.approx(fell["test"].mean())
    features[split.test] = np.random.default_rng(0).normal(size=features[split.test].shape)
    other = run(features, 5, method).choices["fallback"]
    assert {**other, "fell_back_test": 0} == {**choices, "fell_back_test": 0}


def test_titles_are_not_standardised_and_images_are() -> None:
    features, split = _joined()
    trainer = HeadTrainer(PrecomputedFeatures(features), split, defaults(), lambda *_: None, titles=5)
    rows = np.arange(190)
    np.testing.assert_array_equal(trainer.embed(rows)[:, 6:], features[rows, 6:])
    np.testing.assert_allclose(trainer.embed(rows)[:, :6].std(axis=0), 1, atol=1e-5)
    np.testing.assert_allclose(trainer.embed(rows)[:, :6].mean(axis=0), 0, atol=1e-5)
