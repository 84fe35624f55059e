"""What a report finds in one cell's answers, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import auc, confusion_matrix, roc_curve

from bench.core.predictions import Predictions
from bench.kinds.multiclass import findings
from bench.metrics import scores as on_scores
from bench.report.findings import POINTS
from bench.store import loss_curve
from tests.grids import answers

PRED = answers(400, 7, 0.6, 3)


def test_confusions_are_scikit_learns_and_a_class_without_items_has_no_row() -> None:
    shares = findings.confusion_shares(PRED)
    counts = confusion_matrix(PRED.truth, PRED.scores.argmax(axis=1), labels=range(7))
    assert np.isnan(shares[6]).all()
    np.testing.assert_allclose(shares[:6], counts[:6] / counts[:6].sum(axis=1, keepdims=True))
    rows = findings.confusion_table(PRED).rows
    np.fill_diagonal(counts, 0)
    assert [row["items"] for row in rows] == sorted(counts[counts > 0].tolist(), reverse=True)[:25]
    first = rows[0]
    true, answer = (PRED.classes.index(first[key]) for key in ("true", "answered"))
    assert counts[true, answer] == first["items"] and true != answer


def test_the_bins_give_the_calibration_error() -> None:
    bins = findings.calibration(PRED)
    gap = sum(item.n * abs(item.accuracy - item.confidence) for item in bins) / 400
    assert gap == pytest.approx(on_scores.ece(PRED.scores, PRED.truth))
    assert sum(item.n for item in bins) == 400
    for item in bins:
        assert item.low < item.confidence <= item.high + 1e-9
        assert item.accuracy_low <= item.accuracy <= item.accuracy_high


def test_scores_that_are_no_probabilities_have_no_calibration() -> None:
    assert findings.calibration(answers(20, 4, 0.5, 1, scores=np.ones((20, 4), np.float32))) == []


def test_the_pooled_curves_are_scikit_learns() -> None:
    roc, precision = findings.pooled_curves("x", PRED)
    positive = (np.arange(7) == PRED.truth[:, None]).ravel()
    alarms, hits, _ = roc_curve(positive, PRED.scores.ravel())
    assert auc(roc.x, roc.y) == pytest.approx(auc(alarms, hits), abs=2e-3)
    assert len(roc.x) <= POINTS + 1 and (np.diff(roc.x) >= 0).all() and roc.y[-1] == 1
    assert precision.y[-1] == pytest.approx(1 / 7) and precision.x[-1] == 1


def test_the_hardest_items_are_wrong_and_the_lowest_first() -> None:
    found = findings.hardest(PRED, 30)
    own = PRED.scores[np.arange(400), PRED.truth]
    wrong = PRED.scores.argmax(axis=1) != PRED.truth
    assert [item.score for item in found] == sorted(own[wrong].tolist())[:30]
    first = PRED.items.index(found[0].item)
    assert found[0].truth == PRED.classes[PRED.truth[first]] != found[0].answer
    assert found[0].answer_score == PRED.scores[first].max()
    right = Predictions(
        PRED.items,
        None,
        PRED.scores.argmax(axis=1).astype(np.int32),
        PRED.scores,
        PRED.classes,
        PRED.train_support,
    )
    assert findings.hardest(right, 5) == []


def test_losses_of_seeds_that_stop_early_end_there() -> None:
    long: list[dict[str, float | None]] = [{"loss": 1.0, "val_loss": 2.0}, {"loss": 0.5, "val_loss": None}]
    curve = loss_curve.loss_lines("none", [long, long[:1], []])
    assert curve is not None
    np.testing.assert_array_equal(curve.train, [[1.0, 0.5], [1.0, np.nan]])
    np.testing.assert_array_equal(curve.val, [[2.0, np.nan], [2.0, np.nan]])
    assert loss_curve.loss_lines("none", [[], []]) is None
