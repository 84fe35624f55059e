"""The paired bootstrap: drawn is what the metrics say of the resample; one question has one answer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.compare import paired_bootstrap
from bench.compare.baselines.pin import pin, write_baseline
from bench.compare.effects import effects
from bench.compare.estimates import Contrast, MetricSamples, estimated
from bench.compare.leaderboard import BEHIND, BEST, TIED, boards
from bench.compare.paired_bootstrap import PairedBootstrap
from bench.compare.resolve import Stock, find_candidates
from bench.compare.stored_cells import read_bootstraps
from bench.compare.two_runs import compare_candidates
from bench.compare.verdict import BETTER, SAME, WORSE
from bench.core.predictions import Predictions
from bench.kinds.multiclass import metrics as multiclass
from bench.metrics import bootstrap
from bench.metrics import scores as on_scores
from bench.metrics.bootstrap import ItemResamples
from bench.metrics.registry import METRICS, compared, get_metric
from bench.store.write import Store
from tests.fakes import noisy, predictions
from tests.grids import answers, attributes, faces, put

ANY = tuple(name for name in compared("multiclass", METRICS) if not METRICS[name].no_bootstrap)


def made(cells: Mapping[str, Predictions], draws: int = 40, seed: int = 3, **more: Any) -> PairedBootstrap:
    return PairedBootstrap.of("multiclass", cells, ANY, draws, seed, **more)


def drawn_weights(like: Predictions, draws: int, seed: int) -> np.ndarray:
    """Return how often each item is drawn: resampling goes by the order of classes, then of ids."""
    order = np.lexsort((np.array(like.items), like.truth))
    weights = np.empty((draws, len(order)), np.float32)
    weights[:, order] = bootstrap.bootstrap_weights(len(order), draws, seed)
    return weights


def test_metrics_and_classes_are_those_of_the_resampled_items() -> None:
    like = noisy(90, 7, 0.7, 0)
    cells = {"a": noisy(90, 7, 0.8, 1, like=like), "b": noisy(90, 7, 0.5, 2, like=like)}
    found, weights = made(cells, classes=True), drawn_weights(like, 40, 3)
    for name, pred in cells.items():
        expected = multiclass.weighted_summary(pred, weights)
        for metric in ("top1_micro", "top5_macro", "f1_macro", "precision_weighted", "few_top1"):
            if np.isfinite(expected[metric]).all():
                np.testing.assert_allclose(found.drawn(metric)[name], expected[metric], rtol=1e-5)
    contrast = Contrast.paired({0: ("a", "b")})
    for c in range(7):
        rows = like.truth == c
        gap = (cells["a"].scores.argmax(axis=1) == c)[rows].astype(float) - (
            cells["b"].scores.argmax(axis=1) == c
        )[rows]
        one = found.class_estimate("top1", c, contrast)
        assert one is not None and one.value == pytest.approx(gap.mean())
        assert one.changed == np.abs(gap).sum()


def test_a_difference_over_seeds_far_apart_stays_within_the_range_of_differences() -> None:
    like = noisy(60, 3, 0.5, 0)
    accuracies = {"a0": 0.99, "b0": 0.02, "a1": 0.5, "b1": 0.5}
    cells = {
        name: noisy(60, 3, share, seed, like=like) for seed, (name, share) in enumerate(accuracies.items())
    }
    found, contrast = made(cells, classes=True), Contrast.paired({0: ("a0", "b0"), 1: ("a1", "b1")})
    for one in (found.estimate("top1_micro", contrast), found.class_estimate("top1", 0, contrast)):
        assert one is not None and one.high == 1.0 and one.low is not None and -1 <= one.low < one.value < 1


def test_a_value_that_no_resample_moves_has_the_margin_of_a_share_or_none() -> None:
    whole = made({"a": noisy(60, 3, 1.0, 0)})
    samples = whole.source("top1_micro", {"a"})
    share = estimated(samples, Contrast.mean(["a"]), whole.resamples, 0)
    assert share.value == 1 and share.low is not None and share.low < 1
    size = estimated(samples._replace(bounded=False), Contrast.mean(["a"]), whole.resamples, 0)
    assert (size.value, size.low, size.high, size.p) == (1, None, None, None)


def test_items_are_ranked_as_often_however_many_chunks_and_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Predictions] = []
    hits = on_scores.hits

    def counted(pred: Predictions) -> tuple[np.ndarray, np.ndarray | None]:
        calls.append(pred)
        return hits(pred)

    monkeypatch.setattr(on_scores, "hits", counted)
    counts = []
    for k, at_once in ((7, 1 << 22), (14, 1)):
        monkeypatch.setattr(paired_bootstrap, "_WEIGHTS_AT_ONCE", at_once)
        like = noisy(200, k, 0.7, 0)
        cells = {"a": noisy(200, k, 0.8, 1, like=like), "b": noisy(200, k, 0.5, 2, like=like)}
        calls.clear()
        found = made(cells, draws=200, classes=True)
        for c in range(k):
            assert found.class_estimate("top1", c, Contrast.paired({0: ("a", "b")})) is not None
        counts.append(len(calls))
    # Of each of the two cells: the counts, the hits of class estimates, the marks of what changed.
    assert counts == [6, 6]


def test_one_seed_and_many_items_is_the_plain_percentile_interval() -> None:
    like = noisy(800, 4, 0.7, 0)
    cells = {"a": noisy(800, 4, 0.8, 1, like=like), "b": noisy(800, 4, 0.5, 2, like=like)}
    found = made(cells, draws=2000)
    one = found.estimate("top1_micro", Contrast.paired({0: ("a", "b")}))
    plain = bootstrap.percentile_interval(found.drawn("top1_micro")["a"] - found.drawn("top1_micro")["b"])
    assert one is not None and (one.low, one.high) == pytest.approx(plain, abs=0.002)


def test_class_means_are_wider_than_drawn_where_classes_are_tiny() -> None:
    sizes = np.array([40, 20, 5, 2, 1, 1, 1])
    for scale, wide in ((1, True), (60, False)):
        truth = np.repeat(np.arange(7), sizes * scale)
        like = predictions(truth, truth, 7)
        n = len(truth)
        cells = {"a": noisy(n, 7, 0.8, 1, like=like), "b": noisy(n, 7, 0.5, 2, like=like)}
        found = made(cells, draws=400)
        for metric in ("top1_macro", "f1_macro", "precision_macro"):
            one = found.estimate(metric, Contrast.paired({0: ("a", "b")}))
            plain = found.drawn(metric)["a"] - found.drawn(metric)["b"]
            assert one is not None and one.low is not None and one.high is not None
            low, high = bootstrap.percentile_interval(plain)
            assert ((one.high - one.low) > 1.1 * (high - low)) is wide, (metric, scale)


# The variance of seeds


MANY = ItemResamples(10**6, None, 600, 0)


def of_normal(rows: np.ndarray, seen: np.ndarray) -> tuple[float, float]:
    """Return the interval of a mean over seeds whose values on the resamples are given."""
    cells = {str(i): row for i, row in enumerate(rows)}
    source = MetricSamples(cells, {str(i): float(value) for i, value in enumerate(seen)}, {})
    found = estimated(source, Contrast.mean(cells), MANY, 0)
    assert found.low is not None and found.high is not None
    return found.low, found.high


@pytest.mark.parametrize("shared, own, of_seed", [(1, 0, 0), (0, 1, 0), (0, 0.01, 1), (1, 1, 1), (1, 0.2, 1)])
@pytest.mark.parametrize("seeds", [1, 3, 5])
def test_intervals_cover_whatever_the_seeds_share(
    seeds: int, shared: float, own: float, of_seed: float
) -> None:
    """shared, own: variance from the items that all seeds share, and that each has of its own."""
    rng, inside, trials = np.random.default_rng(1), 0, 400
    if seeds == 1:
        of_seed = 0.0
    # Values on the resamples have just the variances that there are.
    base = rng.normal(size=(seeds + 1, 600))
    base = np.linalg.qr((base - base.mean(axis=1, keepdims=True)).T)[0].T * math.sqrt(600)
    rows = math.sqrt(shared) * base[0] + math.sqrt(own) * base[1:]
    for _ in range(trials):
        seen = rng.normal() * math.sqrt(shared) + rng.normal(size=seeds) * math.sqrt(own + of_seed)
        low, high = of_normal(rows + seen[:, None], seen)
        inside += low <= 0 <= high
    assert 0.925 <= inside / trials <= 0.985


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_seeds_that_lie_close_by_chance_count_as_half_of_luck(seeds: int) -> None:
    """Seeds with luck of their own on the items, and none in common, that happen to be the same."""
    rows = np.linalg.qr(np.random.default_rng(1).normal(size=(600, seeds + 1)))[0].T[1:]
    rows = (rows - rows.mean(axis=1, keepdims=True)) / rows.std(axis=1, keepdims=True)
    low, high = of_normal(rows, np.zeros(seeds))
    freedom = 0.5**2 / 0.2**2 * (seeds - 1)
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, freedom) * math.sqrt(0.5 / seeds), rel=0.1)


def test_seeds_that_say_the_same_take_the_normal_and_those_apart_students_quantile() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(1, 600)) * 1e-4
    low, high = of_normal(np.repeat(noise, 3, axis=0) + 0.5, np.full(3, 0.5))
    assert high - low == pytest.approx(2 * 1.96e-4, rel=0.1)
    seen = np.array([0.1, 0.2, 0.3])
    low, high = of_normal(noise + seen[:, None], seen)
    t = stats.t.interval(0.95, 2, loc=0.2, scale=stats.sem(seen))
    assert (low, high) == pytest.approx(t, abs=0.02)


def test_seeds_on_one_group_of_items_tell_nothing() -> None:
    pred = replace(answers(50, 4, 0.6, 1), groups=("one listing",) * 50)
    found = PairedBootstrap.of("multiclass", {"a": pred}, ["top1_micro"], 50)
    one = found.estimate("top1_micro", Contrast.mean(["a"]))
    assert one is not None and one.low is None and one.p is None


def test_p_is_of_what_a_mean_is_held_against() -> None:
    pred = answers(200, 4, 0.6, 1)
    found, mean = PairedBootstrap.of("multiclass", {"a": pred}, ["top1_micro"], 200), Contrast.mean(["a"])
    value = float((pred.scores.argmax(axis=1) == pred.truth).mean())
    against = {null: found.estimate("top1_micro", mean, null) for null in (0.0, value - 0.05, value)}
    p = [one.p for one in against.values() if one is not None and one.p is not None]
    assert p[0] < 1e-6 < p[1] < p[2] == pytest.approx(1)


# One question, one answer


def _close(ours: Iterable[float | None], theirs: Iterable[float | None]) -> bool:
    """Say whether numbers are equal but for the rounding of single precision; None equals None alone."""
    one, other = (np.array([math.nan if x is None else x for x in numbers]) for numbers in (ours, theirs))
    return bool(np.allclose(one, other, rtol=1e-4, atol=1e-5, equal_nan=True))


def _store(root: Path, kind: str, seeds: int, n: int, gap: float, dice: int) -> None:
    makes = {
        "multiclass": lambda skill, seed, like: answers(n, 9, 0.5 + skill, seed, like),
        "multilabel": lambda skill, seed, like: attributes(n, 3, 0.5 + skill, seed, like),
        "verification": lambda skill, seed, like: faces(n, 30, 0.5 + skill, seed, like),
    }
    like = makes[kind](0.0, dice, None)
    for place, method in enumerate(("none", "focal")):
        for seed in range(seeds):
            pred = makes[kind](gap * place, dice + 1 + 10 * place + seed, like)
            put(root, pred, seed, kind=kind, task=kind, stage="all", method=method)


@pytest.mark.parametrize("kind", ["multiclass", "multilabel", "verification"])
@settings(
    max_examples=2,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    seeds=st.integers(1, 3),
    n=st.integers(60, 140),
    gap=st.sampled_from((0.0, 0.2, 0.4)),
    dice=st.integers(0, 99),
)
def test_compare_effects_leaderboard_and_a_pinned_run_say_the_same(
    tmp_path_factory: pytest.TempPathFactory, kind: str, seeds: int, n: int, gap: float, dice: int
) -> None:
    root = tmp_path_factory.mktemp("runs")
    _store(root, kind, seeds, n, gap, dice)
    cells, _ = Store(root).load(kind)
    metrics = compared(kind, METRICS)
    write_baseline(pin(cells, "mine"), root / "pinned")
    stock = Stock(kind, root, cells, [root / "pinned"])
    rows, pinned = (
        {
            row.metric: row
            for row in compare_candidates(
                *find_candidates(stock, "lenet/focal", theirs), draws=200, metrics=metrics
            )
            if row.class_name is None
        }
        for theirs in ("lenet/none", "mine:lenet/none")
    )
    (shared,), _ = read_bootstraps(cells, metrics, draws=200)
    records = [cell.record for cell in cells]
    added = {effect.metric: effect for effect in effects(records, shared, rows)}
    for metric, row in rows.items():
        effect, other = added[metric], pinned[metric]
        said = (row.difference.low, row.difference.high, row.difference.p)
        assert effect.verdict == row.verdict.name, metric
        assert _close((effect.low, effect.high, effect.p), said), metric
        if kind != "multiclass" or not get_metric(metric).score_based:
            assert _close((other.difference.low, other.difference.high, other.difference.p), said), metric
            assert other.verdict.name == row.verdict.name, metric
        else:
            assert (
                other.verdict.name is None
                and other.verdict.why == "a pinned file holds no scores to draw from"
            )
        (board,) = boards(records, [shared], metric)
        best, behind = board.rows[0], board.rows[-1]
        if (
            behind.gap_low is None
            or behind.gap_high is None
            or row.difference.low is None
            or best.rank == behind.rank
        ):
            continue
        ours = best.setting.cell["method_text"] == "focal"
        ends = (-behind.gap_high, -behind.gap_low) if ours else (behind.gap_low, behind.gap_high)
        assert _close(ends, (row.difference.low, row.difference.high)), metric
        if best.standing == BEST:
            assert (behind.standing == BEHIND) == (row.verdict.name in (BETTER, WORSE)), metric
            assert (behind.standing == TIED) <= (row.verdict.name == SAME), metric


@pytest.mark.parametrize("metric", [name for name in ANY if not METRICS[name].sets])
def test_every_metric_of_a_class_has_an_interval(metric: str) -> None:
    like = answers(200, 9, 0.5, 0, train_support=np.array([200, 150, 90, 60, 40, 15, 12, 9, 3]))
    cells = {"a": answers(200, 9, 0.8, 1, like), "b": answers(200, 9, 0.5, 2, like)}
    cells = {name: replace(pred, train_support=like.train_support) for name, pred in cells.items()}
    one = made(cells, draws=200).estimate(metric, Contrast.paired({0: ("a", "b")}))
    assert one is not None and one.low is not None and one.high is not None and one.low < one.value < one.high
    once = [multiclass.summary(pred)[metric] for pred in cells.values()]
    assert None not in once and one.value == pytest.approx(once[0] - once[1], abs=1e-5)  # type: ignore[operator]


def test_groups_of_seeds_are_paired_where_they_are_the_same() -> None:
    one, other = {0: ("a", "b"), 1: ("c", "d")}, {0: ("e", "f"), 1: ("g", "h")}
    assert [len(stratum) for stratum in Contrast.paired(one, other).strata] == [2]
    assert [len(stratum) for stratum in Contrast.paired(one, {3: ("e", "f"), 4: ("g", "h")}).strata] == [2, 2]
    assert Contrast.paired(one, other).strata[0][0] == {"a": 0.5, "b": -0.5, "e": 0.5, "f": -0.5}


def test_the_variance_within_classes_is_what_each_class_says() -> None:
    rng = np.random.default_rng(0)
    values, sizes = rng.normal(size=(3, 10)), np.array([5, 1, 4])
    parts = [values[:, :5], values[:, 6:]]
    squares = [((part - part.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) for part in parts]
    assert bootstrap.within_classes(values, sizes) == pytest.approx(sum(squares) / (10 - 3))
    each = np.mean([part.var(axis=1, ddof=1) for part in parts], axis=0)
    assert bootstrap.within_classes(values, sizes, each=True) == pytest.approx(each)
    alone = bootstrap.within_classes(values, np.ones(10, np.int64))
    assert alone == pytest.approx((values**2).mean(axis=1))
