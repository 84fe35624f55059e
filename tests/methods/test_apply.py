"""Resolving whole methods: which counts go where, and post-hoc steps on a second head."""

from __future__ import annotations

import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.data.augmentation import Recipe
from bench.methods import clean_labels as cleaning
from bench.methods.apply import (
    Resolved,
    apply_posthoc,
    fit_posthoc,
    resolve,
    resolve_attributes,
)
from bench.methods.grammar import NONE, parse_method
from bench.methods.registry import Labelled
from bench.methods.shape import Shape, shape_of
from bench.training.linear_head import LinearHead

Y = np.repeat(np.array([0, 1, 2], np.int32), [6, 3, 1])
FEATURES = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)


def _head() -> LinearHead:
    rng = np.random.default_rng(1)
    return LinearHead(rng.normal(size=(4, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32))


def _rows() -> tuple[np.ndarray, np.ndarray]:
    return FEATURES, Y


def test_none_changes_nothing() -> None:
    out = resolve(parse_method("none"), Y, FEATURES, 3, seed=0)
    assert out.resampled.rows.tolist() == list(range(10))
    assert out.weights is None
    assert (out.loss.family, out.loss.offset, dict(out.loss.params)) == ("softmax", None, {})
    assert out.seen.tolist() == [6, 3, 1]


def test_weights_use_the_counts_before_resampling() -> None:
    out = resolve(parse_method("oversample+class_weight(max_over_count)"), Y, None, 3, seed=0)
    assert out.seen.tolist() == [6, 6, 6]
    assert out.weights is not None
    assert out.weights.tolist() == [1.0, 2.0, 6.0]


def test_priors_use_the_counts_after_resampling() -> None:
    for text, prior in (("smote+logit_adjust", [1 / 3] * 3), ("logit_adjust", [0.6, 0.3, 0.1])):
        offset = resolve(parse_method(text), Y, FEATURES, 3, seed=0).loss.offset
        assert offset is not None
        np.testing.assert_allclose(offset, np.log(prior), rtol=1e-6)


def test_class_balanced_brings_weights_and_loss() -> None:
    out = resolve(parse_method("class_balanced(loss=sigmoid)"), Y, None, 3, seed=0)
    assert out.loss.family == "sigmoid"
    assert out.weights is not None
    assert out.weights[2] > out.weights[1] > out.weights[0]


def test_posthoc_logit_adjustment_is_a_loss_step_only_as_a_loss() -> None:
    out = resolve(parse_method("logit_adjust(form=posthoc)"), Y, None, 3, seed=0)
    assert out.loss.offset is None


def test_methods_without_posthoc_steps_leave_the_head() -> None:
    head, choices = fit_posthoc(parse_method("oversample+focal"), _head(), FEATURES, Y, np.bincount(Y), _rows)
    np.testing.assert_array_equal(head.kernel, _head().kernel)
    np.testing.assert_array_equal(head.bias, _head().bias)
    assert choices == {}


def test_choices_are_kept_for_a_second_head() -> None:
    for text in ("tau_norm", "logit_adjust(auto,posthoc)"):
        method = parse_method(text)
        name = method.steps[0].name
        fitted, choices = fit_posthoc(method, _head(), FEATURES, Y, np.array([6, 3, 1]), _rows)
        assert set(choices) == {name}
        assert set(choices[name]) == {"tau", "val_top1_macro"}
        again, kept = apply_posthoc(method, _head(), choices, np.array([6, 3, 1]), _rows)
        assert kept == choices
        np.testing.assert_array_equal(again.kernel, fitted.kernel)
        np.testing.assert_array_equal(again.bias, fitted.bias)


def test_a_second_head_has_a_prior_of_its_own() -> None:
    method = parse_method("logit_adjust(tau=1,form=posthoc)")
    head, _ = apply_posthoc(method, _head(), {}, np.array([1, 1, 2]), _rows)
    np.testing.assert_allclose(head.bias, _head().bias - np.log([0.25, 0.25, 0.5]), rtol=1e-5, atol=1e-6)


def test_a_step_with_a_calibration_part_is_fitted_on_it_for_each_head() -> None:
    method, other = parse_method("temperature"), LinearHead(2 * _head().kernel, 2 * _head().bias)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(500, _head().kernel.shape[0])).astype(np.float32)
    # Labels as likely as the first head says.
    y = (_head().logits(features) + rng.gumbel(size=(500, 3))).argmax(axis=1).astype(np.int32)
    part = {"temperature": lambda: (features, y)}
    nothing = features[:0], y[:0]
    _, choices = fit_posthoc(method, _head(), *nothing, np.array([6, 3, 1]), _rows, part)
    again, kept = apply_posthoc(method, other, choices, np.array([6, 3, 1]), _rows, part)
    assert kept["temperature"]["t"] == pytest.approx(2 * choices["temperature"]["t"], rel=1e-3)
    np.testing.assert_allclose(again.bias, other.bias / kept["temperature"]["t"], rtol=1e-6)
    with pytest.raises(KeyError):
        fit_posthoc(method, _head(), FEATURES, Y, np.array([6, 3, 1]), _rows)


