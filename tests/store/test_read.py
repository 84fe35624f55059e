"""What lies on disk may be anything: one bad cell is one line that names its file, the others are shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from bench.commands.main import cli
from bench.compare.baselines.pin import pin, write_baseline
from bench.core.errors import StoreError
from bench.store.read import HISTORY, PER_CLASS, PREDICTIONS, TRIALS, FileFault, readable_cells
from bench.store.write import RESULT, Store, Stored
from tests.grids import answers, grid, put, reseal

FAULTS: dict[str, Any] = {
    "id": 7,
    "id/": "../../x",
    "cell": {},
    "cell/": [],
    "cell/task": None,
    "cell/seed": "0",
    "cell/seed/": True,
    "cell/kind": "no such kind",
    "cell/method_text": 3,
    "cell/protocol": [],
    "cell/protocol/epochs": float("inf"),
    "cell/data": "drawn",
    "cell/data/": {"source": "x"},
    "status": None,
    "reason": 5,
    "metrics": [],
    "metrics/": {},
    "metrics/test": None,
    "metrics/test/top1_micro": "0.5",
    "metrics/test/top1_micro/": 10**400,
    "classes": None,
    "classes/": ["a", "a"],
    "train_support": [1],
    "counts": {"train": "many"},
    "timings": {"seconds": []},
    "choices": {"best_epoch": "last"},
    "environment": None,
    "command": {},
}
"""Where in result.json, and what stands there. A slash at the end tells apart several of one place."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A results folder of four cells."""
    grid(tmp_path / "results", {"none": 0.5, "focal": 0.8}, seeds=(0, 1), n=60)
    return tmp_path / "results"


def cell(root: Path, method: str = "focal", seed: int = 1) -> Stored:
    """Return one of the stored cells."""
    (found,) = [
        stored
        for stored in Store(root).load()[0]
        if (stored.record["cell"]["method_text"], stored.record["cell"]["seed"]) == (method, seed)
    ]
    return found


def bench(*args: object) -> Any:
    """Run a command in this process."""
    return CliRunner().invoke(cli, [str(arg) for arg in args], standalone_mode=False)


