"""The kind of pairs hands on what its metrics give, and its tables hold plain values."""

from __future__ import annotations

import csv
import io

import pytest

from bench.core.kind import get_kind
from bench.kinds.verification import metrics as verification
from bench.metrics.registry import METRICS, metrics_of
from tests.grids import faces

KIND = get_kind("verification")
PRED = faces(200, 20, 1.5, 0, folds=2)


def test_it_hands_on_what_its_metrics_give() -> None:
    assert KIND.metrics.summary(PRED) == verification.summary(PRED)
    assert KIND.metrics.per_class(PRED) == verification.per_class(PRED)
    assert KIND.metrics.curves(PRED) == verification.curves(PRED)


def test_the_constant_answer_does_not_rank() -> None:
    (name,) = KIND.trivial_notes
    trivial, skilled = KIND.metrics.summary(KIND.metrics.trivials(PRED)[name]), KIND.metrics.summary(PRED)
    assert trivial["auc"] == METRICS["auc"].chance == trivial["eer"] == METRICS["eer"].chance
    assert trivial["accuracy"] == pytest.approx(0.5)
    assert METRICS["auc"].better(skilled["auc"], trivial["auc"])
    assert METRICS["eer"].better(skilled["eer"], trivial["eer"])


def test_what_is_no_better_for_more_or_less_is_not_compared() -> None:
    assert [name for name in metrics_of("verification") if not METRICS[name].compared] == ["accuracy_fold_se"]


def test_rows_of_people_hold_plain_values() -> None:
    rows = KIND.metrics.per_class(PRED)
    assert {type(value) for row in rows for value in row.values()} <= {str, int, float}
    writer = csv.DictWriter(io.StringIO(), fieldnames=list(rows[0]))
    writer.writerows(rows)
    assert sum(row["same"] for row in rows) == 100 and sum(row["different"] for row in rows) == 200
    errors = [row["errors"] for row in rows]
    assert errors == sorted(errors, reverse=True)
