"""A verbose run says what is done and why; progress says how fast it is and when it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.commands.progress import Progress
from bench.commands.verbose import Explanation
from bench.core.paths import search_path
from bench.core.predictions import CellResult
from bench.runs.grid import GridRun
from bench.runs.open_task import open_task
from bench.runs.plan import Plan, Request, make_plan
from bench.store.write import Store, failed


@pytest.fixture
def planned(tmp_path: Path) -> tuple[GridRun, Plan, Any]:
    """A grid of two cells on the tiny sample, nothing of it trained."""
    request = Request(
        "fashion", sample="tiny", backbones=("lenet",), methods=("none,focal",), seeds="0", stages=("top20",)
    )
    tasks = search_path("tasks", None)
    card, examples = open_task(request, tasks, tmp_path / "cache")
    grid = GridRun(request, tasks, tmp_path / "cache", tmp_path / "results", "bench run --task fashion")
    return grid, make_plan(card, request, examples), examples


def test_every_choice_and_every_cell_is_explained(planned: tuple[GridRun, Plan, Any]) -> None:
    grid, plan, examples = planned
    first, second = plan.cells
    result = failed(CellResult(second, "failed", environment={}, command=""), "loss became NaN")
    Store(grid.results).commit(result, {})
    lines: list[str] = []
    options = {"backbone": ("lenet",), "method": ("none,focal",), "seed": "0", "stage": ()}
    explanation = Explanation(lines.append, grid, options)
    explanation.of_plan(plan, examples)
    assert lines[0].startswith("task fashion, version 1 (multiclass): 125 images of drawn-tiny, fingerprint ")
    assert lines[1:5] == [
        "backbones lenet (as asked for)",
        "methods none, focal (as asked for)",
        "seeds 0 (as asked for)",
        "stages top20 (the card's)",
    ]
    assert "regime scratch, weights random: the whole net is trained from random weights" in lines[5]
    assert lines[6:] == [
        f"cell {first.id8}, top20 lenet none, seed 0: is trained because it is not stored",
        f"cell {second.id8}, top20 lenet focal, seed 0: is trained again because it failed: loss became NaN",
    ]
    assert explanation.of_cell(first.id) == "" and explanation.of_cell("0" * 64) == ""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that progress reads."""
    now = [100.0]
    monkeypatch.setattr("bench.commands.progress.time.monotonic", lambda: now[0])
    return now


def test_progress_without_a_terminal_has_rate_and_time_left(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = Progress(0)
    shown.step(0, 1000, "decoding")
    for done, seconds in ((10, 1.0), (300, 15.0), (1000, 50.0)):
        clock[0] = 100.0 + seconds
        shown.step(done, 1000, "decoding")
    assert capsys.readouterr().err.split("\n") == [
        "bench: decoding: 0 of 1000",
        "bench: decoding: 300 of 1000, 20 a second, 35 s left",
        "bench: decoding: 1000 of 1000, 20 a second",
        "",
    ]


def test_a_second_step_of_the_same_name_has_a_rate_of_its_own(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = Progress(0)
    for at, done in ((0.0, 1), (20.0, 101), (40.0, 1), (60.0, 41)):
        clock[0] = 100.0 + at
        shown.step(done, 200, "training")
    assert "41 of 200, 2.0 a second, 1 min left" in capsys.readouterr().err.split("\n")[-2]


def test_a_measured_cell_gets_the_line_of_its_outcome(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Progress(2, lambda id_: f"out of {id_}")
    for status, reason in (("ok", None), ("failed", "no memory")):
        shown.on_event({"event": "cell", "id": "a" * 64, "status": status, "reason": reason})
    lines = capsys.readouterr().err.split("\n")
    assert f"bench: out of {'a' * 64}" in lines and "bench: cell aaaaaaaa failed: no memory" in lines
    assert f"bench: out of {'a' * 64}" not in lines[lines.index("bench: cell aaaaaaaa failed: no memory") :]
