"""Execution of cells in local worker processes; a crash affects no other cell."""

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
from bench.runs.cluster_address import Cluster
from bench.runs.plan import Plan, Request
from bench.store.write import Store, failed

Event = dict[str, Any]

WORKER = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from bench.runs.worker import main
main()
"""
"""Uses the search path of this process: `-m` would import a bench.py in the current directory."""


@dataclass(frozen=True)
class WorkOrder:
    """A worker's order without its cells: the request, and the folders of tasks, cache and results.

    keep: whether to save models. halved: whether to halve the memory limits. cluster: where to run. On a
    node, `examples` is the file of the data that was sent, and `node` its name.
    """

    request: Request
    tasks: Sequence[Path]
    cache: Path
    results: Path
    command: str
    keep: bool = False
    halved: bool = False
    cluster: Cluster | None = None
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
                "cluster": None if self.cluster is None else asdict(self.cluster),
                "examples": None if self.examples is None else str(self.examples),
                "node": self.node,
                "cells": [cell.id for cell in cells],
            }
        )


@dataclass(frozen=True)
class Death:
    """Crash of a worker.

    code: its exit code, negative for a signal. fault: the exception that ended it, or its last line.
    no_memory: whether it ran out of memory, if known.
    """

    code: int
    fault: str = ""
    no_memory: bool = False

    @property
    def status(self) -> str:
        """The status of its cells."""
        return "oom" if self.no_memory else "failed"

    @property
    def reason(self) -> str:
        """One line, the most important part first."""
        if self.code == -signal.SIGKILL:
            return "the training process was killed, most likely for memory; try a smaller batch_size"
        how = f"ended with code {self.code}"
        if self.code < 0:
            how = f"died of {signal.Signals(-self.code).name}"
        return f"{self.fault} (the training process {how})" if self.fault else f"the training process {how}"


def execute(plan: Plan, missing: Sequence[Cell], order: WorkOrder, on_event: Callable[[Event], None]) -> None:
    """Run the missing cells and store each, ok or failed.

    A job whose worker was killed or ran out of memory is retried once with halved memory limits, then cell by
    cell, so that only the cell that crashes its worker fails. A job whose worker raised an exception is not
    retried: its cells are stored as failed. Raises BenchError for an error that affects every cell, such as a
    full disk.
    """
    left = {cell.id: cell for cell in missing}
    again: set[int] = set()
    while left:
        death = _one_worker(order, list(left.values()), left, on_event)
        if not left or death is None:
            break
        number, job = next(
            (number, job)
            for number, job in enumerate(plan.jobs)
            if any(cell.id in left for cell in job.cells)
        )
        if death.code > 0 and not death.no_memory:
            _fail([cell for cell in job.cells if cell.id in left], left, death, order, on_event)
        elif number not in again:
            again.add(number)
            what = "ran out of memory" if death.no_memory and death.code > 0 else "was killed"
            text = f"the training process {what}: {job.backbone} is tried again, with less in memory"
            on_event({"event": "notice", "text": text})
            order = replace(order, halved=True)
        else:
            for cell in [cell for cell in job.cells if cell.id in left]:
                death = _one_worker(order, [cell], left, on_event) or Death(0)
                _fail([cell], left, death, order, on_event)
    if left:
        raise BenchError(f"{len(left)} cells have no result; run the same command again")


def _fail(
    cells: Sequence[Cell],
    left: dict[str, Cell],
    death: Death,
    order: WorkOrder,
    on_event: Callable[[Event], None],
) -> None:
    """Store the unfinished cells of a crashed worker as failed."""
    for cell in cells:
        if left.pop(cell.id, None) is not None:
            record = environment.record(str(cell.setting["precision"]))
            result = CellResult(cell, death.status, environment=record, command=order.command)
            Store(order.results).commit(failed(result, death.reason, death.status), {})
            event = {"event": "cell", "id": cell.id, "status": death.status, "reason": death.reason}
            on_event(event)


def _one_worker(
    order: WorkOrder, cells: Sequence[Cell], left: dict[str, Cell], on_event: Callable[[Event], None]
) -> Death | None:
    """Run a worker, forward its events and remove finished cells from `left`; return its crash, if any."""
    from bench.runs.temporary_folders import full_disk_message, scratch_folder

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
                worker.stdin.write(order.text(cells) + "\n")
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
        full = full_disk_message(folder)
    if code == 0:
        return None
    # Safe: the run holds the task's lock, and no other worker writes.
    Store(order.results).sweep(cells[0].task)
    text = ": ".join(filter(None, [full, fault.get("text") or (log[-1] if log else "")]))
    return Death(code, text, fault.get("no_memory", code == -signal.SIGKILL))


def _end(worker: subprocess.Popen[str]) -> None:
    """Terminate a worker that still runs, or kill it after a second."""
    if worker.poll() is None:
        worker.terminate()
        try:
            worker.wait(timeout=1)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
    with suppress(BrokenPipeError):
        assert worker.stdin is not None
        # Closed last: end of input tells a worker that this process is gone.
        worker.stdin.close()


def _read(lines: IO[str], log: deque[str]) -> None:
    """Keep the last lines of a worker's output in memory: the disk may be full."""
    for line in lines:
        if line.strip():
            log.append(line.strip())


def _events(lines: IO[str]) -> Iterator[Event]:
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            # The worker was killed in the middle of a line.
            continue
