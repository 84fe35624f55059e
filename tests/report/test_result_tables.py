"""What tables of results hold: a row a cell, means and deviations over seeds, the best on validation."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys

import pytest

from bench.core.errors import BenchError
from bench.report.render import render
from bench.report.result_tables import best_setting, grid_table, metric_column, results_table
from bench.store.settings import settings_of

from .conftest import Golden, MakeRecord

GIVEN = (
    "cell", "task", "stage", "regime", "backbone", "method", "seed", "status", "top1_micro", "top1_macro",
    "top5_micro", "top5_macro", "f1_macro", "auc_macro", "seconds", "reason",
)  # fmt: skip


@pytest.fixture
def grid(record: MakeRecord) -> list[dict[str, object]]:
    """Two stages, two backbones, two methods; one cell failed, one setting was run once."""
    return [
        record("none", 0, test=0.60, val=0.61),
        record("none", 1, test=0.62, val=0.63),
        record("class_weight", 0, test=0.61, val=0.66),
        record("class_weight", 1, test=0.65, val=0.64),
        record("class_weight", 2, status="failed", reason="loss became NaN in epoch 3"),
        record("none", 0, test=0.70, val=0.60, backbone="mobilenetv2_035"),
        record("none", 0, test=0.40, val=0.41, stage="remaining"),
    ]


@pytest.mark.parametrize(
    ("fmt", "ending"), [("table", "txt"), ("csv", "csv"), ("md", "md"), ("json", "json")]
)
def test_golden_results(golden: Golden, grid: list[dict[str, object]], fmt: str, ending: str) -> None:
    golden(f"results.{ending}", render(results_table(grid, full=fmt in ("csv", "json")), fmt))


@pytest.mark.parametrize(("fmt", "ending"), [("table", "txt"), ("md", "md")])
def test_golden_grid(golden: Golden, grid: list[dict[str, object]], fmt: str, ending: str) -> None:
    golden(f"grid.{ending}", render(grid_table(grid), fmt))


def test_results_have_the_columns_that_scripts_rely_on(grid: list[dict[str, object]]) -> None:
    assert [column.key for column in results_table(grid).columns] == list(GIVEN)
    full = [column.key for column in results_table(grid, full=True).columns]
    assert set(GIVEN) | {"setting", "log_loss", "many_top1", "n", "classes_scored"} <= set(full)
    assert len(full) == len(set(full))
    rows = json.loads(render(results_table(grid, full=True), "json"))
    assert len(rows) == len(grid) and all(list(row) == full for row in rows)


def test_no_results_keep_the_columns() -> None:
    assert [column.key for column in results_table([]).columns] == list(GIVEN)
    assert not results_table([]).rows


def test_a_failed_cell_has_a_row_with_its_reason(grid: list[dict[str, object]]) -> None:
    (failed,) = (row for row in results_table(grid).rows if row["status"] == "failed")
    assert failed["reason"] == "loss became NaN in epoch 3"
    assert failed["top1_micro"] is None


def test_results_are_sorted_the_plain_method_first(grid: list[dict[str, object]]) -> None:
    rows = results_table(reversed(grid)).rows
    assert [(row["stage"], row["backbone"], row["method"], row["seed"]) for row in rows] == [
        ("remaining", "mobilenet_025", "none", 0),
        ("top20", "mobilenet_025", "none", 0),
        ("top20", "mobilenet_025", "none", 1),
        ("top20", "mobilenet_025", "class_weight", 0),
        ("top20", "mobilenet_025", "class_weight", 1),
        ("top20", "mobilenet_025", "class_weight", 2),
        ("top20", "mobilenetv2_035", "none", 0),
    ]


def test_cells_of_one_name_are_told_apart_by_what_differs(record: MakeRecord) -> None:
    short, long = (record(protocol=(("epochs", n), ("lr", 1e-3))) for n in (5, 40))
    table = results_table([short, long])
    assert {row["setting"] for row in table.rows} == {"epochs=5", "epochs=40"}
    assert "setting" in [column.key for column in table.columns]


def test_other_names_may_have_other_protocols(record: MakeRecord) -> None:
    table = results_table([record(), record(regime="scratch", backbone="lenet", protocol=(("epochs", 9),))])
    assert {row["setting"] for row in table.rows} == {""}


def test_means_and_deviations_are_over_measured_seeds(grid: list[dict[str, object]]) -> None:
    row = next(row for row in grid_table(grid).rows if row["method"] == "class_weight")
    assert (row["seeds"], row["failed"]) == (2, 1)
    assert row["top1_micro"] == pytest.approx(statistics.mean([0.61, 0.65]))
    assert row["top1_micro_sd"] == pytest.approx(statistics.stdev([0.61, 0.65]))
    assert row["top5_macro"] is row["top5_macro_sd"] is None
    assert row["val_top1_macro"] == pytest.approx(0.65 - 0.05)


def test_one_seed_has_no_deviation(record: MakeRecord) -> None:
    table = grid_table([record()])
    assert table.rows[0]["top1_micro_sd"] is None
    assert not [column for column in table.columns if column.key.endswith("_sd")]


def test_equal_seeds_deviate_by_nothing(record: MakeRecord) -> None:
    assert grid_table([record(seed=0), record(seed=1)]).rows[0]["top1_micro_sd"] == 0.0


def test_the_best_is_chosen_on_validation_and_not_on_test(grid: list[dict[str, object]]) -> None:
    best = [
        (row["stage"], row["backbone"], row["method"]) for row in grid_table(grid).rows if row.get("best")
    ]
    assert best == [("top20", "mobilenet_025", "class_weight"), ("remaining", "mobilenet_025", "none")]


def test_the_best_by_another_metric(record: MakeRecord) -> None:
    rows = [record("none", val=0.6), record("class_weight", val=0.7)]
    rows[0]["metrics"]["val"]["log_loss"] = 0.1
    for metric, expected in (("log_loss", 0), ("top1_micro", 1)):
        assert best_setting(rows, metric) == rows[expected]["id"]
        assert [row["best"] for row in grid_table(rows, metric).rows[:2]] == [expected == 0, expected == 1]


def test_the_best_is_by_default_the_kinds_own_metric(record: MakeRecord) -> None:
    rows = [record("none", val=0.6), record("class_weight", val=0.7)]
    rows[0]["metrics"]["val"]["top1_macro"] = 0.9
    assert best_setting(rows) == rows[0]["id"]
    assert [row["best"] for row in grid_table(rows).rows[:2]] == [True, False]


def test_the_trivial_row_stands_once_at_the_end_of_its_stage(grid: list[dict[str, object]]) -> None:
    rows = grid_table(grid).rows
    assert [row["method"] for row in rows if row["stage"] == "top20"][-1] == "trivial"
    assert [row["stage"] for row in rows if row["method"] == "trivial"] == ["top20", "remaining"]
    assert all(row["top1_micro"] == pytest.approx(0.2) for row in rows if row["method"] == "trivial")


def test_the_trivial_row_stands_for_each_test_part(record: MakeRecord) -> None:
    other = record(protocol=(("epochs", 40), ("duplicates", "drop")))
    other["metrics"]["trivial"]["top1_micro"] = 0.3
    rows = [row for row in grid_table([record(), other]).rows if row["method"] == "trivial"]
    assert [row["setting"] for row in rows] == ["lr=0.001", "duplicates=drop"]


def test_stages_stand_in_the_order_of_their_first_cell(grid: list[dict[str, object]]) -> None:
    stages = [row["stage"] for row in grid_table([grid[-1], *grid]).rows]
    assert stages == sorted(stages, key=["remaining", "top20"].index)


def test_different_protocols_are_in_no_common_mean(record: MakeRecord) -> None:
    rows = [record(test=0.4, protocol=(("epochs", 5),)), record(test=0.8, protocol=(("epochs", 40),), seed=1)]
    assert [row["top1_micro"] for row in grid_table(rows).rows if row["method"] == "none"] == [0.4, 0.8]
    assert [setting.differs for setting in settings_of(rows)] == ["epochs=5", "epochs=40"]


def test_a_grid_of_failures_has_no_numbers_and_no_best(record: MakeRecord) -> None:
    table = grid_table([record(status="failed", reason="no space")])
    (row,) = table.rows
    assert (row["seeds"], row["failed"], row["best"], row["top1_micro"]) == (0, 1, False, None)
    assert "failed: 1 cell is in no mean." in table.notes
    with pytest.raises(ValueError, match="no cell was measured"):
        best_setting([record(status="failed")])


def test_an_empty_grid_is_a_table() -> None:
    assert not grid_table([]).rows


def test_the_best_settings_first_seed_stands_for_it(record: MakeRecord) -> None:
    rows = [record("none", seed, val=0.6) for seed in (2, 0, 1)] + [record("class_weight", 0, val=0.5)]
    assert best_setting(rows) == rows[1]["id"]


def test_without_validation_the_first_setting_is_taken(record: MakeRecord) -> None:
    rows = [record("none", val=None), record("class_weight", val=None)]
    assert best_setting(rows) == rows[0]["id"]
    assert not any(row.get("best") for row in grid_table(rows).rows)


def test_undefined_values_are_in_no_mean(record: MakeRecord) -> None:
    row = grid_table([record(seed=0, test=0.5), record(seed=1, test=None)]).rows[0]
    assert (row["seeds"], row["top1_micro"], row["top1_micro_sd"]) == (2, 0.5, None)
    assert all(not (isinstance(value, float) and math.isnan(value)) for value in row.values())


def test_several_tasks_are_told_apart(record: MakeRecord) -> None:
    table = grid_table([record(), record(task="marketplace", stage="all")])
    assert table.columns[0].key == "task"
    assert [row["task"] for row in table.rows] == ["fashion", "fashion", "marketplace", "marketplace"]


def test_a_kind_of_a_later_version_is_one_line(record: MakeRecord) -> None:
    with pytest.raises(BenchError, match="unknown kind 'multiclass2'"):
        results_table([record(kind="multiclass2")])


def test_columns_of_metrics() -> None:
    assert (metric_column("top1_macro").title, metric_column("n").type) == ("top-1 macro", "int")
    assert metric_column("top1_macro", "val").key == "val_top1_macro"


def test_tables_of_stored_results_need_nothing_heavy() -> None:
    code = (
        "import sys; from bench.report import cell_tables, render, result_tables as tables;"
        "render.render(tables.results_table([]), 'table'); render.render(tables.grid_table([]), 'md');"
        "sys.exit(bool({'numpy', 'pandas', 'rich', 'keras', 'tensorflow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
