"""Worker process: reads a work order from standard input and writes one JSON line per event.

The command line never imports TensorFlow, and a crash or exhausted memory affects one job only.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import sys
import traceback
from pathlib import Path
from threading import Thread
from typing import Any

from bench.core import plugins
from bench.core.errors import BenchError, in_one_line
from bench.core.logged_warnings import send_warnings
from bench.core.memory_limits import out_of_memory
from bench.data.examples import Examples
from bench.data.task_card import TaskCard
from bench.runs.open_task import open_task
from bench.runs.plan import Request, make_plan


def main() -> None:
    """Run the cells of the order on standard input; output of libraries goes to standard error."""
    order = json.loads(sys.stdin.readline())
    # The millions of objects of TensorFlow's modules and graphs make frequent collections dear.
    gc.set_threshold(100_000, 50, 50)
    Thread(target=_end_with_parent, daemon=True).start()
    events = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)

    def emit(kind: str, **fields: Any) -> None:
        try:
            events.write(json.dumps({"event": kind, **fields}) + "\n")
        except BrokenPipeError:
            # The command line was killed.
            os._exit(1)

    send_warnings(lambda text: emit("notice", text=text))
    try:
        run_order(order, emit)
    except BenchError as error:
        emit("error", text=str(error), exit_code=error.exit_code)
    except Exception as error:
        traceback.print_exc()
        emit("fault", text=in_one_line(error), no_memory=out_of_memory(error))
        sys.exit(1)


def _end_with_parent() -> None:
    """End this process when its parent is gone, which closes standard input."""
    # Not by sys.stdin: the lock of a waiting thread would block a normal exit.
    while os.read(0, 1024):
        pass
    os._exit(1)


def run_order(order: dict[str, Any], emit: Any) -> None:
    """Plan the order's request again and run its cells job by job, here or on Ray.

    Raises BenchError if the plan lacks a cell of the order: the data has changed.
    """
    from bench.core import environment, memory_limits
    from bench.runs.context import Context
    from bench.runs.run_job import run_job

    environment.quiet()
    if order["halved"]:
        memory_limits.halve()
    request = Request.from_json(order["request"])
    cache = Path(order["cache"])
    card, examples = _opened(order, request, cache)
    plan = make_plan(card, request, examples)
    wanted = set(order["cells"])
    if not wanted <= {cell.id for cell in plan.cells}:
        raise BenchError(
            "the data or a plug-in changed while the run was being planned; run the same command again"
        )
    results, keep = Path(order["results"]), bool(order["keep"])
    context = Context(card, examples, cache, results, order["command"], emit, keep, node=order["node"])
    jobs = [mine for job in plan.jobs if (mine := job.only(wanted)).cells]
    if order["cluster"] is not None:
        from bench.runs.cluster.jobs import run_jobs
        from bench.runs.cluster.ray_pool import ray_pool
        from bench.runs.cluster_address import Cluster

        with ray_pool(Cluster(**order["cluster"]), emit) as pool:
            run_jobs(context, request, jobs, pool)
        return
    for job in jobs:
        run_job(context, job)


def _opened(order: dict[str, Any], request: Request, cache: Path) -> tuple[TaskCard, Examples]:
    """Open the task's data, or read the examples that another machine sent."""
    if order["examples"] is None:
        return open_task(request, [Path(folder) for folder in order["tasks"]], cache)
    for place in request.plugins:
        plugins.load(place)
    card, examples = pickle.loads(Path(order["examples"]).read_bytes())
    return card, examples


if __name__ == "__main__":
    main()
