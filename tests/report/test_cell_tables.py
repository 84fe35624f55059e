"""The tables of one cell: its classes, what stands below them, the published numbers, the cell whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.compare.baselines.types import Baseline, Flag, Number, PublishedResult
from bench.report.cell_tables import cell_tables, class_table, mean_over_seeds
from bench.report.render import render
from bench.store.write import Store
from tests.grids import answers, put

from .conftest import HOSTILE, Golden, MakeRecord


def class_row(name: str, train: int, test: int, hits: int, group: str) -> dict[str, Any]:
    top1 = hits / test if test else None
    return {
        "class": name,
        "train_support": train,
        "test_support": test,
        "group": group,
        "top1_hits": hits,
        "top1": top1,
        "top5_hits": None,
        "top5": None,
        "predicted": hits,
        "precision": 1.0 if hits else None,
        "recall": top1,
        "f1": None if top1 is None else 2 * hits / (test + hits),
        "auc": 0.9 if test else None,
    }


@pytest.fixture
def result(record: MakeRecord) -> dict[str, Any]:
    rows = [
        class_row("Tshirts", 400, 50, 45, "many"),
        class_row("Watches", 50, 20, 10, "medium"),
        class_row("micro", 30, 0, 0, "medium"),
        class_row("Sarees", 5, 4, 0, "few"),
    ]
    return {**record("class_weight", 3, test=0.74, val=0.7), "per_class": rows}


@pytest.fixture
def published() -> Baseline:
    def number(value: float) -> Number:
        return Number(value, value, value)

    def of(stage: str, top1: float) -> PublishedResult:
        return PublishedResult(
            stage=stage,
            label="",
            regime="finetune",
            backbone="resnet50",
            method="class_weight",
            flags=(),
            metrics={"top1_micro": number(top1), "top1_macro": number(top1 - 0.01)},
            support={"Tshirts": 4317},
            classes={
                "Tshirts": {"top1": number(0.91), "top5": number(0.99)},
                "Watches": {"top1": number(1.0)},
            },
        )

    return Baseline(
        name="seed-resnet50",
        task="fashion",
        type="published",
        summary="A published ResNet50",
        flags=(Flag("test-selected", "the model was chosen on the test images"),),
        provenance={},
        published=(of("remaining", 0.77), of("top20", 0.894)),
    )


@pytest.mark.parametrize(
    ("fmt", "ending"), [("table", "txt"), ("md", "md"), ("csv", "csv"), ("json", "json")]
)
def test_golden_classes(
    golden: Golden, result: dict[str, Any], published: Baseline, fmt: str, ending: str
) -> None:
    golden(f"classes.{ending}", render(class_table(result, published), fmt))


def test_golden_cell(golden: Golden, result: dict[str, Any]) -> None:
    history: list[dict[str, Any]] = [
        {"epoch": 1, "loss": 2.5, "val_loss": 2.25, "val_top1": 0.125},
        {"epoch": 2, "loss": 1.75, "val_loss": None, "val_top1": None},
    ]
    golden("cell.txt", "\n\n".join(render(table, "table") for table in cell_tables(result, history)))


def test_rows_below_are_told_from_classes_of_the_same_name(result: dict[str, Any]) -> None:
    rows = class_table(result).rows
    assert [row["row"] for row in rows] == ["class"] * 4 + ["average"] * 4 + ["group"] * 3 + ["trivial"] * 2
    assert [row["class"] for row in rows if row["row"] == "class"][2] == "micro"


def test_averages_say_how_many_classes_they_rest_on(result: dict[str, Any]) -> None:
    table = class_table(result).rows
    rows = {row["class"]: row for row in table if row["row"] in ("average", "group")}
    trivial = {row["class"]: row for row in table if row["row"] == "trivial"}
    assert list(rows) == [
        "micro (3 classes)",
        "macro (3 classes)",
        "weighted (3 classes)",
        "balanced accuracy (3 classes)",
        "many (1 class)",
        "medium (1 class)",
        "few (1 class)",
    ]
    assert list(trivial) == ["micro (3 classes)", "macro (3 classes)"]
    assert (rows["medium (1 class)"]["train_support"], rows["medium (1 class)"]["test_support"]) == (80, 20)
    assert rows["micro (3 classes)"]["test_support"] == 74
    assert rows["macro (3 classes)"]["f1"] == result["metrics"]["test"]["f1_macro"]
    assert rows["weighted (3 classes)"]["auc"] == result["metrics"]["test"]["auc_weighted"]
    assert trivial["micro (3 classes)"]["top1"] == result["metrics"]["trivial"]["top1_micro"]


def test_published_numbers_are_those_of_the_stage(result: dict[str, Any], published: Baseline) -> None:
    rows = class_table(result, published).rows
    assert (rows[0]["published_test"], rows[0]["published_top1"], rows[0]["published_top5"]) == (
        4317,
        0.91,
        0.99,
    )
    assert (rows[1]["published_test"], rows[1]["published_top1"], rows[1]["published_top5"]) == (
        None,
        1.0,
        None,
    )
    below = {row["class"]: row for row in rows if row["row"] == "average"}
    assert below["micro (3 classes)"]["published_top1"] == 0.894
    assert below["macro (3 classes)"]["published_top1"] == pytest.approx(0.884)


def test_a_class_named_like_an_average_gets_no_average_of_theirs(
    result: dict[str, Any], published: Baseline
) -> None:
    (row,) = (
        row
        for row in class_table(result, published).rows
        if row["row"] == "class" and row["class"] == "micro"
    )
    assert row["published_top1"] is None


def test_what_is_wrong_with_the_published_is_said(result: dict[str, Any], published: Baseline) -> None:
    assert any("chosen on the test images" in note for note in class_table(result, published).notes)


def test_nothing_published_of_the_stage_adds_no_columns(record: MakeRecord, published: Baseline) -> None:
    result = {**record(stage="all"), "per_class": [class_row("Tops", 5, 1, 1, "few")]}
    table = class_table(result, published)
    assert not [column for column in table.columns if column.key.startswith("published")]
    assert table.columns == class_table(result).columns


def test_images_that_are_not_scored_are_counted(result: dict[str, Any]) -> None:
    assert "12 test images are not scored: their class is not in train." in class_table(result).notes


def test_a_failed_cell_shows_its_reason_and_no_metrics(record: MakeRecord) -> None:
    tables = cell_tables({**record(status="failed", reason="loss became NaN"), "per_class": []})
    assert {"name": "reason", "value": "loss became NaN"} in tables[0].rows
    assert not {"Metrics", "History"} & {table.title for table in tables}


def test_nested_records_are_laid_flat(result: dict[str, Any]) -> None:
    tables = {
        table.title: {row["name"]: row["value"] for row in table.rows if "name" in row}
        for table in cell_tables(result)
    }
    assert tables["Choices"] == {"best_epoch": 17, "threshold.tau": 0.5, "threshold.tried": "[0.25, 0.5]"}
    assert tables["Environment"]["packages.numpy"] == "2.4.0"


def test_hostile_class_names_do_no_harm(record: MakeRecord) -> None:
    result = {**record(), "per_class": [class_row(name, 5, 1, 1, "few") for name in HOSTILE]}
    for fmt in ("table", "md"):
        text = render(class_table(result), fmt)
        assert all(char.isprintable() or char == "\n" for char in text)


def test_the_mean_over_seeds_is_that_of_each_number(tmp_path: Path) -> None:
    for seed in (0, 1):
        put(tmp_path, answers(120, 5, 0.4 + 0.3 * seed, 10 + seed, answers(120, 5, 0.5, 1)), seed)
    one, other = sorted(
        (stored.result for stored in Store(tmp_path).load()[0]), key=lambda result: result["cell"]["seed"]
    )
    assert mean_over_seeds([one])["per_class"] == [dict(row) for row in one["per_class"]]
    mean = mean_over_seeds([one, other])
    for row, first, second in zip(mean["per_class"], one["per_class"], other["per_class"], strict=True):
        for key, value in row.items():
            if isinstance(value, float):
                assert value == pytest.approx((first[key] + second[key]) / 2)
            else:
                assert value == first[key] or None in (first[key], second[key])
    key = "top1_macro"
    sides = [result["metrics"]["test"][key] for result in (one, other)]
    assert sides[0] != sides[1] and mean["metrics"]["test"][key] == pytest.approx(sum(sides) / 2)
    table = class_table(mean)
    assert table.title.endswith("lenet, none, mean of seeds 0, 1")
    macro = next(row for row in table.rows if str(row["class"]).startswith("macro"))
    assert macro["top1"] == pytest.approx(sum(sides) / 2)
