"""Exported tables and MLflow runs say what is stored, nothing else, and twice the same."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner

from bench.commands.main import cli
from bench.core.errors import BenchError, StoreError
from bench.core.protocol import KEYS
from bench.store.export import PROTOCOL_PREFIX, numbers
from bench.store.write import Store
from tests.grids import answers, become, grid, put

NASTY = ("=1+1", "@sum(A1)", "-2", "+x", 'a "quoted", one\nin two lines', "<b>", "Tôps", "plain")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with four measured cells of nasty class names, and a failed one."""
    folder = tmp_path_factory.mktemp("export") / "results"
    grid(folder, {"none": 0.5, "focal": 0.8}, seeds=(0, 1), n=60, classes=NASTY)
    put(folder, answers(20, 4, 0.5, 0), status="failed", reason="=loss became NaN", task="marketplace")
    return folder


def bench(*args: object) -> Any:
    """Run a command in this process."""
    return CliRunner().invoke(cli, [str(arg) for arg in args], standalone_mode=False)


def by_hand(root: Path) -> dict[tuple[str, str, str, str], float | None]:
    """Return (id, split, class, metric) -> value, read from the files without the package's readers."""
    found: dict[tuple[str, str, str, str], float | None] = {}
    for path in sorted(root.glob("*/*/*/*/result.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["status"] != "ok":
            found[record["id"], "", "", ""] = None
            continue
        for split, values in record["metrics"].items():
            found |= {(record["id"], split, "", metric): value for metric, value in values.items()}
        with (path.parent / "per_class.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                name = row.pop("class")
                name = name[1:] if name[:2] in ("'=", "'+", "'-", "'@", "'\t", "'\r") else name
                row.pop("group")
                found |= {
                    (record["id"], "test", name, metric): float(text) if text else None
                    for metric, text in row.items()
                }
    return found


def test_parquet_holds_every_stored_number_once(root: Path, tmp_path: Path) -> None:
    done = bench("export", "--results", root, "--out", tmp_path / "all.parquet")
    assert done.return_value == 0, done
    frame = pd.read_parquet(tmp_path / "all.parquet")
    expected = by_hand(root)
    assert f"wrote {len(expected)} rows of 5 cells" in done.stdout and len(frame) == len(expected)
    for row in frame.to_dict("records"):
        value = expected.pop((row["id"], row["split"], row["class"], row["metric"]))
        assert pd.isna(row["value"]) if value is None else row["value"] == value
    assert not expected


def test_csv_and_parquet_agree_and_no_cell_is_a_formula(root: Path, tmp_path: Path) -> None:
    for name in ("all.csv", "all.parquet"):
        assert bench("export", "--results", root, "--out", tmp_path / name).return_value == 0
    frame = pd.read_parquet(tmp_path / "all.parquet")
    with (tmp_path / "all.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(frame.columns) and len(rows) == len(frame)
    assert {row["class"] for row in rows} >= {"'=1+1", "'@sum(A1)", "'-2", "'+x", NASTY[4], "plain"}
    for row, expected in zip(rows, frame.to_dict("records"), strict=True):
        for key, text in row.items():
            value: Any = expected[key]
            if pd.isna(value):
                assert text == ""
            elif isinstance(value, bool):
                assert text == str(value).lower()
            elif isinstance(value, str):
                assert text == (f"'{value}" if value[:1] in set("=+-@\t\r") else value)
            else:
                assert float(text) == value
        for text in row.values():
            assert text[:1] not in ("=", "@", "+", "\t") and (text[:1] != "-" or float(text))


def test_a_failed_cell_is_one_row_with_its_reason(root: Path, tmp_path: Path) -> None:
    bench("export", "--results", root, "--task", "marketplace", "--out", tmp_path / "m.csv")
    (row,) = csv.DictReader((tmp_path / "m.csv").open(encoding="utf-8"))
    assert (row["status"], row["reason"], row["metric"], row["value"]) == (
        "failed",
        "'=loss became NaN",
        "",
        "",
    )


def test_protocol_values_have_a_column_each_and_their_own_type(root: Path, tmp_path: Path) -> None:
    grid(tmp_path / "r", {"none": 0.5}, seeds=(0,), n=30)
    grid(tmp_path / "r", {"none": 0.5}, seeds=(0,), n=30, protocol={"lr": 0.25, "noise": "pair"})
    bench("export", "--results", tmp_path / "r", "--out", tmp_path / "p.parquet")
    frame = pd.read_parquet(tmp_path / "p.parquet")
    settings = {
        name.removeprefix(PROTOCOL_PREFIX) for name in frame.columns if name.startswith(PROTOCOL_PREFIX)
    }
    assert {"epochs", "input_size", "lr", "noise", "patience", "refit"} == settings
    one = frame.drop_duplicates("id")
    # A cell from before a key was there was run as its default says.
    assert set(one["p_lr"]) == {0.25, KEYS["lr"].default} and set(one["p_noise"]) == {"pair", "none"}
    assert frame["p_refit"].dtype == bool and frame["p_epochs"].dtype == "int64"


def test_mixed_and_foreign_values_of_an_edited_file_are_text(tmp_path: Path) -> None:
    ids = grid(tmp_path / "r", {"none": 0.5, "focal": 0.5}, seeds=(0,), n=30)
    folder = next((tmp_path / "r").glob(f"*/*/*/*{next(iter(ids.values()))[:8]}"))
    odd = {"epochs": "=cmd()", "odd": [1, {"a": None}], "big": 2**70}
    become(folder, lambda record: record["cell"]["protocol"].update(odd))
    for name in ("p.parquet", "p.csv"):
        assert bench("export", "--results", tmp_path / "r", "--out", tmp_path / name).return_value == 0
    frame = pd.read_parquet(tmp_path / "p.parquet").drop_duplicates("id")
    assert set(frame["p_epochs"]) == {"=cmd()", "30"}
    assert set(frame["p_odd"].dropna()) == {'[1,{"a":null}]'} and set(frame["p_big"].dropna()) == {2.0**70}
    assert "'=cmd()" in (tmp_path / "p.csv").read_text(encoding="utf-8")


def test_a_damaged_cell_is_named_and_left_out(root: Path, tmp_path: Path) -> None:
    ids = grid(tmp_path / "r", {"none": 0.5, "focal": 0.5}, seeds=(0,), n=30)
    first, second = ids.values()
    next((tmp_path / "r").glob(f"*/*/*/*{first[:8]}/per_class.csv")).write_text("class\nx\n")
    done = bench("export", "--results", tmp_path / "r", "--out", tmp_path / "x.csv")
    assert done.return_value == 4 and "per_class.csv" in done.stderr
    with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
        assert {row["id"] for row in csv.DictReader(file)} == {second}


@pytest.mark.parametrize(
    "args, says",
    [
        ([], "no output: give"),
        (["--out", "table.cvs"], "did you mean 'csv'?"),
        (["--out", "table"], "give --format"),
        (["--out", ".", "--format", "csv"], "is a folder"),
        (["--out", "x.csv", "--format", "paquet"], "did you mean 'parquet'?"),
        (["--out", "x.csv", "--task", "fashoin"], "did you mean 'fashion'?"),
        (["--out", "/dev/null/x.csv"], "cannot be written"),
        (["--mlflow", "."], "is a folder"),
        (["--mlflow", " "], "--mlflow is empty"),
        (["--mlflow", "nosuch://x"], "cannot be used"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    root: Path, tmp_path: Path, args: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    error = bench("export", "--results", root, *args).exception
    assert isinstance(error, BenchError) and says in str(error) and "\n" not in str(error)
    assert not list(tmp_path.iterdir())


def test_nothing_stored_is_said(tmp_path: Path) -> None:
    done = bench("export", "--results", tmp_path / "none", "--out", tmp_path / "x.csv")
    assert done.return_value == 5 and "nothing is stored" in done.stderr and not (tmp_path / "x.csv").exists()


def test_a_file_that_was_there_stays_when_writing_fails(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.csv").write_text("mine")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bench.store.export.numbers", full)
    error = bench("export", "--results", root, "--out", tmp_path / "x.csv").exception
    assert isinstance(error, StoreError) and "No space left" in str(error)
    assert [path.name for path in tmp_path.iterdir()] == ["x.csv"]
    assert (tmp_path / "x.csv").read_text() == "mine"


# MLflow


def test_each_cell_is_one_run_however_often_it_is_exported(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="MLflow is not installed")
    from mlflow.tracking import MlflowClient

    grid(tmp_path / "r", {"none": 0.5, "focal": 0.8}, seeds=(0,), n=60, classes=NASTY)
    put(tmp_path / "r", answers(20, 4, 0.5, 0), seed=5, status="failed", reason="no luck")
    uri = f"sqlite:///{tmp_path}/runs.db"
    first = bench("export", "--results", tmp_path / "r", "--mlflow", tmp_path / "runs.db")
    assert first.return_value == 0 and "3 runs made, 0 already there" in first.stdout
    assert (
        "0 runs made, 3 already there" in bench("export", "--results", tmp_path / "r", "--mlflow", uri).stdout
    )
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("messybench fashion")
    assert experiment is not None
    runs = {run.data.tags["messybench.cell"]: run for run in client.search_runs([experiment.experiment_id])}
    stored, _ = Store(tmp_path / "r").load()
    assert set(runs) == {cell.id for cell in stored}
    for cell in stored:
        run = runs[cell.id]
        assert run.info.status == ("FINISHED" if cell.ok else "FAILED")
        assert run.data.params["method"] == cell.record["cell"]["method_text"]
        assert run.data.params["protocol.epochs"] == "30"
        files = {file.path for file in client.list_artifacts(run.info.run_id)}
        if not cell.ok:
            assert files == {"result.json"} and run.data.params["reason"] == "no luck"
            continue
        assert files == {"result.json", "per_class.csv", "history.csv"}
        for split, values in cell.record["metrics"].items():
            for metric, value in values.items():
                assert run.data.metrics.get(f"{split}/{metric}") == value
        losses = client.get_metric_history(run.info.run_id, "epoch/loss")
        assert [(point.step, point.value) for point in losses] == [
            (row["epoch"], row["loss"]) for row in cell.history
        ]
    assert {path.name for path in tmp_path.iterdir()} == {"r", "runs.db", "runs.db.artifacts"}


def test_a_cell_trained_again_replaces_its_run(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="MLflow is not installed")
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path}/runs.db"
    for accuracy in (0.3, 0.9):
        identity = put(tmp_path / "r", answers(80, 4, accuracy, 0))
        assert "1 runs made" in bench("export", "--results", tmp_path / "r", "--mlflow", uri).stdout
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("messybench fashion")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    (stored,) = Store(tmp_path / "r").load()[0]
    assert run.data.tags["messybench.cell"] == identity
    assert run.data.metrics["test/top1_micro"] == stored.record["metrics"]["test"]["top1_micro"] > 0.6


def test_without_mlflow_the_extra_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", None)
    error = bench("export", "--results", root, "--mlflow", "runs.db").exception
    assert isinstance(error, BenchError) and "messybench[mlflow]" in str(error)


def test_numbers_come_overall_first_then_by_class(root: Path) -> None:
    stored = next(cell for cell in Store(root).load()[0] if cell.ok)
    rows = list(numbers(stored))
    overall = [row.name == "" for row in rows]
    assert overall == sorted(overall, reverse=True)
    assert {row.split for row in rows} == {"val", "test", "trivial"}
    assert {row.group for row in rows} >= {"", "many"}
