"""Every loss against an independent computation, its gradient against that of the naive formula."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, log_softmax, softmax
from sklearn.metrics import log_loss

from bench.methods.grammar import functions_of, parse_method
from bench.testing.graph import Measured, class_loss
from bench.training.linear_head import LossSpec
from bench.training.losses import specs as classes
from bench.training.losses.families import CLASSES

DEFAULTS: dict[str, dict[str, float]] = {
    "softmax": {"smoothing": 0.0},
    "focal": {"gamma": 2.0, "alpha": 1.0},
    "sigmoid": {},
    "sigmoid_focal": {"gamma": 2.0},
    "gce": {"q": 0.7},
    "sce": {"alpha": 0.1, "beta": 1.0, "log_zero": -4.0},
    "soft_bootstrap": {"beta": 0.95},
    "hard_bootstrap": {"beta": 0.8},
    "elr": {"beta": 0.7, "lam": 3.0},
    "co_teaching": {"forget": 0.2, "gradual": 10.0},
}

CASES: list[tuple[str, dict[str, float]]] = [
    ("softmax", {}),
    ("softmax", {"smoothing": 0.1}),
    ("focal", {"gamma": 2.0, "alpha": 1.0}),
    ("focal", {"gamma": 0.5, "alpha": 0.25}),
    ("focal", {}),
    ("sigmoid", {}),
    ("sigmoid_focal", {"gamma": 2.0}),
    ("sigmoid_focal", {"gamma": 0.5}),
    ("gce", {}),
    ("gce", {"q": 0.3}),
    ("gce", {"q": 1.0}),
    ("sce", {}),
    ("sce", {"alpha": 6.0, "beta": 0.1, "log_zero": -6.0}),
    ("sce", {"alpha": 0.0}),
    ("co_teaching", {}),
    ("soft_bootstrap", {}),
    ("soft_bootstrap", {"beta": 0.4}),
    ("hard_bootstrap", {}),
    ("hard_bootstrap", {"beta": 0.4}),
    ("elr", {}),
]


def _batch(n: int = 12, k: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(scale=3.0, size=(n, k)), np.eye(k)[rng.integers(k, size=n)]


def _loss(family: str, logits: np.ndarray, onehot: np.ndarray, params: dict[str, Any]) -> np.ndarray:
    return class_loss(family, logits, onehot.argmax(1), params)[0]


def _by_hand(family: str, logits: np.ndarray, onehot: np.ndarray, params: dict[str, float]) -> np.ndarray:
    """Compute the same from the papers' formulae, naively, in double precision."""
    numbers = DEFAULTS[family] | params
    k, p_all = logits.shape[-1], softmax(logits, axis=-1)
    if family in ("elr", "co_teaching"):
        # What it is on rows that are not trained on.
        losses_of_classes = -onehot * log_softmax(logits, axis=-1)
    elif family == "softmax":
        targets = (1 - numbers["smoothing"]) * onehot + numbers["smoothing"] / k
        losses_of_classes = -targets * log_softmax(logits, axis=-1)
    elif family == "gce":
        losses_of_classes = onehot * (1 - p_all ** numbers["q"]) / numbers["q"]
    elif family == "sce":
        forwards = -onehot * log_softmax(logits, axis=-1)
        backwards = -p_all * np.where(onehot == 1, np.log(1.0), numbers["log_zero"])
        losses_of_classes = numbers["alpha"] * forwards + numbers["beta"] * backwards
    elif family.endswith("bootstrap"):
        belief = p_all if family.startswith("soft") else np.eye(k)[logits.argmax(-1)]
        targets = numbers["beta"] * onehot + (1 - numbers["beta"]) * belief
        losses_of_classes = -targets * log_softmax(logits, axis=-1)
    elif family == "focal":
        p = (softmax(logits, axis=-1) * onehot).sum(-1, keepdims=True)
        losses_of_classes = -numbers["alpha"] * onehot * (1 - p) ** numbers["gamma"] * np.log(p)
    else:
        p_t = np.where(onehot == 1, expit(logits), 1 - expit(logits))
        losses_of_classes = -((1 - p_t) ** numbers.get("gamma", 0.0)) * np.log(p_t)
    out: np.ndarray = np.sum(losses_of_classes, axis=-1)
    return out


@pytest.mark.parametrize(("family", "params"), CASES)
def test_family_is_its_formula(family: str, params: dict[str, float]) -> None:
    logits, onehot = _batch()
    np.testing.assert_allclose(
        _loss(family, logits, onehot, params), _by_hand(family, logits, onehot, params), rtol=2e-5, atol=2e-6
    )


