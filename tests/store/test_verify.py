"""Numbers are computed again from predictions: a cell written by hand, digests and all, is found out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from bench.commands.main import cli
from bench.store.read import CURVES, PER_CLASS
from bench.store.verify import verify, verify_all
from bench.store.write import Store
from tests.grids import answers, attributes, faces, put, reseal

KINDS: dict[str, Callable[..., Any]] = {
    "multiclass": lambda seed: answers(80, 6, 0.6, seed),
    "multilabel": lambda seed: attributes(80, 5, 0.6, seed),
    "verification": lambda seed: faces(80, 9, 1.0, seed),
}


def bench(*args: object) -> Any:
    """Run a command in this process."""
    return CliRunner().invoke(cli, [str(arg) for arg in args], standalone_mode=False)


@pytest.fixture(params=KINDS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The folder of a stored cell of each kind, whose numbers are those of its predictions."""
    make = KINDS[request.param]
    put(tmp_path, make(1), kind=request.param, val=make(2))
    (stored,), _ = Store(tmp_path).load()
    return stored.folder


def test_what_a_run_stores_is_what_its_predictions_give(folder: Path) -> None:
    root = folder.parents[3]
    done = bench("verify", "--results", root)
    assert done.return_value == 0 and not done.stdout
    assert done.stderr == "bench: 1 cells are unchanged, 0 are not\n"
    assert json.loads(bench("verify", "--results", root, "--format", "json").stdout) == []


def test_every_metric_is_checked(folder: Path) -> None:
    def nudge(record: dict[str, Any]) -> None:
        for values in record["metrics"].values():
            for name, value in values.items():
                values[name] = 0.25 if value is None else value + 1e-6

    record = json.loads(reseal(folder, nudge).read_text(encoding="utf-8"))
    done = bench("verify", "--results", folder.parents[3], "--format", "json")
    said = {row["what"] for row in json.loads(done.stdout)}
    metrics = {f"{part} {name}" for part, values in record["metrics"].items() for name in values}
    assert done.return_value == 4 and said == metrics and len(metrics) > 30
    shown = bench("verify", folder, "--results", folder.parents[3]).stdout
    assert "test auc" in shown and "0001" in shown  # every digit, or the difference could not be seen


def test_rounding_of_another_machine_is_no_difference(folder: Path) -> None:
    def nudge(record: dict[str, Any]) -> None:
        for values in record["metrics"].values():
            values.update({name: value * (1 + 1e-12) for name, value in values.items() if value})

    reseal(folder, nudge)
    assert bench("verify", "--results", folder.parents[3]).return_value == 0


def test_counts_classes_and_curves_are_checked(folder: Path) -> None:
    table = folder / PER_CLASS
    lines = table.read_text(encoding="utf-8").splitlines()
    place = lines[0].split(",").index("test_support")
    cells = lines[1].split(",")
    cells[place] = str(int(cells[place]) + 1)
    table.write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]) + "\n", encoding="utf-8")
    expected = {f"{cells[0]} test_support", "test count"}
    if (folder / CURVES).exists():
        points = (folder / CURVES).read_text(encoding="utf-8").splitlines()
        (folder / CURVES).write_text("\n".join(points[:-1]) + "\n", encoding="utf-8")
        expected.add(CURVES)
    reseal(folder, lambda record: record["counts"].update(test=79))
    done = bench("verify", "--results", folder.parents[3], "--format", "json")
    assert {row["what"] for row in json.loads(done.stdout)} == expected


@pytest.mark.parametrize("kind", ["multilabel", "verification"])
def test_the_first_point_of_a_curve_that_differs_is_named(tmp_path: Path, kind: str) -> None:
    put(tmp_path, KINDS[kind](1), kind=kind, val=KINDS[kind](2))
    (stored,), _ = Store(tmp_path).load()
    header, *points = (stored.folder / CURVES).read_text(encoding="utf-8").splitlines()
    for number in (1, 2):
        *cells, last = points[number].split(",")
        points[number] = ",".join([*cells, str(float(last) + 0.25)])
    (stored.folder / CURVES).write_text("\n".join([header, *points]) + "\n", encoding="utf-8")
    reseal(stored.folder, lambda record: None)
    assert [found.what for found in verify(stored.folder).findings] == [
        f"{CURVES} row 2 {header.split(',')[-1]}"
    ]


def test_cells_are_named_and_failed_ones_have_nothing_to_compute(tmp_path: Path) -> None:
    good = put(tmp_path, answers(50, 5, 0.5, 1), 0, val=answers(30, 5, 0.5, 2))
    bad = put(tmp_path, answers(50, 5, 0.5, 3), 1)
    put(tmp_path, answers(50, 5, 0.5, 3), 2, status="failed", reason="loss became NaN")
    assert bench("verify", good[:8], "--results", tmp_path).return_value == 0
    done = bench("verify", good[:8], bad[:8], "--results", tmp_path, "--format", "json")
    assert done.return_value == 4 and {row["cell"] for row in json.loads(done.stdout)} == {bad[:8]}
    done = bench("verify", "--results", tmp_path)
    assert "2 cells are unchanged, 1 are not" in done.stderr
    assert verify(tmp_path).problem == f"{tmp_path}: no cell is stored here"
    empty = bench("verify", "--results", tmp_path / "none")
    assert empty.return_value == 5 and empty.stderr.count("\n") == 1


def test_several_processes_say_the_same_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.store.verify.MIN_PARALLEL", 4)
    for seed in range(6):
        put(tmp_path, answers(30, 4, 0.5, seed), seed, val=None if seed % 2 else answers(20, 4, 0.5, 9))
    next(tmp_path.rglob("s2-*")).joinpath(PER_CLASS).unlink()
    folders = sorted(tmp_path.glob("*/*/*/s*"))
    one, two = verify_all(folders, 1), verify_all(folders, 2)
    assert one == two and [done.folder for done in one] == folders
    assert sum(bool(done.findings) for done in one) == 3 and sum(bool(done.problem) for done in one) == 1


def test_predictions_that_do_not_fit_their_record_are_one_line(folder: Path) -> None:
    def fewer(record: dict[str, Any]) -> None:
        for key in ("classes", "train_support", "known", "cuts"):
            if record.get(key):
                record[key] = [*record[key], *record[key][:1]] if key != "classes" else [*record[key], "new"]

    reseal(folder, fewer)
    done = bench("verify", "--results", folder.parents[3])
    assert done.exception is None and done.return_value == 4
    assert "predictions.parquet: cannot be read" in done.stderr
    assert np.isfinite(done.stderr.count("\n")) and "Traceback" not in done.output
