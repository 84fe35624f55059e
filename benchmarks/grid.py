"""What a whole frozen grid costs beside one pass of its backbones over the images.

    BENCH_DATA=... KERAS_HOME=... python benchmarks/grid.py [--rounds 3]

Each round times, in fresh processes and with an empty cache each: one pass (decode every image, run both
backbones once, keep nothing else), then `bench run` of 2 backbones x 6 methods x 3 seeds in both stages,
then `bench run` of six other methods on what the first grid cached. Ratios are the median of the rounds.
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

BACKBONES = "mobilenet_025,mobilenetv2_035"
FIRST = "none,class_weight,oversample,oversample+class_weight,focal,logit_adjust"
SECOND = "undersample(median),smote,class_balanced,balanced_softmax,tau_norm,label_smoothing"

ONE_PASS = """
import sys
from pathlib import Path
from bench.env import make_deterministic
make_deterministic()
from bench.data.pixels import ensure_pixels
from bench.models.backbones import get_backbone
from bench.models.features import ensure_features
from bench.paths import search_path
from bench.plan import Request, open_task

data, cache = Path(sys.argv[1]), Path(sys.argv[2])
quiet = lambda done, total, what: None
_, examples = open_task(Request("fashion", data), search_path("tasks"), cache)
pixels = ensure_pixels(examples, (224, 224), "squash", cache, quiet)
for name in sys.argv[3].split(","):
    ensure_features(pixels, get_backbone(name), "imagenet", "backbone", "tensorflow", cache, quiet)
"""


def timed(command: list[str]) -> float:
    """Run a command and return its wall seconds."""
    began = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.monotonic() - began


def grid(data: Path, folder: Path, methods: str) -> float:
    """Run a grid of both backbones and three seeds; return its wall seconds."""
    command = [sys.executable, "-m", "bench", "run", "--task", "fashion", "--data", str(data)]
    command += ["--backbone", BACKBONES, "--method", methods, "--seed", "0-2", "--quiet"]
    command += ["--cache", str(folder / "cache"), "--results", str(folder / "results")]
    return timed(command)


def inputs(folder: Path) -> dict[str, int]:
    """Return the modification time of every file that holds pixels or features."""
    large = [
        path for path in (folder / "cache").rglob("*") if path.is_file() and path.stat().st_size > 1_000_000
    ]
    return {str(path): path.stat().st_mtime_ns for path in large}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    if not os.environ.get("BENCH_DATA"):
        sys.exit(
            "set BENCH_DATA to a folder that has fashion/styles.csv, and KERAS_HOME to one with the weights"
        )
    data = Path(os.environ["BENCH_DATA"]) / "fashion"
    rows = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            one = timed([sys.executable, "-c", ONE_PASS, str(data), str(folder / "pass"), BACKBONES])
            first = grid(data, folder, FIRST)
            before = inputs(folder)
            second = grid(data, folder, SECOND)
            assert inputs(folder) == before, "the second grid decoded or extracted again"
        rows.append((one, first, second))
        print(
            f"round {number + 1}: one pass {one:.1f} s, first grid {first:.1f} s ({first / one:.2f}x), "
            f"second grid {second:.1f} s ({second / one:.2f}x)",
            flush=True,
        )
    ratios = [statistics.median(row[column] / row[0] for row in rows) for column in (1, 2)]
    print(f"median of {rounds}: first grid {ratios[0]:.2f}x one pass, second grid {ratios[1]:.2f}x one pass")


if __name__ == "__main__":
    main()
