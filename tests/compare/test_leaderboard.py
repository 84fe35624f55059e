"""Leaderboards: draws against a second computation, ranks, who ties with the best, what is missing."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.stats import bootstrap

from bench.commands.main import cli
from bench.compare.leaderboard import BEHIND, BEST, NOT_BETTER, NOT_STORED, TIED, Board, boards
from bench.compare.paired_bootstrap import PairedBootstrap
from bench.compare.stored_cells import read_bootstraps
from bench.core.errors import BenchError
from bench.core.predictions import Predictions
from bench.kinds.multiclass import metrics as multiclass
from bench.metrics import bootstrap as bootstrap_
from bench.metrics.registry import METRICS
from bench.report.leaderboard_tables import leaderboard_table
from bench.report.result_tables import best_setting, grid_table
from bench.store.cell_files import write_predictions
from bench.store.read import PREDICTIONS
from bench.store.write import Store, Stored
from tests.grids import answers, attributes, grid, put, reseal


def read(root: Path, *metrics: str, draws: int = 300) -> tuple[list[Stored], list[PairedBootstrap]]:
    cells, problems = Store(root).load()
    found, unreadable = read_bootstraps(cells, metrics, draws=draws)
    assert not problems and not unreadable
    return cells, found


def board(root: Path, metric: str = "top1_micro", draws: int = 300) -> Board:
    cells, found = read(root, metric, draws=draws)
    (only,) = boards([stored.record for stored in cells], found, metric)
    return only


def by_method(found: Board) -> dict[str, Any]:
    return {row.setting.cell["method_text"]: row for row in found.rows}


def in_order(pred: Predictions, shared: PairedBootstrap) -> Predictions:
    """Return predictions with the items in a shared's order, by a way of their own."""
    rows = np.array([pred.items.index(item) for item in shared.items.ids])
    assert pred.classes == shared.items.classes
    groups = None if pred.groups is None else tuple(pred.groups[row] for row in rows)
    return replace(
        pred, items=shared.items.ids, groups=groups, truth=pred.truth[rows], scores=pred.scores[rows]
    )


# Drawing


@pytest.mark.parametrize("grouped", [False, True])
def test_every_metric_is_drawn_as_the_kind_itself_draws_it(tmp_path: Path, grouped: bool) -> None:
    groups = tuple(f"listing {i % 60}" for i in range(150)) if grouped else None
    preds = [answers(150, 9, accuracy, seed, groups=groups) for seed, accuracy in enumerate((0.3, 0.7))]
    preds[1] = replace(preds[1], truth=preds[0].truth)
    ids = [put(tmp_path, pred, method=method) for pred, method in zip(preds, ("none", "focal"), strict=True)]
    means = (name for name, info in METRICS.items() if "multiclass" in info.means and not info.sets)
    names = (
        *(name for name in means if "auc" not in name),
        "f1_macro",
        "precision_weighted",
    )
    _, (shared,) = read(tmp_path, *names, draws=40)
    weights = bootstrap_.bootstrap_weights(150, 40, 0, shared.items.groups)
    for cell, pred in zip(ids, preds, strict=True):
        same = in_order(pred, shared)
        expected = multiclass.weighted_summary(same, weights)
        once = multiclass.summary(same)
        for name in names:
            if name == "log_loss":
                own = -np.log(same.scores[np.arange(150), same.truth].astype(np.float64))
                expected[name] = weights @ own / weights.sum(axis=1)
            np.testing.assert_allclose(shared.drawn(name)[cell], expected[name], rtol=2e-5, err_msg=name)
            assert shared.observed(name, cell) == pytest.approx(once[name], rel=1e-5), name


