"""Golden tables of comparisons: what `bench compare` prints, small enough to check by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.compare.against_baseline import compare
from bench.compare.baselines.find import load_baseline
from bench.compare.baselines.pin import pin, write_baseline
from bench.compare.baselines.types import Baseline, Flag, Number, PublishedResult
from bench.compare.verdict import Comparison
from bench.core.predictions import Predictions
from bench.report.comparison_tables import compare_table
from bench.report.render import render
from tests.fakes import noisy, predictions, stored

Golden = Callable[[str, str], None]

SUPPORT = {"Shirts": 60, "Tops": 30, "Caps": 12, "Ties": 4}


def baseline() -> Baseline:
    """Return a published baseline with one number of every sort."""
    hits = dict(zip(SUPPORT, (50, 20, 3, 4), strict=True))
    classes = {
        name: {"top1": Number(hits[name] / n, hits[name] / n, hits[name] / n, hits[name], n)}
        for name, n in SUPPORT.items()
    }
    classes["Shirts"]["top5"] = Number(0.95, 0.95, 0.96, printed=0.95)
    doubtful = Flag("not-reproducible", "no average of the printed rows gives it")
    mean = float(np.mean([row["top1"].value for row in classes.values()]))
    metrics = {
        "top1_micro": Number(77 / 106, 77 / 106, 77 / 106, 77, 106, printed=0.72),
        "top1_macro": Number(mean, mean, mean),
        "top5_micro": Number(0.85, 0.85, 0.85, n=106, flags=(doubtful,)),
    }
    names, met = (
        ("top20", "", "finetune", "resnet50", "none"),
        {"supervision": "supervised", "outside_data": "none"},
    )
    result = PublishedResult(*names, (), metrics, SUPPORT, classes, met)
    chosen = Flag("test-selected", "the epoch was chosen by the test images")
    return Baseline("paper", "fashion", "published", "A paper's table", (chosen,), {}, (result,))


def answering(hits: Sequence[int], support: Sequence[int], names: Sequence[str]) -> Predictions:
    """Return predictions over eight classes with these hits."""
    truth = np.repeat(np.arange(len(support)), support)
    answers = np.concatenate(
        [[c] * h + [7] * (n - h) for c, (h, n) in enumerate(zip(hits, support, strict=True))]
    )
    spare = [f"spare {i}" for i in range(8 - len(names))]
    return predictions(truth, answers, 8, np.ones(len(truth)), classes=(*names, *spare))


def same_data() -> list[Comparison]:
    cells = [
        stored(answering((57, 12, 4, hit), list(SUPPORT.values()), tuple(SUPPORT)), seed)
        for seed, hit in ((0, 0), (1, 1))
    ]
    return compare(cells, baseline())


def other_data() -> list[Comparison]:
    return compare([stored(answering((50, 5, 9), (55, 30, 10), ("Shirts", "Tops", "Socks")))], baseline())


@pytest.mark.parametrize("fmt, ending", [("table", "txt"), ("md", "md")])
def test_golden_same_data(golden: Golden, fmt: str, ending: str) -> None:
    golden(f"compare_same.{ending}", render(compare_table(same_data(), baseline()), fmt))


def test_golden_other_data(golden: Golden) -> None:
    golden("compare_other.txt", render(compare_table(other_data(), baseline()), "table"))


def test_golden_for_machines(golden: Golden) -> None:
    golden("compare_same.csv", render(compare_table(same_data(), baseline(), every_column=True), "csv"))


def test_golden_pinned(golden: Golden, tmp_path: Path) -> None:
    like = noisy(200, 8, 0.8, 0)
    old = [
        stored(noisy(200, 8, 0.8, seed, like=like), seed, method=m)
        for m in ("none", "focal")
        for seed in (1, 2)
    ]
    write_baseline(pin(old, "before", "Before the change"), tmp_path)
    before = load_baseline("fashion", "before", [tmp_path])
    new = [*old[:2], *(stored(noisy(200, 8, 0.6, seed, like=like), seed, method="focal") for seed in (1, 2))]
    table = compare_table(compare(new, before), before, classes=False)
    golden("compare_pinned.txt", render(table, "table"))


def test_whole_stages_come_first_then_classes_by_size() -> None:
    rows = compare_table(same_data(), baseline()).rows
    sizes = [row["n_theirs"] for row in rows]
    assert [row["what"] for row in rows[:3]] == ["micro top-1", "macro top-1", "micro top-5"]
    assert sizes[3:] == sorted(sizes[3:], reverse=True)


def test_classes_can_be_left_out_and_no_row_is_lost_otherwise() -> None:
    rows = same_data()
    assert len(compare_table(rows, baseline()).rows) == len(rows)
    assert len(compare_table(rows, baseline(), classes=False).rows) == 3
    assert compare_table([], baseline()).notes[0] == "nothing to compare"


def test_machines_get_every_column_and_unrounded_numbers() -> None:
    table = compare_table(same_data(), baseline(), every_column=True)
    assert {"stage", "backbone", "seeds", "theirs_low", "difference", "q", "why"} <= {
        c.key for c in table.columns
    }
    assert table.rows[0]["theirs"] == 77 / 106
