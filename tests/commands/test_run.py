"""`bench run` as a command: what it prints, saves, says and ends with; workers are stubs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.commands.main import cli
from bench.core.errors import BenchError
from bench.store.experiment_file import read_experiment
from bench.store.read import MODEL
from bench.store.write import Store
from tests.runs.test_grid import Run

ARGS = (
    *("run", "--task", "fashion", "--sample", "tiny", "--backbone", "grey", "--seed", "0"),
    *("--stage", "top20", "--method", "none,focal"),
)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return Run(tmp_path, monkeypatch)


def bench(*args: str) -> Any:
    """Run the command and return its exit code."""
    return cli.main([*ARGS, "--results", "results", *args], standalone_mode=False)


def test_a_run_ends_with_its_tables_and_a_quiet_one_without(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("--quiet") == 0
    out, err = capsys.readouterr()
    assert not out and "bench: 2 of 2 cells to train" in err
    assert bench() == 0
    out, err = capsys.readouterr()
    assert out.startswith("fashion top20: ") and "bench: nothing to do" in err and "cells failed" not in err
    assert run.trained == [["none", "focal"]]


def test_failed_cells_are_told_last_and_decide_the_exit_code(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run.failing = {"focal": "loss became NaN"}
    for args in ((), ("--quiet",)):
        assert bench(*args) == 4
        assert capsys.readouterr().err.endswith("bench: 1 of 2 cells failed: loss became NaN\n")


@pytest.mark.parametrize("verbose", [(), ("--verbose",)], ids=["plain", "verbose"])
def test_progress_is_shown_and_explained_where_that_is_asked_for(
    run: Run, capsys: pytest.CaptureFixture[str], verbose: tuple[str, ...]
) -> None:
    run.failing = {"focal": "loss became NaN"}
    assert bench(*verbose) == 4
    err = capsys.readouterr().err
    assert "failed: loss became NaN" in err
    for part in (
        "bench: methods none, focal (as asked for)",
        "is trained because it is not stored",
        "top20 grey none",
    ):
        assert (part in err) == bool(verbose), part


def test_a_column_that_no_table_has_is_refused_before_anything_is_trained(run: Run) -> None:
    with pytest.raises(BenchError, match="nosuch"):
        bench("--columns", "nosuch")
    assert not run.trained
    assert bench("--columns", "nosuch", "--quiet") == 0, "there are no tables"


def test_a_file_that_cannot_be_read_is_in_the_exit_code_of_its_tables(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for read, code in ((True, 0), (False, 4)):
        monkeypatch.setattr("bench.commands.run_.print_ending", lambda *_, read=read: read)
        assert bench() == code and bench("--quiet") == 0
    run.failing = {"none": "loss became NaN", "focal": "loss became NaN"}
    assert bench("--seed", "1") == 5


def test_the_options_are_saved_where_that_is_asked_for(run: Run) -> None:
    assert bench("--quiet", "--save", "saved.toml") == 0
    values = read_experiment(Path("saved.toml"))
    assert (values["methods"], values["seeds"], values["stages"]) == (["none,focal"], "0", ["top20"])
    assert bench("--quiet") == 0
    assert [path.name for path in Path().glob("*.toml")] == ["saved.toml"]


def test_options_reach_the_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[Path] = []

    def write_logs(cells: object, folder: Path) -> int:
        logged.append(folder)
        return 0

    monkeypatch.setattr("bench.store.tensorboard_export.write_logs", write_logs)
    assert bench("--quiet", "--keep-model") == 0
    cells, _ = Store(Path("results")).load()
    assert all(stored.has(MODEL) for stored in cells) and not logged
    assert bench("--quiet", "--rerun", "--tensorboard", "logs", "--shard", "1/1") == 0
    assert len(run.trained) == 2 and [path.name for path in logged] == ["logs"]
    first, second = run.orders
    assert (first.keep, second.keep) == (True, False) and first.cluster is None
    assert first.results == Path("results").resolve() and first.cache == (run.folder / "cache").resolve()
    assert first.command.startswith("bench run --task fashion --sample tiny ")
    assert "--keep-model" in first.command and "--quiet" not in first.command
