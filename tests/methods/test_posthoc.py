"""Post-hoc steps: by hand, against scikit-learn's macro recall, and without validation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from bench.core.errors import BenchError
from bench.methods.posthoc import logit_adjust, tau_norm, temperature, threshold
from bench.methods.registry import PosthocStep
from bench.training.linear_head import LinearHead

COUNTS = np.array([6, 3, 1])


def _problem(n: int = 300, d: int = 6, seed: int = 0) -> tuple[LinearHead, np.ndarray, np.ndarray]:
    """Return a head biased towards frequent classes, and validation rows."""
    rng = np.random.default_rng(seed)
    kernel = rng.normal(size=(d, 3)).astype(np.float32)
    y = rng.choice(3, size=n, p=[0.6, 0.3, 0.1]).astype(np.int32)
    features = (kernel.T[y] + rng.normal(scale=2.0, size=(n, d))).astype(np.float32)
    sizes = np.array([3.0, 1.0, 0.4], np.float32)
    return LinearHead(kernel * sizes, np.array([2.0, 0.0, -2.0], np.float32)), features, y


def test_logit_adjustment_subtracts_tau_log_prior() -> None:
    head, features, y = _problem()
    adjusted, choices = logit_adjust({"tau": 0.7}, head, features, y, COUNTS)
    expected = features @ head.kernel + head.bias - 0.7 * np.log([0.6, 0.3, 0.1])
    np.testing.assert_allclose(adjusted.logits(features), expected, rtol=1e-4, atol=1e-4)
    assert choices == {}
    assert adjusted.bias.dtype == np.float32


@pytest.mark.parametrize("tau", [0.0, 0.5, 1.0])
def test_tau_norm_rescales_each_class_and_drops_the_bias(tau: float) -> None:
    head, features, y = _problem()
    scaled, _ = tau_norm({"tau": tau}, head, features, y, COUNTS)
    for label in range(3):
        w = head.kernel[:, label]
        np.testing.assert_allclose(scaled.kernel[:, label], w / np.sqrt((w * w).sum()) ** tau, rtol=1e-5)
    assert not scaled.bias.any()
    assert scaled.kernel.dtype == np.float32
    if tau == 1.0:
        np.testing.assert_allclose(np.linalg.norm(scaled.kernel, axis=0), 1.0, rtol=1e-5)


def test_tau_norm_of_a_class_that_learned_nothing_is_finite() -> None:
    head = LinearHead(np.array([[1.0, 0.0], [2.0, 0.0]], np.float32), np.zeros(2, np.float32))
    scaled, _ = tau_norm(
        {"tau": 1.0}, head, np.empty((0, 2), np.float32), np.empty(0, np.int32), np.array([1, 0])
    )
    assert np.isfinite(scaled.kernel).all()
    assert not scaled.kernel[:, 1].any()


@pytest.mark.parametrize(("step", "most"), [(logit_adjust, 20), (tau_norm, 10)])
def test_auto_takes_the_smallest_tau_of_the_best_macro_top1(step: PosthocStep, most: int) -> None:
    head, features, y = _problem()
    scores = []
    for tenth in range(most + 1):
        tried, _ = step({"tau": tenth / 10}, head, features, y, COUNTS)
        scores.append(balanced_accuracy_score(y, tried.logits(features).argmax(1)))
    fitted, choices = step({"tau": "auto"}, head, features, y, COUNTS)
    assert choices["tau"] == int(np.argmax(np.round(scores, 9))) / 10
    assert choices["val_top1_macro"] == pytest.approx(max(scores), abs=1e-9)
    assert choices["tau"] > 0, "the problem is made so that adjusting helps"
    expected, _ = step({"tau": choices["tau"]}, head, features, y, COUNTS)
    np.testing.assert_array_equal(fitted.kernel, expected.kernel)
    np.testing.assert_array_equal(fitted.bias, expected.bias)


@pytest.mark.parametrize("step", [logit_adjust, tau_norm])
def test_equal_scores_go_to_the_smallest_tau(step: PosthocStep) -> None:
    head = LinearHead(np.eye(2, dtype=np.float32) * 50, np.zeros(2, np.float32))
    features, y = np.eye(2, dtype=np.float32), np.array([0, 1], np.int32)
    assert step({"tau": "auto"}, head, features, y, np.array([2, 1]))[1]["tau"] == 0.0


@pytest.mark.parametrize("step", [logit_adjust, tau_norm])
def test_auto_without_validation_is_an_error(step: PosthocStep) -> None:
    head, features, y = _problem()
    with pytest.raises(BenchError, match="no images"):
        step({"tau": "auto"}, head, features[:0], y[:0], COUNTS)


@pytest.mark.parametrize("by", ["f1", "gmean", "youden"])
def test_thresholds_are_the_best_of_all_cuts_on_known_cells(by: str) -> None:
    from sklearn.metrics import f1_score, recall_score

    rng = np.random.default_rng(5)
    features = rng.normal(size=(80, 3)).astype(np.float32)
    y = (rng.random((80, 2)) < 1 / (1 + np.exp(-features[:, :2] + 1))).astype(np.float32)
    y[rng.random((80, 2)) < 0.3] = np.nan
    head = LinearHead(rng.normal(size=(3, 2)).astype(np.float32), np.zeros(2, np.float32))
    cut, choices = threshold({"by": by}, head, features, y, np.ones((2, 2), np.int64))
    shares = 1 / (1 + np.exp(-head.logits(features).astype(np.float64)))
    assert cut.cuts is not None and choices == {"cuts": [float(value) for value in cut.cuts]}
    for column in range(2):
        known = ~np.isnan(y[:, column])
        true, own = y[known, column] == 1, shares[known, column]

        def score(at: float, true: np.ndarray = true, own: np.ndarray = own) -> float:
            said = own >= at
            found, spared = recall_score(true, said), recall_score(~true, ~said)
            values = {"f1": f1_score(true, said), "gmean": (found * spared) ** 0.5, "youden": found + spared}
            return float(values[by])

        assert score(float(cut.cuts[column])) == pytest.approx(max(score(at) for at in (*own, 0.5)), abs=1e-9)
    again, _ = threshold({"by": by, **choices}, head, features[:0], y[:0], np.ones((2, 2), np.int64))
    np.testing.assert_array_equal(again.cuts, cut.cuts)


def test_an_attribute_with_one_known_value_keeps_one_half_and_nothing_to_choose_on_is_an_error() -> None:
    head = LinearHead(np.eye(2, dtype=np.float32), np.zeros(2, np.float32))
    features = np.arange(8, dtype=np.float32).reshape(4, 2)
    y = np.array([[1, np.nan], [1, np.nan], [np.nan, np.nan], [1, np.nan]], np.float32)
    cut, _ = threshold({"by": "f1"}, head, features, y, np.ones((2, 2), np.int64))
    assert cut.cuts is not None and cut.cuts.tolist() == [0.5, 0.5]
    with pytest.raises(BenchError, match="no images"):
        threshold({"by": "f1"}, head, features[:0], y[:0], np.ones((2, 2), np.int64))


def test_yes_to_everything_and_to_nothing_can_be_the_best_cut() -> None:
    head = LinearHead(np.ones((1, 1), np.float32), np.zeros(1, np.float32))
    features = np.log(np.array([[0.1], [0.2], [0.3], [0.4]]) / np.array([[0.9], [0.8], [0.7], [0.6]]))
    y = np.array([[1], [0], [1], [1]], np.float32)
    low, _ = threshold({"by": "f1"}, head, features.astype(np.float32), y, np.ones((2, 1), np.int64))
    assert low.cuts is not None and 0 < low.cuts[0] < 0.1
    equal, _ = threshold({"by": "f1"}, head, np.zeros((4, 1), np.float32) - 1, y, np.ones((2, 1), np.int64))
    assert equal.cuts is not None and equal.cuts[0] < 0.2


def _overconfident(n: int = 4000) -> tuple[LinearHead, np.ndarray, np.ndarray]:
    """Return a head whose logits are three times too large, and validation rows."""
    rng = np.random.default_rng(7)
    features = rng.normal(size=(n, 5)).astype(np.float32)
    kernel = rng.normal(size=(5, 3)).astype(np.float32)
    shares = np.exp(features @ kernel)
    shares /= shares.sum(axis=1, keepdims=True)
    y = np.array([rng.choice(3, p=row / row.sum()) for row in shares.astype(np.float64)], np.int32)
    return LinearHead(3 * kernel, np.zeros(3, np.float32)), features, y


def test_temperature_finds_how_much_too_sure_a_head_is() -> None:
    from sklearn.metrics import log_loss

    head, features, y = _overconfident()
    cooled, choices = temperature({"t": "auto"}, head, features, y, COUNTS)
    assert choices["t"] == pytest.approx(3.0, rel=0.05)
    shares = {
        t: _softmax(head.logits(features).astype(np.float64) / t) for t in (choices["t"], 1.0, 2.8, 3.2)
    }
    losses = {t: log_loss(y, share) for t, share in shares.items()}
    assert min(losses, key=lambda t: losses[t]) == choices["t"]
    assert choices["log_loss"] == pytest.approx(losses[choices["t"]], rel=1e-5)
    assert choices["log_loss_before"] == pytest.approx(losses[1.0], rel=1e-5)
    np.testing.assert_allclose(
        cooled.logits(features), head.logits(features) / choices["t"], rtol=1e-4, atol=1e-5
    )
    given, none = temperature({"t": choices["t"]}, head, features[:0], y[:0], COUNTS)
    np.testing.assert_array_equal(given.kernel, cooled.kernel)
    assert none == {}


def test_no_temperature_fits_a_part_that_is_answered_right_throughout() -> None:
    head, features, _ = _overconfident()
    right = head.logits(features).argmax(axis=1).astype(np.int32)
    yes = (head.logits(features) > 0).astype(np.float32)
    for truth in (right[:20], yes[:20]):
        kept, choices = temperature({"t": "auto"}, head, features[:20], truth, COUNTS)
        assert choices["t"] == 1.0 and choices["log_loss"] == choices["log_loss_before"] > 0
        np.testing.assert_array_equal(kept.kernel, head.kernel)
    wrong = right[:20].copy()
    wrong[0] = (wrong[0] + 1) % 3
    assert temperature({"t": "auto"}, head, features[:20], wrong, COUNTS)[1]["t"] != 1.0


def test_temperature_of_attributes_sees_known_cells_alone() -> None:
    rng = np.random.default_rng(8)
    features = rng.normal(size=(4000, 4)).astype(np.float32)
    kernel = rng.normal(size=(4, 3)).astype(np.float32)
    y = (rng.random((4000, 3)) < 1 / (1 + np.exp(-features @ kernel))).astype(np.float32)
    head = LinearHead(kernel / 4, np.zeros(3, np.float32), np.full(3, 0.4, np.float32))
    hidden = np.where(rng.random(y.shape) < 0.4, np.nan, y).astype(np.float32)
    warmed, choices = temperature({"t": "auto"}, head, features, hidden, COUNTS)
    assert choices["t"] == pytest.approx(0.25, rel=0.1)
    np.testing.assert_array_equal(warmed.cuts, head.cuts)
    with pytest.raises(BenchError, match="no labels"):
        temperature({"t": "auto"}, head, features, np.full_like(y, np.nan), COUNTS)


def _softmax(logits: np.ndarray) -> np.ndarray:
    from scipy.special import softmax

    out: np.ndarray = softmax(logits, axis=1)
    return out
