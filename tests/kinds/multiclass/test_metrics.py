"""Every metric by hand on three classes, against scikit-learn, and under the contract all metrics keep."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, precision_recall_fscore_support, roc_auc_score

from bench.core.predictions import Predictions
from bench.kinds.multiclass import metrics as m
from bench.metrics.groups import group_of
from bench.metrics.registry import METRICS, metrics_of
from bench.metrics.scores import hits

NAMES = metrics_of("multiclass", sets=False)


def predictions(
    truth: Any, scores: Any, train: Any = None, groups: tuple[str, ...] | None = None
) -> Predictions:
    scores = np.asarray(scores, np.float32)
    n, k = scores.shape
    return Predictions(
        items=tuple(f"item{i}" for i in range(n)),
        groups=groups,
        truth=np.asarray(truth, np.int32),
        scores=scores,
        classes=tuple("abcdefghijklmnopqrstuvwxyz"[:k]),
        train_support=np.asarray([10] * k if train is None else train, np.int64),
    )


def drawn(n: int, k: int, seed: int, skill: float = 1.0, absent: int = 0) -> Predictions:
    """Probabilities without ties; the last `absent` classes have no test item."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k - absent, n)
    logits = rng.normal(size=(n, k))
    logits[np.arange(n), truth] += skill
    scores = np.exp(logits)
    return predictions(truth, scores / scores.sum(axis=1, keepdims=True), np.resize([200, 50, 5], k))


