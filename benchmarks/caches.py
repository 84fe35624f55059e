"""What it costs to check every cached row against its digest whenever it is written or read.

    BENCH_DATA=... KERAS_HOME=... python -m benchmarks.caches [--rounds 3]

Each round runs cells three times in a process of its own and with a cache of its own: heads on features of
MobileNet 0.25 where nothing is cached, other heads where all is, and a small net on pixels for 20 epochs. The
share is the processor's time in digests (computing, comparing, reading them) over all that the run took;
start-up is left out. Without BENCH_DATA the synthetic sample is used, without weights in KERAS_HOME
random ones.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from threading import Lock
from typing import Any

GOAL = 0.02
RUNS: dict[str, dict[str, Any]] = {
    "heads, nothing cached": {"backbones": ["mobilenet_025"], "methods": ["none,class_weight"]},
    "heads, all cached": {"backbones": ["mobilenet_025"], "methods": ["focal,logit_adjust"]},
    "net on pixels": {"backbones": ["lenet"], "methods": ["none"], "settings": {"epochs": 20}},
}


class Spent:
    """Seconds of the processor in functions that are watched, over all threads."""

    def __init__(self) -> None:
        self.seconds, self._lock = 0.0, Lock()

    def watch(self, module: Any, name: str) -> None:
        """Count the time of a module's function from now on."""
        plain: Callable[..., Any] = getattr(module, name)

        @wraps(plain)
        def counted(*args: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return plain(*args, **named)
            finally:
                with self._lock:
                    self.seconds += time.thread_time() - began

        setattr(module, name, counted)


def measure(folder: Path) -> dict[str, tuple[float, float]]:
    """Return the processor's seconds in digests and in all, by run."""
    from bench.backbones import feature_file as written
    from bench.backbones.determinism import make_deterministic
    from bench.backbones.registry import get_backbone
    from bench.backbones.weights import imagenet_file
    from bench.core.paths import search_path
    from bench.data import decoding
    from bench.data.cache import folders, rows
    from bench.runs.open_task import open_task
    from bench.runs.plan import Request, make_plan
    from bench.runs.worker import run_order

    make_deterministic()
    spent = Spent()
    for module, function in ((rows, "digests_of"), (decoding, "digests_of"), (written, "row_digests")):
        spent.watch(module, function)
    for name in ("read_digests", "write_digests"):
        spent.watch(folders, name)
    spent.watch(rows.RowFile, "check")
    root = os.environ.get("BENCH_DATA")
    file = imagenet_file(get_backbone("mobilenet_025"), (224, 224))
    table = {}
    for name, asked in RUNS.items():
        frozen = asked["backbones"] != ["lenet"]
        weights = ("imagenet" if file is not None and file.is_file() else "random") if frozen else "random"
        request = Request.from_json(
            {
                **Request("fashion").to_json(),
                "data": f"{root}/fashion" if root else None,
                "sample": None if root else "small",
                "seeds": "0",
                "stages": ["top20"],
                "weights": weights,
                **asked,
            }
        )
        tasks = search_path("tasks")
        card, examples = open_task(request, tasks, folder / "cache")
        order = {
            "request": request.to_json(),
            "tasks": [str(path) for path in tasks],
            "cache": str(folder / "cache"),
            "results": str(folder / "results"),
            "command": "a benchmark",
            "keep": False,
            "halved": False,
            "cells": [cell.id for cell in make_plan(card, request, examples).cells],
        }
        before, began = spent.seconds, time.process_time()
        run_order(order, lambda kind, **fields: None)
        table[name] = spent.seconds - before, time.process_time() - began
    return table


def main() -> None:
    """Print the share of every run in every round; exit 1 when a median is over the goal."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", metavar="DIR", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measure(Path(asked.one))))
        return
    shares: dict[str, list[float]] = {name: [] for name in RUNS}
    for number in range(asked.rounds):
        with tempfile.TemporaryDirectory(prefix="bench-caches-") as folder:
            command = [sys.executable, __file__, "--one", folder]
            answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        for name, (digests, whole) in json.loads(answer.stdout.splitlines()[-1]).items():
            shares[name].append(digests / whole)
            line = f"{digests:.3f} of {whole:.1f} s of the processor, {100 * digests / whole:.2f}%"
            print(f"round {number + 1}: {name:24} {line}", flush=True)
    for name, values in shares.items():
        print(f"{name:24} {100 * statistics.median(values):.2f}% in digests; the goal is {100 * GOAL:.0f}%")
    if max(statistics.median(values) for values in shares.values()) > GOAL:
        sys.exit(1)


if __name__ == "__main__":
    main()
