"""Results as objects: what the commands print, as tables, frames and pages of the cells asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.core.errors import NothingMeasured
from bench.core.table import Column, Table
from bench.store.write import RESULT
from tests.commands.test_main import bench as call
from tests.grids import grid

NAMES = {"none": 0.4, "class_weight": 0.6, "focal": 0.8}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api") / "results"
    grid(folder, NAMES, seeds=(0, 1), n=80)
    return folder


@pytest.fixture
def results(root: Path) -> bench.Results:
    return bench.load(root, "fashion")


def printed(*args: object) -> list[dict[str, Any]]:
    """Return the rows that a command prints as JSON."""
    done = call(*args, "--format", "json")
    assert done.return_value in (0, None), done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def test_frames_hold_what_the_commands_print(root: Path, results: bench.Results) -> None:
    assert len(results.cells) == 6 and not results.failed
    frame = results.frame()
    rows = printed("results", "--results", root)
    assert frame["cell"].tolist() == [row["cell"] for row in rows]
    assert frame["top1_micro"].tolist() == [row["top1_micro"] for row in rows]
    board = results.leaderboard()
    rows = printed("leaderboard", "--task", "fashion", "--results", root)
    assert [row["method"] for row in board.table.rows] == [row["method"] for row in rows]
    assert len(results.leaderboard(top=1).table.rows) < len(rows)
    effects = printed("leaderboard", "--task", "fashion", "--results", root, "--effects")
    assert len(results.leaderboard(effects=True).table.rows) == len(effects)
    for sides in ((), ("lenet/focal", "lenet/none"), ("lenet/focal",)):
        rows = printed("compare", *sides, "--task", "fashion", "--results", root)
        own = results.compare(*sides).table.rows
        assert [row["difference"] for row in own] == [row["difference"] for row in rows] and rows


def test_a_comparison_is_narrowed(results: bench.Results) -> None:
    sides = ("lenet/focal", "lenet/none")
    [row] = results.compare(*sides, metrics=["top1_macro"], classes=False).table.rows
    assert row["what"] == "macro top-1" and len(results.compare(*sides).table.rows) > 5
    assert len(results.compare(every_setting=True).table.rows) > len(results.compare().table.rows)


def test_a_table_is_text_frame_and_html(results: bench.Results) -> None:
    table = results.table()
    assert repr(table).startswith("Mean over seeds on test") and "trivial" in repr(table)
    assert table.text("md").startswith("**Mean over seeds on test**")
    frame = table.frame()
    assert sorted(frame["method"].tolist()[:3]) == sorted(NAMES) and frame["top1_micro"].dtype == float
    assert table._repr_html_() == results._repr_html_()
    assert table._repr_html_().count("<tr>") == len(frame) + 1


def test_everything_in_html_is_escaped() -> None:
    evil = "<script>alert('x')</script>&\x1b[2J"
    table = Table(evil, [Column(evil, evil)], [{evil: evil}], (evil,))
    found = bench.ResultTable(table)._repr_html_()
    assert "<script" not in found and "\x1b" not in found and found.count("&lt;script&gt;") == 4


def test_classes_and_predictions_are_frames(results: bench.Results) -> None:
    classes = results.classes()
    assert set(classes["cell"]) == {cell[:8] for cell in results.cells}
    frame = results.predictions(results.cells[0][:8])
    assert len(frame) == 80 and {"item", "truth", "predicted"} <= set(frame.columns)


@pytest.mark.slow
def test_a_report_is_written(results: bench.Results, tmp_path: Path) -> None:
    path = results.report(tmp_path / "page")
    assert path == tmp_path / "page" / "index.html" and "class_weight" in path.read_text(encoding="utf-8")


def test_mistakes_are_one_line(results: bench.Results, root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    mistakes: list[tuple[Callable[[], object], str]] = [
        (lambda: results.leaderboard("top1_macor"), "did you mean 'top1_macro'?"),
        (lambda: results.compare("lenet/fcoal", "lenet/none"), "did you mean"),
        (lambda: results.compare("a", "b", "c"), "3 runs to compare"),
        (lambda: results.compare(baseline="seed-003-resnet5"), "did you mean"),
        (lambda: results.compare(metrics=["top1_macor"]), "did you mean"),
        (lambda: results.predictions("zzz"), "no stored cell begins with 'zzz'"),
        (lambda: results.predictions(results.cells[0], "tset"), "did you mean 'test'?"),
        (lambda: results.report(tmp_path / "file" / "page"), "choose another with --out DIR"),
        (lambda: bench.load(root, "fashoin"), "did you mean 'fashion'?"),
        (lambda: bench.load(tmp_path / "file"), "is a file"),
    ]
    for mistake, says in mistakes:
        with pytest.raises(bench.BenchError) as raised:
            mistake()
        assert says in str(raised.value) and "\n" not in str(raised.value)


def test_an_empty_folder_and_several_tasks(tmp_path: Path) -> None:
    empty = bench.load(tmp_path)
    assert empty.frame().empty and repr(empty).startswith("<Results: 0 cells")
    for ask in (empty.table, empty.leaderboard, empty._repr_html_, lambda: empty.report(tmp_path / "page")):
        with pytest.raises(NothingMeasured, match="no measured cell"):
            ask()
    grid(tmp_path, {"none": 0.5}, seeds=(0,), n=60)
    grid(tmp_path, {"none": 0.5}, seeds=(0,), n=60, task="other")
    both = bench.load(tmp_path)
    assert len(both.frame()) == 2
    with pytest.raises(bench.BenchError, match="several tasks"):
        both.leaderboard()


def test_a_damaged_cell_is_one_line_and_the_others_are_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid(tmp_path, {"none": 0.5}, seeds=(0, 1), n=60)
    broken = sorted(tmp_path.rglob(RESULT))[0]
    broken.write_text("{")
    found = bench.load(tmp_path)
    err = capsys.readouterr().err
    assert len(found.cells) == 1 and str(broken) in err and err.count("\n") == 1
