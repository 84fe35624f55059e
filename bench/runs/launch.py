"""Execution of cells in worker processes on this machine; a cell that kills one affects no other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Thread
from typing import IO, Any

from bench.core import environment
from bench.core.cell import Cell
from bench.core.errors import BenchError
from bench.core.paths import library_files
from bench.core.predictions import CellResult
from bench.runs.plan import Plan, Request
from bench.runs.where import Where
from bench.store.write import Store, failed

Event = dict[str, Any]

WORKER = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from bench.runs.worker import main
main()
"""
"""Finds modules where this process does: with `-m`, a bench.py in the current directory would be imported."""


@dataclass(frozen=True)
class Orders:
    """A worker's order beside its cells: the request and the folders of tasks, cache and results.

    keep: whether trained models are kept. halved: whether to hold half as much in memory at a time. where:
    the cluster to run on. On a node of one, examples is the file of the data that was sent, and node the
    node's name.
    """

    request: Request
    tasks: Sequence[Path]
    cache: Path
    results: Path
    command: str
    keep: bool = False
    halved: bool = False
    where: Where | None = None
    examples: Path | None = None
    node: str = ""

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
                "halved": self.halved,
                "where": None if self.where is None else asdict(self.where),
                "examples": None if self.examples is None else str(self.examples),
                "node": self.node,
                "cells": [cell.id for cell in cells],
            }
        )


@dataclass(frozen=True)
class Death:
    """Death of a worker before its cells were answered.

    code: its exit code, negative for a signal. fault: the exception that ended it, or its last line.
    no_memory: whether it ran out of memory, as far as known.
    """

    code: int
    fault: str = ""
    no_memory: bool = False

    @property
    def status(self) -> str:
        """Return the failure to store for its cells."""
        return "oom" if self.no_memory else "failed"

    @property
    def reason(self) -> str:
        """Return one line, the most important part first."""
        if self.code == -signal.SIGKILL:
            return "the training process was killed, most likely for memory; try a smaller batch_size"
        how = f"ended with code {self.code}"
        if self.code < 0:
            how = f"died of {signal.Signals(-self.code).name}"
        return f"{self.fault} (the training process {how})" if self.fault else f"the training process {how}"


def execute(plan: Plan, missing: Sequence[Cell], orders: Orders, on_event: Callable[[Event], None]) -> None:
    """Run the missing cells; every one of them is stored, ok or failed, when this returns.

    A job whose worker was killed, or ran out of memory, is run again by another one that holds half as much
    at a time; if that one dies too, each of the job's cells that are left has a worker of its own, so that
    the cell that kills it is the only one that fails. A job whose worker ended with an exception would do so
    again: its cells are stored as failed. Raises BenchError for what stops all of them (a full disk,
    for example).
    """
    left = {cell.id: cell for cell in missing}
    again: set[int] = set()
    while left:
        death = _one_worker(orders, list(left.values()), left, on_event)
        if not left or death is None:
            break
        number, job = next(
            (number, job)
            for number, job in enumerate(plan.jobs)
            if any(cell.id in left for cell in job.cells)
        )
        if death.code > 0 and not death.no_memory:
            _fail([cell for cell in job.cells if cell.id in left], left, death, orders, on_event)
        elif number not in again:
            again.add(number)
            what = "ran out of memory" if death.no_memory and death.code > 0 else "was killed"
            text = f"the training process {what}: {job.backbone} is tried again, with less in memory"
            on_event({"event": "notice", "text": text})
            orders = replace(orders, halved=True)
        else:
            for cell in [cell for cell in job.cells if cell.id in left]:
                death = _one_worker(orders, [cell], left, on_event) or Death(0)
                _fail([cell], left, death, orders, on_event)
    if left:
        raise BenchError(f"{len(left)} cells were ordered and not answered; run the same command again")


def _fail(
    cells: Sequence[Cell],
    left: dict[str, Cell],
    death: Death,
    orders: Orders,
    on_event: Callable[[Event], None],
) -> None:
    """Store the cells that a dead worker has not answered as failed."""
    for cell in cells:
        if left.pop(cell.id, None) is not None:
            record = environment.record(str(cell.setting["precision"]))
            result = CellResult(cell, death.status, environment=record, command=orders.command)
            Store(orders.results).commit(failed(result, death.reason, death.status), {})
            event = {"event": "cell", "id": cell.id, "status": death.status, "reason": death.reason}
            on_event(event)


def _one_worker(
    orders: Orders, cells: Sequence[Cell], left: dict[str, Cell], on_event: Callable[[Event], None]
) -> Death | None:
    """Start a worker, forward its events, remove answered cells from `left`; return how it died, if so."""
    from bench.runs.temporary_folders import scratch_folder, why_full

    with scratch_folder() as folder:
        command = [sys.executable, "-P", "-c", WORKER, json.dumps(sys.path)]
        worker = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**os.environ, **library_files(), "TMPDIR": str(folder)},
        )
        assert worker.stdin is not None and worker.stdout is not None and worker.stderr is not None
        log: deque[str] = deque(maxlen=100)
        reader = Thread(target=_read, args=(worker.stderr, log), daemon=True)
        reader.start()
        fault: Event = {}
        try:
            with suppress(BrokenPipeError):
                worker.stdin.write(orders.text(cells) + "\n")
                worker.stdin.flush()
            for event in _events(worker.stdout):
                if event["event"] == "cell":
                    left.pop(event["id"], None)
                if event["event"] == "error":
                    error = BenchError(event["text"])
                    error.exit_code = event["exit_code"]
                    raise error
                if event["event"] == "fault":
                    fault = event
                    continue
                on_event(event)
            code = worker.wait()
        finally:
            _end(worker)
        # The worker's own children may hold its standard error open.
        reader.join(timeout=1)
        full = why_full(folder)
    if code == 0:
        return None
    # The run holds the task's lock, and this worker was the only one that wrote.
    Store(orders.results).sweep(cells[0].task)
    text = ": ".join(filter(None, [full, fault.get("text") or (log[-1] if log else "")]))
    return Death(code, text, fault.get("no_memory", code == -signal.SIGKILL))


def _end(worker: subprocess.Popen[str]) -> None:
    """End a worker that still runs, within a second."""
    if worker.poll() is None:
        worker.terminate()
        try:
            worker.wait(timeout=1)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
    with suppress(BrokenPipeError):
        assert worker.stdin is not None
        # It is open until here: a worker whose standard input ends knows that this process is gone.
        worker.stdin.close()


def _read(lines: IO[str], log: deque[str]) -> None:
    """Keep the last lines of what a worker writes, without a file: the disk may be full."""
    for line in lines:
        if line.strip():
            log.append(line.strip())


def _events(lines: IO[str]) -> Iterator[Event]:
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            # A worker killed in the middle of a line; its exit code explains it.
            continue
