"""`bench.run` is `bench run`: the same cells, stored once, whoever asks for them."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.commands.reproduce_ import options_of
from bench.core.cell import Cell
from bench.core.errors import NothingMeasured
from bench.core.kind import get_kind
from bench.core.predictions import CellResult
from bench.runs.launch import WorkOrder
from bench.runs.plan import Plan
from bench.store.experiment_file import read_experiment
from bench.store.write import Store
from tests.grids import answers
from tests.test_packaging import HEAVY

ROOT = Path(__file__).resolve().parents[2]


class Worker:
    """Stands for the worker processes: stores made-up answers, or failures of the methods named."""

    def __init__(self) -> None:
        self.trained: list[str] = []
        self.failing: set[str] = set()

    def __call__(self, plan: Plan, missing: list[Cell], order: WorkOrder, on_event: Any) -> None:
        for cell in missing:
            status = "failed" if cell.method.text in self.failing else "ok"
            pred = answers(40, 5, 0.6, cell.seed)
            done: dict[str, Any] = {"reason": "the machine was tired"}
            if status == "ok":
                metrics = get_kind(cell.kind).metrics
                done = {
                    "metrics": {"test": metrics.summary(pred), "val": metrics.summary(pred)},
                    "per_class": metrics.per_class(pred),
                    "counts": {"train": 100, "val": 20, "test": 40},
                }
            result = CellResult(cell, status, command=order.command, **done)
            Store(order.results).commit(result, {"test": pred} if status == "ok" else {})
            self.trained.append(cell.id)
            on_event({"event": "cell", "id": cell.id, "status": status, "reason": done.get("reason")})


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    worker = Worker()
    monkeypatch.setattr("bench.runs.launch.execute", worker)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return worker


def asked(**changes: Any) -> dict[str, Any]:
    given = {"task": "fashion", "sample": "tiny", "backbones": ["lenet"], "seeds": range(2)}
    return {**given, "stages": "top20", "methods": ["none", "class_weight"], **changes}


def test_cells_are_trained_once_and_come_back_in_order(
    worker: Worker, capsys: pytest.CaptureFixture[str]
) -> None:
    first = bench.run(**asked())
    assert first.cells == worker.trained and len(first.cells) == 4 and not first.failed
    err = capsys.readouterr().err
    assert "bench: 4 of 4 cells to train" in err and "bench: no --data given" in err
    again = bench.run(**asked(methods="class_weight,none", seeds="0-1"))
    assert sorted(again.cells) == sorted(first.cells) and len(worker.trained) == 4
    assert "nothing to do: all 4 cells are stored" in capsys.readouterr().err
    bench.run(**asked(), rerun=True, progress=False)
    assert len(worker.trained) == 8
    captured = capsys.readouterr()
    assert not captured.err + captured.out


def test_the_command_and_the_file_that_are_stored_ask_for_the_same(worker: Worker) -> None:
    found = bench.run(**asked(settings={"epochs": 3}, backbones=None))
    [line] = {stored.record["command"] for stored in found.stored}
    assert line.startswith("bench run --task fashion --sample tiny --method none --method class_weight ")
    assert options_of(line)["sets"] == ("epochs=3",)
    [path] = found.folder.glob("fashion/experiment-*.toml")
    values = read_experiment(path)
    assert (
        values["backbones"] == ["lenet"] and values["seeds"] == [0, 1] and values["settings"] == {"epochs": 3}
    )
    assert bench.run(experiment=path).cells == found.cells and len(worker.trained) == 4
    done = subprocess.run(
        [sys.executable, "-m", "bench", "plan", *shlex.split(line)[2:], "--format", "json"],
        env={**__import__("os").environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    rows = json.loads(done.stdout)
    assert [row["cell"] for row in rows] == [cell[:8] for cell in found.cells]
    assert {row["state"] for row in rows} == {"stored"}


def test_what_failed_and_what_cannot_run_is_in_the_results(
    worker: Worker, capsys: pytest.CaptureFixture[str]
) -> None:
    worker.failing = {"class_weight"}
    found = bench.run(**asked(methods=["none", "class_weight", "smote"]))
    assert list(found.failed.values()) == ["the machine was tired"] * 2
    assert [text.partition(":")[0] for text in found.skipped] == ["lenet x smote"]
    assert "4 cells, 2 failed" in repr(found)
    err = capsys.readouterr().err
    assert "failed: the machine was tired" in err and "cannot run lenet x smote" in err
    assert "2 of 4 cells failed" in err
    with pytest.raises(bench.BenchError, match="was not measured: the machine was tired"):
        found.predictions(next(iter(found.failed)))
    worker.failing = {"none"}
    nothing = bench.run(**asked(methods="none", seeds=9), progress=False)
    with pytest.raises(NothingMeasured, match="the first one failed: the machine was tired"):
        nothing.table()


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"task": "fashoin"}, "unknown task 'fashoin'; did you mean 'fashion'?"),
        ({"task": None, "sample": None}, "name a task with --task"),
        ({"backbone": "lenet"}, "unknown key 'backbone'; did you mean 'backbones'? (in bench.run)"),
        ({"backbones": ["lenett"]}, "did you mean 'lenet'?"),
        ({"backbones": []}, "bench.run: backbones is empty"),
        ({"seeds": range(0)}, "bench.run: seeds is empty"),
        ({"seeds": [-1]}, "write whole numbers"),
        ({"seeds": [0.5]}, "seeds[0] must be a whole number, not 0.5"),
        ({"methods": object()}, "methods must be a list"),
        ({"settings": {"epohcs": 1}}, "did you mean 'epochs'?"),
        ({"settings": ["epochs=1"]}, "settings must be a table"),
        ({"data": "nowhere", "sample": None}, "nowhere"),
        ({"data": "nowhere"}, "--sample sizes the synthetic sample"),
        ({"experiment": "nosuch.toml"}, "no such file"),
        ({"methods": "smote"}, "none of these combinations can run"),
    ],
)
def test_a_mistake_is_one_line(worker: Worker, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(bench.BenchError) as raised:
        bench.run(**asked(**changes), progress=False)
    assert says in str(raised.value) and "\n" not in str(raised.value) and not worker.trained


def test_numbers_and_paths_of_other_libraries_are_taken(worker: Worker, tmp_path: Path) -> None:
    import numpy as np

    plain = bench.run(**asked(settings={"epochs": 5, "lr": 0.5}), results="r")
    own = {"epochs": np.int64(5), "lr": np.float64(0.5)}
    other = bench.run(**asked(seeds=np.arange(2), settings=own, backbones=("lenet",), results=tmp_path / "r"))
    assert other.cells == plain.cells and len(worker.trained) == 4


def test_results_are_asked_for_their_cells_alone(worker: Worker) -> None:
    first, second = bench.run(**asked(methods="none")), bench.run(**asked(methods="class_weight"))
    assert list(first.frame()["method"]) == ["none"] * 2
    with pytest.raises(bench.BenchError, match="is not one of these results"):
        first.predictions(second.cells[0])
    assert len(bench.load().cells) == 4


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys, bench; print(*{name.partition('.')[0] for name in sys.modules}, bench.__version__)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not (HEAVY | {"click", "rich"}) & set(done.stdout.split())
    code = "import sys, bench; bench.run; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not HEAVY & set(done.stdout.split())


def test_public_names_are_there_and_others_are_not() -> None:
    assert {"run", "load", "Results"} <= set(dir(bench))
    assert all(getattr(bench, name) is not None for name in bench.__all__)
    with pytest.raises(AttributeError, match="nosuch"):
        bench.nosuch  # type: ignore[attr-defined]  # noqa: B018
