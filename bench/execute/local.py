"""Run cells on this machine in a worker process; a worker that dies takes only its current job with it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bench import env
from bench.errors import BenchError
from bench.plan import Plan, Request
from bench.spec import Cell, CellResult
from bench.store import Store, failed

Event = dict[str, Any]

WORKER = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from bench.execute.worker import main
main()
"""
"""Finds modules where this process does: with `-m`, a bench.py in the current directory would be imported."""


@dataclass(frozen=True)
class Orders:
    """What a worker is told beside the cells: the request, where tasks, cache and results are.

    keep: whether trained models are kept.
    """

    request: Request
    tasks: Sequence[Path]
    cache: Path
    results: Path
    command: str
    keep: bool = False

    def text(self, cells: Sequence[Cell]) -> str:
        """Return the order for these cells as JSON."""
        return json.dumps(
            {
                "request": self.request.to_json(),
                "tasks": [str(folder) for folder in self.tasks],
                "cache": str(self.cache),
                "results": str(self.results),
                "command": self.command,
                "keep": self.keep,
                "cells": [cell.id for cell in cells],
            }
        )


def execute(plan: Plan, missing: Sequence[Cell], orders: Orders, on_event: Callable[[Event], None]) -> None:
    """Run the missing cells; every one of them is stored, ok or failed, when this returns.

    Cells that a dead worker left behind in its job are stored as failed, and another worker takes the
    jobs that are left. Raises BenchError for what stops all of them (the results folder is full, say).
    """
    left = {cell.id: cell for cell in missing}
    while left:
        before = len(left)
        code, reason = _one_worker(orders, list(left.values()), left, on_event)
        if not left or code == 0:
            break
        job = next(job for job in plan.jobs if any(cell.id in left for cell in job.cells))
        status = "oom" if code == -signal.SIGKILL else "failed"
        for cell in job.cells:
            if left.pop(cell.id, None) is not None:
                result = CellResult(cell, status, environment=env.record(), command=orders.command)
                Store(orders.results).commit(failed(result, reason, status), {})
                on_event({"event": "cell", "id": cell.id, "status": status, "reason": reason})
        assert len(left) < before
    if left:
        raise BenchError(f"{len(left)} cells were ordered and not answered; run the same command again")


def _one_worker(
    orders: Orders, cells: Sequence[Cell], left: dict[str, Cell], on_event: Callable[[Event], None]
) -> tuple[int, str]:
    """Start a worker, pass on its events, take answered cells out of `left`.

    Returns its exit code and, where it died, a line that says how.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        command = [sys.executable, "-P", "-c", WORKER, json.dumps(sys.path)]
        worker = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, encoding="utf-8"
        )
        try:
            assert worker.stdin is not None and worker.stdout is not None
            worker.stdin.write(orders.text(cells))
            worker.stdin.close()
            for event in _events(worker.stdout):
                if event["event"] == "cell":
                    left.pop(event["id"], None)
                if event["event"] == "error":
                    error = BenchError(event["text"])
                    error.exit_code = event["exit_code"]
                    raise error
                on_event(event)
            code = worker.wait()
        finally:
            if worker.poll() is None:
                worker.terminate()
                worker.wait()
        return code, _death(code, log)


def _events(lines: IO[str]) -> Iterator[Event]:
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            # A worker killed in the middle of a line; its exit code tells the rest.
            continue


def _death(code: int, log: IO[str]) -> str:
    log.seek(0)
    said = [line.strip() for line in log if line.strip()]
    last = f": {said[-1]}" if said else ""
    if code == -signal.SIGKILL:
        return "the training process was killed, most likely for memory; try a smaller batch_size"
    if code < 0:
        return f"the training process died of {signal.Signals(-code).name}{last}"
    return f"the training process ended with code {code}{last}"
