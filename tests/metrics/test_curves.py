"""Areas and curves of yes-or-no scores against scikit-learn and plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from bench.metrics import curves as c
from tests.kinds.multilabel.test_metrics import BY_HAND, coarse, drawn, predictions


def of(rows: tuple[dict[str, Any], ...], name: str, curve: str) -> np.ndarray:
    """Return x and y of one curve, (points, 2)."""
    return np.array([(row["x"], row["y"]) for row in rows if (row["class"], row["curve"]) == (name, curve)])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([1, 3, 1000]), st.booleans())
def test_weighted_areas_are_scikit_learns(seed: int, steps: int, whole: bool) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 40))
    scores = (rng.integers(0, steps + 1, (n, 2)) / steps).astype(np.float32)
    truth = rng.integers(-1, 2, (n, 2))
    weights = rng.integers(0, 4, (3, n)) if whole else rng.exponential(size=(3, n))
    auc, ap = c.areas(scores, truth, weights)
    for draw, column in np.ndindex(3, 2):
        seen = (truth[:, column] >= 0) & (weights[draw] > 0)
        own, share = truth[seen, column], weights[draw, seen]
        if 0 < own.sum() < len(own):
            args = own, scores[seen, column]
            assert auc[draw, column] == pytest.approx(roc_auc_score(*args, sample_weight=share))
            assert ap[draw, column] == pytest.approx(average_precision_score(*args, sample_weight=share))
        else:
            assert np.isnan(auc[draw, column]) and np.isnan(ap[draw, column])


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 5, 1000]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_plain_areas_are_those_of_weights_of_one(seed: int, steps: int, endless: bool) -> None:
    """To the last bit: numbers of pairs are whole or half."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(1, 40)), 6
    scores = rng.integers(0, steps, (n, k)).astype(np.float32) - steps // 2
    odd = rng.random((n, k)) < 0.1
    scores[odd] = np.where(scores[odd] < 0, -np.inf, np.inf) if endless else scores[odd] * -0.0
    truth = rng.integers(-1, 2, (n, k)).astype(np.int32)
    expected = c.areas(scores, truth, np.ones((1, n), np.int64))[0][0]
    np.testing.assert_array_equal(c.roc_areas(scores, truth), expected)


def test_equal_scores_say_nothing() -> None:
    auc, ap = c.areas(np.zeros((5, 1)), np.array([[1], [0], [0], [0], [-1]]), np.ones((1, 5)))
    assert (auc[0, 0], ap[0, 0]) == (0.5, 0.25)


def test_zeros_of_both_signs_and_infinities_have_their_place() -> None:
    scores = np.array([[np.inf], [0.0], [-0.0], [-np.inf]])
    auc, _ = c.areas(scores, np.array([[1], [1], [0], [0]]), np.ones((1, 4)))
    assert auc[0, 0] == (2 + 1 + 0.5) / 4


def test_areas_of_many_items_do_not_overflow() -> None:
    n = 120_000
    scores = np.arange(n, dtype=np.float64)[:, None] * [1, -1]
    truth = np.repeat(np.arange(n) >= n // 2, 2).reshape(n, 2).astype(np.int32)
    auc, ap = c.areas(scores, truth, np.full((1, n), 100, np.int8))
    assert auc.tolist() == [[1.0, 0.0]] and ap[0, 0] == 1.0


@settings(deadline=None)
@given(coarse())
def test_curves_are_scikit_learns(pred: Any) -> None:
    rows = c.curves(pred)
    for column, name in enumerate(pred.classes):
        seen = pred.truth[:, column] >= 0
        truth, scores = pred.truth[seen, column], pred.scores[seen, column]
        roc, pr = of(rows, name, "roc"), of(rows, name, "pr")
        if not 0 < truth.sum() < len(truth):
            assert len(roc) == len(pr) == 0
            continue
        x, y, cuts = roc_curve(truth, scores, drop_intermediate=False)
        own = [row["cut"] for row in rows if (row["class"], row["curve"]) == (name, "roc")]
        assert own[0] is None and roc[0].tolist() == [0, 0] and roc[-1].tolist() == [1, 1]
        theirs = {(round(a, 9), round(b, 9)) for a, b in zip(x, y, strict=True)}
        assert {(round(a, 9), round(b, 9)) for a, b in roc.tolist()} <= theirs
        at = {float(cut): (a, b) for cut, a, b in zip(cuts, x, y, strict=True)}
        for cut, point in zip(own[1:], roc[1:].tolist(), strict=True):
            assert point == pytest.approx(at[cut])
        # What is left out lies on straight lines.
        assert np.trapezoid(roc[:, 1], roc[:, 0]) == pytest.approx(roc_auc_score(truth, scores))
        # Theirs runs the other way, ends in a point (0, 1) of no cut, and has a point for every cut.
        precision, recall, _ = precision_recall_curve(truth, scores)
        theirs = {(round(a, 9), round(b, 9)) for a, b in zip(recall[:-1], precision[:-1], strict=True)}
        assert {(round(a, 9), round(b, 9)) for a, b in pr.tolist()} <= theirs
        assert pr[0].tolist() == pytest.approx([recall[-2], precision[-2]])
        assert pr[-1].tolist() == pytest.approx([1.0, truth.mean()])


def test_curves_by_hand() -> None:
    rows = c.curves(BY_HAND)
    assert {row["class"] for row in rows} == {"a", "b"}
    assert of(rows, "a", "roc").tolist() == [[0, 0], [0, 0.5], [0.5, 0.5], [0.5, 1], [1, 1]]
    # The two of .7 are one step: a yes and the only no.
    assert of(rows, "b", "roc").tolist() == [[0, 0], [1, 0.5], [1, 1]]
    np.testing.assert_allclose(of(rows, "b", "pr"), [[0.5, 0.5], [1, 2 / 3]])
    cuts = [row["cut"] for row in rows if row["class"] == "b"]
    assert cuts[0] is None and cuts[1:] == pytest.approx([0.7, 0.6, 0.7, 0.6])


@pytest.mark.parametrize("n", [100, 5000])
def test_thinned_curves_keep_their_ends_their_order_and_their_area(n: int) -> None:
    pred = drawn(n, 2, 1)
    rows = c.curves(pred)
    for name in pred.classes:
        for curve in ("roc", "pr"):
            points = of(rows, name, curve)
            cuts = [row["cut"] for row in rows if (row["class"], row["curve"]) == (name, curve)]
            assert len(points) <= c.POINTS and (n < 1000 or len(points) == c.POINTS)
            assert (np.diff(points[:, 0]) >= 0).all()
            kept = [cut for cut in cuts if cut is not None]
            assert kept == sorted(set(kept), reverse=True)
        roc = of(rows, name, "roc")
        assert roc[0].tolist() == [0, 0] and roc[-1].tolist() == [1, 1]
        whole, _ = c.areas(pred.scores, pred.truth, np.ones((1, n)))
        area = np.trapezoid(roc[:, 1], roc[:, 0])
        assert area == pytest.approx(whole[0, pred.classes.index(name)], abs=2e-3)


def test_nothing_observed_has_no_curve() -> None:
    assert c.curves(predictions(np.full((3, 2), -1), np.zeros((3, 2)))) == ()
    assert c.curves(predictions([], np.zeros((0, 2)))) == ()
