"""The real command in the tests' own process: TensorFlow is imported once for many runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.commands.main import cli
from bench.core.cell import Cell
from bench.core.sealed_json import DIGEST
from bench.runs.launch import WorkOrder
from bench.runs.plan import Plan
from bench.runs.worker import run_order
from bench.store.digests import FILES
from bench.store.read import Stored
from bench.store.write import Store

LEFT_OUT = ("timings", "environment", "command", FILES, DIGEST)
"""What a record says of the run, not of the cell, and the digests of files, which are compared themselves."""


class Killed(BaseException):
    """Ends a run between two cells."""


class InProcess:
    """Runs commands without a worker process; jobs are otherwise run as a worker runs them."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.kill_after: int | None = None
        self.restart = False
        self.code: int | None = None
        monkeypatch.setattr("bench.runs.launch.execute", self._execute)

    def bench(self, *args: str, results: str, cache: str, kill_after: int | None = None) -> list[Stored]:
        """Run a command, keep its exit code, and return the cells that its results folder holds.

        kill_after: end it once so many cells are stored.
        """
        self.kill_after = kill_after
        places = ("--results", str(self.folder / results), "--cache", str(self.folder / cache))
        try:
            self.code = cli.main([*args, *places], standalone_mode=False)
        except Killed:
            assert kill_after is not None
        cells, problems = Store(self.folder / results).load()
        assert not problems
        return cells

    def _execute(
        self,
        plan: Plan,
        missing: Sequence[Cell],
        order: WorkOrder,
        on_event: Callable[[dict[str, Any]], None],
    ) -> None:
        def emit(kind: str, **fields: Any) -> None:
            on_event({"event": kind, **fields})
            if kind == "cell" and self.kill_after is not None:
                self.kill_after -= 1
                if not self.kill_after:
                    raise Killed

        parts = [[cell] for cell in missing] if self.restart else [list(missing)]
        for cells in parts:
            run_order(json.loads(order.text(cells)), emit)


def content(stored: Stored) -> dict[str, bytes]:
    """Return everything that is stored of a cell and is the cell's own, by what it is."""
    assert stored.ok, stored.record["reason"]
    record = {key: value for key, value in stored.record.items() if key not in LEFT_OUT}
    out = {key: json.dumps(value, sort_keys=True).encode() for key, value in record.items()}
    files = sorted(path for path in stored.folder.iterdir() if path.suffix in (".csv", ".parquet"))
    return out | {path.name: path.read_bytes() for path in files}