def test_items_and_classes_in_another_order_are_the_same_contest(tmp_path: Path) -> None:
    pred = answers(80, 6, 0.6, 1)
    rng = np.random.Generator(np.random.PCG64(5))
    rows, columns = rng.permutation(80), rng.permutation(6)
    turned = Predictions(
        items=tuple(pred.items[row] for row in rows),
        groups=None,
        truth=np.argsort(columns)[pred.truth[rows]].astype(np.int32),
        scores=pred.scores[rows][:, columns],
        classes=tuple(pred.classes[column] for column in columns),
        train_support=pred.train_support[columns],
    )
    first, second = put(tmp_path, pred), put(tmp_path, turned, method="focal")
    _, (shared,) = read(tmp_path, "top1_macro", "many_top1", "f1_macro")
    for name in ("top1_micro", "top1_macro", "many_top1", "f1_macro"):
        np.testing.assert_allclose(shared.drawn(name)[first], shared.drawn(name)[second])


def test_a_metric_that_is_undefined_or_cannot_be_drawn_has_no_draws(tmp_path: Path) -> None:
    put(tmp_path, replace(answers(60, 5, 0.6, 1), train_support=np.full(5, 500)))
    _, (shared,) = read(tmp_path, "ece", "few_top1", "top5_micro")
    for name in ("ece", "few_top1", "top5_micro"):
        assert shared.drawn(name) == {}


def test_the_interval_of_one_seed_is_scipys(tmp_path: Path) -> None:
    pred = answers(400, 6, 0.7, 3)
    put(tmp_path, pred)
    (row,) = board(tmp_path, draws=4000).rows
    hits = (pred.scores.argmax(axis=1) == pred.truth).astype(float)
    theirs = bootstrap((hits,), np.mean, method="percentile", n_resamples=4000, rng=1).confidence_interval
    assert row.low == pytest.approx(theirs.low, abs=0.01) and row.high == pytest.approx(theirs.high, abs=0.01)
    assert row.value == pytest.approx(hits.mean())


def test_pairing_makes_the_difference_shorter_than_its_sides(tmp_path: Path) -> None:
    first = answers(300, 6, 0.6, 1)
    scores = first.scores.copy()
    rows = np.arange(20)
    scores[rows] = np.eye(6, dtype=np.float32)[first.truth[rows]]
    put(tmp_path, first)
    put(tmp_path, replace(first, scores=scores), method="focal")
    row = by_method(board(tmp_path, draws=1000))["none"]
    assert row.gap_high - row.gap_low < (row.high - row.low) / 2
    assert row.standing == BEHIND


# Ranking


def test_the_best_comes_first_equal_values_share_a_rank_and_lower_can_be_better(tmp_path: Path) -> None:
    pred = answers(200, 6, 0.8, 1)
    for method in ("none", "focal"):
        put(tmp_path, pred, method=method)
    put(tmp_path, answers(200, 6, 0.3, 2, pred), method="oversample")
    found = board(tmp_path)
    assert [row.rank for row in found.rows] == [1, 1, 3]
    assert [row.standing for row in found.rows] == [BEST, TIED, BEHIND]
    assert found.rows[1].gap == 0 == found.rows[1].gap_low
    rows = board(tmp_path, "log_loss").rows
    assert [row.setting.cell["method_text"] for row in rows][-1] == "oversample"
    assert (rows[-1].gap or 0) > 0 and (rows[-1].gap_low or 0) > 0 and rows[-1].standing == BEHIND


def test_fewer_than_six_changed_answers_are_never_told_apart(tmp_path: Path) -> None:
    for changed, standing in ((5, TIED), (8, BEHIND)):
        root = tmp_path / str(changed)
        pred = answers(100, 6, 0.7, 1)
        scores = pred.scores.copy()
        right = np.flatnonzero(scores.argmax(axis=1) == pred.truth)[:changed]
        scores[right] = np.roll(scores[right], 1, axis=1)
        put(root, pred)
        put(root, replace(pred, scores=scores), method="focal")
        assert board(root).rows[1].standing == standing


def test_a_metric_without_draws_still_ranks(tmp_path: Path) -> None:
    grid(tmp_path, {"none": 0.5, "focal": 0.8}, seeds=(0,))
    found = board(tmp_path, "ece")
    assert [row.rank for row in found.rows] == [1, 2]
    # The shares of the classes in train are calibrated better than this model.
    assert [row.standing for row in found.rows] == [BEST, NOT_BETTER]
    assert all(row.low is None for row in found.rows)
    text = " ".join(leaderboard_table([found]).notes)
    assert "has no interval" in text


