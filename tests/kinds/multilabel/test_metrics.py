"""Every metric of attributes by hand on four items, against scikit-learn, and under the contract all keep."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.metrics import geometric_mean_score
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    hamming_loss,
    jaccard_score,
    precision_recall_fscore_support,
    roc_auc_score,
)
from sklearn.metrics import log_loss as sklearn_log_loss

from bench.core.predictions import Predictions
from bench.kinds.multilabel import metrics as m
from bench.metrics.calibration import ece, log_loss
from bench.metrics.registry import METRICS, metrics_of

NAMES = metrics_of("multilabel")
UNDRAWN = {"auc_micro", "log_loss", "ece"}


def predictions(
    truth: Any, scores: Any, train: Any = None, known: Any = None, cuts: Any = None
) -> Predictions:
    scores = np.asarray(scores, np.float32)
    n, k = scores.shape
    return Predictions(
        items=tuple(f"item{i}" for i in range(n)),
        groups=None,
        truth=np.asarray(truth, np.int32).reshape(n, k),
        scores=scores,
        classes=tuple("abcdefghijklmnopqrstuvwxyz"[:k]),
        train_support=np.asarray([10] * k if train is None else train, np.int64),
        known=None if known is None else np.asarray(known, np.int64),
        cuts=None if cuts is None else np.asarray(cuts, np.float32),
    )


def drawn(n: int, k: int, seed: int, skill: float = 1.0) -> Predictions:
    """Probabilities without ties, a tenth of the cells unknown, all kinds of training support."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((n, k)) < np.linspace(0.2, 0.7, k)).astype(np.int32)
    scores = 1 / (1 + np.exp(-rng.normal(size=(n, k)) - skill * (2 * truth - 1)))
    truth[rng.random((n, k)) < 0.1] = -1
    return predictions(truth, scores, np.resize([200, 50, 5], k), np.resize([500, 100, 60], k))


@st.composite
def coarse(draw: st.DrawFn, unknown: bool = True) -> Predictions:
    """Few items, ties, attributes of one value or none, answers all alike, cuts of any height."""
    n, k = draw(st.integers(1, 25)), draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    steps = draw(st.sampled_from([1, 3, 1000]))
    truth = (rng.random((n, k)) < rng.choice([0.0, 0.3, 0.5, 1.0], k)).astype(np.int32)
    if unknown:
        truth[rng.random((n, k)) < rng.choice([0.0, 0.2, 0.9, 1.0], k)] = -1
    scores = rng.integers(0, steps + 1, (n, k)) / steps
    cuts = rng.choice([0.0, 0.3, 0.5, 1.0], k) if draw(st.booleans()) else None
    return predictions(truth, scores, rng.choice([0, 19, 20, 100, 101], k), np.full(k, 120), cuts)


BY_HAND = predictions(
    [[1, 0, -1], [0, 1, 1], [1, -1, 1], [0, 1, -1]],
    [[0.9, 0.7, 0.8], [0.6, 0.7, 0.2], [0.4, 0.2, 0.55], [0.1, 0.6, 0.9]],
    [150, 50, 5],
    [200, 100, 20],
)
"""Of 9 cells 6 are yes, 6 are answered with yes, and 4 are both. The third attribute has no observed no."""

