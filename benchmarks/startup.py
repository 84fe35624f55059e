"""How long the commands that train nothing take, as whole processes.

    python -m benchmarks.startup [--rounds 5]

The results folder is made by the tiny synthetic sample; `bench run` is timed where all cells are stored.
With BENCH_DATA set, `bench plan` is timed on real data too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GRID = ["--task", "fashion", "--sample", "tiny", "--backbone", "lenet", "--method", "none,class_weight"]
GRID += ["--seed", "0-1", "--set", "epochs=2"]


def main() -> None:
    """Print a line per command, rounds interleaved."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    commands = {
        "bench --help": ["--help"],
        "bench list backbones": ["list", "backbones"],
        "bench list methods": ["list", "methods"],
        "bench plan": ["plan", *GRID],
        "bench results": ["results"],
        "bench cache list": ["cache", "list"],
        "bench compare (published)": ["compare", "--task", "fashion"],
        "bench compare (pinned)": [
            "compare",
            "--task",
            "fashion",
            "--baselines",
            "pinned",
            "--baseline",
            "mine",
        ],
        "bench run, all stored": ["run", *GRID],
    }
    data = os.environ.get("BENCH_DATA")
    if data:
        commands["bench plan, real data"] = ["plan", "--task", "fashion", "--data", f"{data}/fashion"]
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "BENCH_CACHE": f"{folder}/cache", "BENCH_RESULTS": f"{folder}/results"}
        env["PYTHONPATH"] = str(Path(__file__).resolve().parent.parent)

        def bench(*args: str) -> float:
            began = time.perf_counter()
            command = [sys.executable, "-m", "bench", *args]
            done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            return time.perf_counter() - began

        bench("run", *GRID)
        bench("baseline", "pin", "mine", "--task", "fashion", "--baselines", "pinned")
        times: dict[str, list[float]] = {name: [] for name in commands}
        bare: list[float] = []
        for _ in range(rounds + 1):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", "pass"], check=True)
            bare.append(time.perf_counter() - began)
            for name, args in commands.items():
                times[name].append(bench(*args))
    print(f"{'python -c pass':28}{statistics.median(bare[1:]):6.2f} s")
    for name, seconds in times.items():
        print(f"{name:28}{statistics.median(seconds[1:]):6.2f} s  (slowest {max(seconds[1:]):.2f})")


if __name__ == "__main__":
    main()