KEPT = np.array([0, 2, 3, 5, 6, 7, 9])
NEW = np.array([0, 0, 2, 0, 0, 0, 1, 1, 1, 2], np.int32)
"""Rows 1, 4, 8 are left out; row 2 becomes a 2."""


def _cleaned(monkeypatch: pytest.MonkeyPatch, labelled: Labelled) -> None:
    monkeypatch.setattr(cleaning, "clean", lambda *args: labelled)


def _seen_rows(out: Resolved) -> tuple[np.ndarray, np.ndarray]:
    """Return features and labels of every row that a fit trains on."""
    features = np.concatenate([FEATURES, out.resampled.synthetic])
    return features[out.resampled.rows], np.concatenate([Y, out.resampled.labels])[out.resampled.rows]


@pytest.mark.parametrize("rest", ["class_weight", "oversample+class_weight", "undersample", "smote(k=1)"])
def test_everything_after_cleaning_sees_the_cleaned_rows(monkeypatch: pytest.MonkeyPatch, rest: str) -> None:
    _cleaned(monkeypatch, Labelled(KEPT, NEW, found={"suspect": 4}))
    out = resolve(parse_method(f"clean+{rest}+logit_adjust"), Y, FEATURES, 3, seed=0)
    plain = resolve(parse_method(f"{rest}+logit_adjust"), NEW[KEPT], FEATURES[KEPT], 3, seed=0)
    features = np.concatenate([FEATURES[KEPT], plain.resampled.synthetic])[plain.resampled.rows]
    labels = np.concatenate([NEW[KEPT], plain.resampled.labels])[plain.resampled.rows]
    np.testing.assert_array_equal(_seen_rows(out)[0], features)
    np.testing.assert_array_equal(_seen_rows(out)[1], labels)
    np.testing.assert_array_equal(out.seen, np.bincount(labels, minlength=3))
    np.testing.assert_array_equal(out.loss.offset, plain.loss.offset)
    assert (out.weights is None) == (plain.weights is None)
    if plain.weights is not None:
        np.testing.assert_array_equal(out.weights, plain.weights)
    assert out.row_weights is None
    assert out.found == {"clean": {"suspect": 4}}
    assert (out.stop_by, plain.stop_by) == ("top1", "loss")


def test_a_row_keeps_its_place_unless_it_gets_another_label(monkeypatch: pytest.MonkeyPatch) -> None:
    _cleaned(monkeypatch, Labelled(KEPT, NEW))
    out = resolve(parse_method("clean"), Y, FEATURES, 3, seed=0)
    assert out.resampled.rows.tolist() == [0, 10, 3, 5, 6, 7, 9]
    np.testing.assert_array_equal(out.resampled.synthetic, FEATURES[[2]])
    assert out.resampled.labels.tolist() == [2]