@st.composite
def coarse(draw: st.DrawFn) -> Predictions:
    """Few items, ties, classes without items or predictions, all kinds of training support."""
    n, k = draw(st.integers(1, 40)), draw(st.integers(1, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    steps = draw(st.sampled_from([1, 3, 1000]))
    present = draw(st.integers(1, k))
    train = rng.choice([0, 1, 19, 20, 100, 101], k)
    return predictions(rng.integers(0, present, n), rng.integers(0, steps, (n, k)), train)


BY_HAND = predictions(
    [0, 0, 0, 1, 1, 2],
    [
        [0.75, 0.25, 0.00],
        [0.50, 0.25, 0.25],
        [0.25, 0.50, 0.25],
        [0.25, 0.50, 0.25],
        [0.50, 0.25, 0.25],
        [0.50, 0.25, 0.25],
    ],
    [150, 50, 5],
)
"""Answers a a b b a a: hits 2 of 3, 1 of 2, 0 of 1; answered a four times, b twice, c never."""

EXPECTED = {
    "top1_micro": 3 / 6,
    "top1_macro": (2 / 3 + 1 / 2 + 0) / 3,
    "top5_micro": None,
    "top5_macro": None,
    "precision_macro": (2 / 4 + 1 / 2 + 0) / 3,
    "precision_weighted": (3 * 2 / 4 + 2 * 1 / 2 + 0) / 6,
    "recall_macro": (2 / 3 + 1 / 2 + 0) / 3,
    "recall_weighted": 3 / 6,
    "f1_micro": 3 / 6,
    "f1_macro": (4 / 7 + 2 / 4 + 0) / 3,
    "f1_weighted": (3 * 4 / 7 + 2 * 2 / 4 + 0) / 6,
    # Pairs won, ties counting half: 5.5 of 9, 5 of 8, 3 of 5.
    "auc_macro": (5.5 / 9 + 5 / 8 + 3 / 5) / 3,
    "auc_weighted": (3 * 5.5 / 9 + 2 * 5 / 8 + 1 * 3 / 5) / 6,
    "balanced_accuracy": (2 / 3 + 1 / 2 + 0) / 3,
    "many_top1": 2 / 3,
    "medium_top1": 1 / 2,
    "few_top1": 0.0,
    "log_loss": -math.log(0.75 * 0.5 * 0.25 * 0.5 * 0.25 * 0.25) / 6,
    # One item at .75, right; five at .50, two of them right.
    "ece": (abs(1 - 0.75) + abs(2 - 2.5)) / 6,
    "n": 6,
    "classes_scored": 3,
}


def test_the_case_by_hand_covers_every_metric() -> None:
    assert set(EXPECTED) == {*NAMES, "n", "classes_scored"}


@pytest.mark.parametrize("name", EXPECTED)
def test_by_hand(name: str) -> None:
    assert m.summary(BY_HAND)[name] == pytest.approx(EXPECTED[name])


def test_classes_by_hand() -> None:
    rows = m.per_class(BY_HAND)
    assert [list(row.values()) for row in rows] == [
        ["a", 150, 3, "many", 2, pytest.approx(2 / 3), None, None, 4, 0.5, pytest.approx(2 / 3),
         pytest.approx(4 / 7), pytest.approx(5.5 / 9)],
        ["b", 50, 2, "medium", 1, 0.5, None, None, 2, 0.5, 0.5, 0.5, pytest.approx(5 / 8)],
        ["c", 5, 1, "few", 0, 0.0, None, None, 0, None, 0.0, 0.0, pytest.approx(3 / 5)],
    ]  # fmt: skip
    assert list(rows[0]) == [
        "class", "train_support", "test_support", "group", "top1_hits", "top1", "top5_hits", "top5",
        "predicted", "precision", "recall", "f1", "auc",
    ]  # fmt: skip


def test_thresholds_are_those_of_prediction_sets() -> None:
    cuts = np.arange(1, len(BY_HAND.classes) + 1, dtype=np.float32) / 16
    found = m.thresholds(replace(BY_HAND, cuts=cuts))
    assert found.dtype == np.float64 and found.tolist() == cuts.tolist()
    assert m.thresholds(BY_HAND).shape == (0,)


def test_top5_by_hand() -> None:
    six = np.array([6.0, 5, 4, 3, 2, 1])
    found = m.summary(predictions([0, 4, 5, 5], [six] * 4))
    assert (found["top1_micro"], found["top5_micro"]) == (1 / 4, 2 / 4)
    assert found["top5_macro"] == pytest.approx((1 + 1 + 0) / 3)
    assert [row["top5_hits"] for row in m.per_class(predictions([0, 4, 5, 5], [six] * 4))] == [
        1,
        0,
        0,
        0,
        1,
        0,
    ]


def test_the_majority_answer_by_hand() -> None:
    answer = m.trivial(BY_HAND)
    assert answer.items == BY_HAND.items and np.array_equal(answer.truth, BY_HAND.truth)
    found = m.summary(answer)
    assert found["top1_micro"] == 3 / 6
    assert found["top1_macro"] == pytest.approx(1 / 3)
    assert found["f1_macro"] == pytest.approx((2 * 3 / (3 + 6)) / 3)
    assert found["auc_macro"] == METRICS["auc_macro"].chance == 0.5
    assert found["log_loss"] == pytest.approx(
        -(3 * math.log(150 / 205) + 2 * math.log(50 / 205) + math.log(5 / 205)) / 6, rel=1e-6
    )


def test_the_majority_answer_names_the_commonest_classes_of_train() -> None:
    pred = predictions([0, 1, 2, 3, 4, 5, 6], np.zeros((7, 7)), [1, 9, 2, 8, 3, 7, 4])
    found = m.per_class(m.trivial(pred))
    assert [row["top1_hits"] for row in found] == [0, 1, 0, 0, 0, 0, 0]
    assert [row["top5_hits"] for row in found] == [0, 1, 0, 1, 1, 1, 1]


def test_the_majority_answer_without_training_counts_scores_all_alike() -> None:
    answer = m.trivial(replace(BY_HAND, train_support=np.zeros(3, np.int64)))
    assert np.unique(answer.scores).tolist() == [np.float32(1 / 3)]


@given(coarse())
def test_equals_scikit_learn(pred: Predictions) -> None:
    answers, k = pred.scores.argmax(axis=1), len(pred.classes)
    present = np.unique(pred.truth)
    found = m.summary(pred)
    assert found["f1_micro"] == found["top1_micro"] == (answers == pred.truth).mean()
    for average in ("macro", "weighted"):
        expected = precision_recall_fscore_support(
            pred.truth, answers, labels=present, average=average, zero_division=0
        )[:3]
        values = [found[f"{part}_{average}"] for part in ("precision", "recall", "f1")]
        assert values == pytest.approx(expected, abs=1e-12)
    precision, recall, f1, support = precision_recall_fscore_support(
        pred.truth, answers, labels=range(k), zero_division=np.nan
    )
    for c, row in enumerate(m.per_class(pred)):
        assert row["test_support"] == support[c]
        assert row["precision"] == pytest.approx(None if np.isnan(precision[c]) else precision[c])
        assert row["recall"] == row["top1"] == pytest.approx(None if np.isnan(recall[c]) else recall[c])
        assert row["f1"] == pytest.approx(None if np.isnan(f1[c]) else f1[c])
    if len(present) == k > 1:
        truth = np.eye(k)[pred.truth]
        assert found["auc_macro"] == pytest.approx(roc_auc_score(truth, pred.scores, average="macro"))
        assert found["auc_weighted"] == pytest.approx(roc_auc_score(truth, pred.scores, average="weighted"))


@pytest.mark.parametrize("seed", range(5))
def test_balanced_accuracy_is_scikit_learns(seed: int) -> None:
    pred = drawn(80, 6, seed)
    expected = balanced_accuracy_score(pred.truth, pred.scores.argmax(axis=1))
    assert m.summary(pred)["balanced_accuracy"] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("count", "group"), [(0, "few"), (19, "few"), (20, "medium"), (100, "medium"), (101, "many")]
)
def test_groups_by_training_images(count: int, group: str) -> None:
    assert group_of(count) == group


@given(coarse())
def test_groups_are_means_of_their_classes(pred: Predictions) -> None:
    found, rows = m.summary(pred), m.per_class(pred)
    for group in ("many", "medium", "few"):
        inside = [row["top1"] for row in rows if row["group"] == group and row["test_support"]]
        expected = np.mean(inside) if inside else None
        assert found[f"{group}_top1"] == pytest.approx(expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "pred", [drawn(90, 7, 1), drawn(40, 3, 2, absent=1), BY_HAND], ids=["7", "3", "hand"]
)
def test_in_its_range(name: str, pred: Predictions) -> None:
    value, info = m.summary(pred)[name], METRICS[name]
    if value is not None:
        assert type(value) is float
        assert info.low <= value <= (math.inf if info.high is None else info.high)


@pytest.mark.parametrize("name", NAMES)
def test_perfect_predictions_are_best(name: str) -> None:
    k = 9
    perfect = predictions(np.arange(3 * k) % k, np.eye(k)[np.arange(3 * k) % k], [200, 50, 5] * 3)
    assert m.summary(perfect)[name] == pytest.approx(METRICS[name].best)


@pytest.mark.parametrize("name", NAMES)
def test_skill_is_better_than_none(name: str) -> None:
    info = METRICS[name]
    skilled, blind = m.summary(drawn(600, 8, 4, skill=4))[name], m.summary(drawn(600, 8, 4, skill=-1))[name]
    assert info.better(skilled, blind)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_items_means_nothing(name: str, seed: int) -> None:
    pred = drawn(70, 7, seed, absent=1)
    order = np.random.default_rng(seed).permutation(70)
    shuffled = replace(
        pred, items=tuple(pred.items[i] for i in order), truth=pred.truth[order], scores=pred.scores[order]
    )
    assert m.summary(shuffled)[name] == pytest.approx(m.summary(pred)[name])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_classes_means_nothing(name: str, seed: int) -> None:
    pred = drawn(70, 7, seed, absent=1)
    order = np.random.default_rng(seed).permutation(7)
    renumbered = replace(
        pred,
        truth=np.argsort(order)[pred.truth].astype(np.int32),
        scores=pred.scores[:, order],
        classes=tuple(pred.classes[c] for c in order),
        train_support=pred.train_support[order],
    )
    assert m.summary(renumbered)[name] == pytest.approx(m.summary(pred)[name])


@pytest.mark.parametrize("name", NAMES)
def test_nothing_scored_is_undefined(name: str) -> None:
    assert m.summary(predictions([], np.zeros((0, 7))))[name] is None


def test_nothing_scored_still_has_its_classes() -> None:
    nothing = predictions([], np.zeros((0, 7)), [1] * 7)
    assert (m.summary(nothing)["n"], m.summary(nothing)["classes_scored"]) == (0, 0)
    assert all(row["top1"] is row["auc"] is row["precision"] is None for row in m.per_class(nothing))
    assert m.summary(m.trivial(nothing))["n"] == 0
    assert all(np.isnan(values).all() for values in m.weighted_summary(nothing, np.zeros((2, 0))).values())


def test_a_class_that_is_never_true_is_undefined_and_in_no_average() -> None:
    with_it = predictions([0, 0, 1], [[1, 0, 0], [0, 0, 1], [0, 1, 0]])
    row = m.per_class(with_it)[2]
    assert (row["recall"], row["top1"], row["auc"]) == (None, None, None)
    assert (row["precision"], row["f1"], row["predicted"]) == (0.0, 0.0, 1)
    found = m.summary(with_it)
    assert found["classes_scored"] == 2
    assert found["top1_macro"] == found["recall_macro"] == (0.5 + 1) / 2
    assert found["precision_macro"] == 1.0


def test_a_class_neither_true_nor_predicted_has_no_f1() -> None:
    assert m.per_class(predictions([0, 1], [[1, 0, 0], [0, 1, 0]]))[2]["f1"] is None


def test_one_class_alone_has_no_auc() -> None:
    found = m.summary(predictions([0, 0], [[1.0], [1.0]]))
    assert (found["top1_micro"], found["auc_macro"], found["auc_weighted"]) == (1.0, None, None)


def test_all_items_of_one_class_leave_the_area_undefined() -> None:
    assert m.summary(predictions([1, 1], [[0.6, 0.4], [0.3, 0.7]]))["auc_macro"] is None


@pytest.mark.parametrize("k", [1, 5])
def test_top5_of_five_classes_is_undefined(k: int) -> None:
    pred = predictions([0], np.ones((1, k)))
    assert hits(pred)[1] is None
    assert m.summary(pred)["top5_micro"] is None and m.per_class(pred)[0]["top5_hits"] is None


def test_ties_go_to_the_class_that_stands_first() -> None:
    pred = predictions([0, 1, 5, 6], np.zeros((4, 7)))
    top1, top5 = hits(pred)
    assert top1.tolist() == [True, False, False, False]
    assert top5 is not None and top5.tolist() == [True, True, False, False]
    assert [row["predicted"] for row in m.per_class(pred)] == [4, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("function", [m.summary, m.per_class, hits])
def test_a_score_that_is_nan_is_refused(function: Any) -> None:
    scores = BY_HAND.scores.copy()
    scores[2, 1] = np.nan
    with pytest.raises(ValueError, match="item 'item2' for class 'b' is NaN"):
        function(replace(BY_HAND, scores=scores))


def test_logits_give_all_but_calibration() -> None:
    pred = replace(BY_HAND, scores=np.log(BY_HAND.scores + np.float32(0.01)) * 10)
    found, before = m.summary(pred), m.summary(BY_HAND)
    assert found["log_loss"] is found["ece"] is None
    for name in set(NAMES) - {"log_loss", "ece"}:
        assert found[name] == pytest.approx(before[name])


def repeated(pred: Predictions, times: np.ndarray) -> Predictions:
    rows = np.repeat(np.arange(len(times)), times)
    return replace(
        pred, items=tuple(pred.items[i] for i in rows), truth=pred.truth[rows], scores=pred.scores[rows]
    )


@settings(max_examples=40)
@given(coarse(), st.integers(0, 2**32))
def test_weights_are_items_drawn_again(pred: Predictions, seed: int) -> None:
    n = len(pred.items)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=4)
    fast = m.weighted_summary(pred, weights)
    for draw, times in enumerate(weights):
        slow = m.summary(repeated(pred, times))
        for name, values in fast.items():
            assert values[draw] == pytest.approx(np.nan if slow[name] is None else slow[name], nan_ok=True)


def test_weights_cover_all_that_counts_give() -> None:
    names = set(m.weighted_summary(BY_HAND, np.ones((1, 6))))
    assert set(NAMES) - names == {"auc_macro", "auc_weighted", "log_loss", "ece"}
    assert all(values.shape == (3,) for values in m.weighted_summary(BY_HAND, np.ones((3, 6))).values())


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32, np.float32, np.float64])
def test_narrow_weights_do_not_overflow(kind: type) -> None:
    pred = drawn(3000, 6, 5)
    weights: np.ndarray = np.full((2, 3000), 100, kind)
    for name, values in m.weighted_summary(pred, weights).items():
        assert values == pytest.approx([m.summary(pred)[name]] * 2)