def test_cells_of_another_protocol_stand_apart_and_other_items_on_their_own_board(tmp_path: Path) -> None:
    pred = answers(120, 6, 0.7, 1)
    put(tmp_path, pred)
    put(tmp_path, pred, protocol={"epochs": 5})
    put(tmp_path, answers(90, 6, 0.7, 1), protocol={"duplicates": "drop"})
    put(tmp_path, pred, stage="remaining")
    cells, found = read(tmp_path, "top1_micro")
    made = boards([stored.record for stored in cells], found, "top1_micro")
    sizes = [(b.cell["stage"], len(b.bootstrap.items.ids), len(b.rows)) for b in made]
    assert sizes == [("remaining", 120, 1), ("top20", 120, 2), ("top20", 90, 1)]
    settings = {row.setting.differs for row in made[1].rows}
    assert {text.partition("epochs=")[2] for text in settings} == {"30", "5"}


def test_other_seeds_on_the_two_sides_are_compared_all_the_same(tmp_path: Path) -> None:
    pred = answers(300, 6, 0.9, 1)
    put(tmp_path, pred, seed=0)
    for seed in (1, 2):
        put(tmp_path, answers(300, 6, 0.3, 10 + seed, pred), seed, method="focal")
    rows = by_method(board(tmp_path))
    assert rows["focal"].standing == BEHIND and rows["focal"].gap_high < 0
    assert len(rows["focal"].setting.records) == 2


# What is missing, what it costs


def test_what_the_grid_lacks_is_listed_with_its_reason_and_in_no_mean(tmp_path: Path) -> None:
    ids = grid(tmp_path, {"none": 0.6, "focal": 0.7}, seeds=(0, 1), backbones=("lenet", "mobilenet_025"))
    store = Store(tmp_path)
    gone = next(s for s in store.load()[0] if s.id == ids["mobilenet_025", "focal", 1])
    shutil.rmtree(gone.folder)
    put(tmp_path, answers(10, 6, 0.5, 0), 2, status="failed", reason="loss became NaN in epoch 3")
    found = board(tmp_path)
    holes = {(hole.backbone, hole.method, hole.seed): hole.why for hole in found.holes}
    assert holes.pop(("lenet", "none", 2)) == "failed: loss became NaN in epoch 3"
    assert holes == {
        ("mobilenet_025", "focal", 1): NOT_STORED,
        ("lenet", "focal", 2): NOT_STORED,
        ("mobilenet_025", "none", 2): NOT_STORED,
        ("mobilenet_025", "focal", 2): NOT_STORED,
    }
    (note,) = [note for note in leaderboard_table([found]).notes if "not measured" in note]
    assert "mobilenet_025 focal seed 1,2" in note and "loss became NaN" in note
    (row,) = [row for row in found.rows if len(row.setting.records) == 1]
    assert row.value == row.setting.records[0]["metrics"]["test"]["top1_micro"]


def test_costs_stand_beside_quality(tmp_path: Path) -> None:
    pred = answers(60, 8, 0.6, 1)
    put(tmp_path, pred, 0, timings={"training": 1.0, "seconds": 2.0})
    put(tmp_path, pred, 1, timings={"training": 3.0, "seconds": 6.0})
    put(tmp_path, pred, 0, backbone="of my own", method="focal", protocol={"refit": True, "patience": 0})
    rows = {row.setting.cell["backbone"]: row.cost for row in board(tmp_path).rows}
    lenet = rows["lenet"]
    # 100 images, stopped 8 epochs after the best one, the fourth.
    assert lenet.seconds == 4.0 and lenet.images_per_second == pytest.approx((1200 / 1 + 1200 / 3) / 2)
    assert lenet.parameters == 61156 + 85 * 8
    # All 30 epochs, then 4 more on training and validation rows.
    assert rows["of my own"].parameters is None
    assert rows["of my own"].images_per_second == pytest.approx((100 * 30 + 120 * 4) / 2)


# The command


def run(*args: str) -> Any:
    return CliRunner().invoke(cli, list(args), standalone_mode=False)


