"""A kind of a package of its own, of which nothing in bench/ knows, goes the whole way like those built in.

`tests/kinds/plugin/ordinal.py` is the package's module; commands, and the workers that they start, find it by
its entry point.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import cohen_kappa_score, mean_absolute_error

from bench.compare.estimates import Contrast
from bench.compare.paired_bootstrap import PairedBootstrap
from bench.compare.stored_cells import read_bootstraps
from bench.core import kind, plugins
from bench.core.cell import Cell, DataId, MethodSpec
from bench.core.kind import get_kind
from bench.core.predictions import CellResult, Predictions
from bench.store.write import Store
from tests import forked

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = Path(__file__).resolve().parent / "plugin"
KAPPA, ERROR = "kappa_quadratic", "mean_absolute_error"
GRADES = ("1 worn", "2 fair", "3 good", "4 new")

CARD = """
name = "condition"
version = 1
kind = "ordinal"
title = "Condition: how worn an item is"
source = "listings"
label = "category"

[split]
rule = "stratified"

[[stage]]
name = "all"

[grid.data]
backbones = ["grey"]
methods = ["none", "class_weight"]
seeds = "0-1"
"""


def installed(folder: Path, point: str) -> Path:
    """Write what pip writes of an installed package: its name and its entry point."""
    info = folder / "messybench_ordinal-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: messybench-ordinal\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[messybench]\n{point}\n")
    return folder


class Desk:
    """A folder with a task of grades, photos of it, and an installed plug-in; and the command in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rng = np.random.default_rng(0)
        for grade, name in enumerate(GRADES):
            photos = folder / "photos" / name
            photos.mkdir(parents=True)
            for number in range(24):
                # Neighbouring grades overlap.
                level = 50 + 45 * grade + rng.normal(0, 22)
                pixels = np.clip(level + rng.normal(0, 20, (24, 24, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(photos / f"{number}.png")
        (folder / "baselines").mkdir()
        (folder / "tasks" / "condition").mkdir(parents=True)
        (folder / "tasks" / "condition" / "task.toml").write_text(CARD, encoding="utf-8")
        self.path = [ROOT, PLUGIN, installed(folder / "site", "ordinal = ordinal")]

    def bench(self, *args: str, code: int = 0) -> str:
        """Run the command; return its standard output."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("BENCH_")}
        env = {
            **kept,
            "PYTHONPATH": os.pathsep.join(map(str, self.path)),
            "BENCH_CACHE": str(self.folder / "cache"),
            "BENCH_TASKS": str(self.folder / "tasks"),
            "BENCH_BASELINES": str(self.folder / "baselines"),
        }
        done = forked.run(args, self.folder, env)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout

    def rows(self, *args: str, code: int = 0) -> Any:
        """Return the JSON that a command prints."""
        return json.loads(self.bench(*args, "--format", "json", code=code))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Run the task's grid once: two methods, two seeds."""
    desk = Desk(tmp_path_factory.mktemp("desk"))
    desk.bench("run", "--task", "condition", "--data", "photos", "--keep-model")
    return desk


@pytest.fixture
def ordinal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Add the kind and its metrics for one test in this process."""
    monkeypatch.syspath_prepend(str(PLUGIN))
    before = plugins.loaded()
    module = import_module("ordinal")
    kind.register("grades", "ordinal:Grades")
    yield module
    del sys.modules["ordinal"]
    for plugin in {*plugins.loaded()} - {*before}:
        plugins.unload(plugin)


def test_its_metrics_are_those_of_scikit_learn(ordinal: Any) -> None:
    rng = np.random.default_rng(3)
    classes = ("b", "d", "a", "c")
    truth, scores = rng.integers(0, 4, 90).astype(np.int32), rng.dirichlet(np.ones(4), 90).astype(np.float32)
    pred = Predictions(tuple(map(str, range(90))), None, truth, scores, classes, np.array([9, 8, 7, 6]))
    names = np.array(classes)
    one, other = names[truth], names[scores.argmax(axis=1)]
    place = np.argsort(np.argsort(names))
    found = get_kind("ordinal").metrics.summary(pred)
    assert found[KAPPA] == pytest.approx(cohen_kappa_score(one, other, weights="quadratic"))
    assert found[ERROR] == pytest.approx(mean_absolute_error(place[truth], place[scores.argmax(axis=1)]))
    weights = rng.integers(0, 3, (5, 90))
    for row, kappa in zip(weights, ordinal.weighted_summary(pred, weights)[KAPPA], strict=True):
        again = cohen_kappa_score(one, other, weights="quadratic", sample_weight=row)
        assert kappa == pytest.approx(again)


def graded(right: float, seed: int, order: str = "abcd") -> Predictions:
    """Return answers to 120 items, this share of them right; classes stand in an order."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 120)
    said = np.where(np.random.default_rng(seed).random(120) < right, truth, (truth + 1) % 4)
    place = np.array([order.index(name) for name in "abcd"])
    scores = np.full((120, 4), 0.1, np.float32)
    scores[np.arange(120), place[said]] = 0.7
    return Predictions(
        tuple(f"{i:03d}" for i in range(120)),
        None,
        place[truth].astype(np.int32),
        scores,
        tuple(order),
        np.array([9, 8, 7, 6]),
    )


def test_a_kind_that_says_nothing_of_pairing_has_intervals_from_its_metrics(ordinal: Any) -> None:
    runs = {"ours": graded(0.9, 1), "theirs": graded(0.6, 2)}
    contrast = Contrast.paired({0: ("ours", "theirs")})
    for metric in (KAPPA, ERROR):
        found = []
        for name in ("ordinal", "grades"):
            bootstrap = PairedBootstrap.of(name, runs, [metric], 1000)
            one = bootstrap.estimate(metric, contrast)
            assert one is not None and one.low is not None and one.high is not None
            assert one.low < one.value < one.high and one.p is not None and one.p < 0.05
            found.append(one)
        assert found[0].value == pytest.approx(found[1].value) and found[0].changed == found[1].changed > 6
        # Other resamples of the same items.
        assert found[0].low == pytest.approx(found[1].low, abs=0.05)
        assert found[0].high == pytest.approx(found[1].high, abs=0.05)
    assert PairedBootstrap.of("grades", runs, ["top1_macro"]).estimate("top1_macro", contrast) is None


def test_its_stored_cells_share_a_bootstrap_where_items_and_classes_are_the_same(
    ordinal: Any, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    for seed, order in enumerate(("abcd", "abcd", "dcba")):
        cell = Cell(
            task="condition",
            task_version=1,
            kind="grades",
            stage="all",
            regime="frozen",
            backbone="grey",
            weights="none",
            method=MethodSpec((), "none"),
            seed=seed,
            protocol=(),
            data=DataId("photos", "0" * 64),
        )
        pred = graded(0.8, seed, order)
        metrics = {"test": ordinal.summary(pred)}
        result = CellResult(cell, "ok", metrics=metrics, per_class=ordinal.per_class(pred))
        store.commit(result, {"test": pred})
    cells, problems = store.load("condition")
    assert not problems and len(cells) == 3
    found, unread = read_bootstraps(cells, [KAPPA])
    assert not unread and sorted(len(bootstrap.cells) for bootstrap in found) == [1, 2]
    assert all(len(bootstrap.drawn(KAPPA)) == len(bootstrap.cells) for bootstrap in found)


def test_a_run_stores_what_the_kind_measures(desk: Desk, ordinal: Any) -> None:
    cells, problems = Store(desk.folder / "results").load("condition")
    assert not problems and len(cells) == 4
    for cell in cells:
        assert cell.ok and {*cell.record["metrics"]} == {"val", "test", "trivial"}
        assert cell.record["metrics"]["test"] == pytest.approx(ordinal.summary(cell.predictions()))
        assert cell.per_class == list(ordinal.per_class(cell.predictions()))


def test_results_and_show_have_its_metrics_and_its_columns(desk: Desk) -> None:
    rows = desk.rows("results")
    assert len(rows) == 4 and all(0 < row[KAPPA] <= 1 and row[ERROR] < 1 for row in rows)
    shown = desk.bench("show", rows[0]["cell"])
    assert "kappa" in shown and "furthest answer" in shown and "4 new" in shown and "top-1" not in shown
    assert "kappa_quadratic" in desk.bench("list", "metrics")


def test_leaderboard_and_effects_draw_its_metrics(desk: Desk) -> None:
    rows = desk.rows("leaderboard", "--task", "condition")
    ranked = [row for row in rows if row["rank"] is not None]
    assert len(ranked) == 2 and all(row["low"] < row[KAPPA] < row["high"] for row in ranked)
    lower = desk.rows("leaderboard", "--task", "condition", "--metric", ERROR)
    assert lower[0][ERROR] <= lower[1][ERROR]
    found = desk.rows("leaderboard", "--task", "condition", "--effects")
    assert {row["what"] for row in found} == {"kappa"}


def test_a_pinned_baseline_is_compared_item_by_item(desk: Desk) -> None:
    desk.bench("baseline", "pin", "graded", "--task", "condition", "--method", "none")
    rows = desk.rows("compare", "--task", "condition", "--baseline", "graded")
    own = [row for row in rows if row["method"] == "none"]
    assert {row["metric"] for row in own} == {KAPPA, ERROR}
    assert {row["verdict"] for row in own} == {"same"} and {row["difference"] for row in own} == {0.0}
    sides = ("grey/class_weight", "trivial")
    beside = desk.rows("compare", *sides, "--task", "condition")
    assert {row["metric"] for row in beside} == {KAPPA, ERROR}
    assert all(row["low"] < row["difference"] < row["high"] and row["verdict"] == "better" for row in beside)


def test_a_report_has_its_section(desk: Desk) -> None:
    desk.bench("report", "--task", "condition", "--data", "photos", "--out", "page")
    page = (desk.folder / "page" / "index.html").read_text(encoding="utf-8")
    assert "Grades" in page and "furthest answer" in page and "kappa" in page
    assert "Confusions" not in page and "Hardest items" in page


def test_a_saved_model_answers_and_a_cell_is_reproduced(desk: Desk) -> None:
    cell = desk.rows("results")[0]["cell"]
    (answer,) = desk.rows("predict", cell, "photos/4 new/0.png")
    assert answer["decision"] in GRADES and {*answer["probabilities"]} == {*GRADES}
    (again,) = desk.rows("reproduce", cell, "--data", "photos")
    assert again["verdict"] == "equal"


def test_steps_and_tables_of_other_kinds_are_refused(desk: Desk) -> None:
    plan = desk.bench("plan", "--task", "condition", "--data", "photos", "--method", "cosine", code=5)
    assert "not for ordinal" in plan
    assert desk.bench("fewshot", "--task", "condition", "--data", "photos", code=2) == ""


def test_without_the_package_the_kind_is_one_line(desk: Desk, tmp_path: Path) -> None:
    bare = Desk(tmp_path)
    bare.path = [ROOT]
    assert bare.bench("plan", "--task", "condition", "--data", "photos", code=2) == ""
