"""What a whole frozen grid costs beside one pass of its backbones over the images, and beside Keras by hand.

    BENCH_DATA=... KERAS_HOME=... python -m benchmarks.grid [--rounds 3] [--by-hand]

Each round times, in fresh processes and with an empty cache each: one pass (decode every image, run both
backbones once by the engine that the grid uses, keep nothing else), then `bench run` of 2 backbones x 6
methods x 3 seeds in both stages, then `bench run` of six other methods on what the first grid cached.
--by-hand adds what a user would write: `model.predict` over a tf.data pipeline for both backbones, then one
Keras model fitted per cell, with the early stopping and the epochs of the grid but without its refit; the
cells of seed 0 are fitted, and their time is taken for each seed's. Ratios are the median of the rounds, by
the clock and by the processor's time; on a machine that does other work besides, the latter is the one to
look at.
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

BACKBONES = "mobilenet_025,mobilenetv2_035"
FIRST = "none,class_weight,oversample,oversample+class_weight,focal,logit_adjust"
SECOND = "undersample(median),smote,class_balanced,balanced_softmax,tau_norm,label_smoothing"
SEEDS = 3

ONE_PASS = """
import sys
from pathlib import Path
from bench.backbones.determinism import make_deterministic
make_deterministic()
from bench.data.pixels import ensure_pixels
from bench.backbones.engine_choice import with_engine
from bench.backbones.registry import get_backbone
from bench.backbones.feature_cache import Extraction
from bench.core.paths import search_path
from bench.core.protocol import AUTO, defaults
from bench.runs.plan import (Request)
from bench.runs.open_task import (open_task)

data, cache = Path(sys.argv[1]), Path(sys.argv[2])
quiet = lambda done, total, what: None
_, examples = open_task(Request("fashion", data), search_path("tasks"), cache)
pixels = ensure_pixels(examples, (224, 224), "squash", cache, quiet)
for name in sys.argv[3].split(","):
    info = get_backbone(name)
    engine = with_engine([info], "frozen", {**defaults(), "engine": AUTO})["engine"]
    Extraction(pixels, info, "imagenet", "backbone", engine, cache, quiet).features()
"""

BY_HAND = """
import resource, sys, time
from pathlib import Path
import numpy as np
import keras
import tensorflow as tf
from bench.backbones.registry import build_backbone, get_backbone, preprocess
from bench.core.paths import search_path
from bench.data.labels import Parts
from bench.runs.plan import (Request, make_plan)
from bench.runs.open_task import (open_task)
from bench.core.kind import get_kind

data, cache = Path(sys.argv[1]), Path(sys.argv[2])
names, methods = sys.argv[3].split(","), sys.argv[4].split(",")
request = Request("fashion", data, backbones=tuple(names), methods=("none",), seeds="0")
card, examples = open_task(request, search_path("tasks"), cache)
cells = {cell.stage: cell for cell in make_plan(card, request, examples).cells}
parts = Parts(card, examples, cells[card.stages[0].name].setting)
facet = get_kind(card.kind).split
paths = [str(data / "images" / f"{item}.jpg") for item in examples.items]

def load(path):
    return tf.image.resize(tf.io.decode_jpeg(tf.io.read_file(path), channels=3), (224, 224))

def cost():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return np.array([time.monotonic(), used.ru_utime + used.ru_stime])