def test_the_command_prints_every_format(tmp_path: Path) -> None:
    grid(tmp_path, {"none": 0.5, "focal": 0.8}, seeds=(0, 1))
    args = ("leaderboard", "--task", "fashion", "--results", str(tmp_path))
    done = run(*args, "--format", "json")
    rows = json.loads(done.stdout)
    assert done.return_value == 0 and [row["method"] for row in rows] == ["focal", "none", "trivial"]
    assert rows[0]["rank"] == 1 and rows[0]["low"] < rows[0]["top1_micro"] < rows[0]["high"]
    assert rows[2]["rank"] is None and "auc_macro" in rows[0]
    text = run(*args).stdout
    assert "not distinguishable" not in text and "behind" in text and "ranked by top-1 on test" in text
    assert "macro" in run(*args, "--metric", "top1_macro", "--format", "md").stdout.splitlines()[0]
    effects = json.loads(run(*args, "--effects", "--format", "json").stdout)
    assert {row["what"] for row in effects} >= {"top-1", "top-1 macro", "many top-1"}
    assert all(row["method"] == "focal" for row in effects)


def test_only_the_front_is_read_and_shown_where_there_are_many(tmp_path: Path) -> None:
    grid(tmp_path, {"none": 0.2, "focal": 0.5, "oversample": 0.8}, seeds=(0, 1))
    ids = grid(tmp_path, {"none": 0.3, "focal": 0.6}, seeds=(0,), stage="remaining")
    worst = next(s for s in Store(tmp_path).load()[0] if s.id == ids["lenet", "none", 0])
    (worst.folder / PREDICTIONS).write_bytes(b"never read")
    reseal(worst.folder)
    args = ("leaderboard", "--task", "fashion", "--results", str(tmp_path))
    shown = {}
    for top in ("1", "2", "0"):
        done = run(*args, "--top", top, "--format", "json")
        rows = [row for row in json.loads(done.stdout) if row["rank"]]
        shown[top] = [(row["stage"], row["method"]) for row in rows]
        assert done.return_value == (0 if top == "1" else 4)
        if top == "1":
            assert [(row["rank"], row["standing"]) for row in rows] == [(1, BEST), (1, BEST)]
    assert set(shown["1"]) == {("top20", "oversample"), ("remaining", "focal")}
    assert {method for _, method in shown["0"]} == {"none", "focal", "oversample"}
    assert ("top20", "none") not in shown["2"] and ("top20", "focal") in shown["2"]
    assert "3 more settings rank below" in run(*args, "--top", "1").stdout


def test_validations_choice_is_marked_wherever_it_ranks(tmp_path: Path) -> None:
    like, val = answers(200, 6, 0.5, 99), answers(60, 6, 0.5, 98)
    for method, test, valid in (("none", 0.5, 0.5), ("focal", 0.9, 0.6), ("class_weight", 0.3, 0.95)):
        pred, own = answers(200, 6, test, 7, like), answers(60, 6, valid, 8, val)
        put(tmp_path, pred, method=method, val=own)
    found = board(tmp_path)
    assert found.choice is not None and found.choice.setting.cell["method_text"] == "class_weight"
    assert [row.chosen for row in found.rows] == [False, False, True]
    rows = [row for row in leaderboard_table([found]).rows if row.get("chosen")]
    assert [row["method"] for row in rows] == ["class_weight"]
    # It stays the choice where only the best are read, so that none of these is marked in its place.
    shown = run("leaderboard", "--task", "fashion", "--results", str(tmp_path), "--top", "2")
    assert shown.return_value == 0 and "class_weight" not in shown.output and "yes" not in shown.output


