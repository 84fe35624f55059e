"""Kills nodes of a Ray cluster in the middle of runs, and compares what they store with a run without Ray.

    python -m benchmarks.ray_kills [--kills 20] [--seed 0]

A head without CPUs and two nodes with one each, all on this machine at 127.0.0.1; one of the nodes has a
cache of its own, so that images are sent to it. A grid of frozen heads and whole nets runs on them. Every few
seconds all processes of one node are killed, and another one takes its place. At the end of each run all its
cells must be stored, measured, and equal to those of a run on this machine without Ray, bit for bit.
"""

from __future__ import annotations

import argparse
import random
import shutil
import tempfile
import time
from pathlib import Path

from tests.clusters import bits, machines, start, stored

GRID = (
    *("--task", "fashion", "--sample", "tiny", "--backbone", "hog,lenet", "--method", "none,class_weight"),
    *("--seed", "0-1", "--stage", "top20", "--set", "epochs=1"),
)
CELLS = 8


def main() -> int:
    """Print a line for each run and one for all; return 1 if a cell is lost or differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pause", type=float, default=12.0, help="mean seconds between two kills")
    options = parser.parse_args()
    dice, kills, runs, lost, other = random.Random(options.seed), 0, 0, 0, 0
    with tempfile.TemporaryDirectory(prefix="bench-ray-kills-") as name:
        folder = Path(name)
        log = folder / "log"
        start(GRID, folder / "alone", folder / "cache", log).wait()
        alone = bits(folder / "alone")
        assert len(alone) == CELLS, log.read_text(encoding="utf-8")
        while kills < options.kills:
            runs += 1
            results, cache = folder / f"results-{runs}", folder / f"cache-{runs}"
            began, before = time.monotonic(), kills
            with machines() as found:
                found.add()
                found.add(folder / f"node-{runs}")
                running = start((*GRID, "--on", found.address), results, cache, log)
                while running.poll() is None:
                    time.sleep(dice.uniform(0.5, 1.5) * options.pause)
                    if running.poll() is None and kills < options.kills:
                        found.kill(dice)
                        kills += 1
                        found.add(folder / f"node-{runs}-{kills}" if dice.random() < 0.5 else None)
            here = bits(results)
            lost += CELLS - len(here)
            other += sum(here[cell] != alone[cell] for cell in here)
            seconds = time.monotonic() - began
            print(
                f"run {runs}: {kills - before} kills, {stored(results)} cells, "
                f"exit code {running.returncode}, {seconds:.0f} s",
                flush=True,
            )
            if running.returncode:
                print(log.read_text(encoding="utf-8")[-3000:])
            shutil.rmtree(cache, ignore_errors=True)
    print(f"{kills} kills in {runs} runs: {lost} cells lost, {other} differ")
    return int(bool(lost or other))


if __name__ == "__main__":
    raise SystemExit(main())
