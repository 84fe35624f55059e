"""A grid from its request to its outcome: what is trained, what is said, how it ends; workers are stubs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.core.cell import Cell
from bench.core.errors import BenchError, NothingMeasured
from bench.core.kind import get_kind
from bench.core.paths import search_path
from bench.core.predictions import CellResult
from bench.runs.cluster_address import Cluster
from bench.runs.grid import GridRun, Outcome, Reporter, run_grid
from bench.runs.launch import WorkOrder
from bench.runs.plan import Plan, Request
from bench.runs.shards import Shard
from bench.store.read import MODEL, RESULT
from bench.store.write import SCRATCH, Store
from bench.training.fits import Epoch, Trained
from tests.grids import answers

REQUEST = Request(
    "fashion", sample="tiny", backbones=("grey",), methods=("none", "focal"), seeds="0", stages=("top20",)
)
NET: Any = SimpleNamespace(save=lambda folder: (folder / MODEL).write_bytes(b"a net"))
HISTORY = Trained(None, 1, (Epoch(1, 1.0, 1.0, 0.5, 0.1),)).rows


class Run:
    """Runs grids of two cells, `none` and `focal`, on the drawn sample.

    failing: reasons by method, `silent`: methods whose cells are not even stored. said: messages in order.
    trained: the methods that were trained, by run. then: what happens once they are.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.failing: dict[str, str] = {}
        self.silent: set[str] = set()
        self.said: list[str] = []
        self.trained: list[list[str]] = []
        self.orders: list[WorkOrder] = []
        self.events: list[Any] = []
        self.planned: list[Any] = []
        self.then: Callable[[], object] = list
        monkeypatch.setattr("bench.runs.launch.execute", self.execute)
        monkeypatch.setattr("bench.store.cell_files.find_spec", lambda name: None)

    def execute(self, plan: Plan, missing: Sequence[Cell], order: WorkOrder, on_event: Any) -> None:
        self.trained.append([cell.method.text for cell in missing])
        self.orders.append(order)
        step = {"done": 0, "total": 1, "what": "training"}
        on_event({"event": "progress", "id": missing[0].id, "status": "begun", **step})
        for cell in missing:
            text = cell.method.text
            pred, metrics = answers(40, 5, 0.6, 0), get_kind("multiclass").metrics
            result = CellResult(
                cell,
                "ok",
                metrics={"test": metrics.summary(pred), "val": metrics.summary(pred)},
                per_class=metrics.per_class(pred),
                counts={"train": 9, "val": 2, "test": 40},
                timings={"seconds": 1.0},
                command=order.command,
                history=HISTORY,
            )
            if reason := self.failing.get(text):
                result = CellResult(cell, "failed", reason=reason)
            if text not in self.silent:
                parts = {} if reason else {"test": pred}
                Store(order.results).commit(result, parts, NET if order.keep and not reason else None)
            status = "failed" if reason else "ok"
            on_event({"event": "cell", "id": cell.id, "status": status, "reason": reason})
        self.then()

    def __call__(self, request: Request = REQUEST, plain: bool = False, **changes: Any) -> Outcome:
        self.said.clear()
        grid = GridRun(
            request,
            search_path("tasks"),
            self.folder / "cache",
            self.folder / "results",
            "bench run --task fashion",
            {"task": "fashion"},
            **changes,
        )
        planned = None if plain else lambda *args: self.planned.append(args)
        return run_grid(grid, Reporter(self.said.append, self.display, planned))

    def display(self, count: int) -> Any:
        run = self

        class Display:
            def __enter__(self) -> Any:
                run.said.append(f"display of {count}")
                return self

            def __exit__(self, *error: object) -> None:
                run.said.append("display ends")

            def on_event(self, event: Any) -> None:
                run.events.append(event)

        return Display()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(tmp_path, monkeypatch)


def methods(cells: Sequence[Any]) -> list[str]:
    """Return the methods of cells, planned or stored."""
    return [one.method.text if isinstance(one, Cell) else one.record["cell"]["method_text"] for one in cells]