def test_every_family_is_covered() -> None:
    assert {family for family, _ in CASES} == set(CLASSES) == set(DEFAULTS)
    assert {family: set(numbers) for family, numbers in DEFAULTS.items()} == {
        name: set(family.parameters) for name, family in CLASSES.items()
    }


def test_softmax_is_scikit_learns_log_loss() -> None:
    logits, onehot = _batch()
    expected = log_loss(onehot.argmax(1), softmax(logits, axis=1), labels=range(4))
    assert _loss("softmax", logits, onehot, {}).mean() == pytest.approx(expected)


def test_families_agree_with_keras() -> None:
    import keras

    logits, onehot = (array.astype(np.float32) for array in _batch())
    smoothed = keras.losses.CategoricalCrossentropy(True, label_smoothing=0.1, reduction=None)
    focal = keras.losses.CategoricalFocalCrossentropy(alpha=0.25, gamma=1.5, from_logits=True, reduction=None)
    binary = keras.losses.BinaryFocalCrossentropy(gamma=1.5, from_logits=True, reduction=None)
    general = keras.losses.CategoricalGeneralizedCrossEntropy(q=0.7, reduction=None)
    for theirs, ours in (
        (smoothed(onehot, logits), _loss("softmax", logits, onehot, {"smoothing": 0.1})),
        (focal(onehot, logits), _loss("focal", logits, onehot, {"alpha": 0.25, "gamma": 1.5})),
        (4 * np.asarray(binary(onehot, logits)), _loss("sigmoid_focal", logits, onehot, {"gamma": 1.5})),
        (general(onehot.argmax(1), softmax(logits, axis=1)), _loss("gce", logits, onehot, {"q": 0.7})),
    ):
        np.testing.assert_allclose(ours, np.asarray(theirs), rtol=2e-4, atol=1e-5)


def test_gamma_zero_is_the_loss_without_focus() -> None:
    logits, onehot = _batch()
    for focused, plain in (("focal", "softmax"), ("sigmoid_focal", "sigmoid")):
        np.testing.assert_allclose(
            _loss(focused, logits, onehot, {"gamma": 0.0}),
            _loss(plain, logits, onehot, {}),
            rtol=1e-5,
            atol=1e-6,
        )