EXPECTED = {
    "precision_macro": (1 / 2 + 2 / 3 + 1) / 3,
    "precision_micro": 4 / 6,
    "recall_macro": (1 / 2 + 1 + 1 / 2) / 3,
    "recall_micro": 4 / 6,
    "specificity_macro": (1 / 2 + 0) / 2,
    "gmean_macro": (1 / 2 + 0) / 2,
    "accuracy_macro": (2 / 4 + 2 / 3 + 1 / 2) / 3,
    "f1_micro": 2 * 4 / (6 + 6),
    "f1_macro": (1 / 2 + 4 / 5 + 2 / 3) / 3,
    # Of macro precision 13/18 and macro recall 2/3.
    "cf1": 2 * (13 / 18) * (2 / 3) / (13 / 18 + 2 / 3),
    # Pairs won, ties counting half: 3 of 4; of 2, a tie and a loss; the third has no pair.
    "auc_macro": (3 / 4 + 0.5 / 2) / 2,
    # All nine scores: 10 of 18 pairs.
    "auc_micro": 10 / 18,
    # Ranked yes no yes no; and (yes no, tied) yes.
    "map": ((1 + 2 / 3) / 2 + (1 / 2 + 2 / 3) / 2) / 2,
    "many_auc": 3 / 4,
    "medium_auc": 1 / 4,
    "few_auc": None,
    "hamming_loss": 4 / 9,
    "jaccard": (1 / 2 + 1 / 3 + 1 / 2 + 1) / 4,
    "exact_match": 1 / 4,
    "log_loss": -math.log(0.9 * 0.4 * 0.7 * 0.6 * 0.2 * 0.55 * 0.4 * 0.9 * 0.3) / 9,
    # Two bins hold two cells each, .6 and .6, .7 and .7, each a yes and a no.
    "ece": (0.1 + 0.2 + 0.6 + 0.1 + 0.4 + 0.8 + 0.45) / 9,
    "n": 4,
    "cells": 9,
    "classes_scored": 2,
}


def test_the_case_by_hand_covers_every_metric() -> None:
    assert list(m.summary(BY_HAND)) == [*NAMES, "n", "cells", "classes_scored"]
    assert set(EXPECTED) == set(m.summary(BY_HAND))


@pytest.mark.parametrize("name", EXPECTED)
def test_by_hand(name: str) -> None:
    value, expected = m.summary(BY_HAND)[name], EXPECTED[name]
    assert (value is None) == (expected is None)
    assert expected is None or value == pytest.approx(expected, rel=1e-6)


def test_attributes_by_hand() -> None:
    rows = m.per_class(BY_HAND)
    approx = pytest.approx
    assert [list(row.values())[:-2] for row in rows] == [
        ["a", 150, 200, "many", 4, 2, 1, 1, 1, 1, 0.5, 0.5, 0.5, approx(0.5), 0.5, 0.5, 0.75, approx(5 / 6)],
        ["b", 50, 100, "medium", 3, 2, 2, 1, 0, 0, approx(2 / 3), 1.0, 0.0, 0.0, approx(2 / 3), 0.8, 0.25,
         approx(7 / 12)],
        ["c", 5, 20, "few", 2, 2, 1, 0, 0, 1, 1.0, 0.5, None, None, 0.5, approx(2 / 3), None, None],
    ]  # fmt: skip
    assert list(rows[0]) == [
        "class", "train_support", "train_known", "group", "test_support", "positives", "tp", "fp", "tn", "fn",
        "precision", "recall", "specificity", "gmean", "accuracy", "f1", "auc", "ap", "log_loss", "ece",
    ]  # fmt: skip
    assert rows[2]["log_loss"] == pytest.approx(-math.log(0.2 * 0.55) / 2)
    assert rows[2]["ece"] == pytest.approx((0.8 + 0.45) / 2)


def test_cuts_by_hand() -> None:
    found = m.per_class(replace(BY_HAND, cuts=np.array([0.6, 0.71, 0.1], np.float32)))
    assert [[row[key] for key in ("tp", "fp", "tn", "fn")] for row in found] == [
        [1, 1, 1, 1],
        [0, 0, 1, 2],
        [2, 0, 0, 0],
    ]
    assert [row["precision"] for row in found] == [0.5, None, 1.0]
    assert found[1]["auc"] == m.per_class(BY_HAND)[1]["auc"]


def test_never_answered_with_yes_counts_as_a_precision_of_nothing() -> None:
    pred = predictions([[1, 1], [0, 0]], [[0.9, 0.4], [0.1, 0.3]])
    assert [row["precision"] for row in m.per_class(pred)] == [1.0, None]
    found = m.summary(pred)
    assert (found["precision_macro"], found["recall_macro"], found["f1_macro"]) == (0.5, 0.5, 0.5)


def test_an_attribute_without_a_yes_is_in_no_mean_of_yes() -> None:
    pred = predictions([[1, 0], [0, 0]], [[0.9, 0.9], [0.1, 0.3]])
    row = m.per_class(pred)[1]
    assert (row["precision"], row["recall"], row["f1"], row["specificity"]) == (0.0, None, 0.0, 0.5)
    assert (row["gmean"], row["auc"], row["ap"]) == (None, None, None)
    found = m.summary(pred)
    assert (found["precision_macro"], found["f1_macro"], found["specificity_macro"]) == (1.0, 1.0, 0.75)
    assert (found["accuracy_macro"], found["gmean_macro"], found["classes_scored"]) == (0.75, 1.0, 1)


