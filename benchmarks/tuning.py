"""What an equal tuning budget costs beside the untuned grid.

    BENCH_DATA=... KERAS_HOME=... python -m benchmarks.tuning [--rounds 3] [--trials 16] [--tuner tpe]

Six methods x three seeds on fashion's 20 most frequent types, features cached. Each round runs the untuned
grid and the tuned one in turn, in fresh processes and results folders, and prints the ratio of the time that
heads train (as the records have it), of whole commands by the clock, and of the processor's time. Goal: heads
at most 8 times as long for 16 trials, and the command under 6 minutes.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from bench.store.write import Store

METHODS = "none,class_weight,oversample,oversample+class_weight,focal,logit_adjust"
GOAL, MINUTES = 8.0, 6.0


class Cost(NamedTuple):
    """Seconds: of heads in training, of the command by the clock, of the processor."""

    heads: float
    clock: float
    processor: float


def grid(backbone: str, folder: Path, results: str, *more: str) -> Cost:
    """Run a grid of six methods and three seeds."""
    data = Path(os.environ["BENCH_DATA"]) / "fashion"
    command = [sys.executable, "-m", "bench", "run", "--task", "fashion", "--data", str(data)]
    command += ["--stage", "top20", "--backbone", backbone, "--method", METHODS, "--seed", "0-2"]
    command += ["--cache", str(folder / "cache"), "--results", str(folder / results), "--quiet", *more]
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    clock, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    cells, problems = Store(folder / results).load()
    assert not problems and all(stored.ok for stored in cells), "cells failed"
    return Cost(sum(stored.record["timings"]["training"] for stored in cells), clock, processor)


def main() -> None:
    """Print a line for each round, and the medians."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--tuner", default="random")
    parser.add_argument("--backbone", default="mobilenet_025")
    asked = parser.parse_args()
    if not os.environ.get("BENCH_DATA"):
        sys.exit("set BENCH_DATA to a folder with fashion/styles.csv, and KERAS_HOME to one with the weights")
    more = ["--tune", str(asked.trials)]
    more += [] if asked.tuner == "random" else ["--set", f"tuner={asked.tuner}"]
    ratios = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        grid(asked.backbone, folder, "features")
        for number in range(1, asked.rounds + 1):
            plain = grid(asked.backbone, folder, f"plain-{number}")
            tuned = grid(asked.backbone, folder, f"tuned-{number}", *more)
            ratios.append([theirs / ours for ours, theirs in zip(plain, tuned, strict=True)])
            for name, cost in (("untuned", plain), (f"{asked.trials} trials", tuned)):
                print(
                    f"round {number}, {name}: heads {cost.heads:.1f} s, command {cost.clock:.1f} s, "
                    f"processor {cost.processor:.1f} s",
                    flush=True,
                )
    heads, clock, processor = (statistics.median(one) for one in zip(*ratios, strict=True))
    print(
        f"heads {heads:.1f}x (goal: {GOAL:.0f}x for 16 trials), commands {clock:.1f}x by the clock, "
        f"{processor:.1f}x by the processor; goal for the command: {MINUTES:.0f} minutes"
    )


if __name__ == "__main__":
    main()