began, heads = cost(), np.zeros(2)
pipeline = tf.data.Dataset.from_tensor_slices(paths).map(load, tf.data.AUTOTUNE).batch(32)
for name in names:
    info = get_backbone(name)
    net, scale = build_backbone(info, (224, 224), "imagenet"), preprocess(info)
    features = net.predict(pipeline.map(scale, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE), verbose=0)
    for stage in card.stages:
        split = facet.split(parts, cells[stage.name].setting, np.ones(len(paths), bool), stage, 0)
        own = features[np.concatenate([split.train, split.val])]
        x = (features - own.mean(axis=0)) / np.maximum(own.std(axis=0), 1e-6)
        y, k = split.targets, len(split.classes)
        counts = np.bincount(y[split.train], minlength=k)
        weights = len(split.train) / (k * np.maximum(counts, 1))
        for method in methods:
            start, rows = cost(), split.train
            if "oversample" in method:
                rng = np.random.default_rng(0)
                drawn = [rng.choice(rows[y[rows] == c], counts.max()) for c in range(k) if counts[c]]
                rows = np.concatenate(drawn)
            keras.utils.set_random_seed(0)
            decay = keras.regularizers.L2(5e-4)
            head = keras.layers.Dense(k, kernel_regularizer=decay)
            model = keras.Sequential([keras.Input((x.shape[1],)), head])
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            model.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
            model.fit(
                x[rows], y[rows], batch_size=64, epochs=400, verbose=0,
                validation_data=(x[split.val], y[split.val]),
                class_weight=dict(enumerate(weights)) if "class_weight" in method else None,
                callbacks=[keras.callbacks.EarlyStopping(patience=8, restore_best_weights=True)],
            )
            model.predict(x[split.test], batch_size=4096, verbose=0)
            heads += cost() - start
print(*(cost() - began - heads), *heads)
"""


class Cost(NamedTuple):
    """What a process took: seconds by the clock, and of the processor, its own processes included."""

    wall: float
    processor: float


def timed(command: list[str]) -> tuple[Cost, str]:
    """Run a command; return what it took and what it printed."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.monotonic() - began, processor), done.stdout


def grid(data: Path, folder: Path, methods: str) -> Cost:
    """Run a grid of both backbones and three seeds."""
    command = [sys.executable, "-m", "bench", "run", "--task", "fashion", "--data", str(data)]
    command += ["--backbone", BACKBONES, "--method", methods, "--seed", f"0-{SEEDS - 1}", "--quiet"]
    command += ["--cache", str(folder / "cache"), "--results", str(folder / "results")]
    return timed(command)[0]


def by_hand(data: Path, folder: Path) -> Cost:
    """Run what a user would write: all of the pass, and the fits of one seed times the seeds."""
    arguments = [str(data), str(folder / "hand"), BACKBONES, FIRST]
    _, said = timed([sys.executable, "-c", BY_HAND, *arguments])
    wall, processor, heads_wall, heads_processor = map(float, said.split()[-4:])
    return Cost(wall + SEEDS * heads_wall, processor + SEEDS * heads_processor)


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
    parser.add_argument("--by-hand", action="store_true")
    asked = parser.parse_args()
    if not os.environ.get("BENCH_DATA"):
        sys.exit(
            "set BENCH_DATA to a folder that has fashion/styles.csv, and KERAS_HOME to one with the weights"
        )
    data = Path(os.environ["BENCH_DATA"]) / "fashion"
    rows: list[dict[str, Cost]] = []
    for number in range(asked.rounds):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            one_pass = [sys.executable, "-c", ONE_PASS, str(data), str(folder / "pass"), BACKBONES]
            row = {"one pass": timed(one_pass)[0], "first grid": grid(data, folder, FIRST)}
            before = inputs(folder)
            row["second grid"] = grid(data, folder, SECOND)
            assert inputs(folder) == before, "the second grid decoded or extracted again"
            if asked.by_hand:
                row["by hand"] = by_hand(data, folder)
        rows.append(row)
        told = (f"{what} {cost.wall:.1f} s ({cost.processor:.1f})" for what, cost in row.items())
        print(f"round {number + 1}, by the clock (and the processor): {', '.join(told)}", flush=True)
    print(f"\nmedian of {asked.rounds}, each beside one pass: by the clock, by the processor")
    for what in rows[0]:
        ratios = [
            statistics.median(row[what][part] / row["one pass"][part] for row in rows) for part in (0, 1)
        ]
        print(f"{what:12} {ratios[0]:6.2f}x {ratios[1]:6.2f}x")
    if asked.by_hand:
        faster = [
            statistics.median(row["by hand"][part] / row["first grid"][part] for row in rows)
            for part in (0, 1)
        ]
        print(f"by hand / first grid: {faster[0]:.1f}x, {faster[1]:.1f}x")


if __name__ == "__main__":
    main()
