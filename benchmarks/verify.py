"""How long `bench verify` and `bench results` take over stored cells, made up here.

    python -m benchmarks.verify [--cells 1000] [--items 1000] [--classes 20]

Times are of the whole command, start-up included. Goal: 1,000 cells verified in under 10 s.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.grids import answers, put

SEEDS = 5


def fill(root: Path, cells: int, items: int, classes: int) -> None:
    """Store so many cells, a fifth of the items as validation; settings differ in method."""
    like = answers(items, classes, 0.5, 0)
    for number in range(cells):
        setting, seed = divmod(number, SEEDS)
        pred = answers(items, classes, 0.6, number + 1, like)
        name = f"method{setting}" if setting else "none"
        val = pred.take(np.arange(0, items, 5))
        put(root, pred, seed, method=name, val=val)


def timed(*args: str) -> float:
    """Run the command and return its seconds."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "bench", *args], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("cells", 1000), ("items", 1000), ("classes", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        fill(root, args.cells, args.items, args.classes)
        for command in ("verify", "results"):
            times = [timed(command, "--results", str(root)) for _ in range(3)]
            print(f"{command}, {args.cells} cells of {args.items} items: {sorted(times)[1]:.2f} s")


if __name__ == "__main__":
    main()
