"""Detection of wrong labels: a case by hand, and the undefined ends."""

from __future__ import annotations

import numpy as np
import pytest

from bench.metrics.detection import detection


def test_by_hand() -> None:
    wrong = np.array([1, 1, 0, 0, 1, 0], bool)
    suspect = np.array([1, 0, 1, 0, 1, 0], bool)
    doubt = np.array([0.9, 0.3, 0.8, 0.1, 0.7, 0.2])
    found = detection(wrong, suspect, doubt)
    assert (found["n"], found["wrong"], found["suspect"], found["hits"]) == (6, 3, 3, 2)
    assert found["precision"] == found["recall"] == found["f1"] == pytest.approx(2 / 3)
    # Ranked: wrong, right, wrong, wrong, right, right. Seven of nine pairs are in order.
    assert found["auroc"] == pytest.approx(7 / 9)
    assert found["auprc"] == pytest.approx((1 / 1 + 2 / 3 + 3 / 4) / 3)


def test_nothing_wrong_nothing_suspect() -> None:
    none, doubt = np.zeros(4, bool), np.arange(4.0)
    found = detection(none, none, doubt)
    assert [found[key] for key in ("precision", "recall", "f1", "auprc", "auroc")] == [None] * 5
    all_wrong = detection(~none, none, doubt)
    assert (all_wrong["recall"], all_wrong["precision"], all_wrong["f1"]) == (0.0, None, 0.0)
    assert all_wrong["auroc"] is None