def test_missing_cells_are_trained_once_and_come_back_in_order(run: Run) -> None:
    began, results = time.monotonic(), run.folder / "results"
    outcome = run()
    assert run.trained == [["none", "focal"]] and methods(outcome.cells()) == ["none", "focal"]
    assert run.said[0].startswith("no --data given: using the synthetic sample of ")
    assert run.said[1:4] == ["2 of 2 cells to train, 1 backbone", "display of 2", "display ends"]
    assert len(run.said) == 5 and run.said[4].endswith(f"; stored in {results}")
    assert 0 <= float(run.said[4].split()[2]) <= time.monotonic() - began + 0.1
    assert [event["event"] for event in run.events] == ["progress", "cell", "cell"]
    [(plan, examples)] = run.planned
    assert plan is outcome.plan and len(examples.items) > 100
    order = run.orders[0]
    assert (order.command, order.keep, order.results) == ("bench run --task fashion", False, results)
    assert not outcome.failed() and not outcome.failures() and outcome.exit_code() == 0 and not outcome.kept
    left = outcome.cells()[0].folder.parent / f"{SCRATCH}1"
    left.mkdir()
    again = run(plain=True)
    assert run.said[1:] == [f"nothing to do: all 2 cells are stored in {results}"] and len(run.trained) == 1
    assert not left.exists() and methods(again.cells()) == ["none", "focal"] and not again.kept
    run(rerun=True)
    assert run.trained[1] == ["none", "focal"] and len(run.planned) == 2


def test_what_a_killed_run_left_is_swept_before_training(run: Run) -> None:
    left = run().cells()[0].folder.parent / f"{SCRATCH}1"
    left.mkdir()
    run(replace(REQUEST, methods=("smote+ncm", "oversample")))
    assert not left.exists()


def test_data_of_ones_own_is_not_told_of_the_sample(run: Run) -> None:
    from bench.data.sources import SOURCES

    SOURCES["kaggle-fashion"].write(SOURCES["kaggle-fashion"].draw("tiny"), run.folder / "data")
    run(replace(REQUEST, data=run.folder / "data", sample=None))
    assert run.said[0].startswith("2 of 2 cells to train")


def test_the_experiment_of_the_plan_is_stored_beside_the_cells(run: Run) -> None:
    from bench.store.experiment_file import read_experiment

    run(replace(REQUEST, seeds="0-1"))
    [path] = (run.folder / "results" / "fashion").glob("experiment-*.toml")
    assert read_experiment(path) == {
        "task": "fashion",
        "backbones": ["grey"],
        "methods": ["none", "focal"],
        "seeds": [0, 1],
        "stages": ["top20"],
    }


def test_failed_cells_are_told_and_trained_again(run: Run) -> None:
    run.failing = {"focal": "loss became NaN"}
    outcome = run()
    assert methods(outcome.failed()) == ["focal"] and outcome.exit_code() == 4 and not outcome.kept
    assert outcome.failures() == "1 of 2 cells failed: loss became NaN"
    assert not any("their stored results are kept" in line for line in run.said)
    run.failing = {}
    assert run().exit_code() == 0 and run.trained[1] == ["focal"]


def test_a_run_without_any_measurement_has_an_exit_code_of_its_own(run: Run) -> None:
    run.failing = {"none": "no memory", "focal": "loss became NaN"}
    run.silent = {"none"}
    outcome = run(replace(REQUEST, methods=("none",)))
    assert (outcome.exit_code(), outcome.failures()) == (5, "1 of 1 cell failed")
    assert not outcome.cells()
    run.silent = set()
    assert run().exit_code() == 5


def test_the_most_frequent_reason_is_told(run: Run) -> None:
    run.failing = {"none": "no memory", "focal": "NaN", "oversample": "NaN"}
    outcome = run(replace(REQUEST, methods=("none", "focal", "oversample", "class_weight")))
    said = "3 of 4 cells failed, 2 of them: NaN (bench results --task fashion has all reasons)"
    assert outcome.failures() == said


def test_an_older_measurement_is_kept_where_the_cell_fails_this_time(run: Run) -> None:
    before = run().cells()
    run.failing = {"focal": "loss became NaN"}
    outcome = run(rerun=True)
    assert methods(outcome.kept) == ["focal"] and outcome.exit_code() == 4 and not outcome.failed()
    assert "1 cells failed this time; their stored results are kept" in run.said
    assert [one.ok for one in outcome.cells()] == [True, True] and len(before) == 2


def test_a_damaged_cell_is_named_and_trained_again(run: Run) -> None:
    stored = run().cells()[1]
    (stored.folder / RESULT).write_bytes(b"{}")
    run.failing = {"focal": "loss became NaN"}
    run.silent = {"focal"}
    outcome = run()
    assert run.trained[1] == ["focal"] and str(stored.folder) in run.said[1]
    assert run.said[2] == "1 of 2 cells to train, 1 backbone"
    # What cannot be read may have been measured.
    assert methods(outcome.kept) == ["focal"] and methods(outcome.cells()) == ["none"]


