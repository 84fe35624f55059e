"""The real command in a folder of its own: what a user types, reads, kills and types again."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.store.write import Store
from tests.grids import reseal
from tests.place import Place

RUN = ("run", "--task", "fashion", "--sample", "tiny", "--set", "epochs=3")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place where a small grid has run."""
    place = Place(tmp_path_factory.mktemp("place"))
    grid = ("--backbone", "lenet", "--method", "none,class_weight", "--seed", "0")
    place.out, place.err = place.started(*RUN, *grid)
    return place


def test_a_run_says_it_is_the_drawn_sample_and_prints_its_tables(place: Place) -> None:
    assert "synthetic sample" in place.err and "--data DIR" in place.err
    for word in ("top20", "remaining", "none", "class_weight", "top-1 macro", "trivial", "bench show "):
        assert word in place.out
    assert place.out.count("\n") <= 40
    cells, problems = place.store.load("fashion")
    assert len(cells) == 4 and not problems and all(stored.ok for stored in cells)
    for stored in cells:
        counts, test = stored.record["counts"], stored.predictions("test")
        assert counts["test"] == len(test.items) == stored.record["metrics"]["test"]["n"]
        assert counts["val"] == len(stored.predictions("val").items)
        assert sum(stored.record["train_support"]) == counts["train"] + counts["val"]


def test_a_second_run_does_nothing_and_imports_no_tensorflow(place: Place) -> None:
    args = (*RUN, "--backbone", "lenet", "--method", "none,class_weight", "--seed", "0")
    (place.folder / "tensorflow.py").write_text("raise SystemExit('tensorflow was imported')")
    try:
        out, err = place.started(*args)
    finally:
        (place.folder / "tensorflow.py").unlink()
    assert "nothing to do" in err
    assert out == place.out


def test_results_in_every_format(place: Place) -> None:
    rows = json.loads(place.bench("results", "--format", "json")[0])
    assert len(rows) == 4
    named = "cell task stage regime backbone method seed status seconds"
    measured = "top1_micro top1_macro top5_micro top5_macro f1_macro auc_macro"
    assert {*named.split(), *measured.split()} <= set(rows[0])
    table = list(csv.DictReader(io.StringIO(place.bench("results", "--format", "csv")[0])))
    assert [row["cell"] for row in table] == [row["cell"] for row in rows]
    assert float(table[0]["top1_micro"]) == rows[0]["top1_micro"]
    assert place.bench("results", "--format", "md")[0].count("|") > 40
    assert "lenet" in place.bench("results")[0]


def test_show_prints_a_cell_whole(place: Place) -> None:
    stored = place.store.load()[0][0]
    out, _ = place.bench("show", stored.id[:8])
    for name in stored.record["classes"]:
        assert name in out
    assert json.loads(place.bench("show", stored.id[:8], "--format", "json")[0])
    _, err = place.bench("show", "zzzz", code=2)
    assert "no stored cell begins with 'zzzz'" in err


def test_plan_knows_what_is_stored(place: Place) -> None:
    out, _ = place.bench("plan", *RUN[1:], "--method", "none,focal,smote", "--seed", "0", "--format", "json")
    states = [(row["method"], row["state"]) for row in json.loads(out)]
    assert states.count(("none", "stored")) == 2 and states.count(("focal", "to run")) == 2
    assert states.count(("smote", "cannot run")) == 1


def test_compare_shows_the_difference_and_withholds_the_verdict(place: Place) -> None:
    out, _ = place.bench("compare", "--task", "fashion", "--format", "json")
    rows = json.loads(out)
    assert rows and {row["verdict"] for row in rows} <= {"not comparable", "missing"}
    assert any(row["difference"] is not None for row in rows)


def test_pin_then_compare_then_a_regression(place: Place) -> None:
    place.bench("baseline", "pin", "mine", "--task", "fashion")
    against = ("compare", "--task", "fashion", "--baselines", "baselines", "--baseline", "mine")
    out, _ = place.bench(*against, "--fail-on-regression", "--format", "json")
    assert {row["verdict"] for row in json.loads(out)} == {"same", None}
    path = place.folder / "baselines" / "fashion" / "mine.json"
    assert path.is_file()
    _, err = place.bench("baseline", "pin", "mine", "--task", "fashion", code=2)
    assert "--force" in err
    _answer(place.folder, "better", 1.0)
    _answer(place.folder, "worse", -1.0)
    place.bench("baseline", "pin", "best", "--task", "fashion", "--results", "better")
    against = (*against[:-1], "best")
    place.bench(*against, "--results", "better", "--fail-on-regression")
    _, err = place.bench(*against, "--results", "worse", "--fail-on-regression", code=3)
    assert "regressions against best" in err
    shutil.rmtree(next((place.folder / "worse").glob("fashion/lenet/class_weight")))
    _, err = place.bench(
        *against, "--results", "worse", "--metric", "f1_macro", "--fail-on-regression", code=3
    )
    place.bench(*against, "--results", "worse")


def _answer(folder: Path, name: str, score: float) -> None:
    """Copy the results as if every true class had got this score and the others 0."""
    shutil.copytree(folder / "results", folder / name)
    for answers in (folder / name).rglob("predictions.parquet"):
        table = pq.ParquetFile(answers).read()
        width = len(table["scores"][0])
        scores = score * np.eye(width, dtype=np.float32)[table["truth"].to_numpy()]
        column = pa.array(scores.tolist(), table.schema.field("scores").type)
        pq.write_table(table.set_column(table.column_names.index("scores"), "scores", column), answers)
        reseal(answers.parent)


