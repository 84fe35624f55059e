"""A second run of a stored cell: what is asked for again, and what its answers amount to."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from bench.commands.main import cli
from bench.commands.reproduce_ import options_of
from bench.core import environment as env
from bench.core.cell import Cell
from bench.core.errors import BenchError, DataError, StoreError
from bench.core.paths import search_path
from bench.core.predictions import CellResult, Predictions
from bench.data.sources import SOURCES
from bench.runs.launch import WorkOrder
from bench.runs.open_task import open_task
from bench.runs.plan import Plan, Request, make_plan
from bench.runs.reproduce import (
    DIFFERENT,
    EQUAL,
    WITHIN,
    LocalPaths,
    environment_changes,
    identity_changes,
    request_of,
    verdict,
)
from bench.store.answers import AnswerDifference, compare_predictions
from bench.store.write import Store, Stored
from tests import forked
from tests.grids import answers, become

ROOT = Path(__file__).resolve().parents[2]
COMMAND = "bench run --task fashion --sample tiny --backbone lenet --set epochs=2"


def bench(*args: object) -> Any:
    """Run a command in this process."""
    return CliRunner().invoke(cli, [str(arg) for arg in args], standalone_mode=False)


def planned(request: Request, cache: Path) -> Cell:
    card, examples = open_task(request, search_path("tasks"), cache)
    return make_plan(card, request, examples).cells[0]


def put(root: Path, cell: Cell, test: Predictions, command: str = COMMAND, status: str = "ok") -> Stored:
    """Store a cell with these predictions, the last seven of them as validation."""
    val = replace(test, items=test.items[-7:], truth=test.truth[-7:], scores=test.scores[-7:])
    result = CellResult(
        cell,
        status,
        reason=None if status == "ok" else "loss became NaN in epoch 1",
        metrics={"test": {"top1_micro": 0.5}},
        per_class=({"class": "class 0", "test_support": 1},),
        environment=env.record(),
        command=command,
    )
    Store(root).commit(result, {"val": val, "test": test} if status == "ok" else {})
    found = Store(root).find(cell)
    assert found is not None
    return found


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Cell:
    """A cell of the tiny drawn sample, as it is planned."""
    request = Request("fashion", sample="tiny", backbones=("lenet",), methods=("none",), seeds="3")
    return planned(replace(request, settings={"epochs": 2, "lr": 0.5}), tmp_path_factory.mktemp("c"))


Change = Callable[[Predictions], Predictions]


@pytest.fixture
def second_run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[WorkOrder]]:
    """Let the second run answer as told, without training."""

    def prepare(
        first: Predictions, change: Change = lambda pred: pred, status: str = "ok"
    ) -> list[WorkOrder]:
        seen: list[WorkOrder] = []

        def execute(plan: Plan, missing: tuple[Cell, ...], order: WorkOrder, on_event: object) -> None:
            seen.append(order)
            for one in missing:
                put(order.results, one, change(first), status=status)

        monkeypatch.setattr("bench.runs.reproduce.execute", execute)
        return seen

    return prepare


def nudge(by: float) -> Change:
    return lambda pred: replace(pred, scores=(pred.scores + np.float32(by)).astype(np.float32))


def flip(pred: Predictions) -> Predictions:
    scores = pred.scores.copy()
    scores[0] = scores[0][::-1]
    return replace(pred, scores=scores)


@pytest.mark.parametrize(
    "change, says, code",
    [
        (lambda pred: pred, "equal", 0),
        (nudge(5e-5), "within tolerance", 0),
        (nudge(5e-3), "different", 3),
        (flip, "different", 3),
        (lambda pred: replace(pred, items=pred.items[::-1]), "different", 3),
    ],
)
def test_the_verdict_and_the_exit_code(
    cell: Cell, tmp_path: Path, second_run: Any, change: Change, says: str, code: int
) -> None:
    first = answers(40, 6, 0.5, 0)
    put(tmp_path, cell, first)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    seen = second_run(first, change)
    done = bench("reproduce", cell.id8, "--results", tmp_path, "--format", "json")
    assert done.return_value == code, done
    (row,) = json.loads(done.stdout)
    assert row["cell"] == cell.id8 and row["verdict"] == says and row["changes"] == "nothing"
    # Nothing that is stored was touched, and nothing of the second run stays.
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    assert not seen[0].results.exists() and not seen[0].cache.exists()


def test_scores_of_another_processor_are_not_called_different(
    cell: Cell, tmp_path: Path, second_run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = answers(40, 6, 0.5, 0)
    put(tmp_path, cell, first)
    here = env.record()
    monkeypatch.setattr(env, "record", lambda *_: {**here, "processor": "an abacus", "vendor": "Abacus"})
    expected: list[tuple[Change, str, int]] = [
        (nudge(5e-3), "other processor", 5),
        (nudge(5e-5), "within tolerance", 0),
        (lambda pred: pred, "equal", 0),
    ]
    for change, says, code in expected:
        second_run(first, change)
        done = bench("reproduce", cell.id8, "--results", tmp_path, "--format", "json")
        (row,) = json.loads(done.stdout)
        assert done.return_value == code and row["verdict"] == says
        assert "-> an abacus" in row["changes"]
    second_run(first, lambda pred: replace(pred, items=pred.items[::-1]))
    assert bench("reproduce", cell.id8, "--results", tmp_path).return_value == 3, (
        "other items are no rounding"
    )
    second_run(first, nudge(5e-3))
    assert (
        "on the processor that its record names" in bench("reproduce", cell.id8, "--results", tmp_path).stdout
    )


def test_the_second_run_asks_for_just_the_stored_cell(cell: Cell, tmp_path: Path, second_run: Any) -> None:
    first = answers(40, 6, 0.5, 0)
    put(tmp_path, cell, first)
    seen = second_run(first)
    bench("reproduce", cell.id, "--results", tmp_path)
    (order,) = seen
    assert order.request.sample == "tiny" and order.request.data is None
    assert planned(order.request, tmp_path / "c").id == cell.id


def test_tolerance_and_cache_are_as_asked(cell: Cell, tmp_path: Path, second_run: Any) -> None:
    first = answers(40, 6, 0.5, 0)
    put(tmp_path / "r", cell, first)
    seen = second_run(first, nudge(5e-3))
    args = ("reproduce", cell.id8, "--results", tmp_path / "r")
    assert bench(*args, "--tolerance", 0.01, "--cache", tmp_path / "cache").return_value == 0
    assert seen[0].cache == (tmp_path / "cache").resolve()
    assert bench(*args, "--tolerance", 0).return_value == 3


def test_what_changed_since_is_named(cell: Cell, tmp_path: Path, second_run: Any) -> None:
    first = answers(40, 6, 0.5, 0)
    stored = put(tmp_path, cell, first)
    now = stored.record["environment"]["packages"]["numpy"]

    def as_it_was(record: dict[str, Any]) -> None:
        record["environment"]["packages"]["numpy"] = "1.0"
        record["environment"]["processor"] = "an abacus"
        # A key that came later, and was not there when the cell was stored.
        del record["cell"]["protocol"]["duplicates"]

    folder = become(stored.folder, as_it_was)
    second_run(first, nudge(1.0))
    done = bench("reproduce", folder.name, "--results", tmp_path, "--format", "json")
    (row,) = json.loads(done.stdout)
    assert row["verdict"] == "other processor" and done.return_value == 5
    assert row["changed"] == 0 and row["largest"] == pytest.approx(1.0)
    assert f"numpy 1.0 -> {now}" in row["changes"] and "processor an abacus -> " in row["changes"]
    assert "duplicates" not in row["changes"] and row["changes"].count("->") == 2


def test_a_second_run_that_fails_is_not_a_difference(cell: Cell, tmp_path: Path, second_run: Any) -> None:
    first = answers(40, 6, 0.5, 0)
    put(tmp_path, cell, first)
    second_run(first, status="failed")
    done = bench("reproduce", cell.id8, "--results", tmp_path)
    assert done.return_value == 4 and "loss became NaN" in done.stdout


# What cannot be run again


def test_other_data_is_one_clear_line(cell: Cell, tmp_path: Path, second_run: Any) -> None:
    first = answers(40, 6, 0.5, 0)
    strange = replace(cell, data=replace(cell.data, fingerprint="0" * 64))
    stored = put(tmp_path, strange, first)
    seen = second_run(first)
    error = bench("reproduce", stored.id, "--results", tmp_path).exception
    assert isinstance(error, DataError) and error.exit_code == 2 and "\n" not in str(error)
    assert "the data is not what cell" in str(error) and "000000000000 then" in str(error)
    assert cell.data.fingerprint[:12] in str(error) and not seen
    # Of several cells the others are still answered.
    put(tmp_path, cell, first)
    done = bench("reproduce", stored.id, cell.id, "--results", tmp_path, "--format", "json")
    assert done.return_value == 4 and "the data is not" in done.stderr
    assert [row["verdict"] for row in json.loads(done.stdout)] == ["equal"]


def test_a_folder_of_data_is_found_by_the_command_or_named(
    cell: Cell, tmp_path: Path, second_run: Any
) -> None:
    first = answers(40, 6, 0.5, 0)
    folder = tmp_path / "my data"
    SOURCES["kaggle-fashion"].write(SOURCES["kaggle-fashion"].draw("tiny"), folder)
    own = planned(
        Request("fashion", data=folder, backbones=("lenet",), methods=("none",), seeds="0"), tmp_path / "c"
    )
    seen = second_run(first)
    put(tmp_path / "r", own, first, f"bench run --task fashion --data '{folder}'")
    assert bench("reproduce", own.id8, "--results", tmp_path / "r").return_value == 0
    assert seen[0].request.data == folder
    put(tmp_path / "r", own, first, "bench run --task fashion --data gone")
    error = bench("reproduce", own.id8, "--results", tmp_path / "r").exception
    assert isinstance(error, DataError) and "--data DIR" in str(error)
    assert bench("reproduce", own.id8, "--results", tmp_path / "r", "--data", folder).return_value == 0
    images = sorted((folder / "images").iterdir())
    images[0].write_bytes(images[1].read_bytes())
    error = bench("reproduce", own.id8, "--results", tmp_path / "r", "--data", folder).exception
    assert isinstance(error, DataError) and "the data is not what cell" in str(error)


def edited(cell: Cell, tmp_path: Path, **changes: Any) -> Stored:
    """Return the cell as stored with parts of its record changed."""
    stored = put(tmp_path / "edited", cell, answers(40, 6, 0.5, 0))
    record = json.loads(json.dumps(dict(stored.record)))
    for key, value in changes.items():
        if isinstance(value, Mapping):
            record["cell"][key].update(value)
        else:
            (record if key in record else record["cell"])[key] = value
    return Stored(stored.folder, record)


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"weights": "sha256:" + "0" * 64}, "name it with --weights FILE"),
        ({"protocol": {"labels": "reviewed"}}, "name their table with --labels FILE"),
        ({"protocol": {"epochz": 3}}, "unknown protocol key 'epochz'; did you mean 'epochs'?"),
        ({"protocol": {"epochs": "=1"}}, "epochs takes a whole number"),
        ({"data": {"source": "kaggle-fashion"}}, "name it with --data DIR"),
        ({"command": "rm -rf '"}, ""),
    ],
)
def test_a_request_needs_what_the_record_does_not_hold(
    cell: Cell, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    stored, place = edited(cell, tmp_path, **changes), LocalPaths(tasks=search_path("tasks"))
    if not says:
        assert request_of(stored, place, {}).backbones == ("lenet",)
        return
    with pytest.raises(BenchError) as raised:
        request_of(stored, place, {})
    assert says in str(raised.value) and "\n" not in str(raised.value)


def test_reviewed_labels_and_weights_are_taken_where_they_are_named(cell: Cell, tmp_path: Path) -> None:
    table, weights = tmp_path / "my labels.csv", tmp_path / "w.h5"
    table.write_text("")
    weights.write_text("")
    own = {"protocol": {"labels": "reviewed"}, "weights": "sha256:" + "0" * 64}
    command = f"bench run --task fashion --set epochs=2 --set 'labels={table}' --weights {weights}"
    said = request_of(edited(cell, tmp_path, **own), LocalPaths(search_path("tasks")), options_of(command))
    told = request_of(
        edited(cell, tmp_path, **own),
        LocalPaths(search_path("tasks"), labels=str(table), weights=str(weights)),
        {},
    )
    for request in (said, told):
        assert request.settings["labels"] == str(table) and request.weights == str(weights)


@pytest.mark.parametrize(
    "command", ["", "bench", "bench run '", "sh -c 'bench run --data x'", "bench plan --data x"]
)
def test_a_command_that_is_none_of_ours_has_no_options(command: str) -> None:
    assert options_of(command) == {}


def test_asking_for_help_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert options_of("bench run --help --version")["data"] is None
    assert capsys.readouterr().out == ""


@given(st.text(max_size=40))
def test_whatever_a_stored_command_holds_is_only_read(text: str) -> None:
    options_of(f"bench run {text}")


def test_a_cell_that_was_not_measured_has_nothing_to_reproduce(cell: Cell, tmp_path: Path) -> None:
    put(tmp_path, cell, answers(10, 4, 0.5, 0), status="failed")
    error = bench("reproduce", cell.id8, "--results", tmp_path).exception
    assert isinstance(error, BenchError) and "was not measured" in str(error)
    error = bench("reproduce", "nosuch", "--results", tmp_path).exception
    assert isinstance(error, BenchError) and "no stored cell begins with" in str(error)


def test_damaged_predictions_are_said(cell: Cell, tmp_path: Path, second_run: Any) -> None:
    first = answers(40, 6, 0.5, 0)
    stored = put(tmp_path, cell, first)
    (stored.folder / "predictions.parquet").write_bytes(b"PAR1")
    second_run(first)
    error = bench("reproduce", cell.id8, "--results", tmp_path).exception
    assert isinstance(error, StoreError) and "predictions.parquet" in str(error)


# Numbers


@given(st.integers(0, 10**6), st.floats(0, 0.5), st.sampled_from(["multiclass", "multilabel"]))
def test_differences_are_counted_as_a_loop_counts_them(seed: int, noise: float, kind: str) -> None:
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(1, 8)), int(rng.integers(2, 5))
    first = rng.random((n, k)).astype(np.float32)
    second = (first + rng.normal(size=(n, k)) * noise * (rng.random((n, 1)) < 0.5)).astype(np.float32)
    cuts = None if seed % 2 else rng.random(k).astype(np.float32)
    truth = np.zeros((n, k) if kind == "multilabel" else n, np.int32)
    names = tuple(map(str, range(n)))
    one = Predictions(names, None, truth, first, tuple("abcde"[:k]), np.zeros(k, np.int64), cuts=cuts)
    found = compare_predictions(one, replace(one, scores=second), kind)
    changed = 0
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        if kind == "multiclass":
            changed += a.index(max(a)) != b.index(max(b))
        else:
            at = [0.5] * k if cuts is None else cuts.tolist()
            changed += [x >= c for x, c in zip(a, at, strict=True)] != [
                x >= c for x, c in zip(b, at, strict=True)
            ]
    gaps = [
        abs(x - y)
        for a, b in zip(first.tolist(), second.tolist(), strict=True)
        for x, y in zip(a, b, strict=True)
    ]
    assert (found.largest, found.changed, found.items) == (max(gaps), changed, n)
    assert found.equal == (first.tolist() == second.tolist())


def test_other_cuts_are_a_difference() -> None:
    cuts = np.array([0.5, 0.25], np.float32)
    scores = np.array([[0.3, 0.3]], np.float32)
    one = Predictions(("a",), None, np.zeros((1, 2), np.int32), scores, ("x", "y"), np.zeros(2, np.int64))
    found = compare_predictions(replace(one, cuts=cuts), one, "multilabel")
    assert not found.equal and found.changed == 1 and found.largest == 0.25
    assert verdict(found, 0.1) == DIFFERENT and verdict(found, 0.25) == WITHIN
    assert (
        verdict(AnswerDifference(True), 0.0) == EQUAL and verdict(AnswerDifference(False), 1.0) == DIFFERENT
    )


@pytest.mark.parametrize("what", ["truth", "classes", "items", "train_support"])
def test_answers_to_other_questions_are_not_compared(what: str) -> None:
    first = answers(30, 5, 0.5, 0)
    value: Any = {
        "truth": (first.truth + 1) % 5,
        "classes": tuple("abcde"),
        "items": first.items[::-1],
        "train_support": first.train_support + 1,
    }[what]
    found = compare_predictions(first, replace(first, **{what: value}), "multiclass")
    assert found.largest is None and what.split("_")[0] in found.why


def test_changes_name_what_came_and_what_went(cell: Cell) -> None:
    then = {"python": "3.11", "packages": {"numpy": "1", "old": "2"}}
    now = {"python": "3.11", "packages": {"numpy": "2", "new": "3"}}
    assert environment_changes(then, now) == ("numpy 1 -> 2", "new absent -> 3", "old 2 -> absent")
    assert environment_changes(env.record(), env.record()) == ()
    assert identity_changes(cell.identity(), cell) == ()
    before = {**cell.identity(), "identity_version": 1, "method_text": "none"}
    (change,) = identity_changes(before, cell)
    assert change.startswith("identity_version 1 -> ")


@pytest.mark.slow
@pytest.mark.parametrize(
    "task, sample, regime",
    [
        ("fashion", "tiny", "frozen"),
        ("fashion", "tiny", "scratch"),
        ("fashion", "tiny", "finetune"),
        ("marketplace", "tiny", "frozen"),
        ("marketplace", "tiny", "scratch"),
        ("marketplace", "tiny", "finetune"),
        ("multilabel", "tiny", "frozen"),
        ("multilabel", "tiny", "scratch"),
        ("multilabel", "tiny", "finetune"),
    ],
)
def test_a_real_second_run_gives_the_same_bits(tmp_path: Path, task: str, sample: str, regime: str) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "BENCH_CACHE": str(tmp_path / "cache"),
        "BENCH_RESULTS": str(tmp_path / "results"),
    }

    def shell(*args: str) -> subprocess.CompletedProcess[str]:
        return forked.run(args, tmp_path, environment)

    grid = ("--task", task, "--sample", sample, "--backbone", "lenet", "--regime", regime, "--seed", "0")
    weights = "random"
    if regime == "finetune":
        from bench.backbones.registry import build_backbone, get_backbone

        weights = str(tmp_path / "lenet.weights.h5")
        build_backbone(get_backbone("lenet"), (32, 32), "random", 7).save_weights(weights)
    how = ("--weights", weights, "--method", "none,class_weight", "--set", "epochs=2", "--quiet")
    done = shell("run", *grid, *how)
    assert done.returncode == 0, done.stderr
    cells = Store(tmp_path / "results").load()[0]
    chosen = [stored.id[:8] for stored in cells if stored.record["cell"]["stage"] in ("all", "top20")]
    done = shell("reproduce", *chosen, "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["verdict"] for row in rows] == ["equal", "equal"] and all(row["items"] > 20 for row in rows)
