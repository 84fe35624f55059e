"""The intervals of one set of predictions are those of a leaderboard."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import bootstrap
from statsmodels.stats.proportion import proportion_confint

from bench.compare.estimates import Contrast
from bench.compare.paired_bootstrap import own_intervals
from bench.compare.stored_cells import read_bootstraps
from bench.store.write import Store
from tests.grids import answers, put

METRICS = ("top1_micro", "top1_macro", "f1_macro")


@pytest.mark.parametrize("grouped", [False, True])
def test_they_are_those_of_a_leaderboard(tmp_path: Path, grouped: bool) -> None:
    pred = answers(150, 6, 0.6, 3)
    if grouped:
        pred = replace(pred, groups=tuple(f"g{i // 4}" for i in range(150)))
    put(tmp_path, pred)
    [stored], _ = Store(tmp_path).load()
    [shared], _ = read_bootstraps([stored], METRICS)
    found = own_intervals("multiclass", stored.predictions("test"), METRICS)
    for name in METRICS:
        one = shared.estimate(name, Contrast.mean(shared.cells))
        assert one is not None and found[name] == (one.low, one.high)


def test_accuracy_agrees_with_scipy() -> None:
    pred = answers(400, 5, 0.6, 1)
    right = (pred.scores.argmax(axis=1) == pred.truth).astype(float)
    theirs = bootstrap((right,), np.mean, method="percentile", rng=np.random.default_rng(0))
    ours = own_intervals("multiclass", pred, ["top1_micro"])["top1_micro"]
    assert ours == pytest.approx(theirs.confidence_interval, abs=0.01)


@pytest.mark.parametrize("right", [True, False])
def test_answers_all_alike_have_the_interval_of_clopper_and_pearson(right: bool) -> None:
    pred = answers(54, 3, 0.5, 1)
    scores = np.eye(3, dtype=np.float32)[pred.truth if right else (pred.truth + 1) % 3]
    found = own_intervals("multiclass", replace(pred, scores=scores), METRICS[:2])
    assert found["top1_micro"] == pytest.approx(proportion_confint(54 * right, 54, method="beta"))
    # Over classes the same, but for classes of other sizes.
    sizes = np.bincount(pred.truth)
    sizes = sizes[sizes > 0]
    margin = 1 - 0.025 ** ((1 / sizes).sum() / len(sizes) ** 2)
    assert found["top1_macro"] == pytest.approx((1 - margin, 1.0) if right else (0.0, margin))


def test_a_group_counts_once() -> None:
    single = answers(100, 5, 0.6, 2)
    rows = np.repeat(np.arange(100), 9)
    copied = replace(
        single,
        items=tuple(f"{i:04d}" for i in range(900)),
        groups=tuple(f"g{row}" for row in rows),
        truth=single.truth[rows],
        scores=single.scores[rows],
    )
    one, grouped, alone = (
        own_intervals("multiclass", pred, ["top1_micro"])["top1_micro"]
        for pred in (single, copied, replace(copied, groups=None))
    )
    assert grouped == pytest.approx(one, abs=0.02)
    assert alone.high - alone.low < 0.5 * (grouped.high - grouped.low)


def test_what_cannot_be_drawn_has_no_interval() -> None:
    pred = answers(50, 5, 0.6, 2)
    assert np.isnan(own_intervals("multiclass", pred, ["ece"])["ece"]).all()
    empty = replace(pred, items=(), truth=pred.truth[:0], scores=pred.scores[:0])
    assert np.isnan(own_intervals("multiclass", empty, METRICS)["f1_macro"]).all()
