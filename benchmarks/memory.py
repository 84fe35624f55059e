"""What memory and time cost from ten thousand images to a hundred thousand.

    python -m benchmarks.memory [--counts 10000,31623,100000] [--backbone mobilenet_025] [--pixels 64]

Drawn images go through everything a frozen cell goes through: decoding into the pixel cache, features,
heads (three methods, ten epochs), scores of every image. Each count has a process of its own; 256 images go
first, and what the process holds after them (Python, TensorFlow, the net, compiled graphs) is "the model".
The peak beside it is the process's highest resident memory, mapped files included, less that.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = 20
METHODS = "none, class_weight, logit_adjust"
LIMIT_MIB = 2048


@dataclass(frozen=True)
class Drawn:
    """Images made from their position: a colour for the class, noise for the rest."""

    count: int
    pixels: int

    def read(self, index: int) -> np.ndarray:
        """Return (pixels, pixels, 3) uint8."""
        rng = np.random.default_rng(index)
        noise = rng.integers(0, 128, (self.pixels, self.pixels, 3), dtype=np.uint8)
        noise[:, :, index % 3] += np.uint8(6 * (index % CLASSES))
        return noise

    def content_hashes(self) -> tuple[str, ...]:
        """Return a hash per image."""
        return tuple(
            hashlib.sha256(f"{self.pixels} {index}".encode()).hexdigest() for index in range(self.count)
        )


def resident() -> float:
    """Return the MiB this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def peak() -> float:
    """Return the most MiB this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def whole_way(count: int, backbone: str, side: int, cache: Path) -> dict[str, float]:
    """Take so many images through everything; return the seconds of each part."""
    from bench.backbones.feature_cache import Extraction
    from bench.backbones.inputs import PrecomputedFeatures
    from bench.backbones.registry import get_backbone
    from bench.core.cell import Cell, DataId
    from bench.core.protocol import defaults
    from bench.data.examples import Examples
    from bench.data.pixels import ensure_pixels
    from bench.data.splits import StageSplit
    from bench.methods.grammar import parse_methods
    from bench.runs.trainers import HeadTrainer

    def no_progress(done: int, total: int, what: str) -> None:
        pass

    marks = [time.perf_counter()]
    items = tuple(map(str, range(count)))
    examples = Examples(items, {}, Drawn(count, side), f"{count} {side}", "memory benchmark")
    pixels = ensure_pixels(examples, (side, side), "squash", cache, no_progress)
    marks.append(time.perf_counter())
    features = Extraction(
        pixels, get_backbone(backbone), "random", "backbone", "tensorflow", cache
    ).features()
    marks.append(time.perf_counter())
    names = tuple(f"class {number}" for number in range(CLASSES))
    truth = (np.arange(count) % CLASSES).astype(np.int32)
    rows = np.random.default_rng(0).permutation(count)
    train, val, test = (np.sort(part) for part in np.split(rows, [count * 7 // 10, count * 8 // 10]))
    split = StageSplit(names, truth, train, val, test, unseen=0, leaked=None)
    setting = {**defaults(), "epochs": 10}
    trainer = HeadTrainer(PrecomputedFeatures(features), split, setting, no_progress)
    protocol, data = tuple(sorted(setting.items())), DataId("made", "0" * 64)
    cells = [
        Cell("made", 1, "multiclass", "all", "frozen", backbone, "random", method, 0, protocol, data)
        for method in parse_methods(METHODS)
    ]
    for fitted, _ in trainer.fit([(cell, split) for cell in cells]):
        assert fitted.head is not None and fitted.embed is not None, fitted.failed
        for part in (val, test):
            fitted.head.logits(fitted.embed(part))
    marks.append(time.perf_counter())
    parts = np.diff(marks)
    return dict(zip(("decode", "features", "heads"), map(float, parts), strict=True))


def one(count: int, backbone: str, side: int) -> None:
    """Measure one count in this process and print it as JSON."""
    from bench.backbones.determinism import make_deterministic

    make_deterministic()
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as cache:
        whole_way(256, backbone, side, Path(cache) / "first")
        model = resident()
        seconds = whole_way(count, backbone, side, Path(cache) / "all")
    print(json.dumps({"count": count, "model": model, "peak": peak(), "seconds": seconds}))


def in_own_process(count: int, asked: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", str(count), "--backbone", asked.backbone]
    answer = subprocess.run(
        [*command, "--pixels", str(asked.pixels)], stdout=subprocess.PIPE, text=True, check=True
    )
    result: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return result


def main() -> None:
    """Print the table; exit 1 when the largest count needs more than it may."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--counts", default="10000,31623,100000")
    parser.add_argument("--backbone", default="mobilenet_025")
    parser.add_argument("--pixels", type=int, default=64)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one, asked.backbone, asked.pixels)
        return
    print(f"{asked.backbone} at {asked.pixels}x{asked.pixels}; MiB of memory, ms per image")
    heads = ("images", "model", "peak", "beside", "decode", "features", "heads", "all")
    print(" ".join(f"{head:>9}" for head in heads))
    most = 0.0
    for count in map(int, asked.counts.split(",")):
        row = in_own_process(count, asked)
        each = {name: 1000 * spent / count for name, spent in row["seconds"].items()}
        beside = row["peak"] - row["model"]
        most = max(most, beside)
        sizes = [f"{value:9.0f}" for value in (count, row["model"], row["peak"], beside)]
        print(*sizes, *[f"{value:9.3f}" for value in (*each.values(), sum(each.values()))], flush=True)
    print(f"at most {most:.0f} MiB beside the model; the limit is {LIMIT_MIB}")
    if most > LIMIT_MIB:
        sys.exit(1)


if __name__ == "__main__":
    main()