def test_two_empty_sets_are_equal_and_no_yes_found_is_a_zero() -> None:
    pred = predictions([[0, 0], [1, 0], [-1, -1]], np.zeros((3, 2)))
    found = m.summary(pred)
    assert (found["jaccard"], found["exact_match"], found["n"]) == (0.5, 0.5, 2)
    assert (found["cf1"], found["f1_micro"], found["recall_micro"]) == (0.0, 0.0, 0.0)
    assert found["precision_micro"] is None


@settings(deadline=None)
@given(coarse())
def test_attributes_are_scikit_learns_and_imbalanced_learns(pred: Predictions) -> None:
    cuts = np.full(len(pred.classes), 0.5, np.float32) if pred.cuts is None else pred.cuts
    for c, row in enumerate(m.per_class(pred)):
        seen = pred.truth[:, c] >= 0
        truth, scores = pred.truth[seen, c], pred.scores[seen, c]
        said = (scores >= cuts[c]).astype(int)
        assert row["test_support"] == len(truth) == row["tp"] + row["fp"] + row["tn"] + row["fn"]
        if not len(truth):
            assert all(row[key] is None for key in ("precision", "recall", "accuracy", "f1", "auc", "ece"))
            continue
        expected = precision_recall_fscore_support(truth, said, labels=[0, 1], zero_division=np.nan)
        (_, precision), (specificity, recall), (_, f1), _ = expected
        values = {"precision": precision, "recall": recall, "specificity": specificity, "f1": f1}
        values["accuracy"] = accuracy_score(truth, said)
        values["log_loss"] = sklearn_log_loss(truth, scores, labels=[0, 1])
        both = 0 < truth.sum() < len(truth)
        values["auc"] = roc_auc_score(truth, scores) if both else np.nan
        values["ap"] = average_precision_score(truth, scores) if both else np.nan
        values["gmean"] = geometric_mean_score(truth, said) if both else np.nan
        for name, value in values.items():
            if np.isnan(value):
                assert row[name] is None, name
            else:  # Log loss there is computed in the scores' single precision.
                assert row[name] == pytest.approx(value, rel=1e-6, abs=1e-6), name


@settings(deadline=None)
@given(coarse(unknown=False))
def test_whole_tables_are_scikit_learns(pred: Predictions) -> None:
    found, said = m.summary(pred), m.answers(pred).astype(int)
    truth = pred.truth
    assert found["hamming_loss"] == pytest.approx(hamming_loss(truth, said))
    assert found["exact_match"] == pytest.approx((truth == said).all(axis=1).mean())
    if len(pred.classes) > 1:
        assert found["jaccard"] == pytest.approx(
            jaccard_score(truth, said, average="samples", zero_division=1.0)
        )
        assert found["exact_match"] == pytest.approx(accuracy_score(truth, said))
    micro = f1_score(truth.ravel(), said.ravel(), zero_division=np.nan)
    assert found["f1_micro"] == pytest.approx(None if np.isnan(micro) else micro)
    if 0 < truth.sum() < truth.size:
        assert found["auc_micro"] == pytest.approx(roc_auc_score(truth.ravel(), pred.scores.ravel()))
    both = (truth.sum(axis=0) > 0) & (truth.sum(axis=0) < len(truth))
    if both.any():
        macro = roc_auc_score(truth[:, both], pred.scores[:, both], average="macro")
        assert found["auc_macro"] == pytest.approx(macro)
        means = average_precision_score(truth[:, both], pred.scores[:, both], average="macro")
        assert found["map"] == pytest.approx(means)
    true = truth.any(axis=0)
    if true.any():
        scores = precision_recall_fscore_support(
            truth[:, true].reshape(len(truth), -1) if true.sum() > 1 else truth[:, true].ravel(),
            said[:, true] if true.sum() > 1 else said[:, true].ravel(),
            average="macro" if true.sum() > 1 else "binary",
            zero_division=0,
        )
        values = [found[f"{name}_macro"] for name in ("precision", "recall", "f1")]
        assert values == pytest.approx(scores[:3])


