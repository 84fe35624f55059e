"""What Ray costs on one machine: features of one backbone, and a grid of 72 cells, with and without it.

    BENCH_DATA=... KERAS_HOME=... python benchmarks/ray_speed.py [--rounds 3] [--only features|grid]

Features: those of MobileNet 0.25 for all photos of the fashion data, from cached pixels, by `bench run` and
by `bench run --on ray` with a worker of one CPU for each core; the seconds are those of the pass, the net's
building included. Grid: 4 backbones x 6 methods x 3 seeds on the tiny sample with cached features, whole
commands by the clock, the start and the end of Ray included. Both ways take turns.
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

WAYS: dict[str, tuple[str, ...]] = {"alone": (), "ray": ("--on", "ray")}

PHOTOS = ("--task", "fashion", "--backbone", "mobilenet_025", "--method", "none", "--seed", "0")
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


def features(way: str, folder: Path) -> float:
    """Return the seconds of the pass over all photos."""
    data = ("--data", str(Path(os.environ["BENCH_DATA"], "fashion")), "--set", "epochs=1", "--stage", "top20")
    shutil.rmtree(folder / "cache" / "features", ignore_errors=True)
    run((*PHOTOS, *data, *WAYS[way]), folder)
    [meta] = (folder / "cache" / "features").glob("*/features.json")
    return float(json.loads(meta.read_text(encoding="utf-8"))["seconds"])


def grid(way: str, folder: Path) -> float:
    """Return the seconds of the whole command."""
    return run((*GRID, *WAYS[way]), folder)


def main() -> None:
    """Print the seconds of each round, and medians."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("features", "grid"))
    options = parser.parse_args()
    for name, measure in {"features": features, "grid": grid}.items():
        if options.only not in (None, name):
            continue
        with tempfile.TemporaryDirectory(prefix="bench-ray-") as place:
            # Pixels, and the grid's features, are cached from here on.
            measure("alone", Path(place))
            rounds: dict[str, list[float]] = {way: [] for way in WAYS}
            for number in range(options.rounds):
                for way in WAYS if number % 2 == 0 else reversed(WAYS):
                    rounds[way].append(measure(way, Path(place)))
                    print(f"{name} {way}: {rounds[way][-1]:.1f} s, load {os.getloadavg()[0]:.1f}", flush=True)
            alone, ray = (statistics.median(rounds[way]) for way in WAYS)
            ratios = [one / other for one, other in zip(rounds["ray"], rounds["alone"], strict=True)]
            print(
                f"{name}: {alone:.1f} s alone, {ray:.1f} s on Ray; ratio {statistics.median(ratios):.2f} "
                f"({min(ratios):.2f} to {max(ratios):.2f}), difference {ray - alone:.1f} s"
            )


if __name__ == "__main__":
    main()