@pytest.mark.parametrize("rest", ["", "+oversample", "+smote(k=1)"])
def test_weights_go_with_their_rows(monkeypatch: pytest.MonkeyPatch, rest: str) -> None:
    weights = np.arange(1, 11, dtype=np.float32) / 10
    _cleaned(monkeypatch, Labelled(np.arange(10), Y, weights))
    out = resolve(parse_method(f"clean{rest}"), Y, FEATURES, 3, seed=0)
    assert out.row_weights is not None and out.row_weights.dtype == np.float32
    features, labels = _seen_rows(out)
    for feature, label, weight in zip(features, labels, out.row_weights, strict=True):
        own = np.flatnonzero((feature == FEATURES).all(1))
        expected = weights[own[0]] if len(own) else weights[label == Y].mean()
        assert weight == pytest.approx(expected)


def test_without_features_no_row_gets_another_label(monkeypatch: pytest.MonkeyPatch) -> None:
    _cleaned(monkeypatch, Labelled(KEPT, NEW))
    with pytest.raises(BenchError, match="this regime has none"):
        resolve(parse_method("clean"), Y, None, 3, seed=0)


def test_groups_and_prices_reach_the_labels_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(args: object, y: object, features: object, *rest: object) -> Labelled:
        assert rest == (list("aabbccddee"), 3, 7, list("1234567890"))
        return Labelled(KEPT, NEW)

    monkeypatch.setattr(cleaning, "clean", told)
    known = list("aabbccddee"), list("1234567890")
    assert resolve(parse_method("clean"), Y, FEATURES, 3, 7, *known).seen.sum() == len(KEPT)


def _known() -> np.ndarray:
    known = np.tile(np.array([[1, 0], [1, 1], [0, 0], [np.nan, 1]], np.float32), (5, 1))
    return np.concatenate([known, np.array([[np.nan, np.nan]], np.float32)])


def test_attributes_are_masked_by_default_and_mask_is_another_word_for_it() -> None:
    made = resolve_attributes(parse_method("none"), _known(), None, 0)
    assert parse_method("mask") == parse_method("none") == NONE
    assert parse_method("mask+class_weight") == parse_method("class_weight")
    np.testing.assert_array_equal(made.targets, _known())
    assert made.weights is None and made.fills is None and made.loss.family == "bce"
    np.testing.assert_array_equal(made.seen, [[5, 10], [10, 10]])
    np.testing.assert_array_equal(made.resampled.rows, np.arange(21))


def test_each_attribute_is_weighted_like_a_problem_of_two_classes() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    made = resolve_attributes(parse_method("class_weight"), _known(), None, 0)
    assert made.weights is not None
    for column in range(2):
        cells = _known()[:, column]
        theirs = compute_class_weight("balanced", classes=np.array([0, 1]), y=cells[~np.isnan(cells)])
        np.testing.assert_allclose(made.weights[:, column], theirs, rtol=1e-6)


def test_oversampling_evens_out_combinations_of_attributes() -> None:
    made = resolve_attributes(parse_method("oversample"), _known(), None, 0)
    rows = made.resampled.rows
    assert len(rows) == 5 * 5
    texts = [str(_known()[row]) for row in rows]
    assert {texts.count(text) for text in texts} == {5}
    np.testing.assert_array_equal(made.targets, _known()[rows])


def test_heads_and_views_are_told_by_their_steps() -> None:
    assert shape_of(parse_method("mlp(units=16)+class_weight")) == Shape(units=16)
    assert shape_of(parse_method("conv(filters=8-4)")) == Shape(filters=(8, 4))
    assert shape_of(parse_method("augment(flip,views=2)")) == Shape(recipe=Recipe("flip"), views=2)
    assert shape_of(NONE) == Shape()