def test_weights_in_double_precision_are_added_up_in_it() -> None:
    pred, weights = drawn(300, 6, 5), np.random.default_rng(0).random((2, 300))
    right = pred.scores.argmax(axis=1) == pred.truth
    expected = (weights * right).sum(axis=1) / weights.sum(axis=1)
    assert m.weighted_summary(pred, weights)["top1_micro"] == pytest.approx(expected, rel=1e-12)


def test_yes_or_no_weights_choose_items() -> None:
    chosen = np.array([[True, False, True, True, False, False]])
    fast, slow = m.weighted_summary(BY_HAND, chosen), m.summary(repeated(BY_HAND, chosen[0].astype(int)))
    assert fast["top1_macro"][0] == pytest.approx(slow["top1_macro"])


def test_many_draws_are_cut_into_parts_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    pred = drawn(50, 6, 6)
    weights = np.random.default_rng(0).integers(0, 3, (23, 50))
    whole = m.weighted_summary(pred, weights)
    monkeypatch.setattr(m, "CHUNK", 200)
    for name, values in m.weighted_summary(pred, weights).items():
        assert np.array_equal(values, whole[name], equal_nan=True)


def test_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"weights are \(2, 5\), but there are 6 items"):
        m.weighted_summary(BY_HAND, np.ones((2, 5)))