@given(coarse())
def test_macro_means_are_means_of_their_attributes(pred: Predictions) -> None:
    found, rows = m.summary(pred), m.per_class(pred)
    for metric, key in (
        ("auc_macro", "auc"),
        ("map", "ap"),
        ("recall_macro", "recall"),
        ("specificity_macro", "specificity"),
        ("gmean_macro", "gmean"),
        ("accuracy_macro", "accuracy"),
    ):
        inside = [row[key] for row in rows if row[key] is not None]
        assert found[metric] == pytest.approx(np.mean(inside) if inside else None)
    for group in ("many", "medium", "few"):
        inside = [row["auc"] for row in rows if row["group"] == group and row["auc"] is not None]
        assert found[f"{group}_auc"] == pytest.approx(np.mean(inside) if inside else None)
    assert found["cells"] == sum(row["test_support"] for row in rows)
    assert found["classes_scored"] == sum(row["auc"] is not None for row in rows)


@given(coarse())
def test_a_masked_cell_might_as_well_not_be_there(pred: Predictions) -> None:
    """Its score means nothing, and each attribute is what it is on the items it is observed in."""
    scores = np.where(pred.truth >= 0, pred.scores, np.nan)
    assert m.summary(replace(pred, scores=scores)) == m.summary(pred)
    rows = m.per_class(pred)
    assert m.per_class(replace(pred, scores=scores)) == rows
    for c, row in enumerate(rows):
        kept = np.flatnonzero(pred.truth[:, c] >= 0)
        alone = replace(
            pred,
            items=tuple(pred.items[i] for i in kept),
            truth=pred.truth[kept][:, [c]],
            scores=pred.scores[kept][:, [c]],
            classes=(pred.classes[c],),
            train_support=pred.train_support[[c]],
            known=None if pred.known is None else pred.known[[c]],
            cuts=None if pred.cuts is None else pred.cuts[[c]],
        )
        (own,) = m.per_class(alone)
        assert own == pytest.approx(row)


@given(coarse(), st.integers(0, 2**32))
def test_an_item_without_an_observed_cell_might_as_well_not_be_there(pred: Predictions, seed: int) -> None:
    gone = np.random.default_rng(seed).random(len(pred.items)) < 0.4
    masked = replace(pred, truth=np.where(gone[:, None], -1, pred.truth).astype(np.int32))
    found, expected = m.summary(masked), m.summary(repeated(pred, (~gone).astype(int)))
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("pred", [drawn(90, 7, 1), drawn(40, 3, 2), BY_HAND], ids=["7", "3", "hand"])
def test_in_its_range(name: str, pred: Predictions) -> None:
    value, info = m.summary(pred)[name], METRICS[name]
    if value is not None:
        assert type(value) is float
        assert info.low <= value <= (math.inf if info.high is None else info.high)


def test_perfect_predictions_are_best() -> None:
    pred = drawn(60, 6, 3)
    found = m.summary(replace(pred, scores=np.maximum(pred.truth, 0).astype(np.float32)))
    for name in NAMES:
        assert found[name] == pytest.approx(METRICS[name].best, abs=1e-6), name


def test_skill_is_better_than_none() -> None:
    skilled, blind = m.summary(drawn(400, 6, 4, skill=2)), m.summary(drawn(400, 6, 4, skill=-0.5))
    for name in NAMES:
        assert METRICS[name].better(skilled[name], blind[name]), name


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_items_and_attributes_means_nothing(seed: int) -> None:
    pred, rng = drawn(70, 7, seed), np.random.default_rng(seed)
    items, columns = rng.permutation(70), rng.permutation(7)
    assert pred.known is not None
    shuffled = replace(
        pred,
        items=tuple(pred.items[i] for i in items),
        truth=pred.truth[items][:, columns],
        scores=pred.scores[items][:, columns],
        classes=tuple(pred.classes[c] for c in columns),
        train_support=pred.train_support[columns],
        known=pred.known[columns],
    )
    assert m.summary(shuffled) == pytest.approx(m.summary(pred))