@pytest.mark.parametrize(("family", "params"), CASES)
def test_gradient_is_that_of_the_naive_formula_in_double_precision(
    family: str, params: dict[str, float]
) -> None:
    tf = pytest.importorskip("tensorflow")
    logits, onehot = _batch(n=9, k=4)
    _, slope = class_loss(family, logits, onehot.argmax(1), params)
    numbers = DEFAULTS[family] | params
    z = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(z)
        if family in ("elr", "co_teaching"):
            loss = tf.nn.softmax_cross_entropy_with_logits(onehot, z)
        elif family == "softmax":
            targets = (1 - numbers["smoothing"]) * onehot + numbers["smoothing"] / 4
            loss = -tf.reduce_sum(targets * tf.nn.log_softmax(z), axis=1)
        elif family == "gce":
            p = tf.reduce_sum(tf.nn.softmax(z) * onehot, axis=1)
            loss = (1 - p ** numbers["q"]) / numbers["q"]
        elif family == "sce":
            doubt = -numbers["log_zero"] * tf.reduce_sum(tf.nn.softmax(z) * (1 - onehot), axis=1)
            trust = tf.nn.softmax_cross_entropy_with_logits(onehot, z)
            loss = numbers["alpha"] * trust + numbers["beta"] * doubt
        elif family.endswith("bootstrap"):
            soft = tf.nn.softmax(z)
            belief = soft if family.startswith("soft") else tf.one_hot(tf.argmax(z, 1), 4, dtype=z.dtype)
            targets = numbers["beta"] * onehot + (1 - numbers["beta"]) * belief
            loss = -tf.reduce_sum(targets * tf.nn.log_softmax(z), axis=1)
        elif family == "focal":
            p = tf.reduce_sum(tf.nn.softmax(z) * onehot, axis=1)
            loss = -numbers["alpha"] * (1 - p) ** numbers["gamma"] * tf.math.log(p)
        else:
            p = tf.where(onehot == 1, tf.sigmoid(z), tf.sigmoid(-z))
            loss = -tf.reduce_sum((1 - p) ** numbers.get("gamma", 0.0) * tf.math.log(p), axis=1)
    np.testing.assert_allclose(slope, tape.gradient(loss, z), rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize(("family", "params"), CASES)
@pytest.mark.parametrize("size", [0.0, 60.0, 1e4])
def test_extreme_logits_stay_finite(family: str, params: dict[str, float], size: float) -> None:
    logits = np.array([[size, -size, 0.0], [-size, size, size], [size, size, size]], np.float32)
    loss, slope = class_loss(family, logits, np.array([0, 0, 2]), params)
    assert np.isfinite(loss).all() and loss.dtype == np.float32
    assert np.isfinite(slope).all() and slope.dtype == np.float32


@pytest.mark.parametrize("family", list(CLASSES))
def test_a_single_class_stays_finite(family: str) -> None:
    for numbers in ({}, {"gamma": 0.0}) if "gamma" in CLASSES[family].parameters else ({},):
        loss, slope = class_loss(family, np.array([[3.0], [-3.0]]), np.zeros(2, int), numbers)
        assert np.isfinite(loss).all() and np.isfinite(slope).all()


def _adjusted(spec: LossSpec, logits: np.ndarray, onehot: np.ndarray) -> np.ndarray:
    assert spec.offset is not None
    return _loss(spec.family, logits + spec.offset, onehot, dict(spec.params))


def test_logit_adjustment_by_hand() -> None:
    # Menon et al. 2021, eq. 10: log(1 + sum over y' of (pi_y' / pi_y)^tau exp(f_y' - f_y))
    logits, onehot = _batch(n=6, k=3)
    pi, tau = np.array([0.6, 0.3, 0.1]), 1.5
    truth = onehot.argmax(1)
    expected = [
        np.log(sum((pi[c] / pi[t]) ** tau * np.exp(f[c] - f[t]) for c in range(3)))
        for f, t in zip(logits, truth, strict=True)
    ]
    spec = classes.logit_adjust({"tau": tau}, np.array([6, 3, 1]))
    np.testing.assert_allclose(_adjusted(spec, logits, onehot), expected, rtol=2e-5)


def test_balanced_softmax_by_hand() -> None:
    # Ren et al. 2020, eq. 4: -log(n_y exp(z_y) / sum over c of n_c exp(z_c))
    logits, onehot = _batch(n=6, k=3)
    counts = np.array([60, 30, 1])
    scaled = counts * np.exp(logits)
    expected = -np.log((scaled * onehot).sum(1) / scaled.sum(1))
    np.testing.assert_allclose(
        _adjusted(classes.balanced_softmax({}, counts), logits, onehot), expected, rtol=2e-5
    )


def test_class_balanced_focal_is_the_papers_batch_loss() -> None:
    from bench.methods.class_weights import class_balanced

    logits, onehot = _batch(n=8, k=3)
    args = {"beta": 0.99, "loss": "focal", "gamma": 1.0}
    counts = np.array([100, 10, 2])
    alpha = class_balanced(args, counts)[onehot.argmax(1)]
    z_t = np.where(onehot == 1, logits, -logits)
    paper = (alpha[:, None] * (1 - expit(z_t)) * -np.log(expit(z_t))).sum() / onehot.sum()
    spec = classes.class_balanced(args, counts)
    assert (spec.family, spec.link) == ("sigmoid_focal", "sigmoid")
    assert spec.bias == pytest.approx(-np.log(2))
    assert (alpha * _loss(spec.family, logits, onehot, dict(spec.params))).mean() == pytest.approx(paper)


def test_class_balanced_picks_its_loss() -> None:
    counts = np.array([5, 1])
    softmax_spec = classes.class_balanced({"loss": "softmax", "gamma": 2.0}, counts)
    sigmoid_spec = classes.class_balanced({"loss": "sigmoid", "gamma": 2.0}, counts)
    assert (softmax_spec.family, softmax_spec.link, softmax_spec.bias) == ("softmax", "softmax", 0.0)
    assert (sigmoid_spec.family, sigmoid_spec.link, sigmoid_spec.bias) == ("sigmoid", "sigmoid", 0.0)
    assert classes.class_balanced({"loss": "sigmoid", "gamma": 2.0}, np.array([5])).bias == 0.0


def test_alpha_of_a_quarter_is_a_quarter_of_the_loss() -> None:
    logits, onehot = _batch()
    whole, quarter = (
        _loss(spec.family, logits, onehot, dict(spec.params))
        for spec in (classes.focal({"gamma": 2.0, "alpha": alpha}, np.ones(4)) for alpha in (1.0, 0.25))
    )
    np.testing.assert_allclose(quarter, whole / 4)


def test_the_noisy_label_losses_end_in_what_they_are_said_to() -> None:
    logits, onehot = _batch()
    entropy, p = _loss("softmax", logits, onehot, {}), (softmax(logits, axis=1) * onehot).sum(1)
    np.testing.assert_allclose(_loss("gce", logits, onehot, {"q": 1e-6}), entropy, rtol=2e-2, atol=2e-2)
    np.testing.assert_allclose(_loss("gce", logits, onehot, {"q": 1.0}), 1 - p, rtol=1e-5, atol=1e-6)
    for family in ("soft_bootstrap", "hard_bootstrap"):
        np.testing.assert_allclose(
            _loss(family, logits, onehot, {"beta": 1.0}), entropy, rtol=1e-5, atol=1e-6
        )
    np.testing.assert_allclose(
        _loss("sce", logits, onehot, {"alpha": 1.0, "beta": 0.0}), entropy, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("family", ["gce", "sce"])
def test_a_label_that_cannot_be_right_pulls_less_than_in_cross_entropy(family: str) -> None:
    logits, truth = np.array([[-8.0, 8.0, 0.0]]), np.array([0])
    _, slope = class_loss(family, logits, truth, {})
    _, plain = class_loss("softmax", logits, truth, {})
    assert np.abs(slope).max() < 0.2 * np.abs(plain).max()


def test_steps_hand_their_arguments_on() -> None:
    counts = np.ones(4)
    for text, family, params in (
        ("gce(q=0.3)", "gce", {"q": 0.3}),
        ("sce(alpha=6,beta=0.1,log_zero=-6)", "sce", {"alpha": 6.0, "beta": 0.1, "log_zero": -6.0}),
        ("bootstrap", "hard_bootstrap", {"beta": 0.8}),
        ("bootstrap(beta=0.95,mode=soft)", "soft_bootstrap", {"beta": 0.95}),
        ("elr(lam=7)", "elr", {"beta": 0.7, "lam": 7.0}),
    ):
        (step,) = parse_method(text).steps
        module, _, name = functions_of(step)["loss"].partition(":")
        spec = getattr(import_module(module), name)(dict(step.args), counts)
        assert (spec.family, dict(spec.params), spec.link) == (family, params, "softmax")


def test_elr_is_its_formula_and_its_slope_leaves_the_memory_alone() -> None:
    # Liu et al. 2020: cross entropy + lambda log(1 - <p, t>), t = beta t + (1 - beta) p
    logits, onehot = _batch(n=6, k=4)
    past = softmax(np.random.default_rng(3).normal(size=(6, 4)), axis=1)
    memory = past.copy()
    params = {"beta": 0.6, "lam": 2.0}
    loss, slope = class_loss("elr", logits, onehot.argmax(1), params, memory)
    t = 0.6 * past + 0.4 * softmax(logits, axis=1)
    np.testing.assert_allclose(memory, t, rtol=1e-5)

    def by_hand(z: np.ndarray) -> np.ndarray:
        p = softmax(z, axis=1)
        out: np.ndarray = -(onehot * np.log(p)).sum(1) + 2.0 * np.log(1 - (p * t).sum(1))
        return out

    np.testing.assert_allclose(loss, by_hand(logits), rtol=2e-5)
    for place in range(4):
        nudge = 1e-5 * np.eye(4)[place]
        expected = (by_hand(logits + nudge) - by_hand(logits - nudge)) / 2e-5
        np.testing.assert_allclose(slope[:, place], expected, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("size", [0.0, 60.0, 1e4])
def test_elr_stays_finite_however_sure_it_is(size: float) -> None:
    past = np.zeros((3, 3), np.float32)
    for _ in range(40):
        logits = np.array([[size, -size, 0.0], [-size, size, size], [size, size, size]], np.float32)
        loss, slope = class_loss("elr", logits, np.array([0, 0, 2]), {}, past)
        assert np.isfinite(loss).all() and loss.dtype == np.float32
        assert np.isfinite(slope).all() and slope.dtype == np.float32
    np.testing.assert_allclose(past.sum(1), 1.0, rtol=1e-4)


def test_an_objective_remembers_rows_by_their_place_and_validation_rows_not_at_all() -> None:
    logits, onehot = (array.astype(np.float32) for array in _batch(n=4, k=3))
    truth, p = onehot.argmax(1), softmax(logits, axis=1)
    objective = Measured(LossSpec("elr", {"beta": 0.5, "lam": 1.0}), rows=6)
    plain = Measured(LossSpec())
    assert objective(logits, truth)[0] == plain(logits, truth)[0]
    objective(logits, truth, np.array([5, 0, 2, 3]))
    objective(logits[:1], truth[:1], np.array([5]))
    np.testing.assert_allclose(objective.memory[[5, 0, 2, 3]], p * [[0.75], [0.5], [0.5], [0.5]], rtol=1e-5)
    assert not objective.memory[[1, 4]].any()