def test_a_cell_without_its_model_is_trained_where_models_are_kept(run: Run) -> None:
    one = replace(REQUEST, methods=("none",))
    run(one)
    for _ in range(2):
        run(one, keep_model=True)
    assert run.trained == [["none"], ["none"]] and [order.keep for order in run.orders] == [False, True]


def test_a_file_that_was_changed_is_named_and_its_cell_trained_again(run: Run) -> None:
    """A model, which may be large, is read only where models are kept."""
    one = replace(REQUEST, methods=("none",))
    folder = run(one, keep_model=True).cells()[0].folder
    (folder / MODEL).write_bytes(b"a nix")
    run(one)
    assert len(run.trained) == 1
    run(one, keep_model=True)
    assert len(run.trained) == 2 and str(folder / MODEL) in run.said[1]
    (folder / "history.csv").write_bytes((folder / "history.csv").read_bytes().replace(b"1", b"2"))
    run(one)
    assert len(run.trained) == 3 and str(folder / "history.csv") in run.said[1]


def test_a_cell_that_another_run_has_stored_meanwhile_is_not_trained(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Store.lock

    def waited(store: Store, task: str, waiting: Any) -> Any:
        monkeypatch.setattr(Store, "lock", plain)
        waiting()
        run(replace(REQUEST, methods=("none",)))
        return plain(store, task, waiting)

    monkeypatch.setattr(Store, "lock", waited)
    run()
    assert run.trained == [["none"], ["focal"]]


def test_what_cannot_run_is_told_and_a_model_that_cannot_be_saved_refused(run: Run) -> None:
    run(replace(REQUEST, methods=("none", "smote"), backbones=("lenet",)))
    assert [line.partition(":")[0] for line in run.said if "cannot run" in line] == [
        "cannot run lenet x smote"
    ]
    titles = replace(REQUEST, methods=("none",), backbones=("tfidf",))
    with pytest.raises(BenchError, match="--keep-model: "):
        run(titles, keep_model=True)
    assert run(titles).exit_code() == 0
    with pytest.raises(NothingMeasured, match="none of these combinations can run"):
        run(replace(REQUEST, methods=("smote",), backbones=("lenet",)))


def test_a_shard_has_its_cells_alone_and_may_have_none(run: Run) -> None:
    outcomes = [run(shard=Shard(number, 2)) for number in (1, 2)]
    assert sorted(methods([cell for one in outcomes for cell in one.plan.cells])) == ["focal", "none"]
    assert [len(one) for one in run.trained] == [1, 1] and len(run.planned) == 2
    assert run.planned[0][0] is outcomes[0].plan
    whole = replace(REQUEST, methods=("none",))
    empty = [run(whole, shard=Shard(number, 2)) for number in (1, 2)]
    assert sorted(len(one.plan.cells) for one in empty) == [0, 1]
    assert all(one.exit_code() == 0 for one in empty) and len(run.planned) == 3


def test_the_address_of_a_cluster_is_checked_before_anything_else(run: Run) -> None:
    with pytest.raises(BenchError, match="--on 'nowhere'"):
        run(cluster=Cluster("nowhere"))
    assert not run.said


def test_logs_are_written_of_cells_that_can_be_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[Any] = []

    def write_logs(cells: Sequence[Any], folder: Path) -> int:
        logged.append((methods(cells), folder))
        return len(cells)

    monkeypatch.setattr("bench.store.tensorboard_export.write_logs", write_logs)
    logs = run.folder / "the logs"
    run.failing, run.silent = {"oversample": "NaN", "class_weight": "NaN"}, {"class_weight"}
    every = replace(REQUEST, methods=("none", "focal", "oversample", "class_weight"))
    outcome = run(every, logs=logs)
    assert logged == [(["none", "focal"], logs)]
    assert run.said[-1] == f"2 cells logged in {logs}; tensorboard --logdir '{logs}' shows them"
    history = outcome.cells()[0].folder / "history.csv"
    run.then = lambda: history.write_bytes(history.read_bytes().replace(b"1", b"2"))
    run(every, logs=logs)
    assert logged[1] == (["focal"], logs) and any(str(history) in line for line in run.said)
    run()
    assert len(logged) == 2
