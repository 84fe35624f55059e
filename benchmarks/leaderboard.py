"""How long `bench leaderboard`, `bench compare` and `bench report` take over stored cells, made up here.

    python -m benchmarks.leaderboard [--cells 1000] [--items 1000] [--classes 20] [--report 100]

The cells are 5 seeds of as many settings as it takes; times are of the whole command, start-up included.
Goals: 1,000 cells ranked in under 2 s; two runs of 20,000 items and 88 classes, or of 1,900 items and 26
attributes, compared in under 3 s; a page of 100 cells in under 60 s and 15 MB.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.grids import answers, attributes, put

SEEDS = 5
BACKBONES = ("lenet", "mobilenet_025", "mobilenetv2_035", "resnet50")


def fill(root: Path, cells: int, items: int, classes: int) -> None:
    """Store so many cells; settings differ in backbone, method and accuracy."""
    like = answers(items, classes, 0.5, 0)
    for number in range(cells):
        setting, seed = divmod(number, SEEDS)
        method, backbone = divmod(setting, len(BACKBONES))
        pred = answers(items, classes, 0.5 + 0.3 * (setting % 17) / 17, number + 1, like)
        name = "none" if not method else f"method{method}"
        put(root, pred, seed, method=name, backbone=BACKBONES[backbone], epochs=30)


def fill_attributes(root: Path, items: int, count: int) -> None:
    """Store two cells of a task with so many attributes."""
    like = attributes(items, count, 0.4, 1)
    for seed, method in ((2, "none"), (3, "focal")):
        pred = attributes(items, count, 0.4 + 0.02 * seed, seed, like)
        put(root, pred, method=method, kind="multilabel", task="multilabel", stage="all")


def timed(*args: str) -> float:
    """Run the command and return its seconds."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "bench", *args], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("cells", 1000), ("items", 1000), ("classes", 20), ("report", 100)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        fill(root / "many", args.cells, args.items, args.classes)
        task = ("--task", "fashion", "--results")
        for more in ((), ("--top", "0"), ("--metric", "top1_macro"), ("--effects",)):
            times = [timed("leaderboard", *task, str(root / "many"), *more) for _ in range(3)]
            said = " ".join(more) or "as it is"
            print(f"leaderboard, {args.cells} cells of {args.items} items, {said}: {sorted(times)[1]:.2f} s")
        fill(root / "two", SEEDS + 1, 20_000, 88)
        pair = ("lenet/none", "mobilenet_025/none", "--results", str(root / "two"))
        times = [timed("compare", "--task", "fashion", *pair) for _ in range(3)]
        print(f"compare, two runs of 20,000 items and 88 classes: {sorted(times)[1]:.2f} s")
        fill_attributes(root / "attributes", 1900, 26)
        pair = ("lenet/none", "lenet/focal", "--results", str(root / "attributes"))
        times = [timed("compare", "--task", "multilabel", *pair) for _ in range(3)]
        print(f"compare, two runs of 1900 items and 26 attributes: {sorted(times)[1]:.2f} s")
        fill(root / "some", args.report, 5000, 88)
        seconds = timed("report", *task, str(root / "some"), "--out", str(root / "page"))
        size = sum(path.stat().st_size for path in (root / "page").rglob("*") if path.is_file()) / 1e6
        print(f"report, {args.report} cells of 5000 items and 88 classes: {seconds:.1f} s, {size:.1f} MB")


if __name__ == "__main__":
    main()
