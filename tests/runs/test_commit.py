"""What committing a cell stores, reports and removes; nothing is trained here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.core.kind import get_kind
from bench.core.predictions import CellResult
from bench.runs.commit import commit, fail, remove_checkpoints
from bench.runs.context import CHECKPOINTS
from bench.runs.stage_run import failure
from bench.store.write import Store
from tests.core.test_cell import CELL
from tests.grids import answers


@pytest.fixture
def context(tmp_path: Path) -> Any:
    """What `commit` takes of a run; `events` are what it reported."""
    events: list[dict[str, Any]] = []
    return SimpleNamespace(
        store=Store(tmp_path / "results"),
        cache=tmp_path / "cache",
        command="bench run",
        environment_of=lambda cell: {"of": cell.id},
        emit=lambda kind, **fields: events.append({"event": kind, **fields}),
        events=events,
    )


@pytest.mark.parametrize("reason", [None, "loss became NaN in epoch 1"])
def test_a_cell_is_stored_and_reported_and_its_checkpoints_go(context: Any, reason: str | None) -> None:
    folder = context.cache / CHECKPOINTS
    folder.mkdir(parents=True)
    other = folder / f"{replace(CELL, seed=5).id}-refit.npz"
    for path in (folder / f"{CELL.id}.npz", folder / f"{CELL.id}-refit.npz", other):
        path.touch()
    parts = {name: answers(30, 4, 0.7, seed) for seed, name in enumerate(("val", "test"))}
    result = CellResult(CELL, "ok")
    commit(context, failure(result, reason) if reason else (result, parts, None), {"training": 2.0})
    assert list(folder.iterdir()) == [other]
    status = "failed" if reason else "ok"
    assert context.events == [{"event": "cell", "id": CELL.id, "status": status, "reason": reason}]
    (stored,), _ = context.store.load()
    record, metrics = stored.record, get_kind("multiclass").metrics
    assert (record["status"], record["reason"], record["environment"]) == (status, reason, {"of": CELL.id})
    assert record["timings"] == {"training": 2.0, "seconds": 2.0} and record["command"] == "bench run"
    wanted = {**parts, **metrics.trivials(parts["test"])}
    assert record["metrics"] == (
        {} if reason else {key: metrics.summary(part) for key, part in wanted.items()}
    )


def test_a_checkpoint_that_another_run_removes_meanwhile_is_no_error(
    context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "glob", lambda folder, pattern: [folder / pattern.replace("*", "")])
    remove_checkpoints(context, CELL)


def test_cells_that_fail_for_one_reason_are_all_stored_and_reported(context: Any) -> None:
    cells = [CELL, replace(CELL, seed=5)]
    fail(context, cells, "the data changed")
    said = {"event": "cell", "status": "failed", "reason": "the data changed"}
    assert context.events == [{**said, "id": cell.id} for cell in cells]
    assert {stored.id for stored in context.store.load()[0]} == {cell.id for cell in cells}
