"""Prediction sets: their thresholds by hand and by MAPIE, and their coverage by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from bench.core.errors import BenchError
from bench.methods.conformal import conformal, set_thresholds
from bench.methods.grammar import parse_method, problems_for
from bench.methods.shape import calibration_shares
from bench.training.linear_head import LinearHead, link

SIZES = (60, 25, 9, 8)
"""Calibration items of each class: those of the last are too few for alpha = .1."""


def problem(sizes: tuple[int, ...], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities and classes of so many items of each class, of a model that is often wrong."""
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    logits = rng.normal(size=(len(y), len(sizes))) + 1.5 * (y[:, None] == np.arange(len(sizes)))
    return link("softmax", logits), y


def test_a_threshold_is_the_lowest_but_some_of_the_class_s_own_probabilities() -> None:
    own = np.array([0.9, 0.3, 0.5, 0.7, 0.2, 0.8, 0.6, 0.4, 0.95], np.float32)
    scores = np.stack([own, 1 - own], axis=1)
    y = np.zeros(9, np.int32)
    # floor(.1 * 10) = 1, floor(.2 * 10) = 2, floor(.5 * 10) = 5; the other class has no item.
    for alpha, cut in ((0.1, 0.2), (0.2, 0.3), (0.29, 0.3), (0.5, 0.6)):
        assert set_thresholds(scores, y, alpha).tolist() == [np.float32(cut), 0.0]
    assert set_thresholds(scores, y, 0.099).tolist() == [0.0, 0.0]


@pytest.mark.filterwarnings("ignore:.*less labels than your training dataset")
@pytest.mark.parametrize("alpha", [0.1, 0.07, 0.29, 0.05])
def test_mapie_gives_the_same_sets(alpha: float) -> None:
    pytest.importorskip("mapie")
    scores, y = problem(SIZES, seed=1)
    new, _ = problem((400, 400, 400, 400), seed=2)
    cuts = set_thresholds(scores, y, alpha)
    for label, size in enumerate(SIZES):
        if size < 1 / alpha - 1:
            assert cuts[label] == 0
            continue
        own = y == label
        assert cuts[label] > 0
        if size < 1 / alpha:
            # MAPIE asks for one item more than it needs.
            continue
        np.testing.assert_array_equal(
            new[:, label] >= cuts[label], by_mapie(scores[own], y[own], new, alpha)[:, label]
        )


def by_mapie(scores: np.ndarray, y: np.ndarray, new: np.ndarray, alpha: float) -> np.ndarray:
    """Return MAPIE's sets of new items, (n, k) bool, calibrated on the items of one class."""
    from mapie.classification import SplitConformalClassifier
    from sklearn.linear_model import LogisticRegression

    # A model whose probabilities are given: the softmax of their logarithms.
    k = scores.shape[1]
    model = LogisticRegression()
    model.classes_, model.coef_, model.intercept_ = np.arange(k), np.eye(k), np.zeros(k)
    mapie = SplitConformalClassifier(
        model, confidence_level=1 - alpha, prefit=True, conformity_score="lac"
    ).conformalize(np.log(scores.astype(np.float64)), y)
    found: np.ndarray = mapie.predict_set(np.log(new.astype(np.float64)))[1][:, :, 0]
    return found


def test_sets_of_every_class_have_it_as_often_as_asked() -> None:
    """Over calibration parts the mean coverage is 1 - j / (m + 1) exactly; only chance moves the rest."""
    alpha, sizes, rounds, tested = 0.1, (9, 19, 39), 400, 200
    hits = np.zeros((rounds, len(sizes)))
    for seed in range(rounds):
        cuts = set_thresholds(*problem(sizes, seed=2 * seed), alpha)
        new, y = problem((tested,) * len(sizes), seed=2 * seed + 1)
        inside = new[np.arange(len(y)), y] >= cuts[y]
        hits[seed] = inside.reshape(len(sizes), tested).mean(axis=1)
    mean, error = hits.mean(axis=0), hits.std(axis=0) / np.sqrt(rounds)
    exact = 1 - np.floor(alpha * (np.array(sizes) + 1)) / (np.array(sizes) + 1)
    assert (np.abs(mean - exact) < 4 * error).all() and (mean >= 1 - alpha - 4 * error).all()
    assert (error < 0.01).all()


def test_the_step_chooses_by_the_head_s_own_probabilities() -> None:
    rng = np.random.default_rng(3)
    features, y = rng.normal(size=(60, 4)).astype(np.float32), np.repeat(np.arange(3, dtype=np.int32), 20)
    kernel = rng.normal(size=(4, 3)).astype(np.float32)
    for name in ("softmax", "sigmoid"):
        head = LinearHead(kernel, np.zeros(3, np.float32), link=name)
        made, choices = conformal({"alpha": 0.25}, head, features, y, np.array([20, 20, 20]))
        assert made.cuts is not None and choices == {"calibrated": 60, "classes_without_threshold": 0}
        scores = link(name, made.logits(features))
        inside = scores[np.arange(60), y] >= made.cuts[y]
        # All but the four lowest of twenty.
        assert inside.reshape(3, 20).sum(axis=1).tolist() == [16, 16, 16]
    np.testing.assert_array_equal(made.kernel, head.kernel)


def test_only_steps_that_are_fitted_ask_for_a_part() -> None:
    shares = {
        "none": (),
        "temperature(t=2)": (),
        "temperature": (("temperature", 0.1),),
        "conformal(alpha=0.2,share=0.3)+focal": (("conformal", 0.3),),
        "conformal+temperature(share=0.05)": (("temperature", 0.05), ("conformal", 0.2)),
    }
    for text, expected in shares.items():
        assert calibration_shares(parse_method(text)) == expected


def test_other_kinds_are_refused_in_one_line() -> None:
    for kind in ("multilabel", "verification"):
        assert problems_for(parse_method("conformal"), kind, "frozen") == (
            f"conformal is for multiclass tasks, not for {kind}"
        )
    with pytest.raises(BenchError, match="alpha must be between"):
        parse_method("conformal(alpha=0)")