def test_lists_and_help(place: Place) -> None:
    for what, known in (("tasks", "fashion"), ("backbones", "mobilenet_025"), ("methods", "logit_adjust"),
                        ("baselines", "seed-003-resnet50"), ("metrics", "f1_macro")):  # fmt: skip
        assert known in place.bench("list", what)[0]
    assert "run" in place.bench("--help")[0]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("rum",), "did you mean 'run'"),
        (("run", "--task", "fashon"), "did you mean 'fashion'"),
        (("run", "--task", "fashion", "--backbone", "lennet"), "did you mean 'lenet'"),
        (("run", "--task", "fashion", "--method", "focl"), "did you mean 'focal'"),
        (("run", "--task", "fashion", "--set", "epoch=3"), "did you mean 'epochs'"),
        (("run", "--task", "fashion", "--seeds", "0"), "did you mean '--seed'"),
        (("run", "--task", "fashion", "--sample", "big"), "tiny, small"),
        (("run", "--task", "fashion", "--format", "jsn"), "did you mean 'json'"),
        (("run", "--task", "fashion", "--data", "/no/such/folder"), "/no/such/folder"),
        (("run",), "--task"),
        (("run", "--task", "fashion", "--data", "x", "--sample", "tiny"), "--sample"),
        (
            ("compare", "--task", "fashion", "--baseline", "seed-003-resnet5"),
            "did you mean 'seed-003-resnet50'",
        ),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(place: Place, args: tuple[str, ...], says: str) -> None:
    out, err = place.bench(*args, code=2)
    assert says in err and not out
    assert len([line for line in err.splitlines() if "no --data given" not in line]) == 1


def test_a_cell_that_fails_is_stored_and_the_others_go_on(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.env["KERAS_HOME"] = str(tmp_path / "keras")
    args = ("--backbone", "mobilenet_025,lenet", "--method", "none", "--seed", "0", "--stage", "top20")
    _, err = place.bench(*RUN, *args, code=4)
    assert "mobilenet_2_5_224_tf_no_top.h5" in err
    rows = {row["backbone"]: row for row in json.loads(place.bench("results", "--format", "json")[0])}
    assert rows["lenet"]["status"] == "ok" and rows["mobilenet_025"]["status"] == "failed"
    assert "mobilenet_2_5_224_tf_no_top.h5" in rows["mobilenet_025"]["reason"]


def test_nan_is_a_failed_cell_and_exit_4(tmp_path: Path) -> None:
    place = Place(tmp_path)
    args = (
        "run",
        "--task",
        "fashion",
        "--sample",
        "tiny",
        "--backbone",
        "lenet",
        "--seed",
        "0",
        "--stage",
        "top20",
    )
    place.bench(*args, "--method", "none", "--set", "epochs=1")
    _, err = place.bench(*args, "--method", "none", "--set", "epochs=1", "--set", "lr=1e30", code=5)
    assert "NaN" in err or "inf" in err
    rows = json.loads(place.bench("results", "--format", "json")[0])
    assert sorted(row["status"] for row in rows) == ["failed", "ok"]
    assert next(row["reason"] for row in rows if row["status"] == "failed")


@pytest.mark.slow
def test_kill_9_then_the_same_command_gives_the_same_results(tmp_path: Path) -> None:
    whole, killed = Place(tmp_path / "whole"), Place(tmp_path / "killed")
    args = (*RUN, "--backbone", "lenet", "--method", "none,oversample,logit_adjust", "--seed", "0-1")
    for place in (whole, killed):
        place.folder.mkdir()
    whole.bench(*args)
    process = killed.start(*args)
    deadline = time.monotonic() + 600
    while not list(killed.folder.glob("results/fashion/*/*/s*/result.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kept = killed.store.load()[0]
    assert 0 < len(kept) < 12
    _, err = killed.bench(*args)
    assert f"{12 - len(kept)} of 12 cells" in err
    equal_results(whole.store, killed.store, 12)


@pytest.mark.slow
def test_two_runs_at_once_share_the_work(tmp_path: Path) -> None:
    place = Place(tmp_path)
    args = (*RUN, "--backbone", "lenet", "--method", "none,oversample", "--seed", "0")
    both = [place.start(*args) for _ in range(2)]
    outputs = [process.communicate(timeout=600) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum("waiting for it to end" in err for _, err in outputs) == 1
    assert outputs[0][0] == outputs[1][0]
    assert len(place.store.load()[0]) == 4
    assert not list(tmp_path.rglob(".tmp-*"))


def equal_results(one: Store, two: Store, cells: int) -> None:
    """Check that two folders hold the same cells with the same bits."""
    first, second = ({stored.id: stored for stored in store.load()[0]} for store in (one, two))
    assert set(first) == set(second) and len(first) == cells
    for name, stored in first.items():
        for split in ("val", "test"):
            np.testing.assert_array_equal(
                stored.predictions(split).scores, second[name].predictions(split).scores
            )
        assert stored.record["metrics"] == second[name].record["metrics"]