def changed(where: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Return what puts the value at a place of a record."""

    def change(record: dict[str, Any]) -> None:
        *path, last = where.rstrip("/").split("/")
        for key in path:
            record = record[key]
        record[last] = value

    return change


def edit(stored: Stored, change: Callable[[dict[str, Any]], object]) -> Path:
    """Rewrite the record of a cell so that its digest fits, and return its path."""
    return reseal(stored.folder, change)


@pytest.mark.parametrize("where", FAULTS)
def test_a_record_of_wrong_types_is_one_line_and_the_others_are_shown(root: Path, where: str) -> None:
    path = edit(cell(root), changed(where, FAULTS[where]))
    done = bench("results", "--results", root, "--format", "json")
    assert done.exception is None and done.return_value == 4
    assert str(path) in done.stderr and done.stderr.count("\n") == 1
    assert len(json.loads(done.stdout)) == 3


@pytest.mark.parametrize("key", ["id", "cell", "status", "metrics", "classes", "train_support"])
def test_a_record_without_a_key_is_one_line(root: Path, key: str) -> None:
    path = edit(cell(root), lambda record: record.pop(key))
    cells, (problem,) = Store(root).load()
    assert len(cells) == 3 and str(path) in problem and key in problem


def test_the_other_commands_get_past_a_bad_record_too(root: Path) -> None:
    good, bad = cell(root, "none", 0), cell(root)
    path = edit(bad, changed("cell", {}))
    done = bench("compare", "--task", "fashion", "--results", root, "--all")
    assert done.exception is None and done.return_value == 4
    assert str(path) in done.stderr and "focal" in done.stdout and "none" in done.stdout
    assert bench("show", good.id[:8], "--results", root).return_value == 0
    error = bench("show", bad.id[:8], "--results", root).exception
    assert isinstance(error, StoreError) and str(path) in str(error)


def test_json_nested_without_end_is_one_line(root: Path) -> None:
    (cell(root).folder / RESULT).write_text("[" * 100_000)
    cells, problems = Store(root).load()
    assert len(cells) == 3 and len(problems) == 1 and "\n" not in problems[0]


TABLES = {
    "not UTF-8": b"class,test_support\n\xff\xfe,3\n",
    "a word": b"abc",
    "a word for a number": b"class,test_support\nShirts,three\n",
    "NaN": b"class,test_support,top1\nShirts,3,nan\n",
    "no class": b"class,test_support\n,3\n",
    "half a class": b"class,test_support\nShirts,1.5\n",
    "a cell too many": b"class,test_support\nShirts,3,4\n",
    "a cell too few": b"class,test_support,top1\nShirts,3\n",
    "an open quote": b'class,test_support\n"Shirts,3\n',
    "nothing": b"",
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES)
def test_a_damaged_table_of_classes_is_one_line(root: Path, text: bytes) -> None:
    bad = cell(root)
    path = bad.folder / PER_CLASS
    path.write_bytes(text)
    reseal(bad.folder)
    done = bench("show", bad.id[:8], "--results", root)
    assert done.exception is None and done.return_value == 4
    assert str(path) in done.stderr and done.stderr.count("\n") == 1
    assert "Metrics" in done.stdout and "History" in done.stdout
    done = bench("compare", "--task", "fashion", "--results", root, "--all", "--format", "json")
    assert done.exception is None and done.return_value == 4
    assert str(path) in done.stderr and done.stderr.count("\n") == 1
    seeds = {(row["method"], row["seeds"]) for row in json.loads(done.stdout)}
    assert seeds >= {("none", "0, 1"), ("focal", "0")}


def test_the_row_that_is_no_class_is_named(root: Path) -> None:
    bad = cell(root)
    (bad.folder / PER_CLASS).write_bytes(b"class,test_support\nShirts,3\n,3\n")
    reseal(bad.folder)
    with pytest.raises(FileFault, match="row 2 has no class or no count of test items"):
        _ = cell(root).per_class


@pytest.mark.parametrize("text", [b"\xff", b"abc", b"epoch,loss\n1,x\n", b"epoch,loss\n1\n"])
def test_a_damaged_history_is_one_line(root: Path, text: bytes) -> None:
    bad = cell(root)
    path = bad.folder / HISTORY
    path.write_bytes(text)
    reseal(bad.folder)
    done = bench("show", bad.id[:8], "--results", root)
    assert done.exception is None and done.return_value == 4
    assert str(path) in done.stderr and done.stderr.count("\n") == 1
    assert "class 0" in done.stdout and "History" not in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b"\n2,none,", b"\n3,none,", "row 2 is not of trial 2, chosen or not"),
        (b",1,", b",2,", "row 1 is not of trial 1, chosen or not"),
        (b"chosen", b"choson", "no column 'chosen'"),
    ],
)
def test_a_damaged_table_of_trials_is_one_line(tmp_path: Path, old: bytes, new: bytes, says: str) -> None:
    put(tmp_path, answers(40, 4, 0.6, 1), scores=(0.6, 0.5))
    (stored,), _ = Store(tmp_path).load()
    assert [(row["trial"], row["chosen"]) for row in stored.trials] == [(1, 1), (2, 0)]
    path = stored.folder / TRIALS
    text = path.read_bytes()
    assert old in text
    path.write_bytes(text.replace(old, new, 1))
    reseal(stored.folder)
    (stored,), _ = Store(tmp_path).load()
    with pytest.raises(FileFault, match=says):
        _ = stored.trials
    assert readable_cells([stored]) == ([stored], [])
    kept, (line,) = readable_cells([stored], trials=True)
    assert not kept and str(path) in line


def test_answers_are_read_where_that_is_asked_of_measured_cells_alone(tmp_path: Path) -> None:
    put(tmp_path, answers(40, 4, 0.6, 1), 0)
    put(tmp_path, answers(40, 4, 0.6, 1), 1)
    put(tmp_path, answers(40, 4, 0.6, 1), 2, status="failed", reason="loss became NaN")
    cells = Store(tmp_path).load()[0]
    (cells[0].folder / PREDICTIONS).write_bytes(b"x" * (cells[0].folder / PREDICTIONS).stat().st_size)
    assert readable_cells(cells) == (cells, [])
    kept, (line,) = readable_cells(cells, answers=True)
    assert kept == cells[1:] and str(cells[0].folder / PREDICTIONS) in line


def test_a_table_that_is_gone_is_told(root: Path) -> None:
    bad = cell(root)
    (bad.folder / PER_CLASS).unlink()
    done = bench("compare", "--task", "fashion", "--all", "--results", root)
    assert done.return_value == 4 and done.stderr.count("\n") == 1
    assert f"{bad.folder / PER_CLASS}: is missing" in done.stderr and done.stdout
    error = bench("show", bad.id[:8], "--results", root).exception
    assert isinstance(error, StoreError) and f"{bad.folder / PER_CLASS}: is missing" in str(error)


def test_a_failed_cell_needs_no_tables(root: Path) -> None:
    bad = cell(root)
    for path in bad.folder.glob("*.csv"):
        path.unlink()
    edit(bad, changed("status", "failed"))
    done = bench("show", bad.id[:8], "--results", root)
    assert done.return_value == 0 and not done.stderr


def without(name: str) -> Callable[[Any], Any]:
    """Return what takes a column out of a table."""
    return lambda table: table.drop_columns([name])


def with_column(name: str, values: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what puts other values into a column."""
    return lambda table: table.set_column(table.column_names.index(name), name, values(table))


ANSWERS: dict[str, Callable[[Any], Any]] = {
    **{f"no {name}": without(name) for name in ("split", "item", "group", "truth", "scores")},
    "wide truth": with_column("truth", lambda table: table["truth"].cast(pa.int64())),
    "truth out of range": with_column("truth", lambda table: pa.array([99] * len(table), pa.int32())),
    "truth with gaps": with_column("truth", lambda table: pa.array([None] * len(table), pa.int32())),
    "scores of one class": with_column("scores", lambda table: pa.array([[1.0]] * len(table))),
    "NaN": with_column(
        "scores", lambda table: pa.array([[float("nan")] * 8] * len(table), pa.list_(pa.float32(), 8))
    ),
    "no ids": with_column("item", lambda table: pa.array([None] * len(table), pa.string())),
    "no test": with_column("split", lambda table: pa.array(["val"] * len(table))),
    "test scattered": with_column(
        "split", lambda table: pa.array((["test", "val"] * len(table))[: len(table)])
    ),
}


@pytest.mark.parametrize("damage", ANSWERS.values(), ids=ANSWERS)
def test_damaged_predictions_are_one_line_and_the_other_seeds_are_compared(
    root: Path, tmp_path: Path, damage: Callable[[Any], Any]
) -> None:
    write_baseline(pin(Store(root).load()[0], "mine"), tmp_path / "baselines")
    path = cell(root).folder / PREDICTIONS
    pq.write_table(damage(pq.read_table(path)), path)
    reseal(path.parent)
    with pytest.raises(StoreError, match="cannot be read"):
        cell(root).predictions()
    args = ("--task", "fashion", "--baseline", "mine", "--baselines", tmp_path / "baselines")
    done = bench("compare", *args, "--results", root, "--format", "json", "--fail-on-regression")
    assert done.exception is None and done.return_value == 4
    assert str(path) in done.stderr and done.stderr.count("\n") == 1
    rows = [row for row in json.loads(done.stdout) if row["metric"] == "top1_micro"]
    assert {(row["method"], row["seeds"]): row["difference"] for row in rows} == {
        ("none", "0, 1"): 0.0,
        ("focal", "0"): 0.0,
    }


def test_a_setting_of_which_nothing_can_be_read_is_missing(root: Path, tmp_path: Path) -> None:
    write_baseline(pin(Store(root).load()[0], "mine"), tmp_path / "baselines")
    for seed in (0, 1):
        path = cell(root, seed=seed).folder / PREDICTIONS
        path.write_bytes(b"?" * path.stat().st_size)
    args = ("--task", "fashion", "--baseline", "mine", "--baselines", tmp_path / "baselines")
    done = bench("compare", *args, "--results", root, "--format", "json")
    assert done.return_value == 4 and done.stderr.count("\n") == 2
    (row,) = [row for row in json.loads(done.stdout) if row["method"] == "focal"]
    assert row["verdict"] == "missing" and "can be read" in row["why"]


@pytest.mark.parametrize("name", [RESULT, PER_CLASS, HISTORY, PREDICTIONS, "model.npz"])
@pytest.mark.parametrize("other", ["pipe", "device", "folder"])
def test_what_is_no_file_is_named_and_nothing_waits_for_it(tmp_path: Path, name: str, other: str) -> None:
    """A read of a pipe that nobody writes to would never end."""
    import os

    from bench.store.head_file import load_head

    grid(tmp_path, {"none": 0.9}, seeds=(0,))
    (stored,), _ = Store(tmp_path).load()
    path = stored.folder / name
    path.unlink(missing_ok=True)
    if other == "pipe":
        os.mkfifo(path)
    elif other == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    with pytest.raises(StoreError, match=f"{name}: .*a {other}"):
        if name == RESULT:
            cells, problems = Store(tmp_path).load()
            assert not cells
            raise StoreError(problems[0])
        if name == "model.npz":
            load_head(stored.folder)
        stored.read(name)
