"""The kind of many attributes hands on what its metrics give, and tells the honest rows apart."""

from __future__ import annotations

import numpy as np
import pytest

from bench.core.kind import get_kind
from bench.core.predictions import Predictions
from bench.metrics.registry import METRICS

KIND = get_kind("multilabel")


def predictions(seed: int, skill: float) -> Predictions:
    """Return answers of 300 items with 4 attributes, of which the first is nearly always yes."""
    rng = np.random.default_rng(seed)
    truth = (rng.random((300, 4)) < [0.9, 0.6, 0.3, 0.05]).astype(np.int32)
    logits = rng.normal(size=truth.shape) + skill * (2 * truth - 1)
    truth[rng.random(truth.shape) < 0.1] = -1
    return Predictions(
        items=tuple(f"item{i}" for i in range(300)),
        groups=None,
        truth=truth,
        scores=(1 / (1 + np.exp(-logits))).astype(np.float32),
        classes=("a", "b", "c", "d"),
        train_support=np.array([450, 300, 150, 15]),
        known=np.full(4, 500),
    )


def defined(pred: Predictions) -> dict[str, float]:
    return {name: value for name, value in KIND.metrics.summary(pred).items() if value is not None}


def test_trivial_answers_score_high_and_do_not_rank() -> None:
    """What makes the rows necessary: accuracy is high without looking, and ROC areas tell them apart."""
    skilled = defined(predictions(1, 1.0))
    rows = {name: defined(pred) for name, pred in KIND.metrics.trivials(predictions(1, 1.0)).items()}
    assert list(rows) == list(KIND.trivial_notes) == ["majority", "all_positive", "prior"]
    assert rows["majority"]["accuracy_macro"] > 0.7
    assert rows["all_positive"]["recall_macro"] == 1.0 and rows["all_positive"]["specificity_macro"] == 0.0
    for row in rows.values():
        assert row["auc_macro"] == 0.5 == METRICS["auc_macro"].chance
        assert row["gmean_macro"] == 0.0
        assert METRICS["auc_macro"].better(skilled["auc_macro"], row["auc_macro"])
    # Pooled over attributes, shares of yes alone rank well: no chance value can be told.
    assert rows["prior"]["auc_micro"] > 0.75 and METRICS["auc_micro"].chance is None


def test_chance_is_in_the_interval_of_scores_that_know_nothing() -> None:
    pred = predictions(2, 0.0)
    weights = np.random.default_rng(0).multinomial(300, np.full(300, 1 / 300), size=400)
    low, high = np.quantile(KIND.metrics.weighted_summary(pred, weights)["auc_macro"], [0.025, 0.975])
    assert low < 0.5 < high
    low, _ = np.quantile(
        KIND.metrics.weighted_summary(predictions(2, 1.0), weights)["auc_macro"], [0.025, 0.975]
    )
    assert low > 0.8


def test_tables_hold_plain_numbers() -> None:
    pred = predictions(3, 1.0)
    numbers = [
        *KIND.metrics.summary(pred).values(),
        *(v for row in KIND.metrics.per_class(pred) for v in row.values()),
    ]
    numbers += [value for row in KIND.metrics.curves(pred) for value in row.values()]
    assert {type(value) for value in numbers} <= {int, float, str, type(None)}


def test_groups_of_attributes_have_their_rows() -> None:
    pred = predictions(4, 1.0)
    assert [row["group"] for row in KIND.metrics.per_class(pred)] == ["many", "many", "many", "few"]
    found, rows = KIND.metrics.summary(pred), KIND.metrics.per_class(pred)
    assert found["many_auc"] == pytest.approx(np.mean([row["auc"] for row in rows[:3]]))
    assert (found["medium_auc"], found["few_auc"]) == (None, rows[3]["auc"])
