"""Results of items with many attributes: boards, pins, comparisons, published numbers, tables and frames."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import norm, t
from sklearn.metrics import roc_auc_score

from bench.commands.main import cli
from bench.compare.against_baseline import compare, regressions
from bench.compare.baselines.find import load_baseline
from bench.compare.baselines.pin import pin, write_baseline
from bench.compare.baselines.types import Baseline
from bench.compare.leaderboard import BEHIND, BEST, Board, boards
from bench.compare.paired_bootstrap import PairedBootstrap
from bench.compare.resolve import Stock, find_candidates
from bench.compare.stored_cells import read_bootstraps
from bench.compare.two_runs import compare_candidates
from bench.compare.verdict import BETTER, INCOMPARABLE, SAME, WORSE, Comparison
from bench.core.errors import BenchError
from bench.core.kind import get_kind
from bench.core.predictions import Predictions
from bench.metrics import bootstrap, intervals
from bench.report.cell_tables import class_table
from bench.report.frames import predictions_frame
from bench.report.leaderboard_tables import leaderboard_table
from bench.report.result_tables import grid_table, results_table
from bench.store.write import Store, Stored
from tests.grids import attributes, put

SHIPPED = Path(__file__).resolve().parents[2] / "baselines"
KIND = get_kind("multilabel")
LIKE = attributes(240, 4, 0.0, 99)
AREAS = ("auc_macro", "many_auc", "medium_auc", "few_auc", "auc_micro", "log_loss")


def kept(root: Path, pred: Predictions, seed: int = 0, **identity: Any) -> str:
    fields = {"task": "multilabel", "stage": "all", "regime": "frozen", "source": "label-file", **identity}
    return put(root, pred, seed, kind="multilabel", **fields)


def read(root: Path, *metrics: str, draws: int = 300) -> tuple[list[Stored], list[PairedBootstrap]]:
    cells, problems = Store(root).load()
    found, unreadable = read_bootstraps(cells, metrics, draws=draws)
    assert not problems and not unreadable
    return cells, found


def board(root: Path, metric: str) -> Board:
    cells, found = read(root, metric)
    (only,) = boards([cell.record for cell in cells], found, metric)
    return only


def row(rows: Sequence[Comparison], metric: str, name: str | None = None) -> Comparison:
    (only,) = [row for row in rows if row.metric == metric and row.class_name == name]
    return only


# Leaderboards


def moved(pred: Predictions, rows: np.ndarray) -> Predictions:
    """Return the predictions of these items in this order."""
    items = tuple(pred.items[i] for i in rows)
    groups = None if pred.groups is None else tuple(pred.groups[i] for i in rows)
    return replace(pred, items=items, groups=groups, truth=pred.truth[rows], scores=pred.scores[rows])


@pytest.mark.parametrize("grouped", [False, True])
def test_metrics_are_drawn_as_the_kind_draws_them(tmp_path: Path, grouped: bool) -> None:
    groups = tuple(f"person {i % 80}" for i in range(240)) if grouped else None
    cuts = np.array([0.4, 0.5, 0.6, 0.7], np.float32)
    pred = attributes(240, 4, 0.6, 1, LIKE, groups=groups, cuts=cuts, train_support=np.array([300, 50, 9, 5]))
    cell = kept(tmp_path, moved(pred, np.random.default_rng(3).permutation(240)))
    names = ("auc_macro", "many_auc", "few_auc", "f1_macro", "exact_match", "map")
    _, (shared,) = read(tmp_path, *names)
    assert list(shared.items.ids) == sorted(pred.items)
    weights = bootstrap.bootstrap_weights(240, 300, 0, shared.items.groups)
    expected = KIND.metrics.weighted_summary(pred, weights)
    once = KIND.metrics.summary(pred)
    for name in names:
        assert shared.observed(name, cell) == pytest.approx(once[name], abs=1e-6)
        ours = shared.drawn(name)[cell]
        if name in AREAS:
            # To first order: as wide, and never far from it.
            assert np.corrcoef(ours, expected[name])[0, 1] > 0.98
            assert ours.std() == pytest.approx(expected[name].std(), rel=0.06)
        else:
            np.testing.assert_allclose(ours, expected[name], rtol=1e-6)


def test_attributes_in_another_order_are_the_same_contest(tmp_path: Path) -> None:
    pred, columns = attributes(100, 4, 0.5, 1, cuts=np.array([0.2, 0.4, 0.6, 0.8], np.float32)), [2, 0, 3, 1]
    turned = replace(
        pred,
        truth=pred.truth[:, columns],
        scores=pred.scores[:, columns],
        classes=tuple(pred.classes[c] for c in columns),
        train_support=pred.train_support[columns],
        known=pred.known[columns] if pred.known is not None else None,
        cuts=pred.cuts[columns] if pred.cuts is not None else None,
    )
    first, second = kept(tmp_path, pred), kept(tmp_path, turned, method="focal")
    _, (shared,) = read(tmp_path, "f1_macro", "auc_macro", "gmean_macro")
    for name in ("f1_macro", "auc_macro", "gmean_macro"):
        np.testing.assert_allclose(shared.drawn(name)[first], shared.drawn(name)[second], rtol=1e-6)
        assert shared.changed(name, [(first, second)]) == 0


def test_another_truth_is_another_contest(tmp_path: Path) -> None:
    truth = LIKE.truth.copy()
    truth[0, 0] = -1 if truth[0, 0] >= 0 else 1
    kept(tmp_path, LIKE)
    kept(tmp_path, replace(LIKE, truth=truth), method="focal")
    assert len(read(tmp_path, "f1_macro")[1]) == 2


def test_a_board_ranks_with_intervals_above_the_trivial_answers(tmp_path: Path) -> None:
    for method, skill in (("none", 0.1), ("focal", 1.0)):
        for seed in (0, 1):
            kept(tmp_path, attributes(240, 4, skill, 10 * seed + int(10 * skill), LIKE), seed, method=method)
    for metric in ("auc_macro", "f1_macro"):
        found = board(tmp_path, metric)
        assert [r.standing for r in found.rows] == [BEST, BEHIND]
        assert all(r.low < r.value < r.high for r in found.rows)  # type: ignore[operator]
        table = leaderboard_table([found])
        assert [r["method"] for r in table.rows] == ["focal", "none", *KIND.trivial_notes]
        expected = KIND.metrics.summary(KIND.metrics.trivials(LIKE)["all_positive"])[metric]
        assert table.rows[3][metric] == pytest.approx(expected)
        assert any(note.startswith("majority: ") for note in table.notes)


def test_fewer_than_six_other_decisions_are_never_told_apart(tmp_path: Path) -> None:
    sure = np.where(LIKE.truth == 1, 0.9, 0.1).astype(np.float32)
    wrong = sure.copy()
    wrong[:5, 0] = 1 - wrong[:5, 0]
    kept(tmp_path, replace(LIKE, scores=sure))
    kept(tmp_path, replace(LIKE, scores=wrong), method="focal")
    found = board(tmp_path, "exact_match")
    assert [r.standing for r in found.rows] == [BEST, "tied"] and found.rows[1].gap != 0


# Tables of results, frames


def test_tables_show_the_kinds_metrics_and_each_trivial_answer(tmp_path: Path) -> None:
    kept(tmp_path, LIKE)
    (cell,), _ = Store(tmp_path).load()
    keys = [column.key for column in results_table([cell.record]).columns]
    assert "auc_macro" in keys and "top1_micro" not in keys
    full = [column.key for column in results_table([cell.record], full=True).columns]
    assert "hamming_loss" in full and "top5_macro" not in full
    assert [row["method"] for row in grid_table([cell.record]).rows] == ["none", *KIND.trivial_notes]
    rows = class_table(cell.result).rows
    assert [r["row"] for r in rows if r["row"] not in ("class", "average", "group")] == [
        name for name in KIND.trivial_notes for average in KIND.columns.averages if average.trivial
    ]
    assert rows[0]["class"] == "attribute 0"
    assert any(str(r["class"]).startswith("macro (4 attributes)") for r in rows)


def test_what_was_filled_in_stands_in_a_row_of_its_own(tmp_path: Path) -> None:
    kept(tmp_path, LIKE)
    (cell,), _ = Store(tmp_path).load()
    metrics = {**cell.record["metrics"], "imputed": {"f1_macro": 0.75}}
    table = class_table({**cell.result, "metrics": metrics})
    (found,) = [r for r in table.rows if r["row"] == "imputed" and r.get("f1") == 0.75]
    assert str(found["class"]).startswith("macro")
    assert any(note.startswith("imputed: ") for note in table.notes)


def test_predictions_are_a_frame_with_columns_for_each_attribute(tmp_path: Path) -> None:
    kept(tmp_path, replace(LIKE, cuts=np.array([0.9, 0.5, 0.5, 0.1], np.float32)))
    [stored] = Store(tmp_path).load()[0]
    frame = predictions_frame(stored)
    unknown = int((LIKE.truth[:, 0] < 0).sum())
    assert frame["truth attribute 0"].isna().sum() == unknown > 0
    seen = LIKE.truth[:, 0] >= 0
    expected = (LIKE.scores[:, 0] >= np.float32(0.9)) & seen
    assert frame["predicted attribute 0"].tolist() == expected.astype(int).tolist()
    assert frame["score attribute 3"].tolist() == LIKE.scores[:, 3].tolist()


# Pins


def pinned(root: Path, cells: Sequence[Stored], name: str = "mine") -> Baseline:
    write_baseline(pin(cells, name), root, force=True)
    return load_baseline("multilabel", name, [root])


def stored(root: Path) -> list[Stored]:
    return Store(root).load()[0]


def test_a_pin_holds_every_score_and_cut(tmp_path: Path) -> None:
    cuts = np.array([0.3, 0.5, 0.61, 0.7], np.float32)
    kept(tmp_path / "a", replace(LIKE, cuts=cuts, items=tuple(reversed(LIKE.items))))
    baseline = pinned(tmp_path, stored(tmp_path / "a"))
    assert baseline.pinned is not None
    back = baseline.pinned.predictions(baseline.pinned.results[0], 0)
    np.testing.assert_array_equal(back.scores, LIKE.scores[::-1])
    np.testing.assert_array_equal(back.truth, LIKE.truth[::-1])
    np.testing.assert_array_equal(back.cuts, cuts)
    np.testing.assert_array_equal(back.known, LIKE.known)
    assert KIND.metrics.summary(back) == pytest.approx(KIND.metrics.summary(replace(LIKE, cuts=cuts)))
    document = json.loads((tmp_path / "multilabel" / "mine.json").read_text())
    assert document["format_version"] == 1


@pytest.mark.parametrize(
    "where, value, why",
    [
        ("scores", "AAAA", "not base64 of deflated bytes"),
        ("cuts", [0.5], "cuts: must be a number for each class"),
        ("answers", "x", "unknown key 'answers'"),
    ],
)
def test_a_damaged_pin_is_one_line(tmp_path: Path, where: str, value: Any, why: str) -> None:
    kept(tmp_path / "a", LIKE)
    document = pin(stored(tmp_path / "a"), "mine")
    document["results"][0]["seeds"]["0"][where] = value
    write_baseline(document, tmp_path)
    with pytest.raises(BenchError, match=why) as caught:
        load_baseline("multilabel", "mine", [tmp_path])
    assert "\n" not in str(caught.value)


def test_a_run_against_its_own_pin_is_the_same_in_everything(tmp_path: Path) -> None:
    for seed in (0, 1):
        kept(tmp_path / "a", attributes(240, 4, 0.5, seed, LIKE), seed)
    cells = stored(tmp_path / "a")
    rows = compare(cells, pinned(tmp_path, cells))
    assert {row.verdict.name for row in rows} == {SAME} and {row.verdict.why for row in rows} == {
        "same answers"
    }


def test_a_worse_run_is_found_and_its_numbers_are_a_second_computations(tmp_path: Path) -> None:
    old, new = attributes(240, 4, 1.0, 1, LIKE), attributes(240, 4, 0.2, 2, LIKE)
    kept(tmp_path / "old", old)
    kept(tmp_path / "new", new)
    rows = compare(stored(tmp_path / "new"), pinned(tmp_path, stored(tmp_path / "old")))
    assert {row.metric for row in regressions(rows)} >= {"auc_macro", "map", "f1_macro", "hamming_loss"}
    weights = bootstrap.bootstrap_weights(240, 2000, 0)
    sides = [KIND.metrics.weighted_summary(pred, weights) for pred in (new, old)]
    # As wide as Student's quantile and the factor of so many items make them, about the difference itself.
    width = math.sqrt(bootstrap.inflation(np.ones(240), 240)) * t.ppf(0.975, 239) / norm.ppf(0.975)
    for name, close in (("auc_macro", 0.005), ("f1_macro", 1e-5), ("jaccard", 1e-5)):
        drawn, found = sides[0][name] - sides[1][name], row(rows, name).difference
        assert found.value is not None
        ends = np.quantile(found.value + width * (drawn - drawn.mean()), [0.025, 0.975])
        assert (found.low, found.high) == pytest.approx(tuple(ends), abs=close)
    right = [((pred.scores >= 0.5) == (pred.truth == 1)) & (pred.truth >= 0) for pred in (new, old)]
    own = [hit[:, 2] for hit in right]
    expected_p = intervals.mcnemar(int((own[0] & ~own[1]).sum()), int((own[1] & ~own[0]).sum()))
    assert row(rows, "accuracy", "attribute 2").difference.p == expected_p
    whole = [(hit | (LIKE.truth < 0)).all(axis=1) for hit in right]
    expected_p = intervals.mcnemar(int((whole[0] & ~whole[1]).sum()), int((whole[1] & ~whole[0]).sum()))
    assert row(rows, "exact_match").difference.p == expected_p
    seen = LIKE.truth[:, 1] >= 0
    area = row(rows, "auc", "attribute 1")
    assert area.difference.ours == pytest.approx(roc_auc_score(LIKE.truth[seen, 1], new.scores[seen, 1]))
    assert area.difference.n_ours == seen.sum() and area.verdict.q is not None and area.verdict.name == WORSE
    assert (
        row(rows, "log_loss").difference.low is not None and row(rows, "auc_micro").difference.low is not None
    )


# Any two sides, and what is published


def sides(root: Path, ours: str, theirs: str, *folders: Path) -> list[Comparison]:
    cells = [cell for cell in stored(root) if cell.ok]
    return compare_candidates(
        *find_candidates(Stock("multilabel", root, cells, [*folders, SHIPPED]), ours, theirs)
    )


def test_two_backbones_and_the_answers_that_look_at_no_image(tmp_path: Path) -> None:
    kept(tmp_path, attributes(240, 4, 1.0, 1, LIKE))
    kept(tmp_path, attributes(240, 4, 0.2, 2, LIKE), backbone="small")
    rows = sides(tmp_path, "lenet/mask", "small/none")
    assert row(rows, "auc_macro").verdict.name == BETTER and row(rows, "hamming_loss").verdict.name == BETTER
    assert (row(rows, "hamming_loss").difference.value or 0) < 0
    trivial = sides(tmp_path, "small/none", "all_positive")
    assert (
        row(trivial, "recall_macro").difference.theirs == 1.0
        and row(trivial, "recall_macro").verdict.name == WORSE
    )
    apart = sides(tmp_path, "majority", "prior")
    assert row(apart, "auc_macro").verdict.name == SAME


def test_the_shipped_published_numbers_are_shown_and_never_judged(tmp_path: Path) -> None:
    named = replace(LIKE, classes=("Attr1", "Attr2", "Attr3", "Attr4"))
    kept(tmp_path, named)
    cells = stored(tmp_path)
    leaked = compare(cells, load_baseline("multilabel", "seed-001", [SHIPPED]))
    assert [(r.metric, r.difference.theirs, r.verdict.name, r.verdict.why) for r in leaked] == [
        ("auc_macro", 0.978, INCOMPARABLE, "leaked, imputed-test"),
        ("accuracy_macro", 0.93, INCOMPARABLE, "leaked, imputed-test"),
    ]
    third = load_baseline("multilabel", "third-resnet34", [SHIPPED])
    rows = compare(cells, third)
    told = {r.class_name: r.difference.theirs for r in rows if r.class_name}
    assert told == {"Attr1": 0.913, "Attr2": 0.925, "Attr3": 0.688, "Attr4": 0.571}
    assert np.mean([*told.values()]) == pytest.approx(0.774, abs=5e-4)
    assert {r.verdict.name for r in rows} == {INCOMPARABLE}
    assert [flag.name for flag in third.flags] == ["test-selected"]
    nothing = load_baseline("multilabel", "seed-000", [SHIPPED])
    assert not nothing.published and {flag.name for flag in nothing.flags} == {
        "imputed-test",
        "test-selected",
    }


def test_a_count_gives_a_published_accuracy_an_interval_and_f1_has_none(tmp_path: Path) -> None:
    kept(tmp_path / "a", LIKE)
    cells = stored(tmp_path / "a")
    own = {r["class"]: r for r in cells[0].per_class}
    document = {
        "format_version": 1, "type": "published", "name": "mine", "task": "multilabel", "summary": "",
        "flags": [], "provenance": {},
        "results": [{
            "stage": "all", "label": "", "regime": "frozen", "backbone": "net", "method": "none",
            "metrics": {"f1_macro": {"printed": 0.9}},
            "classes": {
                name: {"support": r["test_support"], "accuracy": {"hits": r["test_support"]},
                       "f1": {"value": 1.0}}
                for name, r in own.items()
            },
        }],
    }  # fmt: skip
    path = tmp_path / "multilabel" / "mine.json"
    path.parent.mkdir()
    path.write_text(json.dumps(document))
    rows = compare(cells, load_baseline("multilabel", "mine", [tmp_path]))
    mine = own["attribute 1"]
    found, n = row(rows, "accuracy", "attribute 1"), mine["test_support"]
    hits = mine["tp"] + mine["tn"]
    assert (found.difference.low, found.difference.high) == pytest.approx(intervals.newcombe(hits, n, n, n))
    assert (
        found.difference.theirs_low == pytest.approx(intervals.wilson(n, n).low)
        and found.verdict.name == WORSE
    )
    score = row(rows, "f1", "attribute 1")
    assert score.difference.low is None and (score.verdict.name, score.verdict.why) == (None, "no interval")
    assert score.difference.value == pytest.approx(mine["f1"] - 1)


# The report, and the commands


def test_the_report_has_what_makes_sense_and_no_empty_heading(tmp_path: Path) -> None:
    evil = ("<script>alert(1)</script>", "b", "c", "d")
    for seed, skill in enumerate((0.4, 0.8)):
        pred = attributes(120, 4, skill, seed, attributes(120, 4, 0, 9), classes=evil)
        kept(tmp_path / "r", pred, 0, method=("none", "focal")[seed])
    given = ["report", "--results", str(tmp_path / "r"), "--out", str(tmp_path / "page")]
    result = CliRunner().invoke(cli, given, standalone_mode=False)
    assert result.exception is None and result.return_value == 0
    text = (tmp_path / "page" / "index.html").read_text()
    assert "<script>alert(1)" not in text and "&lt;script&gt;alert(1)" in text
    for heading in ("Attributes", "Calibration", "ROC and precision-recall", "Training", "Hardest items"):
        assert f">{heading}</h" in text
    assert "Confusions" not in text and ">Classes</h" not in text
    plots = {path.name for path in (tmp_path / "page" / "plots").glob("*.svg")}
    assert {f"multilabel-all-{name}.svg" for name in ("attributes", "f1", "curves", "calibration")} <= plots


def test_a_metric_of_another_kind_is_one_line(tmp_path: Path) -> None:
    kept(tmp_path, LIKE)
    given = ["leaderboard", "--task", "multilabel", "--results", str(tmp_path), "--metric", "top1_micro"]
    result = CliRunner().invoke(cli, given, standalone_mode=False)
    assert isinstance(result.exception, BenchError)
    assert "unknown multilabel metric 'top1_micro'" in str(result.exception)