@pytest.mark.parametrize("n", [0, 3])
def test_nothing_scored_is_undefined(n: int) -> None:
    nothing = predictions(np.full((n, 2), -1), np.zeros((n, 2)))
    found = m.summary(nothing)
    assert all(found[name] is None for name in NAMES)
    assert (found["n"], found["cells"], found["classes_scored"]) == (0, 0, 0)
    assert all(row["auc"] is row["accuracy"] is row["ece"] is None for row in m.per_class(nothing))
    assert all(np.isnan(values).all() for values in m.weighted_summary(nothing, np.ones((2, n))).values())
    assert all(m.summary(answer)["n"] == 0 for answer in m.trivials(nothing).values())


def test_trivial_answers_by_hand() -> None:
    answers = m.trivials(replace(BY_HAND, cuts=np.full(3, 0.9, np.float32)))
    assert list(answers) == ["majority", "all_positive", "prior"]
    assert {name: answer.scores[3].tolist() for name, answer in answers.items()} == {
        "majority": [1.0, 1.0, 0.0],
        "all_positive": [1.0, 1.0, 1.0],
        "prior": [0.75, 0.5, 0.25],
    }
    for answer in answers.values():
        assert answer.items == BY_HAND.items and np.array_equal(answer.truth, BY_HAND.truth)
        assert answer.cuts is None
        assert m.summary(answer)["auc_macro"] == METRICS["auc_macro"].chance == 0.5
    majority, everything, prior = (m.summary(answer) for answer in answers.values())
    assert majority["accuracy_macro"] == pytest.approx((2 / 4 + 2 / 3 + 0) / 3)
    assert majority["gmean_macro"] == 0.0 and majority["recall_macro"] == pytest.approx(2 / 3)
    assert everything["recall_macro"] == everything["recall_micro"] == 1.0
    assert everything["f1_macro"] == pytest.approx((2 / 3 + 4 / 5 + 1) / 3)
    assert {prior[name] == majority[name] for name in NAMES if name not in {*UNDRAWN, "auc_micro"}} == {True}
    expected = -(2 * math.log(0.75 * 0.25) + math.log(0.5**3) + 2 * math.log(0.25)) / 9
    assert prior["log_loss"] == pytest.approx(expected)


@pytest.mark.parametrize("known", [None, [0, 0, 0]])
def test_trivial_answers_without_training_cells_are_one_half(known: Any) -> None:
    pred = replace(BY_HAND, train_support=np.zeros(3, np.int64), known=known and np.array(known))
    answers = m.trivials(pred)
    assert np.unique(answers["prior"].scores).tolist() == [0.5]
    assert np.unique(answers["majority"].scores).tolist() == [1.0]


def test_one_known_training_cell_is_enough_for_a_prior() -> None:
    pred = replace(BY_HAND, train_support=np.array([1, 0, 3]), known=np.array([1, 1, 4]))
    assert m.trivials(pred)["prior"].scores[0].tolist() == [1.0, 0.0, 0.75]


def repeated(pred: Predictions, times: np.ndarray) -> Predictions:
    rows = np.repeat(np.arange(len(times)), times)
    return replace(
        pred, items=tuple(pred.items[i] for i in rows), truth=pred.truth[rows], scores=pred.scores[rows]
    )


def test_weights_of_one_are_the_summary() -> None:
    for pred in (BY_HAND, drawn(300, 9, 7)):
        found, weights = m.summary(pred), np.ones((2, len(pred.items)))
        fast = m.weighted_summary(pred, weights)
        assert set(NAMES) - set(fast) == UNDRAWN
        for name, values in fast.items():
            expected = np.nan if found[name] is None else found[name]
            assert values.tolist() == pytest.approx([expected] * 2, rel=1e-12, nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(coarse(), st.integers(0, 2**32))
def test_weights_are_items_drawn_again(pred: Predictions, seed: int) -> None:
    n = len(pred.items)
    weights = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=3)
    fast = m.weighted_summary(pred, weights)
    for draw, times in enumerate(weights):
        slow = m.summary(repeated(pred, times))
        for name, values in fast.items():
            assert values[draw] == pytest.approx(np.nan if slow[name] is None else slow[name], nan_ok=True)


