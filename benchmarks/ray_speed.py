"""What Ray costs on one machine: features of one backbone, and a grid of 72 cells, with and without it.

    BENCH_DATA=... KERAS_HOME=... python -m benchmarks.ray_speed [--rounds 3] [--size 224] [--backbone NAME]

Features (`--only features`): those of a backbone for all photos of the fashion data, from cached pixels.
Ways: `bench run`; `bench run --on ray` with a worker of one CPU for each core; with one worker for all;
three nodes of one CPU each on this machine. The seconds are those of the pass, the net's building included.
Grid (`--only grid`): 4 backbones x 6 methods x 3 seeds on the tiny sample with cached features, whole
commands by the clock, the start and the end of Ray included. All ways take turns.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.core.processor import usable_cores
from tests.clusters import machines

ALONE, RAY, ONE, NODES = "alone", "ray", "one worker", "three nodes"

WAYS: dict[str, tuple[str, ...]] = {
    ALONE: (),
    RAY: ("--on", "ray"),
    ONE: ("--on", "ray", "--cpus-per-job", str(usable_cores())),
}

PHOTOS = ("--task", "fashion", "--method", "none", "--seed", "0")
GRID = (
    *("--task", "fashion", "--sample", "tiny", "--stage", "top20", "--seed", "0-2", "--backbone"),
    *(
        "hog,lbp,tfidf,hog+tfidf",
        "--method",
        "none,class_weight,focal,oversample,logit_adjust,label_smoothing",
    ),
)


def run(args: tuple[str, ...], folder: Path) -> float:
    """Run the grid, and return the seconds that the command takes."""
    places = ("--results", str(folder / "results"), "--cache", str(folder / "cache"))
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "bench", "run", *args, *places, "--quiet", "--rerun"],
        check=True,
        stderr=sys.stderr,
    )
    return time.monotonic() - began


def features(way: str, folder: Path, size: int, backbone: str) -> float:
    """Return the seconds of the pass over all photos."""
    data = ("--data", str(Path(os.environ["BENCH_DATA"], "fashion")), "--set", f"input_size={size}")
    args = (*PHOTOS, "--backbone", backbone, *data, "--set", "epochs=1", "--stage", "top20")
    shutil.rmtree(folder / "cache" / "features", ignore_errors=True)
    if way == NODES:
        with machines() as found:
            for _ in range(3):
                found.add()
            run((*args, "--on", found.address), folder)
    else:
        run((*args, *WAYS[way]), folder)
    [meta] = (folder / "cache" / "features").glob("*/features.json")
    return float(json.loads(meta.read_text(encoding="utf-8"))["seconds"])


def grid(way: str, folder: Path, size: int, backbone: str) -> float:
    """Return the seconds of the whole command."""
    return run((*GRID, *WAYS[way]), folder)


def main() -> None:
    """Print the seconds of each round, and medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--backbone", default="mobilenet_025")
    parser.add_argument("--only", choices=("features", "grid"))
    options = parser.parse_args()
    measured = {"features": (features, (ALONE, RAY, ONE, NODES)), "grid": (grid, (ALONE, RAY))}
    for name, (measure, ways) in measured.items():
        if options.only not in (None, name):
            continue
        with tempfile.TemporaryDirectory(prefix="bench-ray-") as place:
            # Pixels, and the grid's features, are cached from here on.
            measure(ALONE, Path(place), options.size, options.backbone)
            rounds: dict[str, list[float]] = {way: [] for way in ways}
            for number in range(options.rounds):
                for way in ways if number % 2 == 0 else reversed(ways):
                    rounds[way].append(measure(way, Path(place), options.size, options.backbone))
                    print(f"{name} {way}: {rounds[way][-1]:.1f} s, load {os.getloadavg()[0]:.1f}", flush=True)
        alone = rounds[ALONE]
        for way in ways[1:]:
            ratios = [one / other for one, other in zip(rounds[way], alone, strict=True)]
            more = statistics.median(rounds[way]) - statistics.median(alone)
            print(
                f"{name}, {way} / alone: {statistics.median(ratios):.2f} ({min(ratios):.2f} to "
                f"{max(ratios):.2f}), {more:+.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
