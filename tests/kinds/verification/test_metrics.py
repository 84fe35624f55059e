"""Every metric of pairs by hand on six pairs, against scikit-learn, and under many weightings."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.metrics import accuracy_score, precision_recall_fscore_support, roc_auc_score, roc_curve

from bench.core.predictions import PairFacts, Predictions
from bench.kinds.verification import metrics as m
from bench.metrics.registry import COUNTS, FALSE_ACCEPTS, metrics_of
from tests.grids import faces

NAMES = metrics_of("verification")


def pairs(
    people: str, scores: Any, folds: Any = None, cuts: Any = 0.5, train: tuple[int, int] = (5, 10)
) -> Predictions:
    """Return predictions for pairs like "ab aa": who is on the first photo, who on the second."""
    names = people.split()
    n = len(names)
    return Predictions(
        items=tuple(f"pair {i}" for i in range(n)),
        groups=tuple(name[0] for name in names),
        truth=np.array([name[0] == name[1] for name in names], np.int32),
        scores=np.asarray(scores, np.float32)[:, None],
        classes=("same",),
        train_support=np.array([train[0]], np.int64),
        known=np.array([train[1]], np.int64),
        pairs=PairFacts(
            photos=tuple((f"{i}a", f"{i}b") for i in range(n)),
            partners=tuple(name[1] for name in names),
            folds=np.asarray([0] * n if folds is None else folds, np.int32),
            cuts=np.broadcast_to(np.asarray(cuts, np.float32), (n,)),
        ),
    )


HAND = pairs("aa bb cc ab cd ae", [0.9, 0.4, 0.7, 0.8, 0.1, 0.3])
"""Three same pairs, one below the cut; three different ones, one above it."""


def test_six_pairs_by_hand() -> None:
    found = m.summary(HAND)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["f1"] == pytest.approx(2 / 3)
    # Of nine pairs of a same and a different one, .4 < .8 and .7 < .8 are lost.
    assert found["auc"] == pytest.approx(7 / 9)
    # From (0, 1/3) over (1/3, 1/3) straight up to (1/3, 1): there 1/3 is accepted falsely and 1/3 rejected.
    assert found["eer"] == pytest.approx(1 / 3)
    assert [found[name] for name in FALSE_ACCEPTS] == [None] * 3
    assert found["accuracy_fold_se"] is None
    counts = {name: found[name] for name in found if name in COUNTS}
    assert counts == {"n": 6, "positives": 3, "negatives": 3, "people": 5, "folds": 1}
    assert tuple(found) == (*NAMES, *counts)


def test_its_people_by_hand() -> None:
    rows = {row["class"]: row for row in m.per_class(HAND)}
    assert list(rows) == ["b", "a", "c", "d", "e"]
    assert rows["b"] == {
        "class": "b",
        "test_support": 2,
        "same": 1,
        "different": 1,
        "accuracy": 0.0,
        "errors": 2,
        "false_accepts": 1,
        "false_rejects": 1,
        "confused_with": "a",
    }
    assert (rows["a"]["test_support"], rows["a"]["errors"], rows["a"]["confused_with"]) == (3, 1, "b")
    assert (rows["e"]["accuracy"], rows["e"]["confused_with"]) == (1.0, "")


def test_who_is_taken_for_whom_goes_by_the_distance_from_the_cut() -> None:
    pred = pairs("ab ac", [0.9, 0.8], folds=[0, 1], cuts=[0.85, 0.1])
    assert {row["class"]: row["confused_with"] for row in m.per_class(pred)}["a"] == "c"


def test_two_folds_by_hand() -> None:
    """Accuracy and area are means over folds of unequal sizes; scores of other folds stand apart."""
    pred = pairs("aa ab cc cd cd", [0.9, 0.1, 12, 11, 10], folds=[0, 0, 1, 1, 1], cuts=[0.5] * 2 + [9.0] * 3)
    found = m.summary(pred)
    assert found["accuracy"] == pytest.approx((1 + 1 / 3) / 2)
    assert found["accuracy_fold_se"] == pytest.approx(np.std([1, 1 / 3], ddof=1) / math.sqrt(2))
    assert found["auc"] == 1.0 and found["folds"] == 2
    # One curve for all: 12 yes, 11 and 10 no, .9 yes, .1 no.
    assert found["eer"] == pytest.approx(0.5)
    assert found["precision"] == pytest.approx(2 / 4)


@pytest.mark.parametrize("digits", [6, 1])
@pytest.mark.parametrize("folds", [1, 3])
def test_scikit_learn_says_the_same(digits: int, folds: int) -> None:
    pred = faces(3000, 90, 1.3, 4, folds=folds)
    own = pred.scores[:, 0].round(digits)
    pred = replace(pred, scores=own[:, None])
    facts = m.facts(pred)
    found, truth, said = m.summary(pred), pred.truth, own >= facts.cuts
    inside = [facts.folds == fold for fold in range(folds)]
    accuracies = [accuracy_score(truth[fold], said[fold]) for fold in inside]
    assert found["accuracy"] == pytest.approx(np.mean(accuracies))
    assert found["auc"] == pytest.approx(np.mean([roc_auc_score(truth[fold], own[fold]) for fold in inside]))
    if folds > 1:
        assert found["accuracy_fold_se"] == pytest.approx(np.std(accuracies, ddof=1) / math.sqrt(folds))
    precision, recall, f1, _ = precision_recall_fscore_support(truth, said, average="binary")
    assert [found[name] for name in ("precision", "recall", "f1")] == pytest.approx([precision, recall, f1])
    far, tar, _ = roc_curve(truth, own, drop_intermediate=False)
    for name, of in FALSE_ACCEPTS.items():
        assert found[name] == pytest.approx(tar[far <= 1 / of + 1e-12].max())
    assert found["eer"] == pytest.approx(brentq(lambda x: 1 - x - interp1d(far, tar)(x), 0, 1))


def test_a_rate_is_undefined_where_not_one_different_pair_may_pass() -> None:
    """Of 1,000 different pairs one in a thousand is one pair; of 999 it is none."""
    for negatives, defined in ((1000, True), (999, False)):
        pred = pairs(" ".join(["aa"] * 4 + ["ab"] * negatives), [3, 2, 1, 0, 1.5, *[-1.0] * (negatives - 1)])
        value = m.summary(pred)["tar_far_1e3"]
        assert value == (1.0 if defined else None)
        assert m.summary(pred)["tar_far_1e2"] == 1.0


def test_what_is_undefined_is_none() -> None:
    same, different = m.summary(pairs("aa bb", [1, 0])), m.summary(pairs("ab ac", [0.2, 0.1]))
    assert (same["auc"], same["eer"], same["tar_far_1e1"]) == (None, None, None)
    assert same["recall"] == 0.5 and same["precision"] == 1.0
    assert (different["auc"], different["eer"], different["recall"], different["f1"]) == (None,) * 4
    assert different["precision"] is None and different["accuracy"] == 1.0
    none = replace(HAND.take(np.arange(0)), groups=None)
    assert {m.summary(none)[name] for name in NAMES} == {None} and m.per_class(none) == ()


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_weighted_pair_is_as_many_pairs(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 14))
    people = [data.draw(st.sampled_from(["aa", "bb", "ab", "cc", "bc"])) for _ in range(n)]
    scores = [data.draw(st.integers(0, 4)) / 4 for _ in range(n)]
    folds = [data.draw(st.integers(0, 1)) for _ in range(n)]
    times = np.array([data.draw(st.integers(0, 3)) for _ in range(n)])
    pred = pairs(" ".join(people), scores, folds)
    drawn = m.weighted_summary(pred, np.stack([times, np.ones(n, np.int64)]))
    repeated = m.summary(pred.take(np.repeat(np.arange(n), times)))
    for name in NAMES:
        expected = np.nan if repeated[name] is None else repeated[name]
        assert drawn[name][0] == pytest.approx(expected, nan_ok=True), name


def test_many_weightings_give_what_one_gives() -> None:
    pred = faces(400, 40, 1.0, 1, folds=2)
    weights = np.random.default_rng(0).integers(0, 3, (150, 400)).astype(np.float32)
    many, few = m.weighted_summary(pred, weights), m.weighted_summary(pred, weights[:5])
    for name in NAMES:
        np.testing.assert_allclose(many[name][:5], few[name], rtol=2e-6, err_msg=name)


@pytest.mark.parametrize("folds", [1, 4])
def test_the_numbers_of_pairs_have_the_metrics_as_means(folds: int) -> None:
    pred = faces(800, 60, 1.0, 3, folds=folds)
    assert pred.pairs is not None
    found = m.means(pred.scores[:, 0], pred.truth, pred.pairs.folds, pred.pairs.cuts)
    summary = m.summary(pred)
    assert set(found) == {"accuracy", "auc"}
    weights = np.random.default_rng(0).multinomial(800, np.full(800, 1 / 800), size=300).astype(float)
    exact = m.weighted_summary(pred, weights)
    for name, own in found.items():
        assert own.mean() == pytest.approx(summary[name])
        linear = (weights @ own) / weights.sum(axis=1)
        assert np.corrcoef(linear, exact[name])[0, 1] > 0.99
        assert linear.std() == pytest.approx(exact[name].std(), rel=0.05)


def brute(scores: np.ndarray, same: np.ndarray) -> float:
    """Return the best accuracy that any cut has."""
    cuts = [*scores, np.inf]
    return max(float(((scores >= cut) == same).mean()) for cut in cuts)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_cut_is_better_than_the_best(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 20))
    whole = st.integers(-5, 5).map(lambda x: x / 3)
    numbers = whole | st.floats(width=32, allow_nan=False, allow_infinity=False)
    scores = np.array([data.draw(numbers) for _ in range(n)], np.float32)
    same = np.array([data.draw(st.booleans()) for _ in range(n)])
    cut = m.best_cut(scores, same)
    assert np.float32(cut) == cut or math.isinf(cut)
    assert ((scores >= np.float32(cut)) == same).mean() == pytest.approx(brute(scores, same))


def test_where_the_best_cut_stands() -> None:
    assert m.best_cut(np.array([0.0, 1.0]), np.array([False, True])) == 0.5
    # Below .25, between .25 and .75 and above: the middle one of three equally good places.
    assert m.best_cut(np.array([0.25, 0.5, 0.75, 1.0]), np.array([True, False, True, False])) == 0.625
    assert m.best_cut(np.array([0.25, 0.5]), np.array([True, True])) == 0.25
    assert m.best_cut(np.array([0.25, 0.5]), np.array([False, False])) == np.nextafter(
        np.float32(0.5), np.float32(1)
    )
    low = np.float32(1)
    high = np.nextafter(low, np.float32(2))
    assert m.best_cut(np.array([low, high]), np.array([False, True])) == high


@pytest.mark.parametrize("scores", [[], [np.nan, 1.0], [np.inf, 1.0]])
def test_no_cut_without_finite_scores(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        m.best_cut(np.array(scores), np.ones(len(scores), bool))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"pairs": None}, "not of pairs"),
        ({"groups": None}, "not of pairs"),
        ({"groups": tuple("abcd")}, "groups has shape"),
        ({"scores": np.zeros((6, 2), np.float32)}, "scores has shape"),
        ({"truth": np.array([1, 1, 1, 0, 0, 2], np.int32)}, "truth holds 0..2"),
        ({"truth": np.array([1, 1, 1, 1, 0, 0], np.int32)}, "shows 'a' and 'b'"),
        ({"scores": np.array([[np.nan]] * 6, np.float32)}, "score of pair 'pair 0' is NaN"),
    ],
)
def test_parts_that_do_not_fit_are_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        m.summary(replace(HAND, **changes))


def test_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="weights are"):
        m.weighted_summary(HAND, np.ones((2, 5)))


@pytest.mark.parametrize(("train", "same"), [((5, 10), True), ((4, 10), False), ((0, 0), True)])
def test_the_constant_answer_is_the_commoner_one_in_training(train: tuple[int, int], same: bool) -> None:
    found = m.summary(m.constant(pairs("aa ab bc cd", [1, 2, 3, 4], train=train)))
    assert found["accuracy"] == (0.25 if same else 0.75) and found["auc"] == 0.5
    assert found["eer"] == 0.5


def test_the_curve_is_that_of_all_pairs() -> None:
    rows = m.curves(HAND)
    points = [(row["x"], row["y"]) for row in rows]
    assert points == [
        (0, 0),
        (0, pytest.approx(1 / 3)),
        (pytest.approx(1 / 3),) * 2,
        (pytest.approx(1 / 3), 1),
        (1, 1),
    ]
    assert {(row["class"], row["curve"]) for row in rows} == {("same", "roc")}
