"""Resolving whole methods: which counts go where, and post-hoc steps on a second head."""

from __future__ import annotations

import numpy as np

from bench.methods.apply import apply_posthoc, fit_posthoc, resolve
from bench.methods.grammar import parse_method
from bench.methods.registry import LinearHead

Y = np.repeat(np.array([0, 1, 2], np.int32), [6, 3, 1])
FEATURES = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)


def _head() -> LinearHead:
    rng = np.random.default_rng(1)
    return LinearHead(rng.normal(size=(4, 3)).astype(np.float32), rng.normal(size=3).astype(np.float32))


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
    head, choices = fit_posthoc(parse_method("oversample+focal"), _head(), FEATURES, Y, np.bincount(Y))
    np.testing.assert_array_equal(head.kernel, _head().kernel)
    np.testing.assert_array_equal(head.bias, _head().bias)
    assert choices == {}


def test_choices_are_kept_for_a_second_head() -> None:
    for text in ("tau_norm", "logit_adjust(auto,posthoc)"):
        method = parse_method(text)
        name = method.steps[0].name
        fitted, choices = fit_posthoc(method, _head(), FEATURES, Y, np.array([6, 3, 1]))
        assert set(choices) == {name}
        assert set(choices[name]) == {"tau", "val_top1_macro"}
        again = apply_posthoc(method, _head(), choices, np.array([6, 3, 1]))
        np.testing.assert_array_equal(again.kernel, fitted.kernel)
        np.testing.assert_array_equal(again.bias, fitted.bias)


def test_a_second_head_has_a_prior_of_its_own() -> None:
    method = parse_method("logit_adjust(tau=1,form=posthoc)")
    head = apply_posthoc(method, _head(), {}, np.array([1, 1, 2]))
    np.testing.assert_allclose(head.bias, _head().bias - np.log([0.25, 0.25, 0.5]), rtol=1e-5, atol=1e-6)