def test_the_interval_of_a_mean_over_seeds_far_apart_stays_within_the_metrics_range(tmp_path: Path) -> None:
    like = answers(20, 5, 0.5, 99)
    for seed, accuracy in enumerate((0.1, 0.9)):
        put(tmp_path, answers(20, 5, accuracy, seed, like), seed)
    (row,) = board(tmp_path).rows
    assert (row.low, row.high) == (0.0, 1.0)


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    args = ("leaderboard", "--task", "fashion", "--results", str(tmp_path / "none"))
    done = run(*args)
    assert done.return_value == 5 and done.stderr.count("\n") == 1 and not done.stdout
    grid(tmp_path, {"none": 0.5}, seeds=(0,))
    args = ("leaderboard", "--task", "fashion", "--results", str(tmp_path))
    for more, says in ((("--metric", "top1_mirco"), "top1_micro"), (("--stage", "top2"), "top20")):
        error = run(*args, *more).exception
        assert isinstance(error, BenchError) and says in str(error) and "\n" not in str(error)


@pytest.mark.parametrize("damage", [b"", b"PAR1 and then nothing", None])
def test_unreadable_predictions_are_named_and_skipped(tmp_path: Path, damage: bytes | None) -> None:
    ids = grid(tmp_path, {"none": 0.5, "focal": 0.8}, seeds=(0, 1))
    stored = next(s for s in Store(tmp_path).load()[0] if s.id == ids["lenet", "none", 1])
    path = stored.folder / "predictions.parquet"
    path.unlink() if damage is None else path.write_bytes(damage)
    done = run("leaderboard", "--task", "fashion", "--results", str(tmp_path), "--format", "json")
    assert done.return_value == 4
    assert [str(path) in line for line in done.stderr.splitlines()] == [True, False, False]
    _, leak, chance = done.stderr.splitlines()
    assert leak.startswith("bench: leak in top20") and chance.startswith(
        "bench: chance in top20: of 2 settings all"
    )
    assert [row["seeds"] for row in json.loads(done.stdout)[:2]] == [2, 1]


@pytest.mark.parametrize("more", [(), ("--effects",)])
def test_what_cells_say_against_themselves_is_a_note(tmp_path: Path, more: tuple[str, ...]) -> None:
    like = attributes(120, 4, 0.0, 0)
    for method, seed in itertools.product(("none", "focal"), (1, 2)):
        pred = attributes(120, 4, 0.0, 10 * seed + len(method), like)
        put(tmp_path, pred, seed, method=method, kind="multilabel", task="multilabel", stage="all")
    args = ("leaderboard", "--task", "multilabel", "--results", str(tmp_path), *more)
    leak = "leak in all: 1 of 200 test images"
    chance = "chance in all: no method beats it; of 2 settings none"
    shown, plain = run(*args), run(*args, "--format", "json")
    assert shown.return_value == plain.return_value == 0
    for says in (leak, chance):
        assert says in shown.stdout and says not in shown.stderr
        assert f"bench: {says}" in plain.stderr and says not in plain.stdout


def test_scores_that_are_no_numbers_are_a_faulty_file(tmp_path: Path) -> None:
    pred = answers(50, 6, 0.5, 1)
    put(tmp_path, pred)
    pred.scores[3, 2] = math.nan
    (stored,), _ = Store(tmp_path).load()
    write_predictions(stored.folder / PREDICTIONS, {"test": pred}, "multiclass")
    reseal(stored.folder)
    cells, _ = Store(tmp_path).load()
    found, problems = read_bootstraps(cells, ["top1_micro"])
    assert not found and "a score is NaN" in problems[0]


@pytest.mark.parametrize("order", [("none", "focal"), ("focal", "none")])
def test_ties_on_validation_have_one_choice_everywhere_and_never_by_test(
    order: tuple[str, str], tmp_path: Path
) -> None:
    like, val = answers(100, 4, 0.5, 99), answers(60, 4, 0.5, 98)
    for method in order:
        put(tmp_path, answers(100, 4, {"none": 0.3, "focal": 0.9}[method], 7, like), method=method, val=val)
    found = board(tmp_path)
    assert found.rows[0].setting.cell["method_text"] == "focal"
    assert found.choice is not None and found.choice.setting.cell["method_text"] == "none"
    records = {stored.record["cell"]["method_text"]: stored.record for stored in Store(tmp_path).load()[0]}
    named = [records[method] for method in order]
    assert best_setting(named) == records["none"]["id"]
    assert [row["method"] for row in grid_table(named).rows if row.get("best")] == ["none"]