@pytest.mark.parametrize("kind", [bool, np.int8, np.int16, np.int32, np.float32, np.float64])
def test_weights_of_any_type_add_up(kind: type) -> None:
    pred = drawn(3000, 6, 5)
    weights: np.ndarray = np.full((2, 3000), 100, kind)
    found = m.summary(pred)
    for name, values in m.weighted_summary(pred, weights).items():
        assert values == pytest.approx([found[name]] * 2, rel=1e-12)


def test_large_weights_and_fractions_are_not_rounded() -> None:
    pred = drawn(50, 3, 8)
    whole = np.random.default_rng(0).integers(1, 9, (2, 50))
    expected = m.weighted_summary(pred, whole)
    for scaled in (whole * 10**7 + np.int64(0), whole * 0.1):
        for name, values in m.weighted_summary(pred, scaled).items():
            np.testing.assert_allclose(values, expected[name], rtol=1e-12)


def test_sums_beyond_single_precision_are_exact() -> None:
    pred = predictions([[1], [1], [0]], [[0.9], [0.1], [0.9]])
    (loss,) = m.weighted_summary(pred, np.array([[2**24 - 1, 1, 1]]))["hamming_loss"]
    assert loss == pytest.approx(2 / (2**24 + 1), rel=1e-12, abs=0)


def test_many_draws_are_cut_into_parts_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.metrics import curves

    pred = drawn(50, 6, 6)
    weights = np.random.default_rng(0).integers(0, 3, (23, 50))
    whole = m.weighted_summary(pred, weights)
    monkeypatch.setattr(m, "CHUNK", 200)
    monkeypatch.setattr(curves, "BLOCK", 1)
    for name, values in m.weighted_summary(pred, weights).items():
        assert np.array_equal(values, whole[name], equal_nan=True)


def test_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"weights are \(2, 5\), but there are 4 items"):
        m.weighted_summary(BY_HAND, np.ones((2, 5)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"scores": np.where(np.eye(4, 3) > 0, np.nan, 0.5)}, "item 'item0' for 'a' is NaN"),
        ({"truth": np.full((4, 3), 2)}, r"truth holds 2\.\.2, not 1, 0 or -1"),
        ({"truth": np.zeros(4, np.int32)}, r"truth has shape \(4,\)"),
        ({"scores": np.ones((4, 2))}, r"scores has shape \(4, 2\)"),
        ({"train_support": np.array([1])}, r"train_support has shape \(1,\)"),
        ({"known": np.array([1])}, r"known has shape \(1,\)"),
        ({"cuts": np.array([0.5, 0.5])}, r"cuts has shape \(2,\)"),
        ({"items": ("x",)}, "1 items and 3 attributes"),
    ],
)
@pytest.mark.parametrize("function", [m.summary, m.per_class])
def test_parts_that_do_not_fit_are_refused(function: Any, change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        function(replace(BY_HAND, **change))


def test_logits_give_all_but_calibration() -> None:
    logits = replace(BY_HAND, scores=BY_HAND.scores * 10 - 5, cuts=np.zeros(3, np.float32))
    found, before = m.summary(logits), m.summary(replace(BY_HAND, cuts=np.full(3, 0.5, np.float32)))
    assert found["log_loss"] is found["ece"] is None
    assert m.per_class(logits)[0]["log_loss"] is None
    for name in set(NAMES) - {"log_loss", "ece"}:
        assert found[name] == pytest.approx(before[name])


@pytest.mark.parametrize("seed", range(3))
def test_calibration_by_a_loop_over_bins(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = np.concatenate([rng.random(300), [0.0, 1.0]]).astype(np.float32)
    yes, expected = rng.random(302) < scores, 0.0
    for b in range(15):
        inside = (scores > b / 15) & (scores <= (b + 1) / 15)
        inside |= (scores == 0) & (b == 0)
        expected += inside.mean() * abs(yes[inside].mean() - scores[inside].mean(dtype=float))
    assert ece(scores, yes) == pytest.approx(expected, abs=1e-9)


def test_a_sure_and_wrong_score_has_a_finite_loss() -> None:
    found = log_loss(np.array([0.0, 1.0], np.float32), np.array([True, False]))
    assert found == pytest.approx(-math.log(np.finfo(np.float32).eps))
